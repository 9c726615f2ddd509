import type { Notice, Tenant, Webhook } from '../../core/domain.ts';
import { webhookEvents } from '../../core/ports/notices.ts';
import { milliseconds, texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { ActionButton, CheckField, ChooseField, FormBox, type FormState, TextField } from './parts/form.tsx';
import { Chip, More, Num, Table } from './parts/table.tsx';

type TenantShell = Shell & { readonly tenant: Tenant };
const words = texts.webhooks;

export const webhooksPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/webhooks`;
export const webhookPath = (tenant: Tenant, webhookId: string): string =>
  `${webhooksPath(tenant)}/${encodeURIComponent(webhookId)}`;

const State = ({ webhook: { paused, failingSince } }: { webhook: Webhook }) =>
  paused !== undefined ? (
    <Chip tone={paused.by === 'failures' ? 'bad' : 'warn'}>
      {paused.by === 'failures' ? words.pausedByFailures : words.paused}
    </Chip>
  ) : failingSince !== undefined ? (
    <Chip tone="warn">{words.failing}</Chip>
  ) : (
    <Chip tone="good">{words.on}</Chip>
  );

const Fields = ({ state }: { state: FormState }) => (
  <>
    <TextField
      state={state}
      name="name"
      label={words.name}
      hint={words.nameHint}
      required
      maxlength={200}
      autocomplete="off"
    />
    <TextField
      state={state}
      name="url"
      type="url"
      label={words.url}
      hint={words.urlHint}
      required
      maxlength={2000}
      placeholder="https://example.com/footnote"
      autocomplete="off"
    />
    <ChooseField
      state={state}
      name="events"
      label={words.events}
      options={webhookEvents.map((value) => ({ value, label: words.eventNames[value] ?? value }))}
    />
    <CheckField state={state} name="text" label={words.text} hint={words.textHint} />
  </>
);

export const WebhooksPage = ({
  shell,
  webhooks,
  state,
}: {
  shell: TenantShell;
  webhooks: readonly Webhook[];
  state: FormState;
}) => (
  <Layout shell={shell} title={words.title} wide>
    <h1>{words.title}</h1>
    <p class="lead">{words.lead}</p>
    {webhooks.length === 0 ? (
      <p class="part muted">{words.none}</p>
    ) : (
      <Table
        caption={words.title}
        rows={webhooks}
        columns={[
          { head: words.name, cell: ({ id, name }) => <a href={webhookPath(shell.tenant, id)}>{name}</a> },
          { head: words.url, cell: ({ url }) => <code>{hostOf(url)}</code> },
          { head: words.events, cell: ({ events }) => words.eventCount(events.length) },
          { head: words.state, cell: (webhook) => <State webhook={webhook} /> },
          {
            head: words.lastDelivered,
            cell: ({ lastDeliveredAt }) =>
              lastDeliveredAt === undefined ? words.never : <Time at={lastDeliveredAt} />,
          },
        ]}
      />
    )}
    <section class="part">
      <h2>{words.add}</h2>
      <FormBox state={state} action={webhooksPath(shell.tenant)} submit={words.add}>
        <Fields state={state} />
      </FormBox>
    </section>
  </Layout>
);

/** Whom it is for; a path may hold what only the receiver should know. */
const hostOf = (url: string): string => URL.parse(url)?.host ?? url;

export const WebhookPage = ({
  shell,
  webhook,
  deliveries,
  more,
  state,
  secret,
}: {
  shell: TenantShell;
  webhook: Webhook;
  deliveries: readonly Notice[];
  more: string | undefined;
  state: FormState;
  /** Just made; the only time that it is shown. */
  secret?: string;
}) => {
  const path = webhookPath(shell.tenant, webhook.id);
  const { paused, failingSince } = webhook;
  return (
    <Layout shell={shell} title={webhook.name} wide>
      <p class="crumb">
        <a href={webhooksPath(shell.tenant)}>{words.back}</a>
      </p>
      <div class="head">
        <h1>{webhook.name}</h1>
        <State webhook={webhook} />
      </div>
      {secret !== undefined && (
        <div class="notice note secret" role="status">
          <p>{words.secretMade}</p>
          <pre>
            <code>{secret}</code>
          </pre>
          <p>{words.signedBy}</p>
        </div>
      )}
      {paused !== undefined && (
        <p class="notice warn">
          {paused.by === 'failures' ? words.pausedFailuresNotice : words.pausedNotice}
          {paused.why === undefined ? '' : ` ${paused.why}`}
        </p>
      )}
      {paused === undefined && failingSince !== undefined && (
        <p class="notice warn">
          {words.failingNotice} <Time at={failingSince} />
        </p>
      )}
      <div class="bar-row">
        <ActionButton action={`${path}/test`} label={words.test} kind="primary" />
        {paused === undefined ? (
          <ActionButton action={`${path}/pause`} label={words.pause} />
        ) : (
          <ActionButton action={`${path}/resume`} label={words.resume} />
        )}
        <ActionButton action={`${path}/secret`} label={words.newSecret} />
        <ActionButton action={`${path}/remove`} label={words.remove} kind="danger" />
      </div>
      <Deliveries deliveries={deliveries} more={more} />
      <section class="part">
        <h2>{words.settings}</h2>
        <FormBox state={state} action={path} submit={words.save} rev={webhook.rev}>
          <Fields state={state} />
        </FormBox>
      </section>
    </Layout>
  );
};

const Deliveries = ({ deliveries, more }: { deliveries: readonly Notice[]; more: string | undefined }) => (
  <section class="part">
    <h2>{words.log}</h2>
    <p class="hint">{words.logHint}</p>
    {deliveries.length === 0 ? (
      <p class="muted">{words.logNone}</p>
    ) : (
      <Table
        caption={words.log}
        rows={deliveries}
        columns={[
          { head: words.event, cell: ({ event }) => <code class="event">{event}</code> },
          { head: words.at, cell: ({ createdAt }) => <Time at={createdAt} /> },
          { head: words.outcome, cell: (notice) => <Outcome notice={notice} /> },
          {
            head: words.status,
            figures: true,
            cell: ({ status }) => status ?? <span class="muted">{words.noStatus}</span>,
          },
          { head: words.attempts, figures: true, cell: ({ attempts }) => <Num value={attempts} /> },
          {
            head: words.tookMs,
            figures: true,
            cell: ({ tookMs }) => (tookMs === undefined ? '' : milliseconds(tookMs)),
          },
        ]}
      />
    )}
    <More href={more} />
  </section>
);

const tones = { waiting: 'warn', delivered: 'good', failed: 'bad' } as const;

const Outcome = ({ notice: { state, problem, nextAt, attempts } }: { notice: Notice }) => (
  <span class="delivered-as">
    <Chip tone={tones[state]}>{words.states[state]}</Chip>
    {state !== 'delivered' && problem !== undefined && <small>{problem}</small>}
    {state === 'waiting' && attempts > 0 && (
      <small>
        {words.nextTry} <Time at={nextAt} />
      </small>
    )}
  </span>
);
