import type { QuotaState } from '../../core/core.ts';
import type { Grace, QuotaLimit, Tenant } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { currencyOf } from '../../core/text/currency.ts';
import { decimalOf, nanosOf } from '../../core/text/decimal.ts';
import { asDownload, ledgerText, rangeOf, renderFigures, renderUsageCsv, streamOf, sumOf } from '../billing.ts';
import type { HttpParts } from '../guard.ts';
import { keptLimits, revisionOf } from '../revision.ts';
import type { Operations } from './operation.ts';
import { changedMeanwhile, iso } from './render.ts';
import { tenantPath } from './schemas/fields.ts';
import * as schemas from './schemas/metering.ts';
import { defined } from './tenants.ts';

const base = '/api/v1/tenants/{slug}';

export const addQuotas = ({ add }: Operations, { core }: HttpParts): void => {
  add(
    {
      method: 'get',
      path: `${base}/quotas`,
      policy: 'key:billing',
      tag: 'Quotas',
      summary: 'Read limits and what is used',
      params: tenantPath,
      answers: { 200: schemas.quotas },
    },
    async ({ c }) => c.json(renderQuotas(c.get('tenant'), await core.quotas.get(c.get('tenant').id))),
  );
  add(
    {
      method: 'put',
      path: `${base}/quotas`,
      policy: 'key:admin',
      tag: 'Quotas',
      summary: 'Replace all limits',
      audit: 'quotas.put',
      description:
        'Questions that are not in the documents and cached answers count as questions and cost no tokens. Money is a decimal number as text in the currency of the tenant.',
      params: tenantPath,
      body: schemas.quotaInput,
      answers: { 200: schemas.quotas },
    },
    async ({ c, body }) => {
      const tenant = c.get('tenant');
      const seen = new Set<string>();
      const limits = body.limits.map((limit, index): QuotaLimit => {
        const { scope, id, unit, per, grace } = limit;
        const name = JSON.stringify([scope, id ?? null, unit, per]);
        if (seen.has(name))
          throw new AppError('invalid', 'The same limit is given twice; only one of them can hold.', {
            at: `limits.${index}`,
          });
        seen.add(name);
        return {
          scope,
          ...defined({ id }),
          unit,
          per,
          ...(grace === undefined ? {} : { grace: graceOf(grace) }),
          limit: limit.unit === 'money' ? moneyOf(limit.limit, currencyOf(tenant)) : limit.limit,
        };
      });
      const stands = body.rev === undefined ? undefined : keptLimits(await core.quotas.get(tenant.id));
      if (stands !== undefined && body.rev !== revisionOf(stands)) throw changedMeanwhile('The limits');
      return c.json(renderQuotas(tenant, await core.quotas.put(tenant.id, limits, stands)));
    },
  );
};

export const addUsage = ({ add }: Operations, { core, runtime }: HttpParts): void => {
  add(
    {
      method: 'get',
      path: `${base}/usage`,
      policy: 'key:billing',
      tag: 'Usage',
      summary: 'Report usage from the append-only ledger',
      description: 'The same call twice is byte-identical for a period that is closed.',
      params: tenantPath,
      query: schemas.usageQuery,
      answers: { 200: schemas.usage },
      also: ['text/csv'],
    },
    async ({ c, query }) => {
      const tenant = c.get('tenant');
      const range = rangeOf(query, runtime.clock.now());
      const rows = await core.usage.report(tenant.id, range, query.group);
      const currency = currencyOf(tenant);
      if (query.format === 'csv')
        return c.body(renderUsageCsv(rows, currency), 200, asDownload('usage', tenant, range, 'csv'));
      return c.json({
        from: iso(range.from),
        to: iso(range.to),
        group: query.group,
        rows: rows.map((row) => ({ key: row.key, ...renderFigures(row, currency) })),
        total: renderFigures(sumOf(rows), currency),
      });
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/ledger`,
      policy: 'key:billing',
      tag: 'Usage',
      summary: 'Export the append-only ledger',
      description:
        'Every model and embedding call with the price that was used, in order of time. The same call twice is byte-identical for a period that is closed.',
      params: tenantPath,
      query: schemas.ledgerQuery,
      answers: { 200: schemas.ledger },
      also: ['text/csv'],
    },
    async ({ c, query }) => {
      const tenant = c.get('tenant');
      const range = rangeOf(query, runtime.clock.now());
      const text = ledgerText(core, tenant.id, range, query.format);
      return c.body(streamOf(text), 200, asDownload('ledger', tenant, range, query.format));
    },
  );
};

type MoneyInput = string | { readonly amount: string; readonly currency: string };

const moneyOf = (input: MoneyInput, currency: string): number => {
  if (typeof input !== 'string' && input.currency !== currency)
    throw new AppError('invalid', `Money of this tenant is in ${currency}.`, { at: 'limits.limit.currency' });
  const nanos = nanosOf(typeof input === 'string' ? input : input.amount);
  if (nanos === null) throw new AppError('invalid', 'The amount is too large.', { at: 'limits.limit' });
  return nanos;
};

const graceOf = ({
  percent,
  until,
}: {
  readonly percent?: number | undefined;
  readonly until?: string | undefined;
}): Grace => ({
  ...(percent === undefined ? {} : { percent }),
  ...(until === undefined ? {} : { until: Date.parse(until) }),
});

const renderQuotas = (tenant: Tenant, states: readonly QuotaState[]) => {
  const amount = (unit: QuotaLimit['unit'], value: number) =>
    unit === 'money' ? { amount: decimalOf(value), currency: currencyOf(tenant) } : value;
  return {
    limits: states.map(({ scope, id, unit, per, limit, grace, used, resetsAt }) => ({
      scope,
      ...defined({ id }),
      unit,
      per,
      limit: amount(unit, limit),
      ...(grace === undefined
        ? {}
        : { grace: { ...grace, ...(grace.until === undefined ? {} : { until: iso(grace.until) }) } }),
      used: amount(unit, used),
      resetsAt: iso(resetsAt),
    })),
    rev: revisionOf(keptLimits(states)),
  };
};
