import type { QuotaState } from '../../core/core.ts';
import type { Connection, Price, Receiver, Tenant } from '../../core/domain.ts';
import { currencyOf } from '../../core/text/currency.ts';
import { decimalOf } from '../../core/text/decimal.ts';
import type { Names } from '../names.ts';
import { keptLimits, revisionOf } from '../revision.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { mayPass } from './pages.tsx';
import { ActionButton, FormBox, type FormState, SelectField, TextField } from './parts/form.tsx';
import { Meter, Money, Num, Table } from './parts/table.tsx';

type TenantShell = Shell & { readonly tenant: Tenant };
const words = texts.billing;

export const quotasPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/quotas`;
export const pricesPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/prices`;

/** Names a limit: there is at most one of each name. */
export const nameOfLimit = ({ scope, id, unit, per }: Pick<QuotaState, 'scope' | 'id' | 'unit' | 'per'>): string =>
  JSON.stringify([scope, id ?? null, unit, per]);

/** The id alone where nobody knows a name: the platform stands beside it. */
const personInWords = (platform: string, userId: string | undefined, names: Names): string => {
  const memberId = `${platform}:${userId}`;
  const name = names.member(memberId);
  return name === memberId ? (userId ?? '') : name;
};

const scopeInWords = ({ scope, id }: QuotaState, names: Names): string =>
  id === undefined || scope === 'tenant'
    ? words.scopes[scope]
    : words.scopeOne[scope](scope === 'channel' ? names.channelId(id) : names.member(id));

const Amount = ({ state, value, currency }: { state: QuotaState; value: number; currency: string }) =>
  state.unit === 'money' ? <Money amount={decimalOf(value)} currency={currency} /> : <Num value={value} />;

/** What was met lately, to be chosen by its name. */
export type KnownPlaces = {
  readonly channels: readonly {
    readonly platform: string;
    readonly channelId: string;
    readonly name: string;
  }[];
  /** `platform:userId`. */
  readonly members: readonly string[];
};

export const QuotasPage = ({
  shell,
  limits,
  state,
  warnings,
  receiver,
  connections,
  known,
  names,
}: {
  shell: TenantShell;
  limits: readonly QuotaState[];
  state: FormState;
  /** The form of thresholds. */
  warnings: FormState;
  /** The form that adds a receiver. */
  receiver: FormState;
  connections: readonly Connection[];
  known: KnownPlaces;
  names: Names;
}) => {
  const mayEdit = mayPass(shell.roles ?? [], 'admin');
  const currency = currencyOf(shell.tenant);
  const path = quotasPath(shell.tenant);
  const seen = revisionOf(keptLimits(limits));
  const options = (of: Readonly<Record<string, string>>) =>
    Object.entries(of).map(([value, label]) => ({ value, label }));
  return (
    <Layout shell={shell} title={words.quotasTitle} wide>
      <h1>{words.quotasTitle}</h1>
      <p class="lead">{words.quotasLead}</p>
      {limits.length === 0 ? (
        <p class="part muted">{words.quotasNone}</p>
      ) : (
        <Table
          caption={words.quotasTitle}
          rows={limits}
          columns={[
            { head: words.scope, cell: (one) => scopeInWords(one, names) },
            {
              head: words.limit,
              figures: true,
              cell: (one) => (
                <span>
                  <Amount state={one} value={one.limit} currency={currency} />
                  {`${one.unit === 'money' ? '' : ` ${words.units[one.unit]}`} / ${words.pers[one.per]}`}
                </span>
              ),
            },
            {
              head: words.used,
              figures: true,
              // Each channel or member has a counter of its own; there is no one figure for all of them.
              cell: (one) =>
                one.scope !== 'tenant' && one.id === undefined ? (
                  <span class="muted">{words.perEach}</span>
                ) : (
                  <span class="measured">
                    <Amount state={one} value={one.used} currency={currency} />
                    <Meter label={`${words.used}: ${scopeInWords(one, names)}`} value={one.used} max={one.limit} />
                  </span>
                ),
            },
            { head: words.grace, cell: (one) => graceOf(one) ?? <span class="muted">{words.graceNone}</span> },
            { head: words.resets, cell: (one) => <Time at={one.resetsAt} /> },
            ...(mayEdit
              ? [
                  {
                    head: words.remove,
                    cell: (one: QuotaState) => (
                      <ActionButton
                        action={`${path}/remove`}
                        label={words.remove}
                        fields={{ limit: nameOfLimit(one), seen: seen }}
                        kind="quiet"
                      />
                    ),
                  },
                ]
              : []),
          ]}
        />
      )}
      {mayEdit && (
        <section class="part">
          <h2>{words.quotasAdd}</h2>
          <FormBox state={state} action={path} submit={words.quotasAdd}>
            <SelectField state={state} name="scope" label={words.scope} options={options(words.scopes)} />
            <TextField
              state={state}
              name="id"
              label={words.oneOnly}
              hint={words.oneOnlyHint}
              maxlength={200}
              autocomplete="off"
              known={[
                ...known.channels.map(({ platform, channelId, name }) => ({
                  value: `${platform}:${channelId}`,
                  label: name,
                })),
                ...known.members.map((value) => ({ value, label: words.receiverKinds.person })),
              ]}
            />
            <div class="pair">
              <SelectField
                state={state}
                name="unit"
                label={words.unit}
                options={options({ ...words.units, money: `${words.units.money} (${currency})` })}
              />
              <SelectField state={state} name="per" label={words.per} options={options(words.pers)} />
            </div>
            <TextField
              state={state}
              name="limit"
              label={words.limit}
              required
              inputmode="decimal"
              autocomplete="off"
              maxlength={25}
            />
            <div class="pair">
              <TextField
                state={state}
                name="gracePercent"
                label={words.gracePercent}
                hint={words.gracePercentHint}
                inputmode="numeric"
                maxlength={3}
              />
              <TextField
                state={state}
                name="graceUntil"
                type="date"
                label={words.graceUntil}
                hint={words.graceUntilHint}
              />
            </div>
            <p class="hint">{words.graceCounts}</p>
            <input type="hidden" name="seen" value={seen} />
          </FormBox>
        </section>
      )}
      <Warnings
        shell={shell}
        warnings={warnings}
        receiver={receiver}
        connections={connections}
        known={known}
        names={names}
        mayEdit={mayEdit}
      />
    </Layout>
  );
};

/** One that is connected; where none is (a deployment with a token of its own), as the platform calls it. */
const Workspace = ({
  state,
  connections,
  names,
}: {
  state: FormState;
  connections: readonly Connection[];
  names: Names;
}) =>
  connections.length > 0 ? (
    <SelectField
      state={state}
      name="workspace"
      label={words.receiverWorkspace}
      options={connections.map((connection) => ({
        value: `${connection.platform}:${connection.workspaceId}`,
        label: names.connection(connection),
      }))}
    />
  ) : (
    <>
      <SelectField
        state={state}
        name="platform"
        label={words.receiverPlatform}
        options={(['slack', 'discord', 'teams'] as const).map((value) => ({
          value,
          label: texts.connections.platforms[value],
        }))}
      />
      <TextField
        state={state}
        name="workspaceId"
        label={words.receiverWorkspace}
        hint={words.receiverWorkspaceHint}
        required
        maxlength={200}
        autocomplete="off"
      />
    </>
  );

const Warnings = ({
  shell,
  warnings,
  receiver,
  connections,
  known,
  names,
  mayEdit,
}: {
  shell: TenantShell;
  warnings: FormState;
  receiver: FormState;
  connections: readonly Connection[];
  known: KnownPlaces;
  names: Names;
  mayEdit: boolean;
}) => {
  const path = quotasPath(shell.tenant);
  const { rev, settings } = shell.tenant;
  const to = settings.quotaWarnings?.to ?? [];
  return (
    <section class="part">
      <h2>{words.warningsTitle}</h2>
      <p class="muted">{words.warningsLead}</p>
      {to.length === 0 ? (
        <p class="muted">{words.receiversNone}</p>
      ) : (
        <Table
          caption={words.receivers}
          rows={to}
          columns={[
            {
              head: words.receivers,
              cell: ({ platform, channelId, userId }) =>
                channelId === undefined
                  ? `${words.receiverKinds.person}: ${personInWords(platform, userId, names)}`
                  : `${words.receiverKinds.channel}: ${names.channel({ platform, channelId })}`,
            },
            { head: words.receiverWorkspace, cell: (one) => names.connection(one) },
            ...(mayEdit
              ? [
                  {
                    head: words.remove,
                    cell: (one: Receiver) => (
                      <ActionButton
                        action={`${path}/warnings/remove`}
                        label={words.remove}
                        fields={{ receiver: nameOfReceiver(one), rev: String(rev) }}
                        kind="quiet"
                      />
                    ),
                  },
                ]
              : []),
          ]}
        />
      )}
      {mayEdit && (
        <div class="side-by-side">
          <FormBox state={warnings} action={`${path}/warnings`} submit={texts.settings.save} rev={rev} stands={path}>
            <TextField
              state={warnings}
              name="at"
              label={words.warnAt}
              hint={words.warnAtHint}
              required
              maxlength={40}
            />
          </FormBox>
          <FormBox
            state={receiver}
            action={`${path}/warnings/receivers`}
            submit={words.receiverAdd}
            rev={rev}
            stands={path}
          >
            <Workspace state={receiver} connections={connections} names={names} />
            <SelectField
              state={receiver}
              name="kind"
              label={words.receiverKind}
              options={Object.entries(words.receiverKinds).map(([value, label]) => ({ value, label }))}
            />
            <TextField
              state={receiver}
              name="receiverId"
              label={words.receiverId}
              hint={words.receiverIdHint}
              required
              maxlength={200}
              autocomplete="off"
              known={[
                ...known.channels.map(({ channelId, name }) => ({ value: channelId, label: name })),
                ...known.members.flatMap((member) => {
                  const [, platform, id] = /^(slack|discord|teams):(.+)$/s.exec(member) ?? [];
                  if (platform === undefined || id === undefined) return [];
                  const where = texts.connections.platforms[platform as Connection['platform']];
                  const name = names.member(member);
                  return [{ value: id, label: name === member ? `${where}, ${words.receiverKinds.person}` : name }];
                }),
              ]}
            />
          </FormBox>
        </div>
      )}
    </section>
  );
};

export const nameOfReceiver = ({ platform, workspaceId, channelId, userId }: Receiver): string =>
  JSON.stringify([platform, workspaceId, channelId ?? null, userId ?? null]);

const graceOf = ({ grace }: QuotaState): string | null =>
  grace === undefined
    ? null
    : words.graceInWords(
        grace.percent,
        // The last day of it.
        grace.until === undefined ? undefined : new Date(grace.until - 1).toISOString().slice(0, 10),
      );

export const PricesPage = ({
  shell,
  prices,
  state,
  rev,
}: {
  shell: TenantShell;
  prices: readonly Price[];
  state: FormState;
  rev: number;
}) => {
  const mayEdit = mayPass(shell.roles ?? [], 'admin');
  const path = pricesPath(shell.tenant);
  return (
    <Layout shell={shell} title={words.pricesTitle} wide>
      <h1>{words.pricesTitle}</h1>
      <p class="lead">{words.pricesLead}</p>
      {prices.length === 0 ? (
        <p class="part muted">{words.pricesNone}</p>
      ) : (
        <Table
          caption={words.pricesTitle}
          rows={prices}
          columns={[
            { head: words.model, cell: (price) => price.model },
            { head: words.priceFrom, cell: (price) => price.from },
            {
              head: words.priceInput,
              figures: true,
              cell: (price) => `${price.inputPerMillion} ${price.currency}`,
            },
            {
              head: words.priceOutput,
              figures: true,
              cell: (price) => `${price.outputPerMillion} ${price.currency}`,
            },
            ...(mayEdit
              ? [
                  {
                    head: words.priceRemove,
                    cell: (price: Price) => (
                      <ActionButton
                        action={`${path}/remove`}
                        label={words.priceRemove}
                        fields={{ model: price.model, from: price.from, rev: String(rev) }}
                        kind="quiet"
                      />
                    ),
                  },
                ]
              : []),
          ]}
        />
      )}
      {mayEdit && (
        <section class="part">
          <h2>{words.pricesAdd}</h2>
          <FormBox state={state} action={path} submit={words.pricesAdd} rev={rev}>
            <TextField state={state} name="model" label={words.priceModel} required maxlength={200} />
            <TextField state={state} name="inputPerMillion" label={words.priceInput} required inputmode="decimal" />
            <TextField state={state} name="outputPerMillion" label={words.priceOutput} required inputmode="decimal" />
            <TextField state={state} name="currency" label={words.priceCurrency} required maxlength={3} />
            <TextField state={state} name="from" label={words.priceFrom} type="date" required />
          </FormBox>
        </section>
      )}
    </Layout>
  );
};
