import type { Gap, GapQuestion } from '../../core/core.ts';
import type { Document, Receipt, Tenant } from '../../core/domain.ts';
import type { Names } from '../names.ts';
import { texts } from '../texts.ts';
import { AnswerCard, receiptPath } from './answer-view.tsx';
import { Layout, type Shell, Time } from './layout.tsx';
import { mayPass } from './pages.tsx';
import { ActionButton, FormBox, type FormState, TextArea, TextField } from './parts/form.tsx';
import { Chip } from './parts/table.tsx';
import { documentPath } from './source-state.tsx';

type TenantShell = Shell & { readonly tenant: Tenant };
const words = texts.gaps;

export const periods = [30, 90] as const;
/** A page shows so many groups; smaller ones come up when the larger are answered. */
const groupsShown = 100;
export const questionsShown = 100;

export const gapsPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/gaps`;
export const gapPath = (tenant: Tenant, id: string): string => `${gapsPath(tenant)}/${encodeURIComponent(id)}`;
export const writtenPath = (tenant: Tenant, document: Pick<Document, 'id'>): string =>
  `${gapsPath(tenant)}/written/${encodeURIComponent(document.id)}`;

export const GapsPage = ({
  shell,
  days,
  groups,
  complete,
}: {
  shell: TenantShell;
  days: number;
  groups: readonly Gap[];
  complete: boolean;
}) => (
  <Layout shell={shell} title={words.title}>
    <h1>{words.title}</h1>
    <p class="lead">{words.lead}</p>
    <nav class="bar-row" aria-label={words.period}>
      {periods.map((period) => (
        <a href={`${gapsPath(shell.tenant)}?days=${period}`} aria-current={period === days ? 'true' : undefined}>
          {words.days(period)}
        </a>
      ))}
    </nav>
    {groups.length === 0 ? (
      <p class="part muted" role="status">
        {`${words.emptyTitle}. ${words.emptyText}`}
      </p>
    ) : (
      <ol class="answers">
        {groups.slice(0, groupsShown).map((gap) => (
          <li>
            <a href={gapPath(shell.tenant, gap.id)}>{gap.question}</a>
            <p class="figures">
              <Chip tone="warn">{words.asked(gap.asked.length)}</Chip>
              <span>{words.askers(gap.askers)}</span>
              <span>
                {words.last} <Time at={gap.lastAt} />
              </span>
            </p>
          </li>
        ))}
      </ol>
    )}
    {!complete && <p class="muted">{words.incomplete}</p>}
  </Layout>
);

export const GapPage = ({
  shell,
  gap,
  state,
  names,
}: {
  shell: TenantShell;
  gap: Gap;
  state: FormState;
  names: Names;
}) => (
  <Layout shell={shell} title={gap.question}>
    <p class="crumb">
      <a href={gapsPath(shell.tenant)}>{words.back}</a>
    </p>
    <div class="head">
      <h1 class="asked">{gap.question}</h1>
      {mayPass(shell.roles ?? [], 'admin') && (
        <ActionButton action={`${gapPath(shell.tenant, gap.id)}/dismiss`} label={words.dismiss} />
      )}
    </div>
    <p class="figures">
      <span>{words.asked(gap.asked.length)}</span>
      <span>{words.askers(gap.askers)}</span>
    </p>
    {mayPass(shell.roles ?? [], 'admin') && (
      <section class="part">
        <h2>{words.write}</h2>
        <FormBox state={state} action={`${gapPath(shell.tenant, gap.id)}/answer`} submit={words.save}>
          <TextField
            state={state}
            name="question"
            label={words.question}
            hint={words.questionHint}
            required
            maxlength={500}
          />
          <TextArea state={state} name="answer" label={words.answer} hint={words.answerHint} rows={8} required />
        </FormBox>
      </section>
    )}
    <section class="part">
      <h2>{words.questions}</h2>
      <Questions tenant={shell.tenant} asked={gap.asked.slice(0, questionsShown)} names={names} />
    </section>
  </Layout>
);

const Questions = ({ tenant, asked, names }: { tenant: Tenant; asked: readonly GapQuestion[]; names: Names }) => (
  <ol class="answers">
    {asked.map(({ answerId, question, at, why, memberId }) => (
      <li>
        <a href={receiptPath(tenant, answerId)}>{question}</a>
        <p class="figures">
          <Chip tone={why === 'down-voted' ? 'bad' : 'warn'}>{words.whys[why]}</Chip>
          <Time at={at} />
          {memberId !== undefined && <span title={memberId}>{names.member(memberId)}</span>}
        </p>
      </li>
    ))}
  </ol>
);

export const WrittenPage = ({
  shell,
  document,
  again,
  toTell,
}: {
  shell: TenantShell;
  document: Document;
  /** The question asked again. */
  again: Receipt | null;
  /** How many people can be told and were not yet. */
  toTell: number;
}) => (
  <Layout shell={shell} title={words.writtenTitle}>
    <p class="crumb">
      <a href={gapsPath(shell.tenant)}>{words.back}</a>
    </p>
    <h1>{words.writtenTitle}</h1>
    <p class="lead">
      {words.document}: <a href={documentPath(shell.tenant, document)}>{document.title}</a>
    </p>
    {again !== null && (
      <section class="part">
        <h2>{words.again}</h2>
        {again.kind !== 'answered' && (
          <p class="notice note">
            {words.stillOpen} <a href={gapsPath(shell.tenant)}>{words.back}</a>
          </p>
        )}
        <AnswerCard tenant={shell.tenant} receipt={again} />
      </section>
    )}
    <section class="part">
      <h2>{words.tell}</h2>
      <p>{toTell === 0 ? words.nobody : words.tellLead(toTell)}</p>
      {toTell > 0 && mayPass(shell.roles ?? [], 'admin') && (
        <ActionButton action={`${writtenPath(shell.tenant, document)}/tell`} label={words.tell} kind="primary" />
      )}
    </section>
  </Layout>
);
