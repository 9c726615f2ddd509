import type { LedgerEntry, Tenant, UsageGroup, UsageRow } from '../../core/domain.ts';
import type { Paged } from '../../core/ports/state.ts';
import { decimalOf } from '../../core/text/decimal.ts';
import { costsOf, type Range, renderEntry, sumOf } from '../billing.ts';
import { type Names, platformInWords } from '../names.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { mayPass } from './pages.tsx';
import { BarChart } from './parts/chart.tsx';
import { type FormState, formWith, SelectField, TextField } from './parts/form.tsx';
import { Money, More, Num, Sums, Table } from './parts/table.tsx';
import { Tile, Tiles } from './parts/tiles.tsx';

type TenantShell = Shell & { readonly tenant: Tenant };
const words = texts.billing;

export const usageGroups: readonly UsageGroup[] = ['day', 'platform', 'channel', 'member', 'model', 'source'];
export const usagePath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/usage`;
export const ledgerPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/ledger`;

/** Questions that no model was asked for have none in the ledger. */
export const modelInWords = (model: string): string => model || words.noModel;

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
/** A range as it stands in an address: the last day is part of it. */
export const daysOf = ({ from, to }: Range): { readonly from: string; readonly to: string } => ({
  from: dayOf(from),
  to: dayOf(Math.max(from, to - 1)),
});
const queryOf = (range: Range): string => new URLSearchParams(daysOf(range)).toString();

/** `state`: what was typed, where it cannot be shown. */
const PeriodForm = ({
  action,
  range,
  group,
  state = formWith(range === undefined ? {} : daysOf(range)),
}: {
  action: string;
  range?: Range;
  group?: UsageGroup | undefined;
  state?: FormState;
}) => (
  <form class="filter" method="get" action={action}>
    <TextField state={state} name="from" type="date" label={words.from} required />
    <TextField state={state} name="to" type="date" label={words.to} required />
    {group !== undefined && (
      <SelectField
        state={formWith({ group })}
        name="group"
        label={words.group}
        options={usageGroups.map((value) => ({ value, label: words.groups[value] }))}
      />
    )}
    <button type="submit">{words.apply}</button>
  </form>
);

const Cost = ({ row }: { row: Pick<UsageRow, 'costNanos' | 'currency' | 'costUnknown'> }) => {
  if (row.costUnknown && row.costNanos === 0) return <span class="muted">{words.unknown}</span>;
  return (
    <>
      {row.currency === undefined ? '0' : <Money amount={decimalOf(row.costNanos)} currency={row.currency} />}
      {row.costUnknown && <span class="muted">{` ${words.incomplete}`}</span>}
    </>
  );
};

/** All that was paid; two currencies are never added up. */
const Costs = ({ rows }: { rows: readonly UsageRow[] }) => {
  const costs = costsOf(rows);
  const unknown = rows.some(({ costUnknown }) => costUnknown);
  if (costs.length === 0) return <>{unknown ? words.unknown : '0'}</>;
  return (
    <>
      <Sums costs={costs} />
      {unknown && <span class="muted">{` ${words.incomplete}`}</span>}
    </>
  );
};

export const tokensOf = (row: Pick<UsageRow, 'promptTokens' | 'completionTokens' | 'embeddingTokens'>): number =>
  row.promptTokens + row.completionTokens + row.embeddingTokens;

const Totals = ({ rows }: { rows: readonly UsageRow[] }) => {
  const total = sumOf(rows);
  return (
    <Tiles>
      <Tile name={words.questions}>
        <Num value={total.questions} />
      </Tile>
      <Tile name={words.tokens}>
        <Num value={tokensOf(total)} />
      </Tile>
      <Tile name={words.cost}>
        <Costs rows={rows} />
      </Tile>
    </Tiles>
  );
};

const UsageTable = ({
  rows,
  all = rows,
  head,
  nameOf = (key) => key,
}: {
  rows: readonly UsageRow[];
  /** What the sum below is that of. */
  all?: readonly UsageRow[];
  head: string;
  nameOf?: (key: string) => string;
}) => {
  const total = sumOf(all);
  return (
    <Table
      caption={`${words.usageTitle}: ${head}`}
      rows={rows}
      columns={[
        { head, cell: (row) => nameOf(row.key) },
        { head: words.questions, figures: true, cell: (row) => <Num value={row.questions} /> },
        { head: words.promptTokens, figures: true, cell: (row) => <Num value={row.promptTokens} /> },
        { head: words.completionTokens, figures: true, cell: (row) => <Num value={row.completionTokens} /> },
        { head: words.embeddingTokens, figures: true, cell: (row) => <Num value={row.embeddingTokens} /> },
        { head: words.cost, figures: true, cell: (row) => <Cost row={row} /> },
      ]}
      foot={
        <tr>
          <th scope="row">{words.total}</th>
          <td class="num" data-head={words.questions}>
            <Num value={total.questions} />
          </td>
          <td class="num" data-head={words.promptTokens}>
            <Num value={total.promptTokens} />
          </td>
          <td class="num" data-head={words.completionTokens}>
            <Num value={total.completionTokens} />
          </td>
          <td class="num" data-head={words.embeddingTokens}>
            <Num value={total.embeddingTokens} />
          </td>
          <td class="num" data-head={words.cost}>
            <Costs rows={all} />
          </td>
        </tr>
      }
    />
  );
};

/** Days without a question are days too: a chart without them would lie about time. */
const everyDay = (range: Range, rows: readonly UsageRow[]): readonly { day: string; rows: readonly UsageRow[] }[] => {
  const byDay = Map.groupBy(rows, ({ key }) => key);
  const days: { day: string; rows: readonly UsageRow[] }[] = [];
  for (let at = range.from; at < range.to && days.length < 400; at += 86_400_000) {
    const day = dayOf(at);
    days.push({ day, rows: byDay.get(day) ?? [] });
  }
  return days;
};

export const UsagePage = ({
  shell,
  range,
  group,
  rows,
  all,
  next,
  byDay,
  nameOf,
}: {
  shell: TenantShell;
  range: Range;
  group: UsageGroup;
  /** Those of `all` that this page shows. */
  rows: readonly UsageRow[];
  all: readonly UsageRow[];
  /** Where the next page begins. */
  next: number | undefined;
  byDay: readonly UsageRow[];
  /** Of a row's key, in words. */
  nameOf: (key: string) => string;
}) => {
  const days = everyDay(range, byDay);
  const [currency, ...others] = costsOf(byDay).map((cost) => cost.currency);
  const base = usagePath(shell.tenant);
  const query = queryOf(range);
  return (
    <Layout shell={shell} title={words.usageTitle} wide>
      <h1>{words.usageTitle}</h1>
      <p class="lead">{words.usageLead}</p>
      <PeriodForm action={base} range={range} group={group} />
      <Totals rows={byDay} />
      {byDay.length === 0 ? (
        <p class="muted part">{words.nothing}</p>
      ) : (
        <>
          <BarChart
            title={words.chart}
            bars={days.map(({ day, rows: of }) => {
              const { questions } = sumOf(of);
              return { label: day.slice(5), value: questions, title: `${day}: ${questions}` };
            })}
            format={compact}
          />
          {currency !== undefined && others.length === 0 && (
            <BarChart
              title={words.chartCost(currency)}
              bars={days.map(({ day, rows: of }) => {
                const { costNanos } = sumOf(of);
                return {
                  label: day.slice(5),
                  value: costNanos / 1e9,
                  title: `${day}: ${decimalOf(costNanos)} ${currency}`,
                };
              })}
              format={compact}
            />
          )}
          <section class="part">
            <UsageTable rows={rows} all={all} head={words.groups[group]} nameOf={nameOf} />
            <More href={next === undefined ? undefined : `${base}?${query}&group=${group}&first=${next}`} />
          </section>
        </>
      )}
      <section class="part">
        <h2>{words.export}</h2>
        <p class="bar-row">
          <a class="button" href={`${base}/export?${query}&group=${group}`} download>
            {words.usageCsv}
          </a>
          <a class="button" href={`${ledgerPath(shell.tenant)}/export?${query}&format=csv`} download>
            {words.ledgerCsv}
          </a>
          <a class="button" href={`${ledgerPath(shell.tenant)}/export?${query}&format=json`} download>
            {words.ledgerJson}
          </a>
          <a class="button" href={`${base}/statement?${query}`}>
            {words.statement}
          </a>
        </p>
      </section>
    </Layout>
  );
};

const inShort = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const compact = (value: number): string => inShort.format(value);

export const LedgerPage = ({
  shell,
  range,
  page,
  names,
}: {
  shell: TenantShell;
  range: Range;
  page: Paged<LedgerEntry>;
  names: Names;
}) => {
  const base = ledgerPath(shell.tenant);
  const maySeeAnswers = mayPass(shell.roles ?? [], 'viewer');
  return (
    <Layout shell={shell} title={words.ledgerTitle} wide>
      <h1>{words.ledgerTitle}</h1>
      <p class="lead">{words.ledgerLead}</p>
      <PeriodForm action={base} range={range} />
      {page.items.length === 0 ? (
        <p class="muted part">{words.nothing}</p>
      ) : (
        <Table
          caption={words.ledgerTitle}
          rows={page.items}
          columns={[
            { head: words.at, cell: (entry) => <Time at={entry.at} /> },
            { head: words.kind, whole: true, cell: (entry) => words.kinds[entry.kind] ?? entry.kind },
            { head: words.model, whole: true, cell: (entry) => entry.model ?? '' },
            { head: words.promptTokens, figures: true, cell: (entry) => <Num value={entry.promptTokens} /> },
            { head: words.completionTokens, figures: true, cell: (entry) => <Num value={entry.completionTokens} /> },
            { head: words.embeddingTokens, figures: true, cell: (entry) => <Num value={entry.embeddingTokens} /> },
            {
              head: words.price,
              figures: true,
              cell: ({ price }) =>
                price === undefined ? '' : `${price.inputPerMillion} / ${price.outputPerMillion} ${price.currency}`,
            },
            {
              head: words.cost,
              figures: true,
              cell: (entry) => {
                const { cost } = renderEntry(entry);
                if (cost !== null) return <Money {...cost} />;
                return entry.model === undefined ? '' : <span class="muted">{words.unknown}</span>;
              },
            },
            {
              head: words.who,
              whole: true,
              cell: (entry) =>
                entry.memberId === undefined ? (
                  entry.sourceId === undefined ? (
                    platformInWords(entry.platform)
                  ) : (
                    names.source(entry.sourceId)
                  )
                ) : (
                  <span title={entry.memberId}>{names.member(entry.memberId)}</span>
                ),
            },
            {
              head: words.answer,
              whole: true,
              cell: ({ answerId }) =>
                answerId === undefined || !maySeeAnswers ? (
                  ''
                ) : (
                  <a href={`/console/${encodeURIComponent(shell.tenant.slug)}/answers/${encodeURIComponent(answerId)}`}>
                    {words.answer}
                  </a>
                ),
            },
          ]}
        />
      )}
      <More
        href={
          page.nextCursor === undefined
            ? undefined
            : `${base}?${queryOf(range)}&cursor=${encodeURIComponent(page.nextCursor)}`
        }
      />
    </Layout>
  );
};

/** A period that cannot be shown: the form again as it was filled, and why. */
export const WrongPeriodPage = ({
  shell,
  state,
  group,
}: {
  shell: TenantShell;
  state: FormState;
  /** Of the usage page; absent: it is the ledger's. */
  group?: UsageGroup;
}) => {
  const [title, path] =
    group === undefined ? [words.ledgerTitle, ledgerPath(shell.tenant)] : [words.usageTitle, usagePath(shell.tenant)];
  return (
    <Layout shell={shell} title={title} wide>
      <h1>{title}</h1>
      <PeriodForm action={path} group={group} state={state} />
    </Layout>
  );
};

/** One page to print or to keep: what a reviewer signs. */
export const StatementPage = ({
  shell,
  range,
  byDay,
  byModel,
  isClosed,
}: {
  shell: TenantShell;
  range: Range;
  byDay: readonly UsageRow[];
  byModel: readonly UsageRow[];
  isClosed: boolean;
}) => {
  const { from, to } = daysOf(range);
  return (
    <Layout shell={shell} title={words.statement} wide>
      <p class="crumb">
        <a href={`${usagePath(shell.tenant)}?${queryOf(range)}`}>{words.usageTitle}</a>
      </p>
      <div class="head">
        <h1>{words.statementTitle(shell.tenant.name, from, to)}</h1>
        <button type="button" data-print hidden>
          {words.print}
        </button>
      </div>
      <p class="lead">{isClosed ? words.statementNote : words.statementOpen}</p>
      <Totals rows={byDay} />
      <section class="part">
        <h2>{words.byModel}</h2>
        <UsageTable rows={byModel} head={words.model} nameOf={modelInWords} />
      </section>
      <section class="part">
        <h2>{words.byDay}</h2>
        <UsageTable rows={byDay} head={words.groups.day} />
      </section>
    </Layout>
  );
};
