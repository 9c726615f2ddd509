import type { AudiencePreview, ChannelView, EffectiveRules } from '../../core/core.ts';
import type { ChannelRules, PlatformName, Source, Tenant } from '../../core/domain.ts';
import type { Names } from '../names.ts';
import { ownRules } from '../revision.ts';
import { texts } from '../texts.ts';
import { askPath } from './ask.tsx';
import { Layout, type Shell, Time } from './layout.tsx';
import { mayPass } from './pages.tsx';
import {
  ActionButton,
  CheckField,
  ChooseField,
  emptyForm,
  FormBox,
  type FormState,
  type Option,
  SelectField,
  TextArea,
  TextField,
} from './parts/form.tsx';
import { Chip, Table } from './parts/table.tsx';

const words = texts.channels;
const platformNames: Readonly<Record<string, string>> = texts.connections.platforms;
type TenantShell = Shell & { readonly tenant: Tenant };
export type Place = { readonly platform: PlatformName; readonly channelId: string };

export const channelsPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/channels`;
export const channelPath = (tenant: Tenant, { platform, channelId }: Place): string =>
  `${channelsPath(tenant)}/${platform}/${encodeURIComponent(channelId)}`;
export const defaultsPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/channel-rules`;
export const ChannelsPage = ({
  shell,
  channels,
  names,
}: {
  shell: TenantShell;
  channels: readonly ChannelView[];
  names: Names;
}) => {
  const { tenant } = shell;
  return (
    <Layout shell={shell} title={words.title}>
      <div class="head">
        <h1>{words.title}</h1>
        <a class="button" href={defaultsPath(tenant)}>
          {words.defaults}
        </a>
      </div>
      <p class="lead">{words.lead}</p>
      {channels.length === 0 ? (
        <p class="notice">{words.none}</p>
      ) : (
        <Table
          caption={words.caption}
          rows={channels}
          columns={[
            {
              head: words.channel,
              cell: (channel) => <a href={channelPath(tenant, channel)}>{names.channel(channel)}</a>,
            },
            { head: words.answering, cell: ({ rules }) => <Answering rules={rules} /> },
            {
              head: words.own,
              cell: ({ rules }) => {
                const own = Object.keys(ownRules(rules)) as (keyof ChannelRules)[];
                return own.length === 0 ? words.noOwn : own.map((name) => words.fields[name]).join(', ');
              },
            },
            {
              head: words.lastAsked,
              cell: ({ lastAskedAt }) => (lastAskedAt === undefined ? words.never : <Time at={lastAskedAt} />),
            },
          ]}
        />
      )}
      <section class="part">
        <h2>{words.open}</h2>
        <p class="hint">{words.openLead}</p>
        <form class="form" method="get" action={channelsPath(tenant)}>
          <SelectField
            state={emptyForm}
            name="platform"
            label={words.platform}
            options={Object.entries(platformNames).map(([value, label]) => ({ value, label }))}
          />
          <TextField
            state={emptyForm}
            name="channel"
            label={words.channelId}
            required
            maxlength={200}
            autocomplete="off"
          />
          <p class="actions">
            <button type="submit">{words.openButton}</button>
          </p>
        </form>
      </section>
    </Layout>
  );
};

const Answering = ({ rules }: { rules: EffectiveRules }) =>
  rules.enabled.value === false ? (
    <Chip tone="bad">{words.choices.enabled.off}</Chip>
  ) : (
    shownValue('answerWhen', rules.answerWhen.value, [])
  );

/** A rule's value in words. */
const shownValue = (name: keyof ChannelRules, value: unknown, sources: readonly Source[]): string => {
  if (name === 'sources') {
    if (!Array.isArray(value)) return words.allSources;
    return value.length === 0
      ? words.inheritedNone
      : value.map((id) => sources.find((source) => source.id === id)?.name ?? String(id)).join(', ');
  }
  if (value === undefined)
    return name === 'whoMayAsk'
      ? words.everybody
      : name === 'bots' || name === 'humans'
        ? words.nobodyNamed
        : words.inheritedNone;
  const choices: Readonly<Record<string, string>> =
    (words.choices as Readonly<Record<string, Record<string, string>>>)[name] ?? {};
  if (typeof value === 'boolean') return choices[value ? 'on' : 'off'] ?? '';
  return Array.isArray(value) ? value.join(', ') : (choices[String(value)] ?? String(value));
};

type FieldsProps = {
  readonly state: FormState;
  readonly sources: readonly Source[];
  /** What holds where a field is left empty. */
  readonly inherited: EffectiveRules;
  /** Of the organisation itself: what it inherits is built in, and its words stand under Settings. */
  readonly isTenant: boolean;
};

const RuleFields = ({ state, sources, inherited, isTenant }: FieldsProps) => {
  const shown = (name: keyof ChannelRules) => shownValue(name, inherited[name].value, sources);
  const none = (name: keyof ChannelRules) => (isTenant ? words.builtIn(shown(name)) : words.inherit(shown(name)));
  const choice = (name: keyof typeof words.choices) => (
    <SelectField
      state={state}
      name={name}
      label={words.fields[name]}
      none={none(name)}
      options={optionsOf(words.choices[name])}
    />
  );
  const lines = (name: 'whoMayAsk' | 'bots' | 'humans') => (
    <TextArea
      state={state}
      name={name}
      label={words.fields[name]}
      hint={`${name === 'humans' ? words.humansHint : words.lines} ${words.inherited(shown(name))}.`}
      rows={2}
      maxlength={20_000}
    />
  );
  return (
    <>
      {choice('enabled')}
      {choice('answerWhen')}
      {choice('audience')}
      <SelectField
        state={state}
        name="sourcesFrom"
        label={words.sourcesFrom}
        none={none('sources')}
        options={[{ value: 'chosen', label: words.chosen }]}
      />
      {sources.length > 0 && (
        <ChooseField
          state={state}
          name="sources"
          label={words.fields.sources}
          options={sources.map(({ id, name, audience = 'members' }) => ({
            value: id,
            label: `${name} (${words.meant[audience]})`,
          }))}
        />
      )}
      {choice('replies')}
      {choice('guests')}
      {!isTenant && (
        <>
          <TextArea
            state={state}
            name="instructions"
            label={words.fields.instructions}
            hint={`${words.inherited(shown('instructions'))}.`}
            maxlength={4000}
          />
          <TextField
            state={state}
            name="language"
            label={words.fields.language}
            hint={`${words.inherited(shown('language'))}.`}
            maxlength={35}
          />
        </>
      )}
      {lines('whoMayAsk')}
      {lines('humans')}
      {lines('bots')}
    </>
  );
};

const optionsOf = (choices: Readonly<Record<string, string>>): readonly Option[] =>
  Object.entries(choices).map(([value, label]) => ({ value, label }));

/** Every rule that holds in a channel, and where it comes from. */
const RuleTable = ({ rules, sources }: { rules: EffectiveRules; sources: readonly Source[] }) => (
  <Table
    caption={words.rulesCaption}
    rows={Object.keys(words.fields) as (keyof ChannelRules)[]}
    columns={[
      { head: words.rule, cell: (name) => words.fields[name] },
      { head: words.value, cell: (name) => shownValue(name, rules[name].value, sources) },
      {
        head: words.origin,
        cell: (name) => (
          <Chip {...(rules[name].origin === 'channel' ? { tone: 'accent' as const } : {})}>
            {words.origins[rules[name].origin]}
          </Chip>
        ),
      },
    ]}
  />
);

const Preview = ({ preview }: { preview: AudiencePreview }) => (
  <section class="part">
    <h2>{words.previewTitle}</h2>
    <p class="hint">{words.readers[preview.readers]}</p>
    <Table
      caption={words.previewTitle}
      rows={preview.sources}
      columns={[
        { head: words.source, cell: ({ name }) => name },
        { head: words.meantFor, cell: ({ audience }) => words.meant[audience] },
        {
          head: words.shown,
          cell: ({ publicly, privately }) => words.showing[publicly ? 'publicly' : privately ? 'privately' : 'never'],
        },
      ]}
    />
  </section>
);

export const ChannelPage = ({
  shell,
  place,
  name,
  rules,
  inherited,
  sources,
  preview,
  state,
  seen,
}: {
  shell: TenantShell;
  place: Place;
  /** As people call it. */
  name: string;
  rules: EffectiveRules;
  inherited: EffectiveRules;
  sources: readonly Source[];
  /** Of the rules that stand in the form. */
  preview: AudiencePreview;
  state: FormState;
  seen: string;
}) => {
  const path = channelPath(shell.tenant, place);
  const beyond = preview.sources.filter((source) => source.beyond);
  const asking = `${askPath(shell.tenant)}?channel=${encodeURIComponent(`${place.platform}:${place.channelId}`)}`;
  return (
    <Layout shell={shell} title={name}>
      <p class="crumb">
        <a href={channelsPath(shell.tenant)}>{words.back}</a>
      </p>
      <div class="head">
        <h1>{name}</h1>
        <a class="button" href={asking}>
          {words.ask}
        </a>
      </div>
      <RuleTable rules={rules} sources={sources} />
      <Preview preview={preview} />
      {mayPass(shell.roles ?? [], 'admin') && (
        <section class="part">
          <h2>{words.change}</h2>
          <FormBox
            state={state}
            action={path}
            submit={words.save}
            cancel={channelsPath(shell.tenant)}
            other={{ name: 'preview', label: words.preview }}
          >
            <input type="hidden" name="seen" value={state.values.seen?.[0] ?? seen} />
            <RuleFields state={state} sources={sources} inherited={inherited} isTenant={false} />
            {beyond.length > 0 && (
              <div class="notice error">
                <p>{words.beyond(beyond.map(({ name }) => name).join(', '))}</p>
                <CheckField state={state} name="accepted" label={words.accept} />
              </div>
            )}
          </FormBox>
          {Object.keys(ownRules(rules)).length > 0 && (
            <p class="bar-row">
              <ActionButton action={`${path}/reset`} label={words.reset} kind="danger" />
            </p>
          )}
        </section>
      )}
    </Layout>
  );
};

export const ChannelDefaultsPage = ({
  shell,
  rules,
  builtIn,
  sources,
  state,
}: {
  shell: TenantShell;
  /** What a channel without rules of its own goes by. */
  rules: EffectiveRules;
  builtIn: EffectiveRules;
  sources: readonly Source[];
  state: FormState;
}) => (
  <Layout shell={shell} title={words.defaults}>
    <p class="crumb">
      <a href={channelsPath(shell.tenant)}>{words.back}</a>
    </p>
    <h1>{words.defaults}</h1>
    <p class="lead">{words.defaultsLead}</p>
    {mayPass(shell.roles ?? [], 'admin') ? (
      <FormBox
        state={state}
        action={defaultsPath(shell.tenant)}
        submit={words.save}
        rev={shell.tenant.rev}
        cancel={channelsPath(shell.tenant)}
      >
        <RuleFields state={state} sources={sources} inherited={builtIn} isTenant />
        <p class="hint">{words.defaultsElsewhere}</p>
      </FormBox>
    ) : (
      <RuleTable rules={rules} sources={sources} />
    )}
  </Layout>
);
