import type { Core } from '../../core/core.ts';
import { texts } from '../texts.ts';
import { Layout } from './layout.tsx';
import { FormBox, type FormState, SelectField, TextField } from './parts/form.tsx';
import { SettingsTabs, settingsPath, type TenantShell } from './settings.tsx';

const words = texts.settingsMore;
const options = (of: Readonly<Record<string, string>>) =>
  Object.entries(of).map(([value, label]) => ({ value, label }));

export const AnsweringPage = ({
  shell,
  state,
  modes,
}: {
  shell: TenantShell;
  state: FormState;
  modes: Core['modes'];
}) => {
  const { tenant } = shell;
  const [own, ...others] = modes.chatModels ?? [];
  const chosen = tenant.settings.chatModel;
  return (
    <Layout shell={shell} title={words.answeringTitle}>
      <h1>{words.answeringTitle}</h1>
      <p class="lead">{words.answeringLead}</p>
      <SettingsTabs tenant={tenant} active="answering" />
      {chosen !== undefined &&
        modes.chatModel !== null &&
        !(modes.chatModels ?? [modes.chatModel]).includes(chosen) && (
          <p class="notice warn">{words.modelGone(chosen)}</p>
        )}
      <FormBox
        state={state}
        action={settingsPath(tenant, 'answering')}
        submit={texts.settings.save}
        rev={shell.tenant.rev}
      >
        {own === undefined ? (
          <p class="muted">{modes.chatModel === null ? words.modelNone : words.modelOnly(modes.chatModel)}</p>
        ) : (
          <SelectField
            state={state}
            name="chatModel"
            label={words.model}
            hint={words.modelHint}
            none={words.modelDefault(own)}
            options={others.map((name) => ({ value: name, label: name }))}
          />
        )}
        <TextField
          state={state}
          name="passages"
          label={words.passages}
          hint={words.passagesHint}
          inputmode="numeric"
          maxlength={2}
        />
        <SelectField
          state={state}
          name="floor"
          label={words.floor}
          hint={words.floorHint}
          options={options(words.floors)}
        />
        <SelectField
          state={state}
          name="meaning"
          label={words.meaning}
          hint={modes.embeddingModel === null ? words.meaningNone : words.meaningHint}
          // An object with such keys is not in order.
          options={options(words.meanings).toSorted((a, b) => Number(a.value) - Number(b.value))}
        />
        <p class="hint">{words.answeringCache}</p>
      </FormBox>
    </Layout>
  );
};
