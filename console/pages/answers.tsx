import type { Receipt, Tenant } from '../../core/domain.ts';
import type { Paged } from '../../core/ports/state.ts';
import { type Names, platformInWords } from '../names.ts';
import { milliseconds, texts } from '../texts.ts';
import { answersPath, receiptPath, totalMs } from './answer-view.tsx';
import { askPath } from './ask.tsx';
import { Empty, Layout, type Shell, Time } from './layout.tsx';
import { Money } from './parts/table.tsx';
import { Outcome } from './receipt.tsx';

/** As it stands in the address. */
export type AnswersFilter = {
  readonly q?: string;
  readonly outcome?: string;
  readonly reason?: string;
  readonly platform?: string;
  readonly channel?: string;
  readonly member?: string;
  readonly rating?: string;
  /** Days. */
  readonly from?: string;
  readonly to?: string;
  readonly gap?: string;
};
type ListProps = { tenant: Tenant; page: Paged<Receipt>; filter: AnswersFilter; names: Names };

const isNarrowed = (filter: AnswersFilter): boolean => Object.keys(filter).length > 0;

export const AnswersPage = ({
  shell,
  page,
  filter,
  names,
  isFirst,
}: {
  shell: Shell & { tenant: Tenant };
  page: Paged<Receipt>;
  filter: AnswersFilter;
  names: Names;
  isFirst: boolean;
}) => {
  const { tenant } = shell;
  if (page.items.length === 0 && !isNarrowed(filter) && isFirst) {
    return (
      <Layout shell={shell} title={texts.answers.title}>
        <Empty title={texts.empty.answersTitle} text={texts.empty.answersText}>
          <a class="button primary" href={askPath(tenant)}>
            {texts.empty.answersAction}
          </a>
        </Empty>
      </Layout>
    );
  }
  const path = answersPath(tenant);
  return (
    <Layout shell={shell} title={texts.answers.title}>
      <div class="head">
        <h1>{texts.answers.title}</h1>
        <a class="button" href={`${path}/why`}>
          {texts.answers.why}
        </a>
      </div>
      <p class="lead">{texts.answers.lead}</p>
      <form
        class="filter answers-filter"
        method="get"
        action={path}
        hx-get={path}
        hx-target="#answers"
        hx-swap="outerHTML"
        hx-push-url="true"
        hx-trigger="submit, change"
      >
        <label class="visually-hidden" for="q">
          {texts.answers.search}
        </label>
        <input
          id="q"
          type="search"
          name="q"
          value={filter.q ?? ''}
          placeholder={texts.answers.searchPlaceholder}
          maxlength={1000}
        />
        <label class="visually-hidden" for="outcome">
          {texts.answers.outcome}
        </label>
        <select id="outcome" name="outcome">
          <option value="">{texts.answers.anyOutcome}</option>
          {Object.entries(texts.outcomes).map(([value, label]) => (
            <option value={value} selected={filter.outcome === value}>
              {label}
            </option>
          ))}
        </select>
        <button type="submit">{texts.answers.apply}</button>
        <MoreFilters filter={filter} />
      </form>
      <AnswersSection tenant={tenant} page={page} filter={filter} names={names} />
    </Layout>
  );
};

const platforms = ['slack', 'discord', 'teams', 'api', 'console'];

/** Open when one of them narrows the list already. */
const MoreFilters = ({ filter }: { filter: AnswersFilter }) => {
  const words = texts.answers;
  const { q: _q, outcome: _outcome, ...more } = filter;
  return (
    <details class="more-filters" open={Object.keys(more).length > 0}>
      <summary>{words.moreFilters}</summary>
      <div class="fields">
        <Choice
          name="reason"
          label={words.reason}
          none={words.anyReason}
          value={filter.reason}
          options={Object.keys(texts.reasons).map((code) => [code, code])}
        />
        <Choice
          name="platform"
          label={words.platform}
          none={words.anyPlatform}
          value={filter.platform}
          options={platforms.map((platform) => [platform, platformInWords(platform)])}
        />
        <Choice
          name="rating"
          label={words.rating}
          none={words.anyRating}
          value={filter.rating}
          options={Object.entries(words.ratings)}
        />
        <label>
          <span>{words.channel}</span>
          <input name="channel" value={filter.channel ?? ''} placeholder={words.channelPlaceholder} maxlength={300} />
        </label>
        <label>
          <span>{words.member}</span>
          <input name="member" value={filter.member ?? ''} placeholder={words.memberPlaceholder} maxlength={300} />
        </label>
        <label>
          <span>{words.from}</span>
          <input name="from" type="date" value={filter.from ?? ''} />
        </label>
        <label>
          <span>{words.to}</span>
          <input name="to" type="date" value={filter.to ?? ''} />
        </label>
        <label class="check">
          <input name="gap" type="checkbox" value="on" checked={filter.gap === 'on'} />
          <span>{words.gap}</span>
        </label>
      </div>
    </details>
  );
};

const Choice = ({
  name,
  label,
  none,
  value,
  options,
}: {
  name: string;
  label: string;
  none: string;
  value: string | undefined;
  options: readonly (readonly [string, string])[];
}) => (
  <label>
    <span>{label}</span>
    <select name={name}>
      <option value="">{none}</option>
      {options.map(([option, shown]) => (
        <option value={option} selected={option === value}>
          {shown}
        </option>
      ))}
    </select>
  </label>
);

/** What people said about an answer, in few words. */
const Verdicts = ({ receipt }: { receipt: Receipt }) => {
  const count = (rating: 'up' | 'down') => receipt.feedback.filter((one) => one.rating === rating).length;
  const marks = new Set(receipt.feedback.flatMap(({ mark }) => (mark === undefined ? [] : [mark])));
  const comments = receipt.feedback.filter(({ comment }) => comment !== undefined).length;
  return (
    <>
      {(['up', 'down'] as const).map(
        (rating) =>
          count(rating) > 0 && (
            <span class={`chip rated-${rating}`}>{`${texts.answers.ratings[rating]} ${count(rating)}`}</span>
          ),
      )}
      {[...marks].map((mark) => (
        <span class="chip">{texts.answers.marks[mark]}</span>
      ))}
      {comments > 0 && <span>{texts.answers.comments(comments)}</span>}
    </>
  );
};

/** The list, and what is done with all of it: both change with the filter. */
export const AnswersSection = (props: ListProps) => (
  <div id="answers">
    <p class="bar-row answers-all">
      {isNarrowed(props.filter) && <a href={answersPath(props.tenant)}>{texts.answers.clear}</a>}
      <a href={exportPath(props.tenant, props.filter, 'csv')}>{texts.answers.csv}</a>
      <a href={exportPath(props.tenant, props.filter, 'ndjson')}>{texts.answers.ndjson}</a>
    </p>
    {props.page.items.length === 0 ? (
      <p class="muted" role="status">
        {texts.empty.filtered}
      </p>
    ) : (
      <ol class="answers">
        <AnswerRows {...props} />
      </ol>
    )}
  </div>
);

/** Rows, and after them the row that fetches the next page in its own place. */
export const AnswerRows = ({ tenant, page, filter, names }: ListProps) => (
  <>
    {page.items.map((receipt) => (
      <li>
        <a href={receiptPath(tenant, receipt.answerId)}>
          {receipt.question === '' ? texts.receipt.textGone : receipt.question}
        </a>
        <p class="figures">
          <Outcome receipt={receipt} />
          <Verdicts receipt={receipt} />
          <Time at={receipt.at} />
          <span>{names.place(receipt)}</span>
          <span>{milliseconds(totalMs(receipt))}</span>
          {receipt.usage.cost !== undefined && receipt.usage.cost.amount !== '0' && (
            <span>
              <Money {...receipt.usage.cost} />
            </span>
          )}
        </p>
      </li>
    ))}
    {page.nextCursor !== undefined && (
      <li class="more">
        <a
          class="button"
          href={morePath(tenant, filter, page.nextCursor)}
          hx-get={morePath(tenant, filter, page.nextCursor)}
          hx-target="closest li"
          hx-swap="outerHTML"
        >
          {texts.answers.more}
        </a>
      </li>
    )}
  </>
);

const withQuery = (path: string, query: Readonly<Record<string, string | undefined>>): string =>
  `${path}?${new URLSearchParams(Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined)).toString()}`;
const morePath = (tenant: Tenant, filter: AnswersFilter, cursor: string): string =>
  withQuery(answersPath(tenant), { ...filter, cursor });
const exportPath = (tenant: Tenant, filter: AnswersFilter, format: 'csv' | 'ndjson'): string =>
  withQuery(`${answersPath(tenant)}/export`, { ...filter, format });
