import type { Person } from '../core.ts';
import type {
  LedgerEntry,
  LedgerKind,
  Nanos,
  PlatformName,
  Price,
  QuotaLimit,
  QuotaScope,
  QuotaUnit,
  Tenant,
  TenantId,
} from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import { currencyOf } from '../text/currency.ts';
import { type Allowance, allowancesFor, amountOf } from './allowances.ts';
import { costNanosOf } from './money.ts';
import { priceFor } from './prices.ts';
import { refusalOf, unpricedRefusal } from './refusals.ts';
import { usedBefore } from './used-before.ts';
import { type QuotaWarning, warningOf } from './warnings.ts';
import { bucketOf, unitOfBucket, windowOf } from './windows.ts';

/** The path of a token: reserve before the model call, heartbeat while it runs, settle after, release on failure. */
export type Metering = {
  /** Member, channel, tenant, in this order; on refusal what was held earlier is released. */
  reserve(request: ReserveRequest): Promise<Reservation | Refusal>;
  /** The calls as lines of the ledger, at the price of their time; nothing is written. */
  lines(tenantId: TenantId, calls: readonly MeteredCall[]): readonly LedgerEntry[];
  /** Appends to the ledger; idempotent by entry id. */
  record(tenantId: TenantId, calls: readonly MeteredCall[]): Promise<readonly LedgerEntry[]>;
  /** Null: unknown, never 0. */
  priceOf(tenant: Tenant, model: string, at: number): Price | null;
  limits(tenantId: TenantId): Promise<readonly (QuotaLimit & { readonly used: number; readonly resetsAt: number })[]>;
  /**
   * What was used before in the running day or month counts for limits that are new. Throws `conflict` when `expected` is
   * given and other limits stand by now.
   */
  putLimits(tenantId: TenantId, limits: readonly QuotaLimit[], expected?: readonly QuotaLimit[]): Promise<void>;
};

export type ReserveRequest = {
  readonly tenant: Tenant;
  /** The answer's id: the same answer tried again after a crash holds once. */
  readonly reservationId: string;
  /** `platform:userId` */
  readonly memberId?: string;
  /** The member's accounts on several platforms: one allowance for all of them. */
  readonly person?: Person;
  /** `platform:channelId` */
  readonly channelId?: string;
  /** Upper bounds: prompt + completion tokens, and their price when it is known. */
  readonly tokens: number;
  readonly costNanos: Nanos;
  /**
   * What `costNanos` was reckoned with. Null: unknown, and a limit in money refuses; so it does when the price is absent
   * and some tokens are said to cost nothing. No tokens (no model is asked) need no price.
   */
  readonly price?: Price | null;
  /** The model asked for, to be named in a refusal. */
  readonly model?: string;
  /**
   * With it a refusal that may pass is not taken at once: it waits so long, and is then asked for once more. Rejects when
   * nobody waits for the answer any more.
   */
  wait?(ms: number): Promise<void>;
};

export type Reservation = {
  readonly outcome: 'held';
  /** Counter ids charged, for the receipt. */
  readonly buckets: readonly string[];
  /**
   * Never above what was reserved without being recorded: overshoot is charged too. Ends the heartbeat. `lines` are appended
   * to the ledger first, in the same write where the store has such: one wait for its disk and not two.
   */
  settle(actual: { readonly tokens: number; readonly costNanos: Nanos }, lines?: readonly LedgerEntry[]): Promise<void>;
  /** Nothing is charged. Ends the heartbeat. */
  release(): Promise<void>;
  /** Fires when the hold ran out (a long pause, a store away) and its room was given to others: stop the call. */
  readonly lost?: AbortSignal;
};

export type Refusal = {
  readonly outcome: 'refused';
  readonly scope: QuotaScope;
  readonly unit: QuotaUnit;
  readonly per: 'day' | 'month';
  readonly limit: number;
  readonly used: number;
  readonly retryAt: number;
  readonly bucket: string;
  /** Which limit and until when, for the person. */
  readonly sentence: string;
  /** There would be room but for what answers under way hold, most of which they will not use. */
  readonly passing?: true;
};

export type MeteredCall = {
  /** Deterministic: `${answerId}:${attempt}:${ordinal}`; a question line is `${answerId}:question`. */
  readonly id: string;
  readonly kind: LedgerKind;
  readonly model?: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly embeddingTokens: number;
  readonly tenant: Tenant;
  readonly platform: PlatformName;
  readonly channelId?: string;
  readonly memberId?: string;
  readonly sourceId?: string;
  readonly answerId?: string;
  /** When the call was made; its price is the one valid then (default: now). */
  readonly at?: number;
};

/** A crashed holder's room is free again after this long; the sweep then removes the row. */
const holdForMs = 30_000;
const beatEveryMs = 10_000;
/** About as long as an answer takes. */
const passesAfterMs = 4_000;

export const createMetering = ({
  state,
  runtime,
  warn,
}: {
  readonly state: StateStore;
  readonly runtime: Runtime;
  /** So much of a limit is used; may be called again for the same, which has the same id. */
  warn?(warning: QuotaWarning): Promise<void>;
}): Metering => {
  const { clock, log, metrics, random } = runtime;
  /** Warnings that this process has handed on. */
  const warned = new Set<string>();

  /** Beside the answer: nobody waits for it. What a crash leaves out is noticed at the next question. */
  const lookForWarnings = async (request: ReserveRequest, charged: readonly Allowance[]): Promise<void> => {
    if (warn === undefined || charged.length === 0) return;
    const now = clock.now();
    const { tenant } = request;
    const counters = await state.metering.counters(
      tenant.id,
      charged.map(({ bucket }) => bucket),
      now,
    );
    const used = new Map(counters.map((counter) => [counter.id, counter.used]));
    for (const allowance of charged) {
      const warning = warningOf(tenant, allowance, used.get(allowance.bucket) ?? 0, now);
      if (warning === null || warned.has(warning.id)) continue;
      await warn(warning);
      if (warned.size >= 10_000) warned.clear();
      warned.add(warning.id);
    }
  };

  const allowances = async (request: ReserveRequest, at: number): Promise<readonly Allowance[]> =>
    allowancesFor(await state.metering.limits(request.tenant.id), { ...request, tenantId: request.tenant.id }, at);

  const take = (request: ReserveRequest, allowance: Allowance, now: number) =>
    state.metering.reserve(
      request.tenant.id,
      { id: allowance.bucket, limit: allowance.ceiling, expiresAt: allowance.endsAt },
      request.reservationId,
      allowance.amount,
      now,
      now + holdForMs,
    );

  const refuse = (refusal: Refusal): Refusal => {
    metrics.count('quota_refusals_total', { scope: refusal.scope, unit: refusal.unit });
    return refusal;
  };

  /** Null when all are held; else the refusal, with nothing held. */
  const takeAll = async (request: ReserveRequest, wanted: readonly Allowance[]): Promise<Refusal | null> => {
    const currency = currencyOf(request.tenant);
    const now = clock.now();
    for (const allowance of wanted) {
      const answer = await take(request, allowance, now);
      if (answer.outcome === 'held') continue;
      const buckets = wanted.map(({ bucket }) => bucket);
      await state.metering.release(request.tenant.id, buckets, request.reservationId);
      return refusalOf(allowance, answer.state, now, currency);
    }
    return null;
  };

  /** Keeps the hold while the call runs, and takes it again when a pause let it run out and there is still room. */
  const keep = async (request: ReserveRequest, wanted: readonly Allowance[], stop: AbortSignal, lose: () => void) => {
    const buckets = wanted.map((allowance) => allowance.bucket);
    const { id } = request.tenant;
    while (!stop.aborted) {
      await clock.sleep(beatEveryMs, stop);
      try {
        const now = clock.now();
        if (await state.metering.extend(id, buckets, request.reservationId, now + holdForMs, now)) continue;
        if (stop.aborted || (await takeAll(request, wanted)) === null) continue;
        log.warn('metering.hold_lost', { tenantId: id, answerId: request.reservationId });
        return lose();
      } catch (error) {
        log.warn('metering.heartbeat_failed', { tenantId: id, error: String(error) });
      }
    }
  };

  /** Each settles once by itself and none can be refused, so that no order is needed among them. */
  const settleAll = async (
    { tenant, reservationId }: ReserveRequest,
    buckets: readonly string[],
    actual: { readonly tokens: number; readonly costNanos: Nanos },
    lines: readonly LedgerEntry[],
  ): Promise<void> => {
    const amounts = buckets.flatMap((counterId) => {
      const unit = unitOfBucket(counterId);
      return unit === null ? [] : [{ counterId, actual: amountOf(unit, actual) }];
    });
    if (lines.length === 0 && amounts.length === 0) return;
    await state.ledger.append(tenant.id, lines, { reservationId, amounts });
    count(lines);
  };

  const count = (lines: readonly LedgerEntry[]): void => {
    for (const { model = '', promptTokens, completionTokens, embeddingTokens } of lines) {
      const tokens = { prompt: promptTokens, completion: completionTokens, embedding: embeddingTokens };
      for (const [direction, some] of Object.entries(tokens))
        if (some > 0) metrics.count('tokens_total', { model, direction }, some);
    }
  };

  const linesOf: Metering['lines'] = (tenantId, calls) => {
    const now = clock.now();
    return calls.map((call) => entryOf(tenantId, call, call.at ?? now));
  };

  const holding = (request: ReserveRequest, wanted: readonly Allowance[]): Reservation => {
    const buckets = wanted.map((allowance) => allowance.bucket);
    const ended = new AbortController();
    const lost = new AbortController();
    // Ends by the abort of its sleep, which is how it is meant to end.
    if (wanted.length > 0) keep(request, wanted, ended.signal, () => lost.abort()).catch(() => undefined);
    return {
      outcome: 'held',
      buckets,
      lost: lost.signal,
      settle: async (actual, lines = []) => {
        ended.abort(over);
        await settleAll(request, buckets, actual, lines);
        lookForWarnings(request, wanted).catch((error: unknown) =>
          log.warn('quota.warning_failed', { tenantId: request.tenant.id, code: toAppError(error).code }),
        );
      },
      release: async () => {
        ended.abort(over);
        await state.metering.release(request.tenant.id, buckets, request.reservationId);
      },
    };
  };

  const attempt = async (request: ReserveRequest): Promise<Reservation | Refusal> => {
    const wanted = await allowances(request, clock.now());
    const money = wanted.find((allowance) => allowance.unit === 'money');
    if (money !== undefined && isUnpriced(request)) return unpricedRefusal(money, request.model);
    return (await takeAll(request, wanted)) ?? holding(request, wanted);
  };

  return {
    reserve: async (request) => {
      checkBounds(request);
      const verdict = await attempt(request);
      if (verdict.outcome === 'held') return verdict;
      if (verdict.passing !== true || request.wait === undefined) return refuse(verdict);
      // Not all at the same moment.
      await request.wait(Math.round(passesAfterMs * (0.75 + random.float() / 2)));
      const second = await attempt(request);
      return second.outcome === 'held' ? second : refuse(second);
    },

    lines: linesOf,
    record: async (tenantId, calls) => {
      const lines = linesOf(tenantId, calls);
      await state.ledger.append(tenantId, lines);
      count(lines);
      return lines;
    },

    priceOf: priceFor,

    limits: async (tenantId) => {
      const limits = await state.metering.limits(tenantId);
      const now = clock.now();
      const windows = limits.map((limit) => windowOf(limit.per, now));
      const buckets = limits.map((limit, index) => bucketOfLimit(tenantId, limit, windows[index]?.name ?? ''));
      const known = await state.metering.counters(
        tenantId,
        buckets.filter((bucket) => bucket !== null),
        now,
      );
      const used = new Map(known.map((counter) => [counter.id, counter.used]));
      return limits.map((limit, index) => ({
        ...limit,
        // A limit for each channel or member has many counters and no single figure.
        used: used.get(buckets[index] ?? '') ?? 0,
        resetsAt: windows[index]?.endsAt ?? now,
      }));
    },

    putLimits: async (tenantId, limits, expected) => {
      const before = expected ?? (await state.metering.limits(tenantId));
      if (!(await state.metering.putLimits(tenantId, limits, expected)))
        throw new AppError(
          'conflict',
          'Somebody else changed the limits meanwhile. Read them again and repeat the change.',
        );
      // After them: what is settled from here on counts by itself, and the ledger knows of all that was before.
      for (const { id, expiresAt, used } of await usedBefore(state, tenantId, before, limits, clock.now()))
        await state.metering.raise(tenantId, { id, expiresAt }, used);
    },
  };
};

/** An abort without a reason makes one, with its stack, each time. */
const over = new AppError('cancelled', 'The call is over.');

const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;

/** A hold of a fraction or of less than nothing would open a limit instead of keeping it. */
const checkBounds = (request: ReserveRequest): void => {
  if (isCount(request.tokens) && isCount(request.costNanos)) return;
  throw new AppError('internal', 'Something went wrong on our side.', {
    cause: new RangeError('a reservation is counted in whole tokens and nanos, not below zero'),
  });
};

/** Without a price at hand, tokens that are said to cost nothing are tokens of unknown price. */
const isUnpriced = ({ price, tenant, tokens, costNanos }: ReserveRequest): boolean =>
  tokens > 0 && (price === undefined ? costNanos === 0 : price === null || price.currency !== currencyOf(tenant));

const bucketOfLimit = (tenantId: TenantId, { scope, id, unit }: QuotaLimit, window: string): string | null => {
  const scopeId = scope === 'tenant' ? tenantId : id;
  return scopeId === undefined ? null : bucketOf(scope, scopeId, unit, window);
};

const entryOf = (tenantId: TenantId, call: MeteredCall, at: number): LedgerEntry => {
  const { tenant, ...line } = call;
  const price = call.model === undefined ? null : priceFor(tenant, call.model, at, call.promptTokens);
  return {
    ...line,
    tenantId,
    at,
    ...(price === null ? {} : { price, costNanos: costNanosOf(price, call), currency: price.currency }),
  };
};
