import type { QuotaState } from '../../core/core.ts';
import type { QuotaLimit, Tenant, UsageRow } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { HttpParts } from '../guard.ts';
import type { Operations } from './operation.ts';
import { iso } from './render.ts';
import * as schemas from './schemas.ts';
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
      params: schemas.tenantPath,
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
      params: schemas.tenantPath,
      body: schemas.quotaInput,
      answers: { 200: schemas.quotas },
    },
    async ({ c, body }) => {
      const tenant = c.get('tenant');
      const seen = new Set<string>();
      const limits = body.limits.map((limit, index): QuotaLimit => {
        const { scope, id, unit, per } = limit;
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
          limit: limit.unit === 'money' ? nanosOf(limit.limit, currencyOf(tenant)) : limit.limit,
        };
      });
      return c.json(renderQuotas(tenant, await core.quotas.put(tenant.id, limits)));
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
      params: schemas.tenantPath,
      query: schemas.usageQuery,
      answers: { 200: schemas.usage },
      also: ['text/csv'],
    },
    async ({ c, query }) => {
      const tenant = c.get('tenant');
      const range = rangeOf(query, runtime.clock.now());
      const rows = await core.usage.report(tenant.id, range, query.group);
      const currency = currencyOf(tenant);
      if (query.format === 'csv') {
        c.header('content-type', 'text/csv; charset=utf-8');
        c.header(
          'content-disposition',
          `attachment; filename="usage-${tenant.slug}-${iso(range.from).slice(0, 10)}-${iso(range.to).slice(0, 10)}.csv"`,
        );
        return c.body(renderCsv(rows, currency));
      }
      const total = { key: 'total', ...sum(rows) };
      const { key: _, ...totals } = renderRow(total, currency);
      return c.json({
        from: iso(range.from),
        to: iso(range.to),
        group: query.group,
        rows: rows.map((row) => renderRow(row, currency)),
        total: totals,
      });
    },
  );
};

/** The tenant's own price table names its currency; the built-in prices are in US dollars. */
export const currencyOf = (tenant: Tenant): string => tenant.settings.prices?.[0]?.currency ?? 'USD';

/** Billionths as a decimal string without superfluous zeros: 1_500_000_000 is "1.5". Exact: no floating point. */
export const decimalOf = (nanos: number): string => {
  const value = BigInt(Math.round(nanos));
  const digits = (value < 0n ? -value : value).toString().padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0+$/, '');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -9)}${fraction === '' ? '' : `.${fraction}`}`;
};

type MoneyInput = string | { readonly amount: string; readonly currency: string };

const nanosOf = (input: MoneyInput, currency: string): number => {
  if (typeof input !== 'string' && input.currency !== currency)
    throw new AppError('invalid', `Money of this tenant is in ${currency}.`, { at: 'limits.limit.currency' });
  const [whole = '0', fraction = ''] = (typeof input === 'string' ? input : input.amount).split('.');
  const nanos = Number(BigInt(whole + fraction.padEnd(9, '0')));
  if (!Number.isSafeInteger(nanos)) throw new AppError('invalid', 'The amount is too large.', { at: 'limits.limit' });
  return nanos;
};

const renderQuotas = (tenant: Tenant, states: readonly QuotaState[]) => {
  const amount = (unit: QuotaLimit['unit'], value: number) =>
    unit === 'money' ? { amount: decimalOf(value), currency: currencyOf(tenant) } : value;
  return {
    limits: states.map(({ scope, id, unit, per, limit, used, resetsAt }) => ({
      scope,
      ...defined({ id }),
      unit,
      per,
      limit: amount(unit, limit),
      used: amount(unit, used),
      resetsAt: iso(resetsAt),
    })),
  };
};

const sum = (rows: readonly UsageRow[]): Omit<UsageRow, 'key'> => {
  const add = (pick: (row: UsageRow) => number): number => rows.reduce((total, row) => total + pick(row), 0);
  return {
    questions: add((row) => row.questions),
    promptTokens: add((row) => row.promptTokens),
    completionTokens: add((row) => row.completionTokens),
    embeddingTokens: add((row) => row.embeddingTokens),
    costNanos: add((row) => row.costNanos),
    costUnknown: rows.some((row) => row.costUnknown),
  };
};

/** A cost of which nothing is known is null, never 0. */
const renderRow = (row: UsageRow, currency: string) => ({
  key: row.key,
  questions: row.questions,
  promptTokens: row.promptTokens,
  completionTokens: row.completionTokens,
  embeddingTokens: row.embeddingTokens,
  cost: row.costUnknown && row.costNanos === 0 ? null : { amount: decimalOf(row.costNanos), currency },
  costIncomplete: row.costUnknown,
});

const columns = [
  'key',
  'questions',
  'promptTokens',
  'completionTokens',
  'embeddingTokens',
  'cost',
  'currency',
  'costIncomplete',
];

const renderCsv = (rows: readonly UsageRow[], currency: string): string => {
  const lines = rows.map((row) => {
    const { cost, ...figures } = renderRow(row, currency);
    return [
      figures.key,
      figures.questions,
      figures.promptTokens,
      figures.completionTokens,
      figures.embeddingTokens,
      cost?.amount ?? '',
      currency,
      figures.costIncomplete,
    ];
  });
  return [columns, ...lines]
    .map((line) => line.map((cell) => csvCell(String(cell))).join(','))
    .join('\r\n')
    .concat('\r\n');
};

/** Quoted where needed; a text that a spreadsheet would take for a formula is disarmed. */
const csvCell = (text: string): string => {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

const rangeOf = (
  query: { readonly from?: string | undefined; readonly to?: string | undefined },
  now: number,
): { from: number; to: number } => {
  const today = new Date(now);
  const from =
    query.from === undefined ? Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), 1) : Date.parse(query.from);
  const to = query.to === undefined ? now : Date.parse(query.to);
  if (!(from <= to)) throw new AppError('invalid', '"from" must not be after "to".', { at: 'from' });
  return { from, to };
};
