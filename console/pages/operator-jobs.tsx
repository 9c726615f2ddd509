import type { HeldJob, Queues } from '../../core/core.ts';
import type { Job, JobState as JobStateName, Source, Tenant } from '../../core/domain.ts';
import type { Paged } from '../../core/ports/state.ts';
import { durationInWords, texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { operatorTenantPath } from './operator-tenants.tsx';
import { ActionButton } from './parts/form.tsx';
import { Chip, More, Num, Table } from './parts/table.tsx';
import { Tabs } from './parts/tabs.tsx';
import { Tile, Tiles } from './parts/tiles.tsx';

const words = texts.operator.jobs;

export const operatorJobsPath = '/console/operator/jobs';
export const jobStates = ['queued', 'running', 'failed', 'done'] as const satisfies readonly JobStateName[];

/** The tab that narrows nothing. */
const all = 'all';

/** A job with the names of what it is about; null where that is gone. */
export type NamedJob = { readonly job: HeldJob; readonly tenant: Tenant | null; readonly source: Source | null };

export const jobInWords = ({ kind, reindex }: Pick<Job, 'kind' | 'reindex'>, source?: Source | null): string => {
  if (reindex?.activate !== undefined) return words.goBack(reindex.activate);
  return source === undefined || source === null ? words.kinds[kind] : `${words.kinds[kind]}: ${source.name}`;
};

const tones = { queued: undefined, running: 'accent', done: 'good', failed: 'bad' } as const;

/** How a job stands, why it failed, what it has met. */
export const JobState = ({ job }: { job: Job }) => {
  const tone = tones[job.state];
  const problem = job.errors.at(-1)?.problem;
  return (
    <span class="who-is">
      <span class="chips">
        <Chip {...(tone === undefined ? {} : { tone })}>{words.states[job.state]}</Chip>
        {job.state !== 'failed' && job.counts.failed > 0 && (
          <Chip tone="warn">{words.someFailed(job.counts.failed)}</Chip>
        )}
      </span>
      {job.state === 'failed' && problem !== undefined && <small>{problem}</small>}
    </span>
  );
};

export const OperatorJobsPage = ({
  shell,
  queues,
  page,
  state,
  now,
}: {
  shell: Shell;
  queues: Queues;
  page: Paged<NamedJob>;
  state: JobStateName | undefined;
  now: number;
}) => (
  <Layout shell={shell} title={words.title} wide>
    <h1>{words.title}</h1>
    <p class="lead">{words.lead}</p>
    <Tiles>
      <Depth
        name={words.messages}
        value={queues.inbox.ready}
        note={waitOf(queues.inbox.ready, queues.inbox.oldestMs)}
      />
      <Depth name={words.queued} value={queues.jobs.queued} note={waitOf(queues.jobs.queued, queues.jobs.oldestMs)} />
      <Depth name={words.running} value={queues.jobs.running} />
      <Depth name={words.failed} value={queues.jobs.failed} note={words.failedKept} isBad={queues.jobs.failed > 0} />
    </Tiles>
    <Tabs
      label={words.filter}
      active={state ?? all}
      tabs={[
        { name: all, label: words.all, href: operatorJobsPath },
        ...jobStates.map((each) => ({
          name: each,
          label: words.states[each],
          href: `${operatorJobsPath}?state=${each}`,
        })),
      ]}
    />
    {page.items.length === 0 ? (
      <p class="part muted">{state === undefined ? words.emptyAll : words.empty}</p>
    ) : (
      <JobTable rows={page.items} now={now} />
    )}
    <More
      href={
        page.nextCursor === undefined
          ? undefined
          : `${operatorJobsPath}?${new URLSearchParams({ ...(state === undefined ? {} : { state }), cursor: page.nextCursor })}`
      }
    />
  </Layout>
);

const waitOf = (count: number, oldestMs: number): string =>
  count === 0 ? words.none : words.oldest(durationInWords(oldestMs));

const Depth = ({ name, value, note, isBad }: { name: string; value: number; note?: string; isBad?: boolean }) => (
  <Tile
    name={
      <>
        {name}
        {note !== undefined && <small>{note}</small>}
      </>
    }
    {...(isBad ? { kind: 'bad' } : {})}
  >
    <Num value={value} />
  </Tile>
);

const JobTable = ({ rows, now }: { rows: readonly NamedJob[]; now: number }) => (
  <Table
    caption={words.caption}
    rows={rows}
    columns={[
      {
        head: words.what,
        cell: ({ job, source }) => (
          <span class="who-is">
            {jobInWords(job, source)}
            <small>
              <code>{job.id}</code>
            </small>
          </span>
        ),
      },
      {
        head: words.tenant,
        cell: ({ job, tenant }) =>
          tenant === null ? (
            <span class="muted">
              {words.gone} <code>{job.tenantId}</code>
            </span>
          ) : (
            <a href={operatorTenantPath(tenant)}>{tenant.name}</a>
          ),
      },
      {
        head: words.state,
        cell: ({ job }) => (
          <span class="who-is">
            <JobState job={job} />
            <Holder job={job} now={now} />
          </span>
        ),
      },
      {
        head: words.asked,
        cell: ({ job: { createdAt, startedAt, finishedAt } }) => (
          <span class="who-is">
            <Time at={createdAt} />
            {startedAt !== undefined && finishedAt !== undefined && (
              <small>{words.took(durationInWords(finishedAt - startedAt))}</small>
            )}
          </span>
        ),
      },
      { head: words.deed, cell: (row) => <Deed row={row} /> },
    ]}
  />
);

/** Who works on it; a lease that ran out is taken over by itself, and a person may want to know. */
const Holder = ({ job: { heldBy, leaseUntil = 0, attempts }, now }: { job: HeldJob; now: number }) => (
  <>
    {attempts > 1 && <small>{words.attempts(attempts)}</small>}
    {heldBy !== undefined && (
      <small>
        {words.heldBy} <code>{heldBy}</code>
        {leaseUntil <= now && `, ${words.lost}`}
      </small>
    )}
  </>
);

const Deed = ({ row: { job, tenant } }: { row: NamedJob }) => {
  if (tenant === null || job.state === 'done') return null;
  const path = `${operatorJobsPath}/${encodeURIComponent(tenant.slug)}/${encodeURIComponent(job.id)}`;
  return job.state === 'failed' ? (
    <ActionButton action={`${path}/retry`} label={words.retry} />
  ) : (
    <ActionButton action={`${path}/cancel`} label={words.cancel} kind="quiet" />
  );
};
