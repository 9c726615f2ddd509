import type { Receipt, Tenant } from '../../core/domain.ts';
import type { Paged } from '../../core/ports/state.ts';
import { milliseconds, texts } from '../texts.ts';
import { receiptPath, totalMs } from './answer-view.tsx';
import { Empty, Layout, type Shell, Time } from './layout.tsx';
import { Outcome } from './receipt.tsx';

export type AnswersFilter = { readonly outcome?: string; readonly q?: string };
type ListProps = { tenant: Tenant; page: Paged<Receipt>; filter: AnswersFilter };

export const AnswersPage = ({
  shell,
  page,
  filter,
  isFirst,
}: {
  shell: Shell & { tenant: Tenant };
  page: Paged<Receipt>;
  filter: AnswersFilter;
  isFirst: boolean;
}) => {
  const { tenant } = shell;
  const isFiltered = filter.outcome !== undefined || filter.q !== undefined;
  if (page.items.length === 0 && !isFiltered && isFirst) {
    return (
      <Layout shell={shell} title={texts.answers.title}>
        <Empty title={texts.empty.answersTitle} text={texts.empty.answersText}>
          <a class="button primary" href={`/console?tenant=${encodeURIComponent(tenant.slug)}`}>
            {texts.empty.answersAction}
          </a>
        </Empty>
      </Layout>
    );
  }
  const path = listPath(tenant);
  return (
    <Layout shell={shell} title={texts.answers.title}>
      <h1>{texts.answers.title}</h1>
      <p class="lead">{texts.answers.lead}</p>
      <form
        class="filter"
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
      </form>
      <AnswersSection tenant={tenant} page={page} filter={filter} />
    </Layout>
  );
};

export const AnswersSection = (props: ListProps) => (
  <div id="answers">
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
export const AnswerRows = ({ tenant, page, filter }: ListProps) => (
  <>
    {page.items.map((receipt) => (
      <li>
        <a href={receiptPath(tenant, receipt.answerId)}>
          {receipt.question === '' ? texts.receipt.textGone : receipt.question}
        </a>
        <p class="figures">
          <Outcome receipt={receipt} />
          <Time at={receipt.at} />
          <span>{receipt.platform}</span>
          <span>{milliseconds(totalMs(receipt))}</span>
          {receipt.usage.cost !== undefined && receipt.usage.cost.amount !== '0' && (
            <span>{`${receipt.usage.cost.amount} ${receipt.usage.cost.currency}`}</span>
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

const listPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/answers`;
const morePath = (tenant: Tenant, filter: AnswersFilter, cursor: string): string =>
  `${listPath(tenant)}?${new URLSearchParams({ ...filter, cursor }).toString()}`;
