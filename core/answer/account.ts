import type { TokenUsage } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { MeteredCall, Metering, Refusal, Reservation } from '../metering/metering.ts';
import { costNanosOf, renderMoney } from '../metering/money.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { AnswerRequest } from './answering.ts';

/**
 * What one answer costs: held before the model is called, settled after, released when it fails. Calls are written to the
 * ledger together at the end. A failed answer is charged to nobody's allowance and counts as no question; but what the
 * provider did answer on the way (a condensed question, an embedding) it will bill, so those lines are written too.
 */
export type Account = {
  /** Holds once; later calls return the first verdict. */
  hold(bound: {
    readonly model: string | null;
    readonly promptTokens: number;
    readonly completionTokens: number;
    /** See ReserveRequest. */
    readonly wait?: (ms: number) => Promise<void>;
  }): Promise<Reservation | Refusal>;
  add(call: Pick<MeteredCall, 'kind' | 'model' | 'promptTokens' | 'completionTokens' | 'embeddingTokens'>): void;
  /** The tokens of all calls so far. */
  tokens(): TokenUsage;
  /** Writes the ledger and settles; `free`: it counts as a question and costs no tokens. */
  close(free: boolean): Promise<TokenUsage>;
  /** After a failure or a refusal: nothing is charged, the calls that succeeded are recorded. Never rejects. */
  abandon(): Promise<void>;
  /** Fires when a pause let the hold run out and its room is gone: stop the call. */
  lost(): AbortSignal | null;
  buckets(): readonly string[];
};

type Charged = Pick<
  AnswerRequest,
  'tenant' | 'answerId' | 'attempt' | 'platform' | 'channelId' | 'memberId' | 'person'
>;

export const createAccount = (metering: Metering, { clock, log }: Runtime, request: Charged): Account => {
  const { tenant, answerId, attempt, platform } = request;
  // Allowances know a channel with its platform, the ledger as the platform calls it.
  const quotaChannel = request.channelId === undefined ? {} : { channelId: `${platform}:${request.channelId}` };
  const member = request.memberId === undefined ? {} : { memberId: request.memberId };
  const calls: MeteredCall[] = [];
  let verdict: Reservation | Refusal | null = null;
  let closed = false;

  const hold: Account['hold'] = async ({ model, promptTokens, completionTokens, wait }) => {
    if (verdict !== null) return verdict;
    const price = model === null ? null : metering.priceOf(tenant, model, clock.now());
    verdict = await metering.reserve({
      tenant,
      reservationId: answerId,
      ...member,
      ...(request.person === undefined ? {} : { person: request.person }),
      ...quotaChannel,
      tokens: promptTokens + completionTokens,
      costNanos: price === null ? 0 : costNanosOf(price, { promptTokens, completionTokens, embeddingTokens: 0 }),
      // Said only when a model is asked: an unknown price is then refused under a money limit, not taken for free.
      ...(model === null ? {} : { model, price }),
      ...(wait === undefined ? {} : { wait }),
    });
    return verdict;
  };

  const add: Account['add'] = (call) => {
    calls.push({
      ...call,
      id: `${answerId}:${attempt}:${calls.length + 1}`,
      tenant,
      platform,
      answerId,
      ...member,
      ...(request.channelId === undefined ? {} : { channelId: request.channelId }),
    });
  };

  const tokens: Account['tokens'] = () => {
    const sum = (pick: (call: MeteredCall) => number): number => calls.reduce((total, call) => total + pick(call), 0);
    return {
      promptTokens: sum((call) => call.promptTokens),
      completionTokens: sum((call) => call.completionTokens),
      embeddingTokens: sum((call) => call.embeddingTokens),
    };
  };

  const close: Account['close'] = async (free) => {
    const question: MeteredCall = {
      id: `${answerId}:question`,
      kind: 'question',
      promptTokens: 0,
      completionTokens: 0,
      embeddingTokens: 0,
      tenant,
      platform,
      answerId,
      ...member,
      ...(request.channelId === undefined ? {} : { channelId: request.channelId }),
    };
    const lines = metering.lines(tenant.id, [...calls, question]);
    const paid = lines.filter((line) => line.kind !== 'question');
    const used = tokens();
    const costNanos = paid.reduce((total, line) => total + (line.costNanos ?? 0), 0);
    const currency = paid[0]?.currency;
    const isPriced =
      paid.length > 0 && paid.every((line) => line.costNanos !== undefined && line.currency === currency);
    const settled = {
      tokens: free ? 0 : used.promptTokens + used.completionTokens,
      costNanos: free ? 0 : costNanos,
    };
    if (verdict?.outcome === 'held') await verdict.settle(settled, lines);
    else await metering.record(tenant.id, [...calls, question]);
    closed = true;
    return {
      ...used,
      ...(isPriced && currency !== undefined ? { cost: renderMoney(costNanos, currency) } : {}),
    };
  };

  return {
    hold,
    add,
    tokens,
    close,
    lost: () => (verdict?.outcome === 'held' ? (verdict.lost ?? null) : null),
    abandon: async () => {
      if (closed) return;
      closed = true;
      // The failure that brought us here is what the caller needs to hear; an unreleased hold expires by itself.
      const quietly = (work: Promise<unknown>, event: string): Promise<unknown> =>
        work.catch((error: unknown) => log.warn(event, { code: error instanceof AppError ? error.code : 'internal' }));
      await Promise.all([
        verdict?.outcome === 'held' ? quietly(verdict.release(), 'release_failed') : undefined,
        calls.length > 0 ? quietly(metering.record(tenant.id, calls), 'ledger_failed') : undefined,
      ]);
    },
    buckets: () => (verdict === null ? [] : verdict.outcome === 'held' ? verdict.buckets : [verdict.bucket]),
  };
};
