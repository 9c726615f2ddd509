import type { Answering } from '../answer/answering.ts';
import type { EffectiveRules, People } from '../core.ts';
import type { InboundEvent, PlatformName, Source, Tenant } from '../domain.ts';
import { toAppError } from '../errors.ts';
import { inboxIdOf } from '../ids.ts';
import { type Tell, tellNobody } from '../ports/notices.ts';
import type { Platform, Received, Workspaces } from '../ports/platform.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { InboxRow, Lease, StateStore } from '../ports/state.ts';
import { defaultPatience, type Patience, type ReadFile } from './assignment.ts';
import type { Handling } from './handling.ts';
import { type ThreadWork, workThread } from './thread-work.ts';

/** The path of a message: inbox, thread lease, reply policy, answer, outbox, delivery. */
export type Conversations = {
  /** One durable insert, then the caller may acknowledge. */
  receive(event: InboundEvent): Promise<Received>;
  /** Platforms whose events are answered; looked up by `event.platform`. */
  start(platforms: readonly Platform[]): void;
  /** Stops claiming, waits for running answers, releases the threads. */
  stop(forMs: number): Promise<void>;
};

export type ConversationSettings = {
  /** Threads worked on at once in this process. */
  readonly concurrency: number;
  /** Short, because a killed process' threads wait for it; a heartbeat each third keeps it. */
  readonly leaseForMs: number;
  /** How often to look for work that other processes received. */
  readonly pollMs: number;
  readonly rowsPerTurn: number;
  readonly patience: Patience;
};

export const defaultConversationSettings: ConversationSettings = {
  concurrency: 128,
  leaseForMs: 4500,
  pollMs: 250,
  rowsPerTurn: 8,
  patience: defaultPatience,
};

export type ConversationParts = {
  readonly state: StateStore;
  readonly answering: Answering;
  /** Null: the workspace belongs to nobody. */
  resolveTenant(event: InboundEvent): Promise<Tenant | null>;
  rules(tenant: Tenant, platform: PlatformName, channelId: string): Promise<EffectiveRules>;
  /** All of the tenant's, as they are at its content revision. */
  sources(tenant: Tenant): Promise<readonly Source[]>;
  readonly workspaces: Workspaces;
  readonly people: People;
  readonly homes: Handling['homes'];
  readonly readFile: ReadFile;
  readonly happened?: Tell;
  readonly runtime: Runtime;
  /** This process among all that share the store; unique per start. */
  readonly owner: string;
  readonly settings?: Partial<ConversationSettings>;
};

/**
 * What is worked off in order. A button or a word to the bot does not wait until the answer that is being written
 * in its thread is done (a stop would come too late); those of one person are in order among themselves.
 */
export const threadKeyOf = (event: InboundEvent): string => {
  const thread = `${event.platform}:${event.workspaceId}:${event.channelId}:${event.threadId}`;
  return isAside(event) ? `${thread}:aside:${event.author.id}` : thread;
};

const isAside = ({ kind, command }: InboundEvent): boolean =>
  kind === 'action' || (kind === 'command' && command !== undefined && command.name !== 'ask');

/** The worker and its door. Threads are claimed by one loop and worked off concurrently, each in order. */
export const createConversations = (parts: ConversationParts): Conversations => {
  const settings = { ...defaultConversationSettings, ...parts.settings };
  const { state, runtime } = parts;
  const { clock, metrics, log } = runtime;
  const platforms = new Map<PlatformName, Platform>();
  const running = new Map<string, ThreadWork>();
  const stopping = new AbortController();
  const bell = createBell();
  let loop: Promise<void> | null = null;

  const handling: Handling = {
    state,
    answering: parts.answering,
    runtime,
    patience: settings.patience,
    platformOf: (name) => platforms.get(name) ?? null,
    resolveTenant: parts.resolveTenant,
    rules: parts.rules,
    sources: parts.sources,
    workspaces: parts.workspaces,
    people: parts.people,
    happened: parts.happened ?? tellNobody,
    homes: parts.homes,
    receive: (event) => receive(event),
    readFile: parts.readFile,
    stopHere: (deliveryId) => {
      for (const work of running.values()) work.stop(deliveryId);
    },
  };

  const receive = async (event: InboundEvent): Promise<Received> => {
    const startedAt = clock.now();
    const key = event.dedupeKeys[0] ?? `${threadKeyOf(event)}:${event.messageId}:${event.kind}`;
    const row: InboxRow = {
      id: inboxIdOf(key),
      threadKey: threadKeyOf(event),
      event,
      state: 'ready',
      attempts: 0,
      receivedAt: event.receivedAt,
    };
    const direct = mayTakeUp(row.threadKey);
    if (direct) takingUp += 1;
    const { outcome, lease } = direct
      ? await state.inbox
          .receiveAndClaim(row, { owner: parts.owner, now: startedAt, leaseForMs: settings.leaseForMs })
          .finally(() => {
            takingUp -= 1;
          })
      : { outcome: await state.inbox.receive(row), lease: null };
    metrics.observe('acknowledge_seconds', (clock.now() - startedAt) / 1000, { platform: event.platform });
    if (outcome === 'duplicate') {
      metrics.count('events_total', { platform: event.platform, reason: 'duplicate' });
      log.info('event', { requestId: row.id, platform: event.platform, kind: event.kind, reason: 'duplicate' });
    } else if (lease !== null && !stopping.signal.aborted) run(lease, startedAt, { ...row, attempts: 1 });
    else {
      if (lease !== null) await state.inbox.releaseThread(lease);
      if (running.has(row.threadKey)) calledAgain.add(row.threadKey);
      if (event.kind === 'delete') running.get(row.threadKey)?.questionGone(event);
      if (workspaceOf(row.threadKey) !== flooding) pastFloodAt = 0;
      queued = true;
      heard += 1;
      bell.ring();
    }
    return { outcome };
  };

  /** Being stored with the wish to be worked on at once. */
  let takingUp = 0;
  /** Claims that the store has not answered yet: whose thread it will be is not known, so each counts as anybody's. */
  let claiming = 0;
  /** Threads that got a row while they were worked on. */
  const calledAgain = new Set<string>();
  /** Rows may be waiting that this process knows of or cannot know of: whoever comes now stands behind them. */
  let queued = true;
  /** A fresh question is worked on at once when hands are free and nobody waits. */
  const mayTakeUp = (threadKey: string): boolean => {
    const coming = takingUp + claiming;
    const busy = running.size + coming;
    if (queued || loop === null || stopping.signal.aborted || busy >= settings.concurrency) return false;
    return busy < share || runningOf(workspaceOf(threadKey)) + coming < share;
  };

  const run = (lease: Lease, claimedAt: number, fresh?: InboxRow): void => {
    const work = workThread(handling, lease, claimedAt, settings, fresh);
    running.set(lease.key, work);
    void work.done.then((end) => {
      running.delete(lease.key);
      if (calledAgain.delete(lease.key) || end === 'left' || queued) bell.ring();
    });
  };

  /** At most three quarters of the workers for one workspace while others wait: a flood from one is not an outage for all. */
  const share = Math.max(1, Math.ceil(settings.concurrency * 0.75));
  const workspaceOf = (threadKey: string): string => threadKey.split(':', 2).join(':');
  const runningOf = (workspace: string): number => {
    let count = 0;
    for (const key of running.keys()) if (workspaceOf(key) === workspace) count += 1;
    return count;
  };
  /** Who has most of the workers. More than one cannot have its share. */
  const busiest = (): { readonly workspace: string; readonly count: number } => {
    const counts = new Map<string, number>();
    for (const key of running.keys()) counts.set(workspaceOf(key), (counts.get(workspaceOf(key)) ?? 0) + 1);
    let most = { workspace: '', count: 0 };
    for (const [workspace, count] of counts) if (count > most.count) most = { workspace, count };
    return most;
  };

  const claimOne = async (except?: string): Promise<'claimed' | 'nothing'> => {
    const claimedAt = clock.now();
    claiming += 1;
    const lease = await state.inbox
      .claimThread({
        owner: parts.owner,
        now: claimedAt,
        leaseForMs: settings.leaseForMs,
        ...(except === undefined ? {} : { except: `${except}:` }),
      })
      .finally(() => {
        claiming -= 1;
      });
    if (lease === null) return 'nothing';
    if (stopping.signal.aborted) {
      await state.inbox.releaseThread(lease);
      return 'nothing';
    }
    run(lease, claimedAt);
    return 'claimed';
  };

  /** Events stored by this process since the last claim. */
  let heard = 0;
  /** Grows while every claim finds work, so that a backlog that others left is taken up fast too. */
  let batch = 1;
  /** Whose flood it was that nobody stood behind. */
  let flooding = '';
  /** Looking past a flood reads all of it: not again before then, unless somebody else has asked here meanwhile. */
  let pastFloodAt = 0;
  /** A claim is a write that waits for the disk; claims that are asked for together share one wait. */
  const claimSome = async (): Promise<'claimed' | 'nothing'> => {
    const busy = running.size + takingUp;
    const count = Math.min(settings.concurrency - busy, Math.max(batch, Math.min(heard, 16)));
    heard = 0;
    if (count <= 0) return 'nothing';
    const most = busy + count > share ? busiest() : { workspace: '', count: 0 };
    if (most.count >= share) return claimPastFlood(most.workspace);
    // All of them may turn out to be the busiest one's, as may those that are being taken up.
    const room = Math.min(count, share - most.count - takingUp);
    if (room <= 0) {
      queued = true;
      return 'nothing';
    }
    // Rows that come from here on say so themselves.
    queued = false;
    const claims = await Promise.allSettled(Array.from({ length: room }, () => claimOne()));
    const failed = claims.find((claim) => claim.status === 'rejected');
    const all = claims.every((claim) => claim.status === 'fulfilled' && claim.value === 'claimed');
    if (failed !== undefined || all) queued = true;
    if (failed !== undefined) throw failed.reason;
    batch = all ? Math.min(16, batch * 2) : 1;
    return all ? 'claimed' : 'nothing';
  };

  /** One workspace has its share, and may have any number of threads waiting: the others' turn. */
  const claimPastFlood = async (workspace: string): Promise<'claimed' | 'nothing'> => {
    queued = true;
    if (clock.now() < pastFloodAt) return 'nothing';
    flooding = workspace;
    pastFloodAt = clock.now() + settings.pollMs;
    const claimed = await claimOne(workspace);
    if (claimed === 'claimed') pastFloodAt = 0;
    return claimed;
  };

  const claimLoop = async (): Promise<void> => {
    let failures = 0;
    while (!stopping.signal.aborted) {
      let next: 'claimed' | 'nothing' = 'nothing';
      bell.silence();
      try {
        next = await claimSome();
        if (failures > 0) log.info('inbox-reachable-again', { failures });
        failures = 0;
      } catch (thrown) {
        failures += 1;
        if (failures === 1) log.error('inbox-unreachable', { code: toAppError(thrown).code });
      }
      // While the store is down the polls get slower, up to two seconds, so that its return is noticed soon.
      if (next === 'nothing')
        await bell.wait(
          clock,
          jittered(Math.min(2000, settings.pollMs * 2 ** Math.min(failures, 3))),
          stopping.signal,
          failures === 0,
        );
    }
  };
  const jittered = (ms: number): number => ms * (0.8 + runtime.random.float() * 0.4);

  return {
    receive,
    start: (list) => {
      for (const platform of list) platforms.set(platform.name, platform);
      loop ??= claimLoop();
    },
    stop: async (forMs) => {
      stopping.abort();
      await loop;
      const settled = Promise.all([...running.values()].map((work) => work.done));
      const enough = new AbortController();
      await Promise.race([settled, clock.sleep(forMs, enough.signal).catch(() => undefined)]);
      enough.abort();
      for (const work of running.values()) work.abandon();
      // An answer that does not heed its signal is left behind; its lease runs out by itself.
      const patience = new AbortController();
      await Promise.race([settled, clock.sleep(2000, patience.signal).catch(() => undefined)]);
      patience.abort();
    },
  };
};

/** Wakes the claiming loop in this process; a ring while it is awake is not forgotten. */
const createBell = () => {
  let rung = false;
  let wake: (() => void) | null = null;
  return {
    ring: (): void => {
      rung = true;
      wake?.();
    },
    silence: (): void => {
      rung = false;
    },
    /** Until the time is over, the signal fires or (when `hearing`) the bell rings. Never rejects. */
    wait: async (clock: Runtime['clock'], ms: number, signal: AbortSignal, hearing: boolean): Promise<void> => {
      if (hearing && rung) return;
      const stop = new AbortController();
      wake = hearing ? () => stop.abort() : null;
      await clock.sleep(ms, AbortSignal.any([stop.signal, signal])).catch(() => undefined);
      wake = null;
    },
  };
};
