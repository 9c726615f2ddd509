import type { Core } from '../core/core.ts';
import type { Connection, Tenant } from '../core/domain.ts';
import { toAppError } from '../core/errors.ts';
import type { Platform } from '../core/ports/platform.ts';
import type { Runtime } from '../core/ports/runtime.ts';
import type { Accounts } from './auth/accounts.ts';
import { texts } from './texts.ts';

/** What people call a tenant's workspaces, channels and sources; the id of what has no name, or none that is known yet. */
export type Names = {
  connection(connection: Pick<Connection, 'platform' | 'workspaceId'>): string;
  /** The name alone, without its platform. */
  workspace(connection: Pick<Connection, 'platform' | 'workspaceId'>): string;
  channel(place: { readonly platform: string; readonly channelId: string }): string;
  /** Of a channel whose platform is not told, or stands before it (`slack:C1`). */
  channelId(id: string): string;
  source(sourceId: string): string;
  /** Of somebody on a chat platform (`slack:U1`), with the platform before it; of somebody of the console (`console:u1`, in the audit log `user:u1`). */
  member(memberId: string): string;
  /** Where something was asked: a channel, or one of the doors that are no chat platform. */
  place(asked: { readonly platform: string; readonly channelId?: string }): string;
};

/**
 * The names that a page of the tenant needs; `channelIds` and `memberIds` are those that it shows, channels with or without their platform. Never waits for a platform: what is not
 * known yet is asked for beside, and stands on the next page.
 */
export type NamesOf = (tenant: Tenant, channelIds?: readonly string[], memberIds?: readonly string[]) => Promise<Names>;

const keptForMs = 60 * 60_000;
/** Somebody may just have let the bot in. */
const missingForMs = 10 * 60_000;
const askWithinMs = 5_000;
const channelsAtOnce = 20;
const peopleAtOnce = 20;
const keptNames = 20_000;

type Known = { readonly name: string | null; readonly until: number };

export const createNames = (parts: {
  readonly core: Pick<Core, 'connections' | 'sources'>;
  readonly platforms: readonly Platform[];
  readonly runtime: Pick<Runtime, 'clock' | 'log'>;
  /** Who signs in here. */
  readonly accounts?: Pick<Accounts, 'known'>;
}): NamesOf => {
  const { core, platforms, runtime, accounts } = parts;
  const { clock, log } = runtime;
  /** By connection and channel, so that no tenant learns another one's; the workspace is the channel without an id. */
  const known = new Map<string, Known>();
  const asking = new Set<string>();
  const keyOf = (connection: Pick<Connection, 'id'>, channelId = ''): string => `${connection.id} ${channelId}`;

  const keep = (key: string, name: string | undefined): void => {
    known.delete(key);
    const forMs = name === undefined ? missingForMs : keptForMs;
    known.set(key, { name: name ?? null, until: clock.now() + forMs });
    if (known.size > keptNames) for (const [oldest] of [...known].slice(0, keptNames / 10)) known.delete(oldest);
  };

  const personKey = (connection: Pick<Connection, 'id'>, userId: string): string => keyOf(connection, `@${userId}`);

  const ask = async (
    connection: Connection,
    channelIds: readonly string[],
    userIds: readonly string[],
  ): Promise<void> => {
    const platform = platforms.find(({ name }) => name === connection.platform);
    if (platform?.names === undefined || asking.has(connection.id)) return;
    asking.add(connection.id);
    try {
      const wanted = channelIds.slice(0, channelsAtOnce);
      const asked = userIds.slice(0, peopleAtOnce);
      const signal = AbortSignal.timeout(askWithinMs);
      const { workspace, channels, people = {} } = await platform.names(connection, wanted, signal, asked);
      keep(keyOf(connection), workspace);
      for (const channelId of new Set([...wanted, ...Object.keys(channels)]))
        keep(keyOf(connection, channelId), channels[channelId]);
      for (const userId of asked) keep(personKey(connection, userId), people[userId]);
    } catch (error) {
      log.debug('names-unknown', { platform: connection.platform, code: toAppError(error).code });
      keep(keyOf(connection), undefined);
    } finally {
      asking.delete(connection.id);
    }
  };

  const isStale = (key: string): boolean => (known.get(key)?.until ?? 0) <= clock.now();

  return async (tenant, shown = [], memberIds = []) => {
    const channelIds = [...new Set(shown.map((id) => id.replace(/^(slack|discord|teams):/, '')))];
    const [connections, sources, people] = await Promise.all([
      core.connections.list(tenant.id),
      core.sources.list(tenant.id),
      accounts?.known([...new Set(memberIds.flatMap((id) => ownUserId(id) ?? []))]),
    ]);
    for (const connection of connections) {
      const missing = channelIds.filter((id) => isStale(keyOf(connection, id)));
      const strangers = [...new Set(memberIds)]
        .flatMap((id) => userIdOn(connection.platform, id) ?? [])
        .filter((userId) => isStale(personKey(connection, userId)));
      if (missing.length > 0 || strangers.length > 0 || isStale(keyOf(connection)))
        void ask(connection, missing, strangers);
    }
    const nameIn = (channelId: string, platform?: string): string | undefined => {
      for (const connection of connections) {
        if (platform !== undefined && connection.platform !== platform) continue;
        const name = known.get(keyOf(connection, channelId))?.name;
        if (typeof name === 'string') return `#${name.replace(/^#/, '')}`;
      }
      return undefined;
    };
    const workspace: Names['workspace'] = ({ platform, workspaceId }) => {
      const own = connections.find((one) => one.platform === platform && one.workspaceId === workspaceId);
      return (own === undefined ? null : known.get(keyOf(own))?.name) ?? workspaceId;
    };
    const channel: Names['channel'] = ({ platform, channelId }) =>
      `${platformInWords(platform)} ${nameIn(channelId, platform) ?? channelId}`;
    return {
      workspace,
      connection: (connection) => `${platformInWords(connection.platform)} ${workspace(connection)}`,
      channel,
      place: ({ platform, channelId }) =>
        // Outside the chat platforms the channel is only the platform's name again.
        channelId === undefined || channelId === platform
          ? platformInWords(platform)
          : channel({ platform, channelId }),
      channelId: (id) => {
        const [, platform, channelId] = /^(slack|discord|teams):(.+)$/s.exec(id) ?? [];
        if (platform === undefined || channelId === undefined) return nameIn(id) ?? id;
        return channel({ platform, channelId });
      },
      member: (memberId) => {
        const person = people?.get(ownUserId(memberId) ?? '');
        if (person !== undefined) return person.name || person.email;
        for (const connection of connections) {
          const userId = userIdOn(connection.platform, memberId);
          const name = userId === null ? null : known.get(personKey(connection, userId))?.name;
          if (typeof name === 'string') return `${platformInWords(connection.platform)} ${name}`;
        }
        return memberId;
      },
      source: (sourceId) => sources.find(({ id }) => id === sourceId)?.name ?? sourceId,
    };
  };
};

/** Null: a member of another platform. */
const userIdOn = (platform: string, memberId: string): string | null =>
  memberId.startsWith(`${platform}:`) ? memberId.slice(platform.length + 1) : null;

/**
 * Null: not of the console. No other beginning will do: what programs say of their people may be the id of somebody of
 * another organisation, whose name would be told.
 */
const ownUserId = (memberId: string): string | null => /^(?:console|user):(.+)$/s.exec(memberId)?.[1] ?? null;

export const platformInWords = (platform: string): string =>
  (({ ...texts.connections.platforms, ...texts.nav.doors }) as Readonly<Record<string, string>>)[platform] ?? platform;
