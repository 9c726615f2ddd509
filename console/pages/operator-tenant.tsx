import type { SizedGeneration, TenantFigures } from '../../core/core.ts';
import type { Job, Tenant } from '../../core/domain.ts';
import { bytesInWords, texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { JobState, jobInWords } from './operator-jobs.tsx';
import { operatorTenantPath, operatorTenantsPath, Spent } from './operator-tenants.tsx';
import { ActionButton } from './parts/form.tsx';
import { Chip, Num, Table } from './parts/table.tsx';
import { Tile, Tiles } from './parts/tiles.tsx';
import { Progress } from './source.tsx';

const words = texts.operator.tenant;
const columns = texts.operator.tenants;

export type TenantState = {
  readonly tenant: Tenant;
  readonly figures: TenantFigures;
  readonly generations: readonly SizedGeneration[];
  /** The newest first. */
  readonly jobs: readonly Job[];
};

/** A job that builds or switches an index now. */
const openReindex = (jobs: readonly Job[]): Job | undefined =>
  jobs.find(({ kind, state }) => kind === 'reindex' && (state === 'queued' || state === 'running'));

export const OperatorTenantPage = ({
  shell,
  state: { tenant, figures, generations, jobs },
}: {
  shell: Shell;
  state: TenantState;
}) => {
  const path = operatorTenantPath(tenant);
  const console_ = `/console/${encodeURIComponent(tenant.slug)}`;
  const building = openReindex(jobs);
  return (
    <Layout shell={shell} title={tenant.name} wide>
      <p class="crumb">
        <a href={operatorTenantsPath}>{words.back}</a>
      </p>
      <h1>{tenant.name}</h1>
      <p class="outcome">
        <code>{tenant.slug}</code>
        <code>{tenant.id}</code>
        <span>
          {words.since} <Time at={tenant.createdAt} />
        </span>
      </p>
      <p class="bar-row">
        <a class="button primary" href={`${console_}/overview`}>
          {words.open}
        </a>
        <a class="button" href={`${console_}/members`}>
          {words.members}
        </a>
      </p>
      <Tiles>
        <Tile name={columns.documents}>
          <Num value={figures.documents} />
        </Tile>
        <Tile name={columns.passages}>
          <Num value={figures.chunks} />
        </Tile>
        <Tile name={columns.size}>{bytesInWords(figures.bytes)}</Tile>
        <Tile name={words.questions}>
          <Num value={figures.questions} />
        </Tile>
        <Tile name={words.spent}>
          <Spent figures={figures} />
        </Tile>
      </Tiles>
      <section class="part">
        <h2>{words.index}</h2>
        <p class="lead">{words.indexLead}</p>
        {building !== undefined && (
          <div data-progress={`${path}/progress/${encodeURIComponent(building.id)}`}>
            <Progress job={building} />
          </div>
        )}
        {generations.length > 0 && (
          <Generations path={path} generations={generations} isBusy={building !== undefined} />
        )}
        {building === undefined && (
          <p class="bar-row">
            <ActionButton action={`${path}/reindex`} label={words.reindex} />
          </p>
        )}
      </section>
      <section class="part">
        <h2>{words.jobs}</h2>
        {jobs.length === 0 ? <p class="muted">{words.noJobs}</p> : <Jobs jobs={jobs} />}
      </section>
      <section class="part">
        <h2>{words.danger}</h2>
        <p class="lead">{words.dangerHint}</p>
        <p class="bar-row">
          <ActionButton action={`${path}/delete`} label={texts.settings.deleteButton} kind="danger" />
        </p>
      </section>
    </Layout>
  );
};

const tones = { live: 'good', building: 'accent', previous: undefined } as const;

const Generations = ({
  path,
  generations,
  isBusy,
}: {
  path: string;
  generations: readonly SizedGeneration[];
  isBusy: boolean;
}) => (
  <Table
    caption={words.index}
    rows={generations.toReversed()}
    columns={[
      { head: words.generation, cell: ({ number }) => <Num value={number} /> },
      {
        head: words.state,
        cell: ({ state, fits, held }) => {
          const tone = tones[state];
          return (
            <span class="chips">
              <Chip {...(tone === undefined ? {} : { tone })}>{words.states[state]}</Chip>
              {state === 'live' && !fits && <Chip tone="warn">{words.misfit}</Chip>}
              {held && <Chip>{words.held}</Chip>}
            </span>
          );
        },
      },
      {
        head: words.filled,
        cell: ({ profile: { analyser, chunker, embeddingModel } }) => (
          <span class="who-is">
            {embeddingModel ?? words.byWords}
            <small>{`${chunker}, ${analyser}`}</small>
          </span>
        ),
      },
      {
        head: columns.documents,
        figures: true,
        cell: ({ size }) => (size === null ? '–' : <Num value={size.documents} />),
      },
      {
        head: columns.passages,
        figures: true,
        cell: ({ size }) => (size === null ? '–' : <Num value={size.chunks} />),
      },
      { head: columns.size, figures: true, cell: ({ size }) => (size === null ? '–' : bytesInWords(size.bytes)) },
      { head: words.made, cell: ({ createdAt }) => <Time at={createdAt} /> },
      ...(generations.some(({ state }) => state === 'previous')
        ? [
            {
              head: words.goBack,
              cell: ({ number, state, sweepAt }: SizedGeneration) =>
                state !== 'previous' ? null : (
                  <span class="who-is">
                    {!isBusy && <ActionButton action={`${path}/generations/${number}/activate`} label={words.goBack} />}
                    {sweepAt !== undefined && (
                      <small>
                        {words.until} <Time at={sweepAt} />
                      </small>
                    )}
                  </span>
                ),
            },
          ]
        : []),
    ]}
  />
);

const Jobs = ({ jobs }: { jobs: readonly Job[] }) => (
  <Table
    caption={words.jobs}
    rows={jobs}
    columns={[
      { head: texts.operator.jobs.what, cell: (job) => jobInWords(job) },
      { head: texts.operator.jobs.state, cell: (job) => <JobState job={job} /> },
      { head: texts.operator.jobs.asked, cell: ({ createdAt }) => <Time at={createdAt} /> },
    ]}
  />
);
