import type { Person } from '../core.ts';
import type { Grace, Nanos, QuotaLimit, QuotaScope, QuotaUnit } from '../domain.ts';
import { bucketOf, windowOf } from './windows.ts';

/** One limit as it bears on one question: its counter and what the question would take from it. */
export type Allowance = {
  readonly scope: QuotaScope;
  readonly unit: QuotaUnit;
  readonly per: QuotaLimit['per'];
  /** As it was set; warnings go by it. */
  readonly limit: number;
  readonly grace?: Grace;
  /** With what its grace allows beyond it: from here on is refused. */
  readonly ceiling: number;
  readonly bucket: string;
  readonly endsAt: number;
  readonly amount: number;
};

export type Asked = {
  readonly tenantId: string;
  readonly memberId?: string;
  /**
   * All of them draw on the counter of the first, so that linking and parting again begins no new allowance; a limit for
   * any of the accounts is the person's.
   */
  readonly person?: Person;
  readonly channelId?: string;
  readonly tokens: number;
  readonly costNanos: Nanos;
};

// Always in this order, so that two questions never wait for each other crosswise and a refusal names the nearest limit.
const scopes: readonly QuotaScope[] = ['member', 'channel', 'tenant'];
const units: readonly QuotaUnit[] = ['questions', 'tokens', 'money'];
const periods: readonly QuotaLimit['per'][] = ['day', 'month'];

/**
 * The allowances that a question draws on, in the fixed order. A limit with an id replaces the one for each of its kind,
 * so that one channel can be given more than the rest; of two equal ones the smaller counts.
 */
export const allowancesFor = (limits: readonly QuotaLimit[], asked: Asked, at: number): readonly Allowance[] =>
  scopes.flatMap((scope) => {
    const scopeId = {
      member: asked.person?.memberIds[0] ?? asked.memberId,
      channel: asked.channelId,
      tenant: asked.tenantId,
    }[scope];
    const names = scope === 'member' && asked.person !== undefined ? asked.person.memberIds : [scopeId];
    if (scopeId === undefined) return [];
    return units.flatMap((unit) =>
      periods.flatMap((per): readonly Allowance[] => {
        const alike = limits.filter((limit) => limit.scope === scope && limit.unit === unit && limit.per === per);
        const own = alike.filter((limit) => limit.id !== undefined && names.includes(limit.id));
        const chosen = own.length > 0 ? own : alike.filter((limit) => limit.id === undefined);
        if (chosen.length === 0) return [];
        const window = windowOf(per, at);
        const [first, ...others] = chosen;
        if (first === undefined) return [];
        const tightest = others.reduce(
          (least, other) => (ceilingOf(other, at) < ceilingOf(least, at) ? other : least),
          first,
        );
        return [
          {
            scope,
            unit,
            per,
            limit: tightest.limit,
            ...(tightest.grace === undefined ? {} : { grace: tightest.grace }),
            ceiling: ceilingOf(tightest, at),
            bucket: bucketOf(scope, scopeId, unit, window.name),
            endsAt: window.endsAt,
            amount: amountOf(unit, asked),
          },
        ];
      }),
    );
  });

export const amountOf = (unit: QuotaUnit, used: { readonly tokens: number; readonly costNanos: Nanos }): number =>
  ({ questions: 1, tokens: used.tokens, money: used.costNanos })[unit];

/** No counter ever gets there. */
const boundless = Number.MAX_SAFE_INTEGER;

/** How far a limit can be used at a moment: itself, and what its grace adds. */
export const ceilingOf = ({ limit, grace }: Pick<QuotaLimit, 'limit' | 'grace'>, at: number): number => {
  if (grace === undefined || (grace.until !== undefined && at >= grace.until)) return limit;
  if (grace.percent === undefined) return grace.until === undefined ? limit : boundless;
  return Math.min(boundless, Math.floor(limit + (limit / 100) * grace.percent));
};
