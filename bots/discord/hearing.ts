import type { InboundEvent } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { Received } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { bounded } from '../bounded.ts';
import type { DiscordApi } from './api.ts';
import { type Channels, textChannel } from './channels.ts';
import { isRecord, textOf } from './fields.ts';
import { createHomes, type Home, nowhere } from './homes.ts';
import { ephemeralFlag, type Heard, replies } from './interaction.ts';
import { hearInteraction } from './interactions.ts';
import {
  addressOf,
  membershipEvent,
  type Normalised,
  normaliseDelete,
  normaliseMessage,
  type Surroundings,
} from './normalise.ts';
import type { Self } from './text.ts';

export type HearingParts = {
  readonly api: DiscordApi;
  readonly channels: Channels;
  readonly runtime: Runtime;
  readonly readsContent: () => boolean;
  /** Stores an event; a throw means that it is not stored. */
  store(event: InboundEvent): Promise<Received>;
  /** A server that the bot came into, as Discord describes it; once. */
  greet(guild: unknown): Promise<void>;
  readonly settings: HearingSettings;
};

export type HearingSettings = {
  /** How long an event that could not be stored is offered to the store again: Discord does not send it twice. */
  readonly storeForMs: number;
  /** Events that wait for a store that is down; more are left to the resume of the session. */
  readonly maxWaiting: number;
  /** Longest from hearing an interaction to the reply: Discord takes none after three seconds, the way there included. */
  readonly interactionWithinMs: number;
};

/** What Discord tells, turned into events; and what is learned on the way about servers, channels and ourselves. */
export type Hearing = {
  /** Over the gateway. Resolves when it is stored or set aside. */
  dispatch(type: string, data: unknown): Promise<void>;
  /**
   * Over HTTP or the gateway: stored, then to be replied to; null when it cannot be read. A store that takes too long is not
   * waited for: then the reply says that nobody knows, and is no acknowledgement. It throws where it is surely not stored.
   */
  interaction(payload: unknown): Promise<Heard | null>;
  self(guild: string | null): Self;
  learnSelf(userId: string): void;
};

/** Discord waits three seconds for the first reply to an interaction. */
const replyWithinMs = 2500;

/** Said in time in place of an acknowledgement. If it was stored after all, the answer takes its place. */
const unsure: Heard['reply'] = {
  type: replies.message,
  data: {
    content:
      'My memory is slow at the moment, and I am not sure that I have this. If nothing comes of it within a minute, please try again.',
    flags: ephemeralFlag,
  },
};

/** What takes longer than until then goes on unheeded, and something else stands for it. */
const withinUntil =
  (clock: Runtime['clock'], until: number) =>
  async <T, Else>(work: Promise<T>, otherwise: Else): Promise<T | Else> => {
    const done = new AbortController();
    const late = clock.sleep(Math.max(0, until - clock.now()), done.signal).then(
      () => otherwise,
      () => otherwise,
    );
    try {
      return await Promise.race([work, late]);
    } finally {
      done.abort(over);
    }
  };
/** An abort without a reason makes one, with its stack, each time. */
const over = new AppError('cancelled', 'It came in time.');

export const createHearing = (parts: HearingParts): Hearing => {
  const { api, channels, runtime } = parts;
  const { clock, log, metrics } = runtime;
  let userId: string | null = null;
  const roles = new Map<string, string>();
  /** Servers whose roles are known. */
  const looked = new Set<string>();
  /** Servers that were ours when the session began: their GUILD_CREATE is no news. */
  const before = new Set<string>();
  const ours = bounded<true>(20_000);
  const homes = createHomes(api, clock);
  let waiting = 0;

  const self = (guild: string | null): Self => ({ userId, roleId: guild === null ? null : (roles.get(guild) ?? null) });

  // ── storing ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A store that is down for a while loses nothing: what came meanwhile is offered again. */
  const storeAtLast = async (event: InboundEvent): Promise<Received> => {
    const giveUpAt = clock.now() + parts.settings.storeForMs;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await parts.store(event);
      } catch (thrown) {
        if (clock.now() >= giveUpAt || (attempt === 1 && waiting >= parts.settings.maxWaiting)) throw thrown;
        if (attempt === 1) log.warn('discord-store-waits', { waiting });
      }
      waiting += 1;
      try {
        await clock.sleep(Math.min(2000, 100 * 2 ** attempt));
      } finally {
        waiting -= 1;
      }
    }
  };
  const take = async (normalised: Normalised): Promise<void> => {
    if (normalised.kind === 'event') return void (await storeAtLast(normalised.event));
    metrics.count('events_total', { platform: 'discord', reason: 'unsupported' });
    log.debug('discord-ignored', { why: normalised.why });
  };

  // ── where a message stands ────────────────────────────────────────────────────────────────────────────────────────

  const around = async (channel: string, guild: string | null, author: string | null): Promise<Surroundings> => {
    const kind = guild === null ? { kind: 'dm' as const, startable: false } : await channels.of(channel);
    const home: Home =
      guild !== null
        ? { workspaceId: guild, isMember: true }
        : author === null
          ? { workspaceId: 'dm', isMember: false }
          : await homes.of(author);
    return {
      receivedAt: clock.now(),
      self: self(guild),
      channel: kind,
      ...home,
      ...(author === null ? {} : { person: author }),
      readsContent: parts.readsContent(),
      isOurs: (id) => ours.get(id) === true,
      originOf: channels.originOf,
    };
  };

  // ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A session that goes on in another process does not tell the servers and their roles again. */
  const lookUpRole = async (guild: string, data: unknown): Promise<void> => {
    const mentioned = isRecord(data) && Array.isArray(data.mention_roles) ? data.mention_roles.length : 0;
    if (mentioned === 0 || looked.has(guild)) return;
    looked.add(guild);
    const result = await api
      .call('get', `/guilds/${guild}/roles`, { signal: AbortSignal.timeout(replyWithinMs) })
      .catch(() => null);
    const list = result?.ok === true && Array.isArray(result.data) ? (result.data as readonly unknown[]) : [];
    for (const role of list) learnRole(guild, role);
  };

  const message = async (data: unknown, kind: 'message' | 'edit'): Promise<void> => {
    const at = addressOf(data);
    if (at === null) return take({ kind: 'ignored', why: 'unreadable' });
    if (at.guild !== null) await lookUpRole(at.guild, data);
    const id = textOf(data, 'id');
    if (at.author !== null && at.author === userId && id !== null) ours.set(id, true);
    else if (at.author !== null && at.guild !== null) homes.seen(at.author, at.guild);
    await take(normaliseMessage(data, kind, await around(at.channel, at.guild, at.author)));
  };

  const deletion = async (data: unknown): Promise<void> => {
    const at = addressOf(data);
    if (at === null) return take({ kind: 'ignored', why: 'unreadable' });
    // Whose direct message it was is not told; the channel tells, when it was heard before.
    const home = at.guild === null ? directs.get(at.channel) : undefined;
    const where = await around(at.channel, at.guild, home ?? null);
    await Promise.all(normaliseDelete(data, where).map(take));
  };
  /** Direct message channel → the person there. */
  const directs = bounded<string>(10_000);

  const guildCreate = async (data: unknown): Promise<void> => {
    const guild = textOf(data, 'id');
    if (guild === null || !isRecord(data) || data.unavailable === true) return;
    for (const list of [data.channels, data.threads])
      for (const channel of Array.isArray(list) ? (list as readonly unknown[]) : []) channels.learn(channel);
    for (const role of Array.isArray(data.roles) ? (data.roles as readonly unknown[]) : []) learnRole(guild, role);
    homes.joined(guild, textOf(data, 'name'));
    looked.add(guild);
    if (before.delete(guild)) return;
    const joinedAt = textOf(data, 'joined_at') ?? String(clock.now());
    const { outcome } = await storeAtLast(membershipEvent('install', guild, joinedAt, clock.now()));
    // Told again, by another connection or after a restart: it was greeted then.
    if (outcome === 'stored') void parts.greet(data);
  };

  const learnRole = (guild: string, role: unknown): void => {
    const bot = isRecord(role) ? textOf(role.tags, 'bot_id') : null;
    const id = textOf(role, 'id');
    if (id !== null && bot !== null && bot === userId) roles.set(guild, id);
  };

  const guildDelete = async (data: unknown): Promise<void> => {
    const guild = textOf(data, 'id');
    if (guild === null || !isRecord(data)) return;
    // An outage of Discord's, not ours; it comes back as a GUILD_CREATE.
    if (data.unavailable === true) return void before.add(guild);
    homes.left(guild);
    // To the minute, so that two who hear it mean the same leaving.
    await storeAtLast(membershipEvent('uninstall', guild, String(Math.floor(clock.now() / 60_000)), clock.now()));
  };

  const ready = (data: unknown): void => {
    if (!isRecord(data)) return;
    userId = textOf(data.user, 'id') ?? userId;
    for (const guild of Array.isArray(data.guilds) ? (data.guilds as readonly unknown[]) : []) {
      const id = textOf(guild, 'id');
      if (id === null) continue;
      before.add(id);
      homes.joined(id, null);
    }
  };

  const interaction = async (payload: unknown): Promise<Heard | null> => {
    const receivedAt = clock.now();
    const inTime = withinUntil(clock, receivedAt + parts.settings.interactionWithinMs);
    // Half of the time for what Discord is asked meanwhile; the store has the rest.
    const asked = withinUntil(clock, receivedAt + parts.settings.interactionWithinMs / 2);
    const heard = await hearInteraction(payload, {
      receivedAt,
      self,
      channels: { ...channels, of: (id) => asked(channels.of(id), textChannel) },
      homeOf: (person) => asked(homes.of(person), nowhere),
    });
    if (heard === null) return null;
    if (heard.event === null) {
      if (heard.why !== undefined) await take({ kind: 'ignored', why: heard.why });
      return heard;
    }
    if (heard.event.scope !== 'dm') homes.seen(heard.event.author.id, heard.event.workspaceId);
    // Not offered again: by the time the store is back Discord has told the person that it failed.
    const storing = parts.store(heard.event).then(() => true as const);
    if (await inTime(storing, false)) return heard;
    log.warn('discord-store-too-slow');
    storing.catch(() => log.warn('discord-interaction-not-stored'));
    return { ...heard, reply: unsure };
  };

  /** By the gateway the reply is a call of its own. Who replied first wins; the other door's event is the same event. */
  const interactionCreate = async (data: unknown): Promise<void> => {
    let heard: Heard | null;
    try {
      heard = await interaction(data);
    } catch {
      log.warn('discord-interaction-not-stored');
      return;
    }
    const id = textOf(data, 'id');
    const token = textOf(data, 'token');
    if (heard === null || id === null || token === null) return take({ kind: 'ignored', why: 'unreadable' });
    const result = await api
      .call('post', `/interactions/${id}/${encodeURIComponent(token)}/callback`, {
        open: true,
        body: heard.reply,
        signal: AbortSignal.timeout(replyWithinMs),
      })
      .catch(() => null);
    if (result?.ok !== true)
      log.warn('discord-interaction-not-acknowledged', {
        code: result === null ? 'timeout' : String(result.code || result.status),
      });
  };

  const dispatch = async (type: string, data: unknown): Promise<void> => {
    switch (type) {
      case 'MESSAGE_CREATE': {
        const at = addressOf(data);
        if (at !== null && at.guild === null && at.author !== null && at.author !== userId)
          directs.set(at.channel, at.author);
        return message(data, 'message');
      }
      case 'MESSAGE_UPDATE':
        return message(data, 'edit');
      case 'MESSAGE_DELETE':
      case 'MESSAGE_DELETE_BULK':
        return deletion(data);
      case 'INTERACTION_CREATE':
        return interactionCreate(data);
      case 'READY':
        return ready(data);
      case 'GUILD_CREATE':
        return guildCreate(data);
      case 'GUILD_DELETE':
        return guildDelete(data);
      case 'GUILD_ROLE_CREATE':
      case 'GUILD_ROLE_UPDATE':
        return void (isRecord(data) && learnRole(textOf(data, 'guild_id') ?? '', data.role));
      case 'CHANNEL_CREATE':
      case 'CHANNEL_UPDATE':
      case 'THREAD_CREATE':
      case 'THREAD_UPDATE':
        return channels.learn(data);
      case 'CHANNEL_DELETE':
      case 'THREAD_DELETE':
        return channels.forget(textOf(data, 'id') ?? '');
      case 'THREAD_LIST_SYNC':
        for (const thread of isRecord(data) && Array.isArray(data.threads) ? (data.threads as readonly unknown[]) : [])
          channels.learn(thread);
        return;
      default:
        return;
    }
  };

  return {
    dispatch,
    interaction,
    self,
    learnSelf: (id) => {
      userId ??= id;
    },
  };
};
