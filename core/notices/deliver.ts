import type { Notice, Webhook } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import type { Platform } from '../ports/platform.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { NoticeOutcome, StateStore } from '../ports/state.ts';
import type { GuardedFetch } from '../security/guarded-fetch.ts';
import type { Sealer } from '../security/seal.ts';
import { signWebhook } from '../security/sign-webhook.ts';
import { type ChatBody, chatReceiver, type Notices } from './notices.ts';
import { secretContext } from './webhooks.ts';

/** One try, with all that may hold it up; a claim lasts longer, so that nobody repeats what is still under way. */
const tryWithinMs = 15_000;
const leaseForMs = 60_000;
const pollEveryMs = 5_000;
/** Tries at once in this process, and at one receiver. */
const atOnce = 8;
const atOneReceiver = 2;
/** What is read of an answer: nobody needs more of it than its status. */
const maxAnswerBytes = 16 * 1024;

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
/** Waits before the tries that follow; the last one repeats. */
const waits = [30 * second, 2 * minute, 10 * minute, 30 * minute, hour, 2 * hour, 4 * hour, 8 * hour];
/** After this a notice is given up, and a receiver that took nothing in all this time is paused. */
export const giveUpAfterMs = 3 * 24 * hour;
/** What waits for a paused webhook is looked at again so often. */
const pausedForMs = 10 * minute;

export type Deliverer = {
  start(platforms: readonly Platform[]): void;
  stop(forMs: number): Promise<void>;
};

/**
 * Tells what is stored to be told: at least once, with growing waits, for three days. Every try is one claim, which any
 * instance may take; what dies with its process is claimed again.
 */
export const createDeliverer = (parts: {
  readonly state: StateStore;
  readonly runtime: Runtime;
  readonly sealer: Sealer;
  readonly notices: Pick<Notices, 'onAdded' | 'forget'>;
  /** Absent: webhooks wait. */
  readonly fetch?: GuardedFetch | undefined;
}): Deliverer => {
  const { state, runtime, sealer, notices, fetch } = parts;
  const { clock, random, log, metrics } = runtime;
  const underway = new Map<Promise<void>, string>();
  let platforms: readonly Platform[] = [];
  let stopping = new AbortController();
  let cut = new AbortController();
  let loop: Promise<void> | null = null;
  let wake: (() => void) | null = null;
  let called = false;

  const ring = (): void => {
    called = true;
    wake?.();
  };
  notices.onAdded(ring);

  /** Receivers that are being told as much as they may at once. */
  const busy = (): readonly string[] => {
    const counts = new Map<string, number>();
    for (const lane of underway.values()) counts.set(lane, (counts.get(lane) ?? 0) + 1);
    return [...counts].flatMap(([lane, count]) => (count >= atOneReceiver ? [lane] : []));
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      called = false;
      let claimed: Notice | null = null;
      try {
        if (underway.size < atOnce)
          claimed = await state.notices.claim({ now: clock.now(), leaseForMs, except: busy() });
      } catch (error) {
        log.warn('notices.unreachable', { code: toAppError(error).code });
      }
      if (claimed === null) await pause();
      else begin(claimed);
    }
  };

  const pause = async (): Promise<void> => {
    if (called) return;
    const rung = new AbortController();
    wake = () => rung.abort();
    await clock.sleep(pollEveryMs, AbortSignal.any([rung.signal, stopping.signal])).catch(() => undefined);
    wake = null;
  };

  const begin = (notice: Notice): void => {
    const done = deliver(notice)
      .catch((error: unknown) => log.warn('notice.unsettled', { code: toAppError(error).code }))
      .finally(() => {
        underway.delete(done);
        ring();
      });
    underway.set(done, `${notice.tenantId} ${notice.receiver}`);
  };

  const deliver = async (notice: Notice): Promise<void> => {
    const isChat = notice.receiver === chatReceiver;
    const outcome = await (isChat ? sayOne(notice) : postOne(notice));
    if (outcome.uncounted !== true)
      metrics.count('notices_total', { kind: isChat ? 'chat' : 'webhook', outcome: outcome.state });
    await state.notices.settle(notice.tenantId, notice.id, notice.attempts, outcome);
  };

  // ── a chat message ────────────────────────────────────────────────────────────────────────────────────────────────

  const sayOne = async (notice: Notice): Promise<NoticeOutcome> => {
    const { to, markdown } = JSON.parse(notice.body ?? '{}') as ChatBody;
    const platform = platforms.find(({ name }) => name === to.platform);
    if (platform?.say === undefined)
      return failed(notice, new AppError('platform-failed', `${to.platform} is not set up here.`));
    const { platform: _platform, ...destination } = to;
    try {
      await platform.say(destination, { id: notice.id, markdown }, within());
      return { state: 'delivered', lastAt: clock.now() };
    } catch (error) {
      return failed(notice, toAppError(error));
    }
  };

  const within = (): AbortSignal => AbortSignal.any([cut.signal, AbortSignal.timeout(tryWithinMs)]);

  // ── a webhook ─────────────────────────────────────────────────────────────────────────────────────────────────────

  const postOne = async (notice: Notice): Promise<NoticeOutcome> => {
    const { tenantId, receiver } = notice;
    const webhook = await state.webhooks.get(tenantId, receiver);
    const now = clock.now();
    if (webhook === null) return { state: 'failed', lastAt: now, problem: 'The webhook was removed.' };
    if (webhook.paused !== undefined && notice.event !== 'webhook.test') return whilePaused(notice);
    if (fetch === undefined) return { state: 'waiting', nextAt: now + pausedForMs, uncounted: true };
    const outcome = await post(fetch, webhook, notice);
    // The process is ending: that says nothing of the receiver.
    if (cut.signal.aborted) return { state: 'waiting', nextAt: now, uncounted: true };
    if (notice.event !== 'webhook.test') await judge(webhook, outcome);
    return outcome;
  };

  const post = async (fetchGuarded: GuardedFetch, webhook: Webhook, notice: Notice): Promise<NoticeOutcome> => {
    const startedAt = clock.now();
    const body = notice.body ?? '{}';
    const tookMs = () => clock.now() - startedAt;
    try {
      const secret = sealer.open(webhook.sealedSecret, secretContext(webhook));
      const { status } = await fetchGuarded(webhook.url, {
        method: 'POST',
        body,
        headers: {
          'content-type': 'application/json',
          ...signWebhook(secret, { id: notice.id, at: startedAt, body }),
        },
        // Signed for one address; whoever answers with another is asked to say so in the settings.
        redirects: 0,
        maxBytes: maxAnswerBytes,
        wants: () => false,
        signal: within(),
      });
      const seen = { status, tookMs: tookMs(), lastAt: startedAt };
      const outcome = status >= 200 && status < 300 ? 'delivered' : 'refused';
      metrics.observe('webhook_seconds', seen.tookMs / 1000, { outcome });
      if (outcome === 'delivered') return { state: 'delivered', ...seen };
      return { ...failed(notice, new AppError('unreadable-document', sentenceOf(status))), ...seen };
    } catch (error) {
      return { ...failed(notice, toAppError(error)), tookMs: tookMs() };
    }
  };

  /** Waits for the next try, or is given up. */
  const failed = (notice: Notice, error: AppError): NoticeOutcome => {
    const now = clock.now();
    const problem =
      error.code === 'cancelled' ? `There was no answer within ${tryWithinMs / second} seconds.` : error.message;
    if (notice.event === 'webhook.test') return { state: 'failed', lastAt: now, problem };
    const wait = waits[Math.min(notice.attempts - 1, waits.length - 1)] ?? hour;
    // Many that failed together do not come back together.
    const nextAt = now + Math.round(wait * (0.9 + random.float() * 0.2));
    if (nextAt - notice.createdAt > giveUpAfterMs) return { state: 'failed', lastAt: now, problem };
    return { state: 'waiting', nextAt, lastAt: now, problem };
  };

  const whilePaused = (notice: Notice): NoticeOutcome => {
    const now = clock.now();
    return now - notice.createdAt > giveUpAfterMs
      ? { state: 'failed', lastAt: now, problem: 'The webhook was paused.' }
      : { state: 'waiting', nextAt: now + pausedForMs, uncounted: true };
  };

  /** A receiver that takes nothing for days, or says that it is gone, is not knocked at for ever. */
  const judge = async (webhook: Webhook, outcome: NoticeOutcome): Promise<void> => {
    const { tenantId, id } = webhook;
    const now = clock.now();
    const current = await state.webhooks.note(tenantId, id, now, outcome.state === 'delivered');
    if (current === null || current.paused !== undefined || outcome.state === 'delivered') return;
    const isGone = outcome.status === 410;
    if (!isGone && now - (current.failingSince ?? now) < giveUpAfterMs) return;
    const why = isGone
      ? 'The receiver answered that it is gone (410).'
      : `Nothing could be delivered for three days. The last answer: ${outcome.problem ?? 'none'}`;
    // Whoever changes it at this moment sees to it anyway; else the next failure pauses it.
    await state.webhooks.update(tenantId, id, current.rev, { paused: { at: now, by: 'failures', why } });
    notices.forget(tenantId);
    log.warn('webhook.paused', { tenantId, webhookId: id });
    metrics.count('webhooks_paused_total', { why: isGone ? 'gone' : 'failures' });
    await state.audit.append({
      id: `u_${random.hex(12)}`,
      tenantId,
      at: now,
      actor: 'footnote',
      action: 'webhook.pause',
      subject: id,
    });
  };

  return {
    start: (list) => {
      platforms = list;
      if (loop !== null) return;
      stopping = new AbortController();
      cut = new AbortController();
      loop = run();
    },
    stop: async (forMs) => {
      stopping.abort();
      await loop;
      loop = null;
      const all = Promise.allSettled([...underway.keys()]);
      const enough = new AbortController();
      await Promise.race([all, clock.sleep(forMs, enough.signal).catch(() => undefined)]);
      enough.abort();
      cut.abort();
      await all;
    },
  };
};

const sentenceOf = (status: number): string =>
  status >= 300 && status < 400
    ? `The receiver answered with a redirect (${status}); redirects are not followed. Enter the final address.`
    : `The receiver answered ${status}.`;
