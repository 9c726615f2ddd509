import type { Connection, Tenant } from '../../core/domain.ts';
import type { CheckUpLine, Joining } from '../../core/ports/platform.ts';
import type { Names } from '../names.ts';
import { texts } from '../texts.ts';
import { Empty, Layout, type Shell, Time } from './layout.tsx';
import { mayPass } from './pages.tsx';
import { ActionButton, FormBox, type FormState, TextField } from './parts/form.tsx';
import { Chip, Facts, Table } from './parts/table.tsx';

const words = texts.connections;
type TenantShell = Shell & { readonly tenant: Tenant };
export type ChatPlatform = Connection['platform'];
export const chatPlatforms = Object.keys(words.platforms) as readonly ChatPlatform[];

export const connectionsPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/connections`;
export const connectionPath = (tenant: Tenant, { id }: Connection): string => `${connectionsPath(tenant)}/${id}`;
const newPath = (tenant: Tenant, platform: ChatPlatform): string =>
  `${connectionsPath(tenant)}/new?platform=${platform}`;

export const ConnectionsPage = ({
  shell,
  connections,
  names,
}: {
  shell: TenantShell;
  connections: readonly Connection[];
  names: Names;
}) => {
  const mayEdit = mayPass(shell.roles ?? [], 'admin');
  if (connections.length === 0)
    return (
      <Layout shell={shell} title={words.title}>
        <Empty title={words.emptyTitle} text={mayEdit ? words.emptyText : words.emptyViewer}>
          {mayEdit && <Choice tenant={shell.tenant} />}
        </Empty>
      </Layout>
    );
  return (
    <Layout shell={shell} title={words.title}>
      <div class="head">
        <h1>{words.title}</h1>
        {mayEdit && (
          <a class="button primary" href={`${connectionsPath(shell.tenant)}/new`}>
            {words.add}
          </a>
        )}
      </div>
      <p class="lead">{words.lead}</p>
      <Table
        caption={words.caption}
        rows={connections}
        columns={[
          {
            head: words.workspace,
            cell: (connection) => <a href={connectionPath(shell.tenant, connection)}>{names.connection(connection)}</a>,
          },
          { head: words.health, cell: (connection) => <ConnectionState connection={connection} /> },
          {
            head: words.lastHeard,
            cell: ({ lastEventAt }) => (lastEventAt === undefined ? words.never : <Time at={lastEventAt} />),
          },
          { head: words.lastError, cell: (connection) => <LastError connection={connection} /> },
        ]}
      />
    </Layout>
  );
};

/** A problem that is older than the last sign of life is over. */
export const isTroubled = ({ lastErrorAt, lastEventAt = 0 }: Connection): boolean =>
  lastErrorAt !== undefined && lastErrorAt >= lastEventAt;

export const ConnectionState = ({ connection }: { connection: Connection }) => {
  if (isTroubled(connection)) return <Chip tone="bad">{words.troubled}</Chip>;
  return connection.lastEventAt === undefined ? <Chip>{words.waiting}</Chip> : <Chip tone="good">{words.well}</Chip>;
};

const LastError = ({ connection: { lastError, lastErrorAt } }: { connection: Connection }) =>
  lastError === undefined ? (
    <>–</>
  ) : (
    <>
      {lastError} {lastErrorAt !== undefined && <Time at={lastErrorAt} />}
    </>
  );

const Choice = ({ tenant }: { tenant: Tenant }) => (
  <ul class="cards kinds">
    {chatPlatforms.map((platform) => (
      <li class="card">
        <h2>
          <a href={newPath(tenant, platform)}>{words.platforms[platform]}</a>
        </h2>
      </li>
    ))}
  </ul>
);

export const ChoosePlatformPage = ({ shell }: { shell: TenantShell }) => (
  <Layout shell={shell} title={words.add}>
    <p class="crumb">
      <a href={connectionsPath(shell.tenant)}>{words.back}</a>
    </p>
    <h1>{words.add}</h1>
    <p class="lead">{words.chooseLead}</p>
    <Choice tenant={shell.tenant} />
  </Layout>
);

/** The way into a workspace, step by step, by what this deployment can offer. */
export const JoinPage = ({
  shell,
  platform,
  joining,
  claim,
  create,
}: {
  shell: TenantShell;
  platform: ChatPlatform;
  joining: Joining;
  claim: FormState;
  create: FormState;
}) => {
  const path = connectionsPath(shell.tenant);
  const steps = words.steps[platform];
  const offer = joining.link ?? (joining.file === undefined ? undefined : `${path}/package/${platform}`);
  return (
    <Layout shell={shell} title={`${words.add}: ${words.platforms[platform]}`}>
      <p class="crumb">
        <a href={`${path}/new`}>{words.add}</a>
      </p>
      <h1>{words.platforms[platform]}</h1>
      <p class="lead">{words.stepsLead}</p>
      <ol class="guide">
        <li>
          {offer === undefined ? (
            <p class="notice">{words.notOffered[platform]}</p>
          ) : (
            <>
              <p>{steps.take}</p>
              <p>
                <a
                  class="button"
                  href={offer}
                  {...(joining.link === undefined ? { download: true } : { target: '_blank', rel: 'noopener' })}
                >
                  {steps.link}
                </a>
              </p>
            </>
          )}
        </li>
        <li>
          <p>{steps.show}</p>
        </li>
        <li>
          <p>{words.enter}</p>
          <FormBox state={claim} action={`${path}/claim`} submit={words.connect} cancel={path}>
            <input type="hidden" name="platform" value={platform} />
            <TextField
              state={claim}
              name="code"
              label={words.code}
              hint={words.codeHint}
              required
              maxlength={200}
              autocomplete="off"
            />
          </FormBox>
        </li>
      </ol>
      {shell.isOperator === true && <Operator path={path} platform={platform} joining={joining} state={create} />}
    </Layout>
  );
};

const Operator = ({
  path,
  platform,
  joining: { ownApp = [] },
  state,
}: {
  path: string;
  platform: ChatPlatform;
  joining: Joining;
  state: FormState;
}) => (
  <section class="part">
    <h2>{words.operatorTitle}</h2>
    <p class="lead">{words.operatorLead}</p>
    <FormBox state={state} action={path} submit={words.connect}>
      <input type="hidden" name="platform" value={platform} />
      <TextField
        state={state}
        name="workspaceId"
        label={words.workspaces[platform]}
        hint={words.workspaceHints[platform]}
        required
        maxlength={200}
        autocomplete="off"
      />
      {ownApp.length > 0 && (
        <p class="hint">
          {words.ownAppTitle}: {words.ownAppLead}
        </p>
      )}
      {ownApp.map((name) => (
        <TextField
          state={state}
          name={name}
          type="password"
          label={words.credentials[name] ?? name}
          hint={words.credentialHints[name]}
          maxlength={8192}
          autocomplete="off"
        />
      ))}
    </FormBox>
  </section>
);

export const ConnectionPage = ({
  shell,
  connection,
  name,
  lines,
  publicUrl,
}: {
  shell: TenantShell;
  connection: Connection;
  /** As people call it. */
  name: string;
  /** Null: the platform could not be asked. */
  lines: readonly CheckUpLine[] | null;
  publicUrl: string;
}) => {
  const platform = words.platforms[connection.platform];
  const missing = lines?.filter(({ ok }) => !ok).length ?? 0;
  const isOwnSlackApp = connection.platform === 'slack' && connection.sealedCredentials !== undefined;
  return (
    <Layout shell={shell} title={words.checkUpTitle(platform)}>
      <p class="crumb">
        <a href={connectionsPath(shell.tenant)}>{words.back}</a>
      </p>
      <h1>{name}</h1>
      <Facts
        facts={[
          [words.health, <ConnectionState connection={connection} />],
          [words.lastHeard, connection.lastEventAt === undefined ? words.never : <Time at={connection.lastEventAt} />],
          [words.lastError, <LastError connection={connection} />],
          [words.since, <Time at={connection.createdAt} />],
          [words.workspaces[connection.platform], <code>{connection.workspaceId}</code>],
          [words.app, connection.sealedCredentials === undefined ? words.deploymentApp : words.ownApp],
          ...(isOwnSlackApp
            ? ([[words.eventsAt, <code>{`${publicUrl}/slack/events/${connection.id}`}</code>]] as const)
            : []),
        ]}
      />
      <section class="part">
        <h2>{words.checkUp}</h2>
        {lines === null ? (
          <p class="notice error">{words.notChecked}</p>
        ) : (
          <p class={`notice ${missing === 0 ? 'note' : 'error'}`}>
            {missing === 0 ? words.allWell : words.problems(missing)}
          </p>
        )}
        <ul class="check-up">
          {lines?.map(({ item, ok, advice }) => (
            <li>
              <Chip tone={ok ? 'good' : 'bad'}>{ok ? words.granted : words.missing}</Chip>
              <div>
                <p>{item}</p>
                {advice !== undefined && <p class="hint">{advice}</p>}
              </div>
            </li>
          ))}
        </ul>
      </section>
      {mayPass(shell.roles ?? [], 'admin') && (
        <p class="bar-row">
          <ActionButton
            action={`${connectionPath(shell.tenant, connection)}/delete`}
            label={words.disconnect}
            kind="danger"
          />
        </p>
      )}
    </Layout>
  );
};
