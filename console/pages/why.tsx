import type { WhyNot } from '../../core/core.ts';
import type { Tenant } from '../../core/domain.ts';
import { texts } from '../texts.ts';
import { answersPath, receiptPath } from './answer-view.tsx';
import { Layout, type Shell, Time } from './layout.tsx';
import { type FormState, TextField } from './parts/form.tsx';
import { Chip } from './parts/table.tsx';

const words = texts.answers;

/** What became of a message, by its link; `heard` absent: nothing was looked up yet. */
export const WhyPage = ({
  shell,
  state,
  heard,
}: {
  shell: Shell & { readonly tenant: Tenant };
  state: FormState;
  heard?: readonly WhyNot[];
}) => (
  <Layout shell={shell} title={words.whyTitle}>
    <p class="crumb">
      <a href={answersPath(shell.tenant)}>{words.back}</a>
    </p>
    <h1>{words.whyTitle}</h1>
    <p class="lead">{words.whyLead}</p>
    <form class="form" method="get" action={`${answersPath(shell.tenant)}/why`}>
      <TextField state={state} name="link" label={words.whyLabel} required maxlength={1000} autocomplete="off" />
      <p class="actions">
        <button type="submit" class="primary">
          {words.whySubmit}
        </button>
      </p>
    </form>
    {heard !== undefined && (heard.length === 0 ? <Unheard /> : <Heard tenant={shell.tenant} heard={heard} />)}
  </Layout>
);

const Unheard = () => (
  <section class="part" role="status">
    <h2>{words.unheardTitle}</h2>
    <ul class="consequences">
      {words.unheard.map((line) => (
        <li>{line}</li>
      ))}
    </ul>
  </section>
);

const Heard = ({ tenant, heard }: { tenant: Tenant; heard: readonly WhyNot[] }) => (
  <ol class="cards" role="status">
    {heard.map(({ kind, settled, reason, receivedAt, receipt }) => (
      <li class="card">
        <h2>{!settled || reason === undefined ? words.waiting : (texts.reasons[reason] ?? reason)}</h2>
        <p class="figures">
          <Chip>{words.kinds[kind]}</Chip>
          {reason !== undefined && <code>{reason}</code>}
          <span>
            {words.heardAt} <Time at={receivedAt} />
          </span>
          {receipt !== null && <a href={receiptPath(tenant, receipt.answerId)}>{words.receipt}</a>}
        </p>
      </li>
    ))}
  </ol>
);
