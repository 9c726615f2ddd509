import type { UsageGroup, UsageRow } from '../../core/domain.ts';
import { csvLine } from '../../core/text/csv.ts';
import { currencyOf } from '../../core/text/currency.ts';
import { decimalOf } from '../../core/text/decimal.ts';
import { renderTable } from '../text.ts';
import { renderJson, tenantOf, tenantOption, UsageError, type Verb } from '../verb.ts';

const groups: readonly UsageGroup[] = ['day', 'member', 'channel', 'platform', 'model', 'source'];
const isGroup = (value: string): value is UsageGroup => (groups as readonly string[]).includes(value);

export const usage: Verb = {
  name: 'usage',
  about: 'What a tenant asked and what it cost, from the ledger.',
  options: {
    ...tenantOption,
    from: { type: 'string', about: 'first day, yyyy-mm-dd in UTC (the first of this month)' },
    to: { type: 'string', about: 'last day, included (today)' },
    group: { type: 'string', default: 'day', about: `one row for each ${groups.join(', ')} (day)` },
    csv: { type: 'boolean', about: 'print CSV for spreadsheets' },
  },
  async run(call) {
    const group = call.text('group') ?? 'day';
    if (!isGroup(group)) throw new UsageError(`--group is one of ${groups.join(', ')}.`);
    const today = new Date().toISOString().slice(0, 10);
    const from = dayOf(call.text('from') ?? `${today.slice(0, 8)}01`, 'from');
    const to = dayOf(call.text('to') ?? today, 'to') + 86_400_000;
    if (to <= from) throw new UsageError('--to lies before --from.');
    const { core } = await call.open();
    const tenant = await tenantOf(call, core);
    const rows = await core.usage.report(tenant.id, { from, to }, group);
    const cells = rows.map(cellsOf);
    if (call.json) call.terminal.out(renderJson({ rows: rows.map((row) => rowOf(row, currencyOf(tenant))) }));
    else if (call.flag('csv')) call.terminal.out([head, ...cells].map(csvLine).join(''));
    else call.terminal.out(rows.length === 0 ? 'Nothing was asked in that time.\n' : renderTable(head, cells));
    return 0;
  },
};

const head = ['key', 'questions', 'promptTokens', 'completionTokens', 'embeddingTokens', 'cost'];

/** Throws UsageError for what is no day of the calendar. */
const dayOf = (text: string, option: string): number => {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(at) || new Date(at).toISOString().slice(0, 10) !== text)
    throw new UsageError(`--${option} needs a day such as 2026-11-01.`);
  return at;
};

const costOf = (row: UsageRow): string => (row.costUnknown ? 'unknown' : decimalOf(row.costNanos));
/** As the API renders it: money with its currency, an unknown cost as null and never as 0. */
const rowOf = ({ costNanos, costUnknown, currency, ...row }: UsageRow, tenantCurrency: string) => ({
  ...row,
  cost: costUnknown && costNanos === 0 ? null : { amount: decimalOf(costNanos), currency: currency ?? tenantCurrency },
  costIncomplete: costUnknown,
});
const cellsOf = (row: UsageRow): string[] => [
  row.key,
  String(row.questions),
  String(row.promptTokens),
  String(row.completionTokens),
  String(row.embeddingTokens),
  costOf(row),
];
