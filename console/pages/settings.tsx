import type { Tenant } from '../../core/domain.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell } from './layout.tsx';
import { ActionButton, CheckField, FormBox, type FormState, TextArea, TextField } from './parts/form.tsx';

const words = texts.settings;

export const settingsPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/settings`;

export const SettingsPage = ({
  shell,
  state,
  forget,
  isOwner,
}: {
  shell: Shell & { readonly tenant: Tenant };
  state: FormState;
  /** The form that names a person to forget. */
  forget: FormState;
  /** Deleting the organisation is its owner's, or an operator's. */
  isOwner: boolean;
}) => {
  const path = settingsPath(shell.tenant);
  return (
    <Layout shell={shell} title={words.title}>
      <h1>{words.title}</h1>
      <p class="lead">{words.lead}</p>
      <FormBox state={state} action={path} submit={words.save} rev={shell.tenant.rev}>
        <TextField state={state} name="name" label={words.name} required maxlength={200} />
        <TextArea
          state={state}
          name="instructions"
          label={words.instructions}
          hint={words.instructionsHint}
          maxlength={4000}
        />
        <TextField state={state} name="language" label={words.language} hint={words.languageHint} maxlength={35} />
        <CheckField state={state} name="keepText" label={words.keepText} hint={words.keepTextHint} />
        <TextField
          state={state}
          name="retentionDays"
          label={words.retention}
          hint={words.retentionHint}
          inputmode="numeric"
          maxlength={5}
        />
      </FormBox>
      <section class="part">
        <h2>{words.danger}</h2>
        <FormBox state={forget} action={`${path}/forget`} submit={words.forgetButton}>
          <TextField
            state={forget}
            name="member"
            label={words.forget}
            hint={words.forgetHint}
            required
            maxlength={200}
            autocomplete="off"
          />
        </FormBox>
        {isOwner && (
          <p class="bar-row">
            <ActionButton action={`${path}/delete`} label={words.delete} kind="danger" />
          </p>
        )}
      </section>
    </Layout>
  );
};
