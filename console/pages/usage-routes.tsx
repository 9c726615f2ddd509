import type { UsageGroup, UsageRow } from '../../core/domain.ts';
import { AppError, isAppError } from '../../core/errors.ts';
import { currencyOf } from '../../core/text/currency.ts';
import { asDownload, ledgerText, type Range, renderUsageCsv, streamOf } from '../billing.ts';
import { platformInWords } from '../names.ts';
import type { Html, PageRequest, Pages } from './pages.tsx';
import { type FormState, formWith } from './parts/form.tsx';
import {
  LedgerPage,
  modelInWords,
  StatementPage,
  tokensOf,
  UsagePage,
  usageGroups,
  WrongPeriodPage,
} from './usage.tsx';

const dayMs = 86_400_000;
/** Longer periods are for the export. */
const longestDays = 400;

/** A page has room for so many members, channels or days; the sum below them is that of all. */
const rowsShown = 100;

/** Who used most stands first: nobody looks for themselves by the number of their account. */
const largestFirst = (rows: readonly UsageRow[]): readonly UsageRow[] =>
  rows.toSorted((a, b) => tokensOf(b) - tokensOf(a) || b.questions - a.questions || (a.key < b.key ? -1 : 1));

/** What was used and what it cost: tables, charts, the ledger itself, and everything to take away. No message text. */
export const addUsagePages = (pages: Pages): void => {
  const { core, runtime } = pages.doors;

  /** Days of the address, the last one included; this month when there are none. Throws `invalid` at the field. */
  const rangeFrom = (request: PageRequest): Range => {
    const now = runtime.clock.now();
    const today = new Date(now);
    const from = dayAt(request.query('from')) ?? Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), 1);
    const last =
      dayAt(request.query('to'), 'to') ?? Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate());
    if (last < from) throw new AppError('invalid', 'The first day must not be after the last one.', { at: 'from' });
    return { from, to: last + dayMs };
  };
  const shown = (range: Range): Range => {
    if (range.to - range.from > longestDays * dayMs)
      throw new AppError('invalid', `A page shows at most ${longestDays} days; the export takes any period.`, {
        at: 'from',
      });
    return range;
  };
  /** Rows before it stood on the pages before. */
  const firstFrom = (request: PageRequest): number => {
    const first = Number(request.query('first') ?? 0);
    return Number.isSafeInteger(first) && first > 0 ? first : 0;
  };
  /** What the form was given that cannot be shown: the page again, with the sentence beside the field. */
  const rangeOrAgain = async (
    request: PageRequest,
    read: () => Range,
    again: (state: FormState) => Promise<Html>,
  ): Promise<Range | Response> => {
    try {
      return read();
    } catch (thrown) {
      if (!isAppError(thrown) || thrown.code !== 'invalid') throw thrown;
      const typed = { from: request.query('from'), to: request.query('to'), group: request.query('group') };
      const errors = { [thrown.at ?? 'from']: thrown.message };
      return request.show(await again({ ...formWith(typed), errors }), 422);
    }
  };
  const groupFrom = (request: PageRequest): UsageGroup =>
    usageGroups.find((group) => group === request.query('group')) ?? 'day';

  pages.get('/console/{tenant}/usage', 'session:billing', async (request) => {
    const group = groupFrom(request);
    const range = await rangeOrAgain(
      request,
      () => shown(rangeFrom(request)),
      async (state) => <WrongPeriodPage shell={await request.shell('usage')} state={state} group={group} />,
    );
    if (range instanceof Response) return range;
    const byDay = await core.usage.report(request.tenant.id, range, 'day');
    const all = group === 'day' ? byDay : largestFirst(await core.usage.report(request.tenant.id, range, group));
    const first = firstFrom(request);
    const rows = all.slice(first, first + rowsShown);
    const keys = rows.map(({ key }) => key);
    const names = await pages.names(request.tenant, group === 'channel' ? keys : [], group === 'member' ? keys : []);
    const nameIn: Partial<Record<UsageGroup, (key: string) => string>> = {
      channel: names.channelId,
      source: names.source,
      member: names.member,
      model: modelInWords,
      platform: platformInWords,
    };
    const nameOf = (key: string): string => nameIn[group]?.(key) ?? key;
    const shell = await request.shell('usage');
    return request.show(
      <UsagePage
        shell={shell}
        range={range}
        group={group}
        rows={rows}
        all={all}
        next={all.length > first + rowsShown ? first + rowsShown : undefined}
        byDay={byDay}
        nameOf={nameOf}
      />,
    );
  });

  pages.get('/console/{tenant}/usage/export', 'session:billing', async (request) => {
    const range = rangeFrom(request);
    const rows = await core.usage.report(request.tenant.id, range, groupFrom(request));
    return request.c.body(
      renderUsageCsv(rows, currencyOf(request.tenant)),
      200,
      asDownload('usage', request.tenant, range, 'csv'),
    );
  });

  pages.get('/console/{tenant}/usage/statement', 'session:billing', async (request) => {
    const range = shown(rangeFrom(request));
    const [byDay, byModel] = await Promise.all([
      core.usage.report(request.tenant.id, range, 'day'),
      core.usage.report(request.tenant.id, range, 'model'),
    ]);
    return request.show(
      <StatementPage
        shell={await request.shell('usage')}
        range={range}
        byDay={byDay}
        byModel={byModel}
        isClosed={range.to <= runtime.clock.now()}
      />,
    );
  });

  pages.get('/console/{tenant}/ledger', 'session:billing', async (request) => {
    const range = await rangeOrAgain(
      request,
      () => rangeFrom(request),
      async (state) => <WrongPeriodPage shell={await request.shell('ledger')} state={state} />,
    );
    if (range instanceof Response) return range;
    const cursor = request.query('cursor');
    const page = await core.usage.ledger(request.tenant.id, range, {
      limit: 100,
      ...(cursor === undefined ? {} : { cursor }),
    });
    return request.show(
      <LedgerPage
        shell={await request.shell('ledger')}
        range={range}
        page={page}
        names={
          await pages.names(
            request.tenant,
            [],
            page.items.flatMap(({ memberId }) => memberId ?? []),
          )
        }
      />,
    );
  });

  pages.get('/console/{tenant}/ledger/export', 'session:billing', async (request) => {
    const range = rangeFrom(request);
    const format = request.query('format') === 'json' ? 'json' : 'csv';
    return request.c.body(
      streamOf(ledgerText(core, request.tenant.id, range, format)),
      200,
      asDownload('ledger', request.tenant, range, format),
    );
  });
};

/** Midnight UTC of a day; undefined when none was named. Throws `invalid` for what is no day. */
export const dayAt = (text: string | undefined, field = 'from'): number | undefined => {
  if (text === undefined) return undefined;
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(at)) throw new AppError('invalid', 'A day is needed, such as 2026-11-01.', { at: field });
  return at;
};
