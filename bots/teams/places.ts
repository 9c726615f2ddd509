import type { InboundEvent } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { Destination, Workspaces } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { bounded } from '../bounded.ts';
import { type TeamsHandle, teamsHandle } from './activity.ts';
import type { TeamsApi, TeamsResult } from './api.ts';
import { type Cloud, isServiceUrl } from './clouds.ts';
import type { Place } from './connector/connector.ts';
import { refusal } from './sink.ts';

/** What is known of organisations over restarts; without it, until the next event. */
type Memory = Partial<Pick<Workspaces, 'keep' | 'kept'>>;

export type Places = {
  /** Where an event came from. */
  of(handle: TeamsHandle): Place;
  /** The chat of an event's author with the bot; the event's own, when that is one. */
  privately(
    handle: TeamsHandle,
    signal: AbortSignal,
  ): Promise<
    | { readonly ok: true; readonly place: Place }
    | { readonly ok: false; readonly result: Extract<TeamsResult, { readonly ok: false }> }
  >;
  /** Throws `platform-failed`. */
  to(destination: Destination, signal: AbortSignal): Promise<Place>;
  /** Learns from an event that was proven to come from Teams. */
  note(event: InboundEvent): void;
  /** Whether a message that did not mention the bot was ever heard in a channel or group chat of that organisation. */
  heardUnasked(tenant: string): Promise<boolean>;
  /** How an organisation is reached, and its teams that were heard of, by their threads; at most so many. */
  about(tenant: string): Promise<{ readonly serviceUrl: string; readonly teams: readonly string[] }>;
  /** The chat of a person with the bot; null: there can be none. */
  chatOf(tenant: string, person: string, signal: AbortSignal): Promise<Place | null>;
};

const maxKept = 10_000;

/** The newest of them; each is a call where channels are named. */
const mostTeams = 20;

/** Of an organisation: where it was heard from last, as which bot, whether unasked, and its teams, separated by spaces. */
type Known = { readonly serviceUrl?: string; readonly bot?: string; readonly unasked?: 'yes'; readonly teams?: string };

const withTeam = (teams: string | undefined, team: string): string => {
  const known = teams?.split(' ') ?? [];
  return known.includes(team) ? known.join(' ') : [...known, team].slice(-mostTeams).join(' ');
};

/**
 * Conversations of Teams, and how to reach an organisation: by the service address it was heard from last, also before a
 * restart, else the cloud's. The chat of a person is opened anew, which gives the same chat.
 */
export const createPlaces = (parts: {
  readonly api: TeamsApi;
  readonly cloud: Cloud;
  readonly appId: string | null;
  /** Answers may go to this machine: a deployment for trying out. */
  readonly loopback: boolean;
  readonly memory: Memory;
  readonly log: Runtime['log'];
}): Places => {
  /** As the store has it, as far as we know. */
  const remembered = bounded<Known>(maxKept);
  /** Tenant and person → their chat with the bot. */
  const chats = bounded<string>(maxKept);

  const recall = async (tenant: string): Promise<Known> => {
    const known = remembered.get(tenant);
    if (known !== undefined) return known;
    const { serviceUrl, bot, unasked, teams } = (await parts.memory.kept?.('teams', tenant)) ?? {};
    const found: Known = {
      // The deployment may have moved to another cloud since.
      ...(isServiceUrl(serviceUrl, parts.cloud, parts.loopback) ? { serviceUrl } : {}),
      ...(bot === undefined ? {} : { bot }),
      ...(unasked === 'yes' ? { unasked } : {}),
      ...(teams === undefined ? {} : { teams }),
    };
    // Something may have been heard meanwhile, which is newer.
    const now = { ...found, ...remembered.get(tenant) };
    remembered.set(tenant, now);
    return now;
  };

  /** Nobody waits for it. */
  const remember = async (tenant: string, event: Known, team: string | undefined): Promise<void> => {
    try {
      const before = await recall(tenant);
      const heard = team === undefined ? event : { ...event, teams: withTeam(before.teams, team) };
      const names = Object.keys(heard) as readonly (keyof Known)[];
      if (names.every((name) => before[name] === heard[name])) return;
      remembered.set(tenant, { ...before, ...heard });
      await parts.memory.keep?.('teams', tenant, heard);
    } catch (thrown) {
      // The next event tells it again.
      remembered.delete(tenant);
      parts.log.debug('teams-place-not-kept', { error: String(thrown) });
    }
  };

  /** A store that cannot be asked now is no reason to be silent: Microsoft's own address reaches most organisations. */
  const reach = async (tenant: string): Promise<{ readonly serviceUrl: string; readonly bot: string }> => {
    const { serviceUrl = parts.cloud.serviceUrl, bot = `28:${parts.appId ?? ''}` } = await recall(tenant).catch(
      (): Known => ({}),
    );
    return { serviceUrl, bot };
  };

  const chatWith = async (
    user: string,
    tenant: string,
    { serviceUrl, bot }: { readonly serviceUrl: string; readonly bot: string },
    signal: AbortSignal,
  ): ReturnType<Places['privately']> => {
    const key = `${tenant} ${user}`;
    const known = chats.get(key);
    if (known !== undefined) return { ok: true, place: { serviceUrl, conversationId: known } };
    const result = await parts.api.open(
      serviceUrl,
      {
        isGroup: false,
        bot: { id: bot },
        members: [{ id: user }],
        tenantId: tenant,
        channelData: { tenant: { id: tenant } },
      },
      // Opening the chat twice gives the same chat.
      { signal, repeatable: true },
    );
    if (!result.ok) return { ok: false, result };
    chats.set(key, result.conversationId);
    return { ok: true, place: { serviceUrl, conversationId: result.conversationId } };
  };

  return {
    of: ({ serviceUrl, conversation }) => ({ serviceUrl, conversationId: conversation }),
    privately: async (handle, signal) => {
      if (handle.kind === 'personal' || handle.user === undefined)
        return { ok: true, place: { serviceUrl: handle.serviceUrl, conversationId: handle.conversation } };
      return chatWith(handle.user, handle.tenant, handle, signal);
    },
    to: async ({ workspaceId, channelId, threadId, userId }, signal) => {
      const { serviceUrl, bot } = await reach(workspaceId);
      if (channelId !== undefined) {
        // A thread of a chat is the chat itself.
        const threaded = threadId !== undefined && threadId !== channelId;
        return { serviceUrl, conversationId: threaded ? `${channelId};messageid=${threadId}` : channelId };
      }
      if (userId === undefined) throw new AppError('platform-failed', 'The message has no destination in Teams.');
      const chat = await chatWith(userId, workspaceId, { serviceUrl, bot }, signal);
      if (!chat.ok) throw refusal(chat.result);
      return chat.place;
    },
    note: (event) => {
      const handle = teamsHandle.safeParse(event.handle);
      if (!handle.success) return;
      const { serviceUrl, bot, teamThread } = handle.data;
      const isUnasked = event.kind === 'message' && event.scope !== 'dm' && event.addressed === 'none';
      void remember(event.workspaceId, { serviceUrl, bot, ...(isUnasked ? { unasked: 'yes' } : {}) }, teamThread);
      if (event.scope === 'dm')
        for (const person of [event.author.id, handle.data.user])
          if (person !== undefined) chats.set(`${event.workspaceId} ${person}`, handle.data.conversation);
    },
    about: async (tenant) => ({
      serviceUrl: (await reach(tenant)).serviceUrl,
      teams: (await recall(tenant)).teams?.split(' ') ?? [],
    }),
    chatOf: async (tenant, person, signal) => {
      const chat = await chatWith(person, tenant, await reach(tenant), signal);
      return chat.ok ? chat.place : null;
    },
    heardUnasked: async (tenant) => (await recall(tenant)).unasked === 'yes',
  };
};
