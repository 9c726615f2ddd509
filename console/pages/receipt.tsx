import type { Child } from 'hono/jsx';
import type { Receipt, Tenant } from '../../core/domain.ts';
import type { Names } from '../names.ts';
import { milliseconds, texts } from '../texts.ts';
import { AnswerText, Bar, Footnotes, PassageList, Thumbs, totalMs } from './answer-view.tsx';
import { Layout, type Shell, Time } from './layout.tsx';
import { Money } from './parts/table.tsx';

export const ReceiptPage = ({
  shell,
  receipt,
  names,
}: {
  shell: Shell & { tenant: Tenant };
  receipt: Receipt;
  names: Names;
}) => (
  <Layout shell={shell} title={texts.receipt.title} wide>
    <article class="receipt">
      <div class="main">
        <p class="crumb">
          <a href={`/console/${encodeURIComponent(shell.tenant.slug)}/answers`}>{texts.receipt.back}</a>
        </p>
        <h1 class="asked">{receipt.question === '' ? texts.receipt.textGone : receipt.question}</h1>
        <p class="outcome">
          <Outcome receipt={receipt} />
          <span>{texts.reasons[receipt.reasonCode] ?? receipt.reasonCode}</span>
        </p>
        {receipt.condensedQuestion !== undefined && receipt.condensedQuestion !== receipt.question && (
          <p class="condensed">
            {texts.receipt.condensed} <q>{receipt.condensedQuestion}</q>
          </p>
        )}
        <AnswerText receipt={receipt} />
        <Footnotes receipt={receipt} />
        <Section title={texts.receipt.passages}>
          {receipt.retrieved.length === 0 ? (
            <p class="muted">{texts.receipt.noPassages}</p>
          ) : (
            <PassageList receipt={receipt} uses />
          )}
        </Section>
      </div>
      <aside class="side" aria-label={texts.receipt.came}>
        <Steps receipt={receipt} />
        <Section title={texts.receipt.facts}>
          <Facts receipt={receipt} names={names} />
        </Section>
        <Section title={texts.receipt.feedback}>
          <FeedbackList receipt={receipt} />
          <Thumbs tenant={shell.tenant} receipt={receipt} reader={shell.person?.userId} />
        </Section>
      </aside>
    </article>
  </Layout>
);

export const Outcome = ({ receipt }: { receipt: Receipt }) => (
  <span class={`chip outcome-${receipt.kind}`}>{texts.outcomes[receipt.kind]}</span>
);

const Section = ({ title, children }: { title: string; children: Child }) => (
  <section class="part">
    <h2>{title}</h2>
    {children}
  </section>
);

const Steps = ({ receipt }: { receipt: Receipt }) => {
  const steps = Object.entries(receipt.timingsMs).filter(([step]) => step !== 'total');
  const longest = Math.max(...steps.map(([, ms]) => ms), 0.001);
  return (
    <Section title={texts.receipt.steps}>
      <p class="total">
        <strong>{milliseconds(totalMs(receipt))}</strong> {texts.receipt.total}
      </p>
      <ul class="steps">
        {steps.map(([step, ms]) => (
          <li>
            <span class="step">{texts.steps[step] ?? step.replaceAll('_', ' ')}</span>
            <Bar share={ms / longest} label={milliseconds(ms)} />
          </li>
        ))}
      </ul>
    </Section>
  );
};

const Facts = ({ receipt, names }: { receipt: Receipt; names: Names }) => {
  const { fields } = texts.receipt;
  const { promptTokens, completionTokens, embeddingTokens, cost } = receipt.usage;
  const tokens = promptTokens + completionTokens + embeddingTokens;
  return (
    <dl class="facts">
      <Fact name={fields.at}>
        <Time at={receipt.at} />
      </Fact>
      <Fact name={fields.platform}>{names.place(receipt)}</Fact>
      {receipt.memberId !== undefined && (
        <Fact name={fields.member}>
          <span title={receipt.memberId}>{names.member(receipt.memberId)}</span>
        </Fact>
      )}
      <Fact name={fields.reason}>
        <code>{receipt.reasonCode}</code>
      </Fact>
      <Fact name={fields.model}>{receipt.model === 'extractive' ? texts.receipt.noModel : receipt.model}</Fact>
      <Fact name={fields.promptVersion}>{receipt.promptVersion}</Fact>
      <Fact name={fields.tokens}>
        {tokens === 0 ? texts.receipt.none : texts.receipt.tokensOf(promptTokens, completionTokens, embeddingTokens)}
      </Fact>
      <Fact name={fields.cost}>
        {cost === undefined ? tokens === 0 ? texts.receipt.none : texts.answer.costUnknown : <Money {...cost} />}
      </Fact>
      <Fact name={fields.cache}>{receipt.cached ? texts.receipt.cacheHit : texts.receipt.cacheMiss}</Fact>
      <Fact name={fields.quota}>
        {receipt.quotaBuckets.length === 0
          ? texts.receipt.none
          : receipt.quotaBuckets.map((bucket) => <code>{bucket}</code>)}
      </Fact>
      <Fact name={fields.index}>{texts.receipt.index(receipt.generation, receipt.contentRevision)}</Fact>
      <Fact name={fields.trace}>
        <code>{receipt.traceId}</code>
      </Fact>
      <Fact name={fields.id}>
        <code>{receipt.answerId}</code>
      </Fact>
    </dl>
  );
};

const Fact = ({ name, children }: { name: string; children: Child }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

const FeedbackList = ({ receipt }: { receipt: Receipt }) => {
  if (receipt.feedback.length === 0) return <p class="muted">{texts.receipt.noFeedback}</p>;
  return (
    <ul class="feedback">
      {receipt.feedback.map((feedback) => (
        <li>
          <span class={`chip rated-${feedback.rating}`}>
            {feedback.rating === 'up' ? texts.receipt.feedbackUp : texts.receipt.feedbackDown}
          </span>
          {feedback.mark !== undefined && <span class="chip">{texts.answers.marks[feedback.mark]}</span>}
          <Time at={feedback.at} />
          {feedback.user !== undefined && <span>{feedback.user}</span>}
          {feedback.comment !== undefined && <p>{feedback.comment}</p>}
        </li>
      ))}
    </ul>
  );
};
