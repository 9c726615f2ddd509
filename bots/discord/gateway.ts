import { type SessionInfo, WebSocketManager, WebSocketShardEvents } from '@discordjs/ws';
import { z } from 'zod';
import type { Lead, Term } from '../../core/ports/leader.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import type { DiscordApi } from './api.ts';

export type GatewayState =
  /** Another instance hears, or nobody has asked us yet. */
  | 'standing-by'
  | 'connecting'
  | 'connected'
  /** Discord does not want us: the token, the intents. */
  | 'refused';

export type Gateway = {
  start(): void;
  stop(): Promise<void>;
  state(): {
    readonly state: GatewayState;
    readonly shards: number;
    readonly lastEventAt: number | null;
    /** Asked for, but not granted in the Developer Portal. */
    readonly contentRefused: boolean;
    readonly problem: string | null;
  };
};

export type GatewayParts = {
  readonly token: string;
  readonly api: DiscordApi;
  readonly runtime: Runtime;
  readonly lead: Lead;
  /** Ask for the text of messages that do not mention us (a privileged intent). */
  readonly messageContent: boolean;
  /** One event as Discord sent it. Resolves when it is stored or set aside; what rejects is counted as not stored. */
  hear(type: string, data: unknown): Promise<void>;
  /** Before the first event: a session that goes on does not say who we are. */
  prepare(signal: AbortSignal): Promise<void>;
  /** This instance is now the one that hears: register commands, say so. */
  leads(signal: AbortSignal): Promise<void>;
};

/** https://docs.discord.com/developers/events/gateway#list-of-intents */
const intents = { guilds: 1 << 0, guildMessages: 1 << 9, directMessages: 1 << 12, messageContent: 1 << 15 } as const;
const intentsOf = (messageContent: boolean): number =>
  intents.guilds | intents.guildMessages | intents.directMessages | (messageContent ? intents.messageContent : 0);

/** What Discord closes with when trying again cannot help by itself. */
const fatal: Readonly<Record<number, string>> = {
  4004: 'Discord does not accept the bot token.',
  4010: 'Discord does not accept the shard.',
  4011: 'Discord wants more shards.',
  4012: 'Discord no longer speaks this version of its gateway.',
  4013: 'Discord does not know an intent that was asked for.',
  4014: 'The Message Content Intent is not switched on in the Developer Portal.',
};
const disallowedIntents = 4014;

/** Anything but 1000 and 1001: Discord then keeps the session, and whoever comes next is told what was missed. */
const keepSession = 4200;
const noteEveryMs = 2000;
const noteLimit = 4000;
/** discord.js waits this long between closing and connecting again, and cannot be stopped meanwhile. */
const recoveringMs = 600;

const sessions = z.record(
  z.string(),
  z.object({
    resumeURL: z.url({ protocol: /^wss?$/ }),
    sequence: z.number(),
    sessionId: z.string(),
    shardCount: z.number(),
    shardId: z.number(),
  }),
);

/**
 * The connection over which Discord tells what happens. One instance of the deployment holds it; sharding, heartbeat and
 * resume are discord.js's. Sessions are left in the leader's note up to the last event that was stored, so that after a
 * restart or with another instance Discord repeats what was missed. Events that come twice share their dedupe key.
 */
export const createGateway = (parts: GatewayParts): Gateway => {
  const { clock, log } = parts.runtime;
  const stopping = new AbortController();
  let leading: Promise<void> = Promise.resolve();
  let state: GatewayState = 'standing-by';
  let shards = 0;
  let lastEventAt: number | null = null;
  let problem: string | null = null;
  let content = parts.messageContent;
  let refusals = 0;

  const serve = async (term: Term): Promise<void> => {
    state = 'connecting';
    const known = new Map<number, SessionInfo>(restored(term.note));
    /** Events that are not stored yet, per shard: their sequence numbers. */
    const pending = new Map<number, Set<number>>();
    const ended = Promise.withResolvers<number | null>();
    let open = true;
    const over = (): void => ended.resolve(null);
    term.held.addEventListener('abort', over, { once: true });

    const manager = new WebSocketManager({
      token: parts.token,
      intents: intentsOf(content),
      rest: parts.api.rest,
      // The default store is one for the whole process, whatever the bot.
      retrieveSessionInfo: (shard) => known.get(shard) ?? null,
      updateSessionInfo: (shard, session) => {
        if (!open) return;
        if (session === null) known.delete(shard);
        else known.set(shard, session);
      },
    });
    manager.on(WebSocketShardEvents.Error, ({ error, shardId }) =>
      log.warn('discord-gateway-error', { shard: shardId, error: error.message }),
    );
    manager.on(WebSocketShardEvents.Closed, ({ code, shardId }) => {
      log.info('discord-gateway-closed', { shard: shardId, closeCode: code });
      if (open) state = 'connecting';
      if (code in fatal) ended.resolve(code);
    });
    manager.on(WebSocketShardEvents.Ready, ({ shardId }) => {
      log.info('discord-gateway-ready', { shard: shardId });
      state = 'connected';
      problem = null;
      refusals = 0;
      // At once, so that the session outlives us from its first moment.
      void keepNote();
    });
    manager.on(WebSocketShardEvents.Resumed, ({ shardId }) => {
      log.info('discord-gateway-resumed', { shard: shardId });
      state = 'connected';
      problem = null;
    });
    manager.on(WebSocketShardEvents.Dispatch, ({ data, shardId }) => {
      if (!open) return;
      lastEventAt = clock.now();
      const waiting = pending.get(shardId) ?? new Set<number>();
      pending.set(shardId, waiting);
      waiting.add(data.s);
      parts.hear(data.t, data.d).then(
        () => waiting.delete(data.s),
        // Left among the pending: the session is resumed before it.
        () => log.error('discord-event-not-stored', { type: data.t }),
      );
    });

    /** Each session at the last event before which all are stored. */
    const note = (): string => {
      const safe = [...known].map(([shard, session]) => {
        const first = Math.min(...(pending.get(shard) ?? []), Number.POSITIVE_INFINITY);
        return [String(shard), { ...session, sequence: Math.min(session.sequence, first - 1) }];
      });
      const text = JSON.stringify(Object.fromEntries(safe));
      return text.length > noteLimit ? '{}' : text;
    };
    let kept = term.note ?? '';
    /** A little late does no harm: what is repeated then is known already. */
    const keepNote = async (): Promise<void> => {
      const now = note();
      if (now !== kept && (await term.keep(now))) kept = now;
    };
    const ending = new AbortController();
    const keepNotes = async (): Promise<void> => {
      for (;;) {
        await clock.sleep(noteEveryMs, AbortSignal.any([ending.signal, term.held]));
        await keepNote();
      }
    };
    const notes = keepNotes().catch(() => undefined);
    let afterwards: GatewayState = 'standing-by';

    try {
      await parts.prepare(term.held);
      const connecting = manager.connect();
      connecting.then(
        () => {
          shards = known.size;
          if (open)
            parts.leads(term.held).catch((error: unknown) => log.warn('discord-lead-failed', { error: String(error) }));
        },
        (error: unknown) => {
          log.warn('discord-gateway-unreachable', { error: String(error instanceof Error ? error.message : error) });
          problem ??= 'The gateway could not be reached.';
          // What closed with a reason tells it itself.
          ended.resolve(null);
        },
      );
      const code = await ended.promise;
      if (code !== null) afterwards = await refused(code, term);
    } finally {
      await keepNote();
      open = false;
      state = afterwards;
      term.held.removeEventListener('abort', over);
      ending.abort();
      await Promise.all([close(manager), notes]);
    }
  };

  /** Another identify would end the same; there are a thousand a day. */
  const refused = async (code: number, term: Term): Promise<GatewayState> => {
    problem = fatal[code] ?? null;
    log.error('discord-gateway-refused', { closeCode: code, error: problem ?? '' });
    if (code === disallowedIntents && content) {
      // Mentions, direct messages and commands work without it: better that than nothing.
      content = false;
      return 'connecting';
    }
    state = 'refused';
    refusals += 1;
    await clock.sleep(Math.min(900_000, 60_000 * 2 ** refusals), term.held).catch(() => undefined);
    return state;
  };

  const close = async (manager: WebSocketManager): Promise<void> => {
    const idle = 0;
    const statuses = await manager.fetchStatus();
    if ([...statuses.values()].includes(idle)) await clock.sleep(recoveringMs).catch(() => undefined);
    await Promise.race([
      Promise.resolve(manager.destroy({ code: keepSession, reason: 'handing over' })),
      clock.sleep(3000),
    ]);
  };

  return {
    start: () => {
      leading = parts.lead('discord-gateway', serve, stopping.signal);
    },
    stop: async () => {
      stopping.abort();
      await leading;
    },
    state: () => ({
      state,
      shards,
      lastEventAt,
      contentRefused: parts.messageContent && !content,
      problem,
    }),
  };
};

const restored = (note: string | null): readonly (readonly [number, SessionInfo])[] => {
  try {
    const parsed = sessions.safeParse(JSON.parse(note ?? '{}'));
    return parsed.success ? Object.values(parsed.data).map((session) => [session.shardId, session] as const) : [];
  } catch {
    return [];
  }
};
