import type { ApiKey, Tenant } from '../../core/domain.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { ActionButton, ChooseField, FormBox, type FormState, TextField } from './parts/form.tsx';
import { Chip, Table } from './parts/table.tsx';

const words = texts.settings;

export const keysPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/keys`;

export const KeysPage = ({
  shell,
  keys,
  state,
  made,
}: {
  shell: Shell & { readonly tenant: Tenant };
  keys: readonly ApiKey[];
  state: FormState;
  /** A key that was just made; the only time that it is shown. */
  made?: string;
}) => {
  const path = keysPath(shell.tenant);
  return (
    <Layout shell={shell} title={words.keysTitle}>
      <h1>{words.keysTitle}</h1>
      <p class="lead">{words.keysLead}</p>
      {made !== undefined && (
        <div class="notice note secret" role="status">
          <p>{words.keyMade}</p>
          <pre>
            <code>{made}</code>
          </pre>
        </div>
      )}
      {keys.length === 0 ? (
        <p class="part muted">{words.keysNone}</p>
      ) : (
        <Table
          caption={words.keysTitle}
          rows={keys}
          columns={[
            { head: words.keyName, cell: (key) => key.name },
            { head: words.keyScopes, cell: (key) => key.scopes.map((scope) => <Chip>{scope}</Chip>) },
            { head: words.keyCreated, cell: (key) => <Time at={key.createdAt} /> },
            {
              head: words.keyUsed,
              cell: (key) => (key.lastUsedAt === undefined ? words.never : <Time at={key.lastUsedAt} />),
            },
            {
              head: words.revoke,
              cell: (key) => (
                <ActionButton
                  action={`${path}/${encodeURIComponent(key.id)}/revoke`}
                  label={words.revoke}
                  kind="quiet"
                />
              ),
            },
          ]}
        />
      )}
      <section class="part">
        <h2>{words.keyCreate}</h2>
        <FormBox state={state} action={path} submit={words.keyCreate}>
          <TextField
            state={state}
            name="name"
            label={words.keyName}
            hint={words.keyNameHint}
            required
            maxlength={200}
            autocomplete="off"
          />
          <ChooseField
            state={state}
            name="scopes"
            label={words.keyScopes}
            options={Object.entries(words.scopes).map(([value, label]) => ({ value, label }))}
          />
        </FormBox>
      </section>
    </Layout>
  );
};
