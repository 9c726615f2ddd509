import type { Person } from '../core.ts';
import type { Nanos, QuotaLimit, QuotaScope, QuotaUnit } from '../domain.ts';
import { bucketOf, windowOf } from './windows.ts';

/** One limit as it bears on one question: its counter and what the question would take from it. */
export type Allowance = {
  readonly scope: QuotaScope;
  readonly unit: QuotaUnit;
  readonly per: QuotaLimit['per'];
  readonly limit: number;
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
        return [
          {
            scope,
            unit,
            per,
            limit: Math.min(...chosen.map((limit) => limit.limit)),
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
