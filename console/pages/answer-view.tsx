import { raw } from 'hono/html';
import type { Citation, Passage, Receipt, Tenant } from '../../core/domain.ts';
import { milliseconds, texts } from '../texts.ts';
import { Time } from './layout.tsx';
import { plainText, renderMarkdown, safeHref } from './markdown.ts';
import { Money } from './parts/table.tsx';

/** What a person sees of one answer: the text, its footnotes, and how it came about. Shared by the ask and receipt pages. */

export const answerHtml = (answer: string, citations: readonly Citation[], prefix: string): string =>
  renderMarkdown(answer, {
    links: citations.flatMap((citation) => (citation.url === undefined ? [] : [citation.url])),
    footnotes: citations.map((citation) => citation.n),
    prefix,
  });

const anyFootnote = Array.from({ length: 99 }, (_, index) => index + 1);

/** An answer that is still being written: its footnotes are not checked yet, so they lead nowhere and nothing is linked. */
export const growingHtml = (markdown: string): string =>
  renderMarkdown(markdown, { links: [], footnotes: anyFootnote, prefix: 'growing' });

/** Document text never decides an anchor's name: only our own answer id does. */
export const anchorOf = (receipt: Receipt): string => `fn-${receipt.answerId.replace(/[^\w-]/g, '')}`;

export const AnswerText = ({ receipt }: { receipt: Receipt }) => (
  <div class="prose answer" data-kind={receipt.kind}>
    {raw(answerHtml(receipt.answer, receipt.citations, anchorOf(receipt)))}
    {receipt.retryAt !== undefined && (
      <p class="retry">
        {texts.answer.retryAt} <Time at={receipt.retryAt} />
      </p>
    )}
  </div>
);

export const Footnotes = ({ receipt }: { receipt: Receipt }) => {
  if (receipt.citations.length === 0) return null;
  const prefix = anchorOf(receipt);
  return (
    <section class="footnotes" aria-label={texts.answer.footnotes}>
      <ol>
        {receipt.citations.map((citation) => (
          <li id={`${prefix}-${citation.n}`} value={citation.n}>
            <a class="n" href={`#${prefix}-ref-${citation.n}`} aria-label={texts.answer.backTo(citation.n)}>
              {citation.n}
            </a>
            <div>
              <p class="source">
                <SourceTitle title={citation.title} url={citation.url} />
                {citation.page !== undefined && <span class="page">{texts.answer.page(citation.page)}</span>}
              </p>
              <blockquote>{plainText(citation.quote)}</blockquote>
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
};

const SourceTitle = ({ title, url }: { title: string; url: string | undefined }) => {
  const href = safeHref(url);
  if (href === undefined) return <cite>{title}</cite>;
  return (
    <cite>
      <a href={href} target="_blank" rel="noopener noreferrer">
        {title}
      </a>
    </cite>
  );
};

type Use = 'cited' | 'inPrompt' | 'retrievedOnly';

export const PassageList = ({ receipt, uses }: { receipt: Receipt; uses?: boolean }) => {
  const best = Math.max(...receipt.retrieved.map((passage) => passage.score), Number.EPSILON);
  const cited = new Set(receipt.citations.map((citation) => citation.chunkId));
  const read = new Set(receipt.inPrompt);
  const useOf = ({ chunkId }: Passage): Use =>
    cited.has(chunkId) ? 'cited' : read.has(chunkId) ? 'inPrompt' : 'retrievedOnly';
  return (
    <ol class="passages">
      {receipt.retrieved.map((passage) => (
        <li class={uses ? `use-${useOf(passage)}` : undefined}>
          <p class="source">
            <SourceTitle title={passage.title} url={passage.url} />
            <Path passage={passage} />
            {passage.page !== undefined && <span class="page">{texts.answer.page(passage.page)}</span>}
            {uses && <span class="chip">{texts.receipt[useOf(passage)]}</span>}
          </p>
          <Bar share={passage.score / best} label={`${texts.answer.score} ${score(passage.score)}`} />
          <Excerpt text={withoutHeading(passage)} />
        </li>
      ))}
    </ol>
  );
};

/** Where in the document it stands; a document whose first heading is its title says so once. */
const Path = ({ passage: { title, headingPath } }: { passage: Passage }) => {
  const below = headingPath[0] === title ? headingPath.slice(1) : headingPath;
  return below.length === 0 ? null : <span class="path">{below.join(' › ')}</span>;
};

/** The heading that a passage begins with stands above it already. */
const withoutHeading = ({ text, title, headingPath }: Passage): string => {
  const [, heading = '', rest = ''] = /^#{1,6} +(.+)\n+([\s\S]*)$/.exec(text) ?? [];
  return rest !== '' && [title, ...headingPath].includes(heading.trim()) ? rest : text;
};

const teaserLength = 320;

/** A passage as it reads; a long one opens on demand. */
const Excerpt = ({ text }: { text: string }) => {
  const full = raw(renderMarkdown(text, { links: [], footnotes: [], prefix: 'passage' }));
  const plain = plainText(text);
  if (plain.length <= teaserLength * 1.3) return <div class="excerpt">{full}</div>;
  return (
    <details class="excerpt">
      <summary>
        <span class="teaser">{`${plain.slice(0, plain.lastIndexOf(' ', teaserLength) > 0 ? plain.lastIndexOf(' ', teaserLength) : teaserLength)}… `}</span>
        <span class="toggle show-more">{texts.answer.more}</span>
        <span class="toggle show-less">{texts.answer.less}</span>
      </summary>
      <div class="full">{full}</div>
    </details>
  );
};

/** A bar as SVG: widths by attribute, because inline styles are forbidden here. */
export const Bar = ({ share, label }: { share: number; label: string }) => (
  <span class="bar">
    <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      <rect class="track" width="100" height="4" rx="2" />
      <rect class="fill" width={Math.max(0.5, Math.min(1, share) * 100).toFixed(1)} height="4" rx="2" />
    </svg>
    <span class="value">{label}</span>
  </span>
);

const score = (value: number): string => (Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3));

export const totalMs = (receipt: Receipt): number =>
  receipt.timingsMs.total ?? Object.values(receipt.timingsMs).reduce((sum, ms) => sum + ms, 0);

/** One quiet line under an answer: time, tokens, cost, how it was made. */
export const Figures = ({ receipt }: { receipt: Receipt }) => {
  const { promptTokens, completionTokens, embeddingTokens, cost } = receipt.usage;
  const tokens = promptTokens + completionTokens + embeddingTokens;
  const parts = [
    milliseconds(totalMs(receipt)),
    ...(tokens > 0
      ? [texts.answer.tokens(tokens), cost === undefined ? texts.answer.costUnknown : <Money {...cost} />]
      : []),
  ];
  return (
    <p class="figures">
      {parts.map((part) => (
        <span>{part}</span>
      ))}
      {receipt.model === 'extractive' && receipt.kind === 'answered' && <span>{texts.answer.extractive}</span>}
      {receipt.cached && <span>{texts.answer.cached}</span>}
    </p>
  );
};

/** Thumbs: plain forms that work without scripts, swapped in place with them. */
export const Thumbs = ({
  tenant,
  receipt,
  reader,
}: {
  tenant: Tenant;
  receipt: Receipt;
  reader?: string | undefined;
}) => {
  const action = `${receiptPath(tenant, receipt.answerId)}/feedback`;
  // The reader's own verdict; what others said stands below.
  const given = reader === undefined ? undefined : receipt.feedback.findLast(({ user }) => user === reader)?.rating;
  return (
    <form class="thumbs" method="post" action={action} hx-post={action} hx-swap="outerHTML">
      <span class="ask">{texts.answer.helpful}</span>
      <button
        type="submit"
        name="rating"
        value="up"
        aria-label={texts.answer.up}
        title={texts.answer.up}
        aria-pressed={given === 'up' ? 'true' : 'false'}
      >
        <Thumb />
      </button>
      <button
        type="submit"
        name="rating"
        value="down"
        class="down"
        aria-label={texts.answer.down}
        title={texts.answer.down}
        aria-pressed={given === 'down' ? 'true' : 'false'}
      >
        <Thumb />
      </button>
    </form>
  );
};

const Thumb = () => (
  <svg
    viewBox="0 0 24 24"
    width="18"
    height="18"
    fill="none"
    stroke="currentColor"
    stroke-width="1.7"
    stroke-linejoin="round"
    aria-hidden="true"
  >
    <path d="M7 10.5 11 3c1.5 0 2.6 1.2 2.4 2.7L13 9h5.6c1.3 0 2.2 1.2 1.9 2.4l-1.6 6.9c-.2.9-1 1.7-2 1.7H7m0-9.5V20m0-9.5H4.5c-.6 0-1 .4-1 1V19c0 .6.4 1 1 1H7" />
  </svg>
);

export const answersPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/answers`;
export const receiptPath = (tenant: Tenant, answerId: string): string =>
  `${answersPath(tenant)}/${encodeURIComponent(answerId)}`;

/** A finished turn of a conversation, without its question. */
export const AnswerCard = ({ tenant, receipt }: { tenant: Tenant; receipt: Receipt }) => (
  <div class="turn-answer">
    <AnswerText receipt={receipt} />
    <Footnotes receipt={receipt} />
    {receipt.kind === 'answered' && receipt.retrieved.length > 0 && (
      <details class="retrieved">
        <summary>{texts.answer.passages(receipt.retrieved.length)}</summary>
        <PassageList receipt={receipt} />
      </details>
    )}
    <div class="under">
      <Figures receipt={receipt} />
      <Thumbs tenant={tenant} receipt={receipt} />
      <a class="receipt-link" href={receiptPath(tenant, receipt.answerId)}>
        {texts.answer.receipt}
      </a>
    </div>
  </div>
);
