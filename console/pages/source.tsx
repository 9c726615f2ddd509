import type { SourceKind } from '../../core/core.ts';
import type { Document, Job, Source, Tenant } from '../../core/domain.ts';
import type { Paged } from '../../core/ports/state.ts';
import { limits } from '../guard.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { mayPass } from './pages.tsx';
import { ActionButton } from './parts/form.tsx';
import { Chip, More, Num, Table } from './parts/table.tsx';
import { documentPath, isPaused, SourceState, sourcePath, sourcesPath } from './source-state.tsx';

/** Problems of a run that its page shows. */
export const shownProblems = 50;

export const SourcePage = ({
  shell,
  source,
  kind,
  documents,
  count,
  jobs,
  known,
  publicUrl,
  problem,
}: {
  shell: Shell & { readonly tenant: Tenant };
  source: Source;
  kind: SourceKind | undefined;
  documents: Paged<Document>;
  count: number;
  /** The newest first. */
  jobs: readonly Job[];
  /** Documents that can be opened, of those that the last run names. */
  known: ReadonlySet<string>;
  publicUrl: string;
  problem?: string;
}) => {
  const mayEdit = mayPass(shell.roles ?? [], 'admin');
  const path = sourcePath(shell.tenant, source);
  const [last] = jobs;
  const syncs = kind?.syncs === true;
  const runs = last?.state === 'queued' || last?.state === 'running';
  return (
    <Layout shell={shell} title={source.name}>
      <p class="crumb">
        <a href={sourcesPath(shell.tenant)}>{texts.sources.back}</a>
      </p>
      <h1>{source.name}</h1>
      <p class="outcome">
        <SourceState source={source} last={last} syncs={syncs} />
        <span>{kind?.label ?? source.kind}</span>
        <span>{texts.sources.documentCount(count)}</span>
      </p>
      {problem !== undefined && (
        <p class="notice error" role="alert">
          {problem}
        </p>
      )}
      {mayEdit && (
        <div class="bar-row">
          {syncs && <ActionButton action={`${path}/sync`} label={texts.sources.sync} kind="primary" />}
          {source.schedule !== undefined && (
            <ActionButton
              action={`${path}/pause`}
              label={isPaused(source) ? texts.sources.resume : texts.sources.pause}
              fields={isPaused(source) ? {} : { paused: 'on' }}
            />
          )}
          <a class="button" href={`${path}/edit`}>
            {texts.sources.edit}
          </a>
          <ActionButton action={`${path}/delete`} label={texts.sources.remove} kind="danger" />
        </div>
      )}
      {runs && last !== undefined && (
        <div data-progress={`${path}/progress`}>
          <Progress job={last} />
        </div>
      )}
      {source.nextRunAt !== undefined && (
        <p class="lead">
          {texts.sources.nextRun}: <Time at={source.nextRunAt} />
        </p>
      )}
      {!syncs && mayEdit && <Dropzone path={path} />}
      {source.kind === 'push' && mayEdit && (
        <section class="part">
          <p>{texts.sources.pushHint}</p>
          <pre class="passage-text">
            <code>{`PUT ${publicUrl}/api/v1/tenants/${shell.tenant.slug}/sources/${source.id}/documents/{id}`}</code>
          </pre>
        </section>
      )}
      {last !== undefined && last.errors.length > 0 && (
        <section class="part">
          <h2>{texts.sources.errors}</h2>
          <ul class="errors">
            {last.errors.slice(0, shownProblems).map((error) => (
              <li>
                {error.documentId === undefined || !known.has(error.documentId) ? (
                  <span class="why">{error.problem}</span>
                ) : (
                  <a class="why" href={documentPath(shell.tenant, { id: error.documentId })}>
                    {error.problem}
                  </a>
                )}
              </li>
            ))}
          </ul>
          {mayEdit && syncs && !runs && (
            <p class="bar-row">
              <ActionButton action={`${path}/sync`} label={texts.sources.tryAgain} />
            </p>
          )}
        </section>
      )}
      <section class="part">
        <h2>{texts.sources.documents}</h2>
        {documents.items.length === 0 ? (
          <p class="muted">{syncs ? texts.sources.noDocumentsSync : texts.sources.noDocuments}</p>
        ) : (
          <Table
            caption={texts.sources.documents}
            rows={documents.items}
            columns={[
              {
                head: texts.sources.document,
                cell: (document) => (
                  <>
                    <a href={documentPath(shell.tenant, document)}>{document.title}</a>
                    {document.problem !== undefined && (
                      <>
                        {' '}
                        <Chip tone="bad">{texts.sources.problem}</Chip>
                      </>
                    )}
                  </>
                ),
              },
              { head: texts.sources.passages, figures: true, cell: (document) => <Num value={document.chunkCount} /> },
              { head: texts.sources.updated, cell: (document) => <Time at={document.updatedAt} /> },
            ]}
          />
        )}
        <More
          href={
            documents.nextCursor === undefined
              ? undefined
              : `${path}?cursor=${encodeURIComponent(documents.nextCursor)}`
          }
        />
      </section>
      {syncs && (
        <section class="part">
          <h2>{texts.sources.history}</h2>
          {jobs.length === 0 ? (
            <p class="muted">{texts.sources.noHistory}</p>
          ) : (
            <Table
              caption={texts.sources.history}
              rows={jobs}
              columns={[
                { head: texts.sources.started, cell: (job) => <Time at={job.createdAt} /> },
                {
                  head: texts.sources.outcome,
                  cell: (job) => <Chip {...toneOf(job)}>{texts.sources.states[job.state]}</Chip>,
                },
                { head: texts.sources.documents, cell: (job) => texts.sources.counts(job.counts) },
              ]}
            />
          )}
        </section>
      )}
    </Layout>
  );
};

const toneOf = (job: Job): { tone?: 'good' | 'warn' | 'bad' | 'accent' } => {
  if (job.state === 'failed') return { tone: 'bad' };
  if (job.state !== 'done') return { tone: 'accent' };
  return job.errors.length > 0 ? { tone: 'warn' } : { tone: 'good' };
};

/** A running job. How much there is in all is known only when the source has told everything. */
export const Progress = ({ job }: { job: Job }) => (
  <div class="progress" role="status">
    <p>
      {texts.sources.states[job.state]}: {texts.sources.counts(job.counts)}
    </p>
    {job.state === 'done' || job.state === 'failed' ? (
      <progress value={1} max={1} aria-label={texts.sources.states[job.state]} />
    ) : (
      <progress aria-label={texts.sources.states[job.state]} />
    )}
  </div>
);

const Dropzone = ({ path }: { path: string }) => (
  <section class="part">
    <h2>{texts.sources.dropTitle}</h2>
    <form
      class="drop"
      method="post"
      action={`${path}/files`}
      enctype="multipart/form-data"
      data-drop
      data-failed={texts.sources.uploadBroke}
      data-max-bytes={limits.files}
      data-too-much={texts.sources.tooMuch}
    >
      <label for="files">{texts.sources.dropHint}</label>
      <input id="files" type="file" name="files" multiple required />
      <progress max={100} value={0} aria-label={texts.sources.upload} hidden />
      <button type="submit">{texts.sources.upload}</button>
      <div data-result role="status"></div>
    </form>
  </section>
);
