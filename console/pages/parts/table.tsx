import type { Child } from 'hono/jsx';
import { decimalOf } from '../../../core/text/decimal.ts';
import { number, texts } from '../../texts.ts';

export type Column<T> = {
  readonly head: string;
  readonly cell: (row: T) => Child;
  /** Figures stand to the right, their digits below each other. */
  readonly figures?: boolean;
  /** Short words that are not broken, however narrow the window. */
  readonly whole?: boolean;
};

/** A table that becomes a list of cards on a phone: each cell knows its column's name. */
export const Table = <T,>({
  caption,
  columns,
  rows,
  foot,
}: {
  /** Said to people who do not see the table. */
  caption: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  foot?: Child;
}) => (
  // Wider than the window it scrolls, for the keyboard as well.
  <section class="table" aria-label={caption} tabindex={0}>
    <table>
      <caption class="visually-hidden">{caption}</caption>
      <thead>
        <tr>
          {columns.map(({ head, figures }) => (
            <th scope="col" {...(figures ? { class: 'num' } : {})}>
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr>
            {columns.map(({ head, cell, figures, whole }) => (
              <td data-head={head} {...(figures ? { class: 'num' } : whole ? { class: 'whole' } : {})}>
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
      {foot !== undefined && <tfoot>{foot}</tfoot>}
    </table>
  </section>
);

/** Words that a list is looked through for. */
export const Search = ({
  action,
  q,
  hint,
  button,
}: {
  action: string;
  q: string | undefined;
  hint: string;
  button: string;
}) => (
  <form class="filter" method="get" action={action}>
    <input type="search" name="q" value={q ?? ''} aria-label={hint} placeholder={hint} maxlength={200} />
    <button type="submit">{button}</button>
  </form>
);

/** To the next page of a list. */
export const More = ({ href }: { href: string | undefined }) =>
  href === undefined ? null : (
    <p class="more">
      <a class="button" href={href}>
        {texts.lists.more}
      </a>
    </p>
  );

/** A number in the reader's own notation: written by the server in English, rewritten by the script. */
export const Num = ({ value }: { value: number }) => (
  <data class="number" value={String(value)}>
    {number(value)}
  </data>
);

/** Money to the last unit, in the reader's own notation like `Num`. */
export const Money = ({ amount, currency }: { amount: string; currency: string }) => (
  <data class="money" value={amount} data-currency={currency}>
    {`${amount} ${currency}`}
  </data>
);

/** What was paid in each currency; two are never added up. */
export const Sums = ({ costs }: { costs: readonly { readonly currency: string; readonly nanos: number }[] }) => (
  <>
    {costs.map(({ currency, nanos }, index) => (
      <>
        {index > 0 && ' + '}
        <Money amount={decimalOf(nanos)} currency={currency} />
      </>
    ))}
  </>
);

/** How much of something is used; `max` 0 means nothing is allowed. */
export const Meter = ({ label, value, max }: { label: string; value: number; max: number }) => (
  <meter
    aria-label={label}
    min={0}
    max={Math.max(max, 1)}
    high={Math.max(max, 1) * 0.799}
    optimum={0}
    value={max === 0 ? 1 : Math.min(value, max)}
  >
    {`${value} / ${max}`}
  </meter>
);

/** Names and values of one thing. */
export const Facts = ({ facts }: { facts: readonly (readonly [Child, Child])[] }) => (
  <dl class="facts">
    {facts.map(([name, value]) => (
      <div>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
);

export const Chip = ({ tone, children }: { tone?: 'good' | 'warn' | 'bad' | 'accent'; children: Child }) => (
  <span class={tone === undefined ? 'chip' : `chip ${tone}`}>{children}</span>
);
