import type { SourceKind, SourceProbe } from '../../core/core.ts';
import type { Job, Source, Tenant } from '../../core/domain.ts';
import { texts } from '../texts.ts';
import { Empty, Layout, type Shell, Time } from './layout.tsx';
import { mayPass } from './pages.tsx';
import { CheckField, FormBox, type FormState, SelectField, TextArea, TextField } from './parts/form.tsx';
import { SourceState, sourcePath, sourcesPath } from './source-state.tsx';

type TenantShell = Shell & { readonly tenant: Tenant };

export type SourceRow = {
  readonly source: Source;
  readonly label: string;
  readonly documents: number;
  readonly last: Job | undefined;
};

export const SourcesPage = ({ shell, rows }: { shell: TenantShell; rows: readonly SourceRow[] }) => {
  const mayEdit = mayPass(shell.roles ?? [], 'admin');
  const add = `${sourcesPath(shell.tenant)}/new`;
  if (rows.length === 0) {
    return (
      <Layout shell={shell} title={texts.sources.title}>
        <Empty title={texts.sources.emptyTitle} text={mayEdit ? texts.sources.emptyText : texts.sources.emptyViewer}>
          {mayEdit && (
            <p>
              <a class="button primary" href={add}>
                {texts.sources.add}
              </a>
            </p>
          )}
        </Empty>
      </Layout>
    );
  }
  return (
    <Layout shell={shell} title={texts.sources.title}>
      <div class="head">
        <h1>{texts.sources.title}</h1>
        {mayEdit && (
          <a class="button primary" href={add}>
            {texts.sources.add}
          </a>
        )}
      </div>
      <p class="lead">{texts.sources.lead}</p>
      <ul class="cards">
        {rows.map(({ source, label, documents, last }) => (
          <li class="card">
            <h2>
              <a href={sourcePath(shell.tenant, source)}>{source.name}</a>
            </h2>
            <p class="figures">
              <SourceState source={source} last={last} syncs={isSynced(source, last)} />
              <span>{label}</span>
              <span>{texts.sources.documentCount(documents)}</span>
              {source.lastSyncedAt !== undefined && (
                <span>
                  {texts.sources.lastSynced} <Time at={source.lastSyncedAt} />
                </span>
              )}
            </p>
          </li>
        ))}
      </ul>
    </Layout>
  );
};

const isSynced = (source: Source, last: Job | undefined): boolean =>
  last !== undefined || source.schedule !== undefined || source.lastSyncedAt !== undefined;

export const KindsPage = ({ shell, kinds }: { shell: TenantShell; kinds: readonly SourceKind[] }) => (
  <Layout shell={shell} title={texts.sources.add}>
    <p class="crumb">
      <a href={sourcesPath(shell.tenant)}>{texts.sources.back}</a>
    </p>
    <h1>{texts.sources.add}</h1>
    <p class="lead">{texts.sources.kindLead}</p>
    <ul class="cards kinds">
      {kinds.map(({ kind, label }) => (
        <li class="card">
          <h2>
            <a href={`${sourcesPath(shell.tenant)}/new?kind=${encodeURIComponent(kind)}`}>{label}</a>
          </h2>
          {texts.sources.kinds[kind] !== undefined && <p>{texts.sources.kinds[kind]}</p>}
        </li>
      ))}
    </ul>
  </Layout>
);

export const SourceFormPage = ({
  shell,
  kind,
  state,
  source,
  probe,
}: {
  shell: TenantShell;
  kind: SourceKind;
  state: FormState;
  source?: Source;
  probe?: SourceProbe;
}) => {
  const title = source === undefined ? texts.sources.newTitle(kind.label) : texts.sources.editTitle;
  const back = source === undefined ? `${sourcesPath(shell.tenant)}/new` : sourcePath(shell.tenant, source);
  const { problem, ...rest } = state;
  // A probe shows the form again without anything being wrong.
  const shown: FormState = problem === '' || problem === undefined ? rest : state;
  return (
    <Layout shell={shell} title={title}>
      <p class="crumb">
        <a href={back}>{source === undefined ? texts.sources.add : source.name}</a>
      </p>
      <h1>{title}</h1>
      {texts.sources.kinds[kind.kind] !== undefined && source === undefined && (
        <p class="lead">{texts.sources.kinds[kind.kind]}</p>
      )}
      {probe !== undefined && <ProbeResult probe={probe} />}
      <FormBox
        state={shown}
        action={source === undefined ? sourcesPath(shell.tenant) : sourcePath(shell.tenant, source)}
        submit={source === undefined ? texts.sources.add : texts.sources.save}
        cancel={source === undefined ? sourcesPath(shell.tenant) : sourcePath(shell.tenant, source)}
        {...(source === undefined ? {} : { rev: source.rev })}
        {...(kind.syncs && source === undefined ? { other: { name: 'probe', label: texts.sources.test } } : {})}
      >
        <input type="hidden" name="kind" value={kind.kind} />
        <TextField
          state={shown}
          name="name"
          label={texts.sources.name}
          hint={texts.sources.nameHint}
          required
          maxlength={200}
        />
        {kind.fields.map((field) => {
          const name = `settings.${field.name}`;
          if (field.kind === 'flag')
            return <CheckField state={shown} name={name} label={field.label} hint={field.hint} />;
          if (field.kind === 'lines')
            return <TextArea state={shown} name={name} label={field.label} hint={field.hint} rows={3} />;
          return (
            <TextField
              state={shown}
              name={name}
              label={field.label}
              hint={field.hint}
              required={field.required}
              {...(field.fallback === undefined ? {} : { placeholder: field.fallback })}
              {...(field.kind === 'address' ? { type: 'url' as const } : {})}
              {...(field.kind === 'number' ? { inputmode: 'decimal' as const } : {})}
            />
          );
        })}
        <SelectField
          state={shown}
          name="audience"
          label={texts.sources.audience}
          options={Object.entries(texts.sources.audiences).map(([value, label]) => ({ value, label }))}
        />
        {kind.syncs && (
          <SelectField
            state={shown}
            name="schedule"
            label={texts.sources.schedule}
            none={texts.sources.onDemand}
            options={[
              ...Object.entries(texts.sources.schedules).map(([value, label]) => ({ value, label })),
              ...ownSchedule(shown),
            ]}
          />
        )}
      </FormBox>
    </Layout>
  );
};

/** A schedule that was set by the API stays choosable. */
const ownSchedule = (state: FormState): readonly { value: string; label: string }[] => {
  const value = state.values.schedule?.[0] ?? '';
  return value === '' || Object.hasOwn(texts.sources.schedules, value)
    ? []
    : [{ value, label: texts.sources.ownSchedule(value) }];
};

const ProbeResult = ({ probe }: { probe: SourceProbe }) => (
  <div class={`notice ${probe.problems.length > 0 && probe.examples.length === 0 ? 'error' : 'note'}`} role="status">
    {(probe.examples.length > 0 || probe.problems.length === 0) && (
      <p>{texts.sources.testOk(probe.examples.length, probe.complete)}</p>
    )}
    <ul>
      {probe.examples.map((name) => (
        <li>{name}</li>
      ))}
    </ul>
    {probe.problems.length > 0 && <p>{texts.sources.testProblems}</p>}
    <ul>
      {probe.problems.map((problem) => (
        <li>{problem}</li>
      ))}
    </ul>
  </div>
);
