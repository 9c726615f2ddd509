import type { QuotaScope, QuotaUnit, Tenant } from '../domain.ts';
import { currencyOf } from '../text/currency.ts';
import type { Allowance } from './allowances.ts';
import { amountInWords, untilInWords } from './refusals.ts';

/** Without settings: these, for webhooks alone. */
export const defaultThresholds: readonly number[] = [80, 95, 100];

/** So much of a limit is used. */
export type QuotaWarning = {
  /** The same for everybody who notices it in the same period. */
  readonly id: string;
  readonly tenant: Tenant;
  readonly scope: QuotaScope;
  /** `platform:channelId`, `platform:userId`, or the tenant's id. */
  readonly scopeId: string;
  readonly unit: QuotaUnit;
  readonly per: 'day' | 'month';
  readonly limit: number;
  readonly used: number;
  /** The threshold that was reached. */
  readonly percent: number;
  readonly resetsAt: number;
  readonly sentence: string;
};

/** Null while the first threshold is not reached; else of the highest that is. A limit of nothing warns of nothing. */
export const warningOf = (tenant: Tenant, allowance: Allowance, used: number, now: number): QuotaWarning | null => {
  const { scope, unit, per, limit, bucket, endsAt } = allowance;
  const thresholds = tenant.settings.quotaWarnings?.at ?? defaultThresholds;
  const reached = thresholds.filter((percent) => limit > 0 && used >= (limit / 100) * percent);
  if (reached.length === 0) return null;
  const percent = Math.max(...reached);
  // `scope:scopeId:unit:window`, where the scope's id may hold colons.
  const scopeId = bucket
    .slice(scope.length + 1)
    .split(':')
    .slice(0, -2)
    .join(':');
  return {
    // Another limit in the same period is another thing to be warned of.
    id: `warning:${bucket}:${limit}:${percent}`,
    tenant,
    scope,
    scopeId,
    unit,
    per,
    limit,
    used,
    percent,
    resetsAt: endsAt,
    sentence: sentenceOf(tenant, allowance, scopeId, used, percent, now),
  };
};

const sentenceOf = (
  tenant: Tenant,
  allowance: Allowance,
  scopeId: string,
  used: number,
  percent: number,
  now: number,
): string => {
  const { scope, unit, per, limit, ceiling, endsAt } = allowance;
  const currency = currencyOf(tenant);
  const words = (n: number): string => amountInWords(unit, n, currency);
  const who = { tenant: tenant.name, channel: `The channel ${scopeId}`, member: `The member ${scopeId}` }[scope];
  const left =
    used < ceiling
      ? ceiling > limit && used >= limit
        ? 'Its grace still answers questions.'
        : 'Questions are answered until the limit is reached.'
      : 'Further questions are refused.';
  return `**${percent} % of a limit is used.** ${who} has used ${words(used)} of ${words(limit)} for ${per === 'day' ? 'today' : 'this month'}. ${left} It starts anew at ${untilInWords(endsAt, now)}.`;
};
