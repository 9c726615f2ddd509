import type { InboundEvent } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import type { InboxRow, Lease } from '../ports/state.ts';
import { handleRow } from './handle-event.ts';
import { type Handled, type Handling, type Hold, isGone, questionDeleted } from './handling.ts';
import { logFieldsOf } from './receipts.ts';

export type ThreadSettings = {
  readonly leaseForMs: number;
  /** Rows worked off before the thread goes back in the queue, so that one talkative thread does not hold a worker. */
  readonly rowsPerTurn: number;
};

/** A thread in the hands of a worker. */
export type ThreadWork = {
  readonly threadKey: string;
  /** `left`: rows may still be waiting in it. */
  readonly done: Promise<'drained' | 'left'>;
  /** A deletion came in by this process: stop the answer to that message at once. */
  questionGone(event: InboundEvent): void;
  /** Stop was pressed: the answer that is this delivery ends with what is written of it. */
  stop(deliveryId: string): void;
  /** Give the thread back now; somebody else goes on. */
  abandon(): void;
};

/**
 * Works off a leased thread in the platform's order. A heartbeat keeps the lease; when it is lost everything stops
 * without a word, because somebody else is already answering. `done` never rejects. `fresh` came with the lease, and
 * stands alone in its thread.
 */
export const workThread = (
  parts: Handling,
  lease: Lease,
  claimedAt: number,
  settings: ThreadSettings,
  fresh?: InboxRow,
): ThreadWork => {
  const { inbox } = parts.state;
  const { clock, log } = parts.runtime;
  const whole = new AbortController();
  let current: {
    readonly row: InboxRow;
    readonly gone: AbortController;
    readonly stopped: AbortController;
    /** Whose outbox to look into for a stop, once the answer is being written. */
    tenantId: string | null;
  } | null = null;
  /** Stops the row under way, or the last one. */
  let latest: AbortController | null = null;

  /** Until then nobody else can have claimed the thread. Counted from before the store was asked, so never too late. */
  let ourUntil = claimedAt + settings.leaseForMs;
  /** Stops the thread and, without the cost of a combined signal, the row under way. */
  const stopAll = (reason: AppError): void => {
    whole.abort(reason);
    latest?.abort(reason);
  };
  const lost = (): AppError => new AppError('lease-lost', 'Another worker took over this thread.');
  /** Takes back what `endAfter` set going; null until the first heartbeat is due. */
  let ending: AbortController | null = null;
  /**
   * Stops everything when the lease ends, by a timer of this process: neither a call that hangs in the store nor a clock
   * that is set keeps us speaking for longer than the store has promised.
   */
  const endAfter = (ms: number): AbortController => {
    const kept = new AbortController();
    clock.sleep(ms, AbortSignal.any([kept.signal, whole.signal])).then(
      () => stopAll(lost()),
      () => undefined,
    );
    return kept;
  };
  const extendLease = async (): Promise<void> => {
    const from = clock.now();
    const later = endAfter(settings.leaseForMs);
    const kept = await inbox.heartbeatThread(lease, from, settings.leaseForMs).catch((thrown: unknown) => {
      later.abort(leaseKept);
      throw thrown;
    });
    // Our time was over before the store said anything: somebody else may have begun, whatever it says now.
    whole.signal.throwIfAborted();
    if (!kept) {
      stopAll(lost());
      throw lost();
    }
    ending?.abort(leaseKept);
    ending = later;
    ourUntil = from + settings.leaseForMs;
  };
  /** Asks the store only when less than half of the lease is left: a fresh one is proof enough, and costs no write. */
  const confirmLease = async (): Promise<void> => {
    whole.signal.throwIfAborted();
    if (ourUntil - clock.now() < settings.leaseForMs / 2) await extendLease();
  };

  const awake = async (): Promise<void> => {
    if (!whole.signal.aborted && clock.now() >= ourUntil) await extendLease();
  };

  const beat = async (): Promise<void> => {
    while (!whole.signal.aborted) {
      await clock.sleep(settings.leaseForMs / 3, whole.signal);
      // Only now, because most threads are done before; this much of the first lease is over at least.
      ending ??= endAfter(Math.max(0, Math.min(ourUntil - clock.now(), (settings.leaseForMs * 2) / 3)));
      try {
        await extendLease();
        await Promise.all([lookForDeletion(), lookForStop()]);
      } catch (thrown) {
        // An unreachable store: as long as the lease may still be ours, keep working. A machine that slept has no timer for it.
        if (!whole.signal.aborted && clock.now() >= ourUntil) stopAll(toAppError(thrown));
      }
    }
  };

  /** Another instance may have heard the deletion. */
  const lookForDeletion = async (): Promise<void> => {
    if (current === null || current.row.event.kind === 'delete') return;
    const { event } = current.row;
    const rows = await inbox.byMessage(event.platform, event.workspaceId, event.channelId, event.messageId);
    const gone = isGone(rows) ? rows.findLast((row) => row.event.kind === 'delete') : undefined;
    if (gone !== undefined) questionGone(gone.event);
  };

  /** So may it have heard the stop. */
  const lookForStop = async (): Promise<void> => {
    if (current === null || current.tenantId === null) return;
    const { row, tenantId } = current;
    if ((await parts.state.outbox.get(tenantId, row.id))?.stopped === true) stop(row.id);
  };

  const stop = (deliveryId: string): void => {
    if (current?.row.id === deliveryId)
      current.stopped.abort(new AppError('cancelled', 'The person pressed stop.', { at: 'stopped' }));
  };

  const questionGone = (event: InboundEvent): void => {
    const asked = current?.row.event;
    if (asked === undefined || asked.kind === 'delete') return;
    if (asked.channelId === event.channelId && asked.messageId === event.messageId)
      current?.gone.abort(questionDeleted());
  };

  const workRow = async (row: InboxRow, alone: boolean): Promise<Handled> => {
    const here = { row, gone: new AbortController(), stopped: new AbortController(), tenantId: null as string | null };
    current = here;
    latest = here.gone;
    if (whole.signal.aborted) here.gone.abort(whole.signal.reason);
    const hold: Hold = {
      signal: here.gone.signal,
      alone,
      stopped: here.stopped.signal,
      writing: (tenantId) => {
        here.tenantId = tenantId;
      },
      confirmLease,
      awake,
      settle: async (rowId, reason, tenantId) => {
        if (
          !(await inbox.settle(lease, rowId, clock.now(), { reason, ...(tenantId === undefined ? {} : { tenantId }) }))
        )
          throw lost();
        parts.runtime.metrics.count('events_total', { platform: row.event.platform, reason });
      },
    };
    try {
      return await handleRow(parts, row, hold);
    } finally {
      current = null;
    }
  };

  const drain = async (): Promise<'drained' | 'left'> => {
    let row = fresh ?? (await inbox.pending(lease, 1))[0];
    for (let left = settings.rowsPerTurn; row !== undefined && left > 0; left -= 1) {
      if (whole.signal.aborted) return giveBack(lease);
      // A store that took seconds to give the lease may have given the thread to somebody else since.
      await confirmLease();
      const startedAt = clock.now();
      const handled = await workRow(row, row === fresh);
      if (handled.outcome === 'later') {
        log.warn('event-later', {
          requestId: row.id,
          platform: row.event.platform,
          attempt: row.attempts,
          code: handled.error.code,
          afterMs: handled.afterMs,
        });
        await inbox.releaseThread(lease, clock.now() + handled.afterMs);
        return 'left';
      }
      const { tenantId, answerId, reason, closing } = handled;
      const outcome = {
        reason,
        ...(tenantId === undefined ? {} : { tenantId }),
        ...(answerId === undefined ? {} : { answerId }),
      };
      // The last of this turn: who takes the thread up again takes its next row up too.
      if (left === 1) {
        if (closing !== undefined)
          await parts.state.outbox.sent(closing.tenantId, closing.id, clock.now(), closing.books);
        if (!(await inbox.settle(lease, row.id, clock.now(), outcome))) return 'left';
        report(parts, row, handled, startedAt);
        break;
      }
      const next: InboxRow | 'freed' | 'lost' = await inbox.settleAndNext(lease, row.id, clock.now(), outcome, closing);
      if (next === 'lost') return 'left';
      report(parts, row, handled, startedAt);
      if (next === 'freed') return 'drained';
      row = next;
    }
    await inbox.releaseThread(lease);
    return 'left';
  };

  /** A worker that must stop hands the thread on at once; when the store cannot be reached the lease runs out by itself. */
  const giveBack = async (held: Lease, notBefore?: number): Promise<'left'> => {
    try {
      await inbox.releaseThread(held, notBefore);
    } catch {
      // The store is down; expiry frees the thread.
    }
    return 'left';
  };

  const run = async (): Promise<'drained' | 'left'> => {
    try {
      return await drain();
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'lease-lost') return 'left';
      if (error.code === 'cancelled') return await giveBack(lease);
      parts.runtime.metrics.count('errors_total', { code: error.code });
      log.error('thread-failed', {
        code: error.code,
        error: error.cause instanceof Error ? error.cause.message : error.message,
      });
      return await giveBack(lease, clock.now() + 1000);
    } finally {
      stopAll(threadDone);
    }
  };

  beat().catch(() => undefined);
  return {
    threadKey: lease.key,
    done: run(),
    questionGone,
    stop,
    abandon: () => stopAll(new AppError('cancelled', 'This instance is stopping; another one goes on.')),
  };
};

/** One for all: a stack for each thread would cost more than it tells. */
const threadDone = new AppError('cancelled', 'The thread is done.');
const leaseKept = new AppError('cancelled', 'The lease goes on.');

/** One line and the numbers for one event: ids, reasons and timings. */
const report = (
  parts: Handling,
  row: InboxRow,
  handled: Extract<Handled, { outcome: 'settle' }>,
  startedAt: number,
): void => {
  const { clock, log, metrics } = parts.runtime;
  const { event } = row;
  const { receipt } = handled;
  metrics.count('events_total', { platform: event.platform, reason: handled.reason });
  if (receipt !== undefined) {
    metrics.observe('answer_seconds', (clock.now() - row.receivedAt) / 1000, {
      platform: event.platform,
      outcome: receipt.kind,
    });
  }
  log.info('event', {
    requestId: row.id,
    platform: event.platform,
    kind: event.kind,
    tenantId: handled.tenantId,
    reason: handled.reason,
    answerId: handled.answerId,
    attempts: row.attempts,
    waitedMs: startedAt - row.receivedAt,
    workedMs: clock.now() - startedAt,
    ...(receipt === undefined ? {} : logFieldsOf(receipt, parts.runtime)),
  });
};
