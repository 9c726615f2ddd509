import type { RetentionRun } from '../../core/domain.ts';
import { texts } from '../texts.ts';
import { Layout, Time } from './layout.tsx';
import { CheckField, ChooseField, FormBox, type FormState, TextField } from './parts/form.tsx';
import { Num, Table } from './parts/table.tsx';
import { SettingsTabs, settingsPath, type TenantShell } from './settings.tsx';

const words = texts.settingsMore;
const plain = texts.settings;

export const PrivacyPage = ({
  shell,
  state,
  forget,
  runs,
}: {
  shell: TenantShell;
  state: FormState;
  /** The form that names a person to forget. */
  forget: FormState;
  runs: readonly RetentionRun[];
}) => {
  const { tenant } = shell;
  const path = settingsPath(tenant, 'privacy');
  return (
    <Layout shell={shell} title={words.privacyTitle}>
      <h1>{words.privacyTitle}</h1>
      <p class="lead">{words.privacyLead}</p>
      <SettingsTabs tenant={tenant} active="privacy" />
      <FormBox state={state} action={path} submit={plain.save} rev={tenant.rev}>
        <CheckField state={state} name="keepText" label={plain.keepText} hint={plain.keepTextHint} />
        <TextField
          state={state}
          name="retentionDays"
          label={plain.retention}
          hint={plain.retentionHint}
          inputmode="numeric"
          maxlength={5}
        />
        <ChooseField
          state={state}
          name="masked"
          label={words.masking}
          hint={words.maskingHint}
          options={Object.entries(words.maskedKinds).map(([value, label]) => ({ value, label }))}
        />
        <CheckField state={state} name="beforeModel" label={words.beforeModel} hint={words.beforeModelHint} />
        <p class="hint">{words.maskingNot}</p>
      </FormBox>
      <Retention days={tenant.settings.retentionDays} runs={runs} />
      <section class="part">
        <h2>{words.forgetTitle}</h2>
        <p class="muted">{words.forgetText}</p>
        <FormBox state={forget} action={`${settingsPath(tenant)}/forget`} submit={plain.forgetButton}>
          <TextField
            state={forget}
            name="member"
            label={plain.forgetMember}
            hint={plain.forgetHint}
            required
            maxlength={200}
            autocomplete="off"
          />
        </FormBox>
      </section>
    </Layout>
  );
};

const Retention = ({ days, runs }: { days: number | undefined; runs: readonly RetentionRun[] }) => {
  const [last] = runs;
  return (
    <section class="part">
      <h2>{words.retentionTitle}</h2>
      <p>{days === undefined ? words.retentionOff : words.retentionOn(days)}</p>
      <ul class="consequences">
        {words.retentionKeeps.map((line) => (
          <li>{line}</li>
        ))}
      </ul>
      {days !== undefined && last === undefined && <p class="muted">{words.retentionNone}</p>}
      {last !== undefined && (
        <>
          <p class="last-run">
            {words.retentionLast}: <Time at={last.at} />
          </p>
          <Table
            caption={words.retentionTitle}
            rows={runs.slice(0, 14)}
            columns={[
              { head: words.retentionDay, cell: ({ day }) => day },
              { head: words.retentionAnswers, figures: true, cell: ({ receipts }) => <Num value={receipts} /> },
              { head: words.retentionTurns, figures: true, cell: ({ turns }) => <Num value={turns} /> },
            ]}
          />
        </>
      )}
    </section>
  );
};
