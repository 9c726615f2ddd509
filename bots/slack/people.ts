import { z } from 'zod';
import type { InboundEvent, Standing } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { Managed } from '../../core/ports/platform.ts';
import type { Clock } from '../../core/ports/runtime.ts';
import type { SlackApi, SlackResult } from './api.ts';
import type { SlackHandle } from './handle.ts';

const user = z.object({
  team_id: z.string().optional(),
  is_admin: z.boolean().optional(),
  is_owner: z.boolean().optional(),
  is_primary_owner: z.boolean().optional(),
  is_restricted: z.boolean().optional(),
  is_ultra_restricted: z.boolean().optional(),
  is_stranger: z.boolean().optional(),
  is_email_confirmed: z.boolean().optional(),
  /** The address only with the permission for it. */
  profile: z.object({ email: z.string().optional() }).optional().catch(undefined),
});
type User = z.output<typeof user>;
const channel = z.object({ creator: z.string().optional(), is_ext_shared: z.boolean().default(false) });
type Channel = z.output<typeof channel>;
/** Where we are no member nothing of ours can be posted. Not remembered: the next thing that happens is an invitation. */
const notThere = new AppError('not-found', 'The bot is no member of this channel.');

/** Who somebody is in a workspace, as Slack tells when it is asked; remembered for ten minutes. */
export type People = {
  /** Null: Slack does not say (no permission, unknown person). Throws AppError `platform-failed` when it cannot be asked now. */
  standing(
    api: SlackApi,
    where: SlackHandle,
    author: InboundEvent['author'],
    signal: AbortSignal,
  ): Promise<Standing | null>;
  /** The confirmed e-mail address of somebody of this workspace. Null: there is none, or Slack does not say. */
  address(api: SlackApi, where: SlackHandle, signal: AbortSignal): Promise<string | null>;
  /** Admins and owners of the workspace; of a channel also whoever made it. False when Slack does not say. */
  mayManage(api: SlackApi, where: SlackHandle, what: Managed, signal: AbortSignal): Promise<boolean>;
  /** The channel is shared with another organisation. True when Slack does not say. Throws like `standing`. */
  isShared(api: SlackApi, where: SlackHandle, signal: AbortSignal): Promise<boolean>;
};

const keepForMs = 600_000;

export const createPeople = (clock: Clock): People => {
  const users = createMemory<User | null>(clock);
  const channels = createMemory<Channel | null>(clock);

  const userOf = (api: SlackApi, team: string, id: string, signal: AbortSignal): Promise<User | null> =>
    users(`${team}:${id}`, async () => {
      const result = await api.call('users.info', { user: id }, { signal, repeatable: true });
      const parsed = user.safeParse(known(result)?.user);
      return parsed.success ? parsed.data : null;
    });

  const channelOf = async (api: SlackApi, where: SlackHandle, signal: AbortSignal): Promise<Channel | null> => {
    try {
      return await channels(`${where.team}:${where.channel}`, async () => {
        const result = await api.call('conversations.info', { channel: where.channel }, { signal, repeatable: true });
        if (!result.ok && result.error === 'channel_not_found') throw notThere;
        const parsed = channel.safeParse(known(result)?.channel);
        return parsed.success ? parsed.data : null;
      });
    } catch (thrown) {
      if (thrown === notThere) return { is_ext_shared: false };
      throw thrown;
    }
  };

  return {
    standing: async (api, where, author, signal) => {
      if (author.standing !== undefined) return author.standing;
      const found = await userOf(api, where.team, author.id, signal);
      if (found === null) return null;
      if (found.is_stranger === true) return 'outsider';
      return found.is_restricted === true || found.is_ultra_restricted === true ? 'guest' : 'member';
    },
    address: async (api, where, signal) => {
      if (where.user === undefined) return null;
      const found = await userOf(api, where.team, where.user, signal);
      return found?.is_stranger !== true && found?.is_email_confirmed === true ? (found.profile?.email ?? null) : null;
    },
    mayManage: async (api, where, what, signal) => {
      if (where.user === undefined) return false;
      const found = await userOf(api, where.team, where.user, signal);
      if (found === null || found.is_stranger === true) return false;
      if (found.is_admin === true || found.is_owner === true || found.is_primary_owner === true) return true;
      if (what === 'workspace' || where.channel.startsWith('D')) return false;
      const creator = (await channelOf(api, where, signal))?.creator;
      return creator === where.user && found.is_restricted !== true && found.is_ultra_restricted !== true;
    },
    isShared: async (api, where, signal) => (await channelOf(api, where, signal))?.is_ext_shared !== false,
  };
};

/** Data, or null for a refusal that asking again will not change. */
const known = (result: SlackResult): Readonly<Record<string, unknown>> | null => {
  if (result.ok) return result.data;
  if (result.certain && result.error !== 'ratelimited') return null;
  throw new AppError('platform-failed', 'Slack could not say who is asking, or who reads along.', {
    retryable: true,
    at: result.error,
    ...(result.retryAfterMs === undefined ? {} : { retryAfterMs: result.retryAfterMs }),
  });
};

/** Answers that hold for a while; the oldest go first. A failure is not remembered. */
const createMemory = <T>(clock: Clock) => {
  const kept = new Map<string, { readonly value: T; readonly until: number }>();
  return async (key: string, ask: () => Promise<T>): Promise<T> => {
    const found = kept.get(key);
    if (found !== undefined && found.until > clock.now()) return found.value;
    const value = await ask();
    kept.delete(key);
    kept.set(key, { value, until: clock.now() + keepForMs });
    const oldest = kept.keys().next();
    if (kept.size > 10_000 && !oldest.done) kept.delete(oldest.value);
    return value;
  };
};
