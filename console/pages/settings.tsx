import type { Tenant } from '../../core/domain.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell } from './layout.tsx';
import { ActionButton, FormBox, type FormState, TextArea, TextField } from './parts/form.tsx';
import { Tabs } from './parts/tabs.tsx';

const words = texts.settings;
const tabNames = ['general', 'answering', 'messages', 'privacy'] as const;
export type SettingsTab = (typeof tabNames)[number];
export type TenantShell = Shell & { readonly tenant: Tenant };

export const settingsPath = (tenant: Tenant, tab: SettingsTab = 'general'): string => {
  const path = `/console/${encodeURIComponent(tenant.slug)}/settings`;
  return tab === 'general' ? path : `${path}/${tab}`;
};

export const SettingsTabs = ({ tenant, active }: { tenant: Tenant; active: SettingsTab }) => (
  <Tabs
    label={texts.settingsMore.tabs}
    active={active}
    tabs={tabNames.map((name) => ({
      name,
      label: texts.settingsMore.tab[name],
      href: settingsPath(tenant, name),
    }))}
  />
);

export const SettingsPage = ({
  shell,
  state,
  isOwner,
}: {
  shell: TenantShell;
  state: FormState;
  /** Deleting the organisation is its owner's, or an operator's. */
  isOwner: boolean;
}) => {
  const path = settingsPath(shell.tenant);
  return (
    <Layout shell={shell} title={words.title}>
      <h1>{words.title}</h1>
      <p class="lead">{words.lead}</p>
      <SettingsTabs tenant={shell.tenant} active="general" />
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
      </FormBox>
      {isOwner && (
        <section class="part">
          <h2>{words.delete}</h2>
          <p class="muted">{words.deleteHint}</p>
          <div class="bar-row">
            <ActionButton action={`${path}/delete`} label={words.delete} kind="danger" />
          </div>
        </section>
      )}
    </Layout>
  );
};
