import type { QuotaLimit, QuotaScope, QuotaUnit } from '../domain.ts';

/** Windows of allowances: days and months in UTC. */

export const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** Name of the window, its first instant, and that of the next one. */
export const windowOf = (
  per: QuotaLimit['per'],
  at: number,
): { readonly name: string; readonly startsAt: number; readonly endsAt: number } => {
  const date = new Date(at);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  return per === 'day'
    ? { name: dayOf(at), startsAt: Date.UTC(year, month, day), endsAt: Date.UTC(year, month, day + 1) }
    : { name: dayOf(at).slice(0, 7), startsAt: Date.UTC(year, month, 1), endsAt: Date.UTC(year, month + 1, 1) };
};

/** `scope:scopeId:unit:window`, e.g. `member:slack:U1:tokens:2026-11-22`. */
export const bucketOf = (scope: QuotaScope, scopeId: string, unit: QuotaUnit, window: string): string =>
  `${scope}:${scopeId}:${unit}:${window}`;

/** What a bucket counts; read from its end, as a scope's id may hold colons. */
export const unitOfBucket = (bucket: string): QuotaUnit | null => {
  const unit = bucket.split(':').at(-2);
  return unit === 'tokens' || unit === 'questions' || unit === 'money' ? unit : null;
};
