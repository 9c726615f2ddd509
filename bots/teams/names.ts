import type { PlaceNames } from '../../core/ports/platform.ts';
import type { TeamsApi } from './api.ts';
import type { Graph } from './graph.ts';
import type { Places } from './places.ts';

/**
 * The organisation as its administrators let Graph tell it, channels by the lists of the teams that were heard of, people
 * by the roster of one of these teams, else of their own chat with the bot. Group chats have no name that a bot is told.
 */
export const namesInTeams = async (
  parts: { readonly api: TeamsApi; readonly places: Places; readonly graph: Graph | null },
  tenant: string,
  channelIds: readonly string[],
  userIds: readonly string[],
  signal: AbortSignal,
): Promise<PlaceNames> => {
  const { api, places, graph } = parts;
  const { serviceUrl, teams } = await places.about(tenant);
  const workspace = (await graph?.organisation(tenant, signal)) ?? undefined;
  const channels: Record<string, string> = {};
  const wanted = new Set(channelIds.filter((id) => id.startsWith('19:')));
  for (const team of teams) {
    if (wanted.size === 0) break;
    for (const [id, name] of await api.channels(serviceUrl, team, signal)) {
      channels[id] = name;
      wanted.delete(id);
    }
  }
  const people: Record<string, string> = {};
  for (const person of userIds) {
    const name = await nameOf(parts, { serviceUrl, teams: teams.slice(-teamsAsked), tenant, person }, signal);
    if (name !== undefined) people[person] = name;
  }
  return { channels, ...(userIds.length === 0 ? {} : { people }), ...(workspace === undefined ? {} : { workspace }) };
};

/** Somebody who is in none of these is looked for in their chat. */
const teamsAsked = 3;

const nameOf = async (
  { api, places }: { readonly api: TeamsApi; readonly places: Places },
  where: {
    readonly serviceUrl: string;
    readonly teams: readonly string[];
    readonly tenant: string;
    readonly person: string;
  },
  signal: AbortSignal,
): Promise<string | undefined> => {
  const { serviceUrl, person } = where;
  for (const conversationId of where.teams) {
    const found = await api.member({ serviceUrl, conversationId }, person, signal);
    if (found?.name !== undefined) return found.name;
  }
  const chat = await places.chatOf(where.tenant, person, signal);
  return chat === null ? undefined : (await api.member(chat, person, signal))?.name;
};
