import { z } from 'zod';
import type { SourceInput, SourceKind, SourceProbe } from '../../core/core.ts';
import type { Document, Job, Source } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { openEvents } from '../events.ts';
import { putFiles } from '../files.ts';
import { limits } from '../guard.ts';
import { texts } from '../texts.ts';
import { DocumentPage } from './document.tsx';
import type { PageRequest, Pages } from './pages.tsx';
import { type Form, type FormState, formWith, stateOf } from './parts/form.tsx';
import { Progress, SourcePage, shownProblems } from './source.tsx';
import { sourcePath, sourcesPath } from './source-state.tsx';
import { KindsPage, SourceFormPage, SourcesPage } from './sources.tsx';

/** Where documents come from, what became of them, and the documents themselves. */
export const addSourcePages = (pages: Pages): void => {
  const { core, runtime } = pages.doors;

  const sourceOf = async (request: PageRequest): Promise<Source> => {
    const source = await core.sources.get(request.tenant.id, request.param('source'));
    if (source === null) throw new AppError('not-found', 'There is no such source.');
    return source;
  };
  const kindOf = (kind: string | undefined): SourceKind => {
    const found = core.sources.kinds.find((one) => one.kind === kind);
    if (found === undefined) throw new AppError('not-found', 'There is no such kind of source.');
    return found;
  };
  const documentOf = async (request: PageRequest): Promise<Document> => {
    const document = await core.documents.get(request.tenant.id, request.param('document'));
    if (document === null) throw new AppError('not-found', 'There is no such document.');
    return document;
  };
  const lastJobs = async (source: Source, limit: number): Promise<readonly Job[]> =>
    (await core.jobs.list(source.tenantId, { sourceId: source.id }, { limit })).items;

  /** Which documents of a run's problems there are: what could not be read at first sight is none. */
  const knownIn = async (job: Job | undefined): Promise<ReadonlySet<string>> => {
    const ids = (job?.errors ?? []).slice(0, shownProblems).flatMap(({ documentId }) => documentId ?? []);
    const found = await Promise.all(ids.map((id) => core.documents.get(job?.tenantId ?? '', id)));
    return new Set(found.flatMap((document) => document?.id ?? []));
  };

  pages.get('/console/{tenant}/sources', 'session:viewer', async (request) => {
    const sources = await core.sources.list(request.tenant.id);
    const rows = await Promise.all(
      sources.map(async (source) => ({
        source,
        label: core.sources.kinds.find(({ kind }) => kind === source.kind)?.label ?? source.kind,
        documents: await core.documents.count(request.tenant.id, source.id),
        last: (await lastJobs(source, 1))[0],
      })),
    );
    return request.show(<SourcesPage shell={await request.shell('sources')} rows={rows} />);
  });

  pages.get('/console/{tenant}/sources/new', 'session:admin', async (request) => {
    const shell = await request.shell('sources');
    const wanted = request.query('kind');
    if (wanted === undefined) return request.show(<KindsPage shell={shell} kinds={core.sources.kinds} />);
    const kind = kindOf(wanted);
    const state = formWith({ kind: kind.kind, schedule: kind.syncs ? '0 3 * * *' : undefined, audience: 'members' });
    return request.show(<SourceFormPage shell={shell} kind={kind} state={state} />);
  });

  pages.post('/console/{tenant}/sources', 'session:admin', async (request) => {
    const form = await request.form();
    const kind = kindOf(textOf(form, 'kind'));
    const again = async (state: FormState, probe?: SourceProbe) => (
      <SourceFormPage
        shell={await request.shell('sources')}
        kind={kind}
        state={state}
        {...(probe === undefined ? {} : { probe })}
      />
    );
    return request.submit(formSchema, {
      save: async ({ name, schedule, audience }) => {
        const settings = settingsOf(kind, form);
        if (form.has('probe')) {
          const probe = await core.sources.probe(
            request.tenant.id,
            { kind: kind.kind, settings },
            request.c.req.raw.signal,
          );
          return request.show(await again(stateOf(form, undefined, ''), probe));
        }
        const input: SourceInput = {
          kind: kind.kind,
          name,
          settings,
          audience,
          ...(kind.syncs && schedule !== undefined ? { schedule } : {}),
        };
        const source = await core.sources.create(request.tenant.id, input);
        await request.audit('source.create', source.id);
        if (kind.syncs) await core.sources.sync(request.tenant.id, source.id);
        return request.to(sourcePath(request.tenant, source), kind.syncs ? 'source-added' : 'created');
      },
      again: (state) => again(state),
    });
  });

  const showSource = async (request: PageRequest, source: Source, problem?: string): Promise<Response> => {
    const cursor = request.query('cursor');
    const [documents, count, jobs] = await Promise.all([
      core.documents.list(
        request.tenant.id,
        { sourceId: source.id },
        { limit: 50, ...(cursor === undefined ? {} : { cursor }) },
      ),
      core.documents.count(request.tenant.id, source.id),
      lastJobs(source, 10),
    ]);
    return request.show(
      <SourcePage
        shell={await request.shell('sources')}
        source={source}
        kind={core.sources.kinds.find(({ kind }) => kind === source.kind)}
        documents={documents}
        count={count}
        jobs={jobs}
        known={await knownIn(jobs[0])}
        publicUrl={pages.doors.config.publicUrl}
        {...(problem === undefined ? {} : { problem })}
      />,
      problem === undefined ? 200 : 422,
    );
  };

  pages.get('/console/{tenant}/sources/{source}', 'session:viewer', async (request) =>
    showSource(request, await sourceOf(request)),
  );

  pages.get('/console/{tenant}/sources/{source}/edit', 'session:admin', async (request) => {
    const source = await sourceOf(request);
    const kind = kindOf(source.kind);
    return request.show(
      <SourceFormPage
        shell={await request.shell('sources')}
        kind={kind}
        source={source}
        state={formWith({
          ...shownSettings(kind, source),
          name: source.name,
          schedule: source.schedule,
          audience: source.audience ?? 'members',
        })}
      />,
    );
  });

  pages.post('/console/{tenant}/sources/{source}', 'session:admin', async (request) => {
    const source = await sourceOf(request);
    const kind = kindOf(source.kind);
    const form = await request.form();
    return request.submit(formSchema, {
      save: async ({ name, schedule, audience, rev }) => {
        const settings = settingsOf(kind, form);
        await core.sources.update(
          request.tenant.id,
          source.id,
          {
            name,
            audience,
            // Settings that are the same must not start a sync from the beginning.
            ...(sameSettings(settings, source.settings) ? {} : { settings }),
            ...(kind.syncs && schedule !== source.schedule ? { schedule: schedule ?? null } : {}),
          },
          rev,
        );
        await request.audit('source.update', source.id);
        return request.to(sourcePath(request.tenant, source), 'saved');
      },
      again: async (state) => (
        <SourceFormPage shell={await request.shell('sources')} kind={kind} source={source} state={state} />
      ),
    });
  });

  pages.post('/console/{tenant}/sources/{source}/sync', 'session:admin', async (request) => {
    const source = await sourceOf(request);
    await core.sources.sync(request.tenant.id, source.id);
    await request.audit('source.sync', source.id);
    return request.to(sourcePath(request.tenant, source), 'sync-started');
  });

  pages.post('/console/{tenant}/sources/{source}/pause', 'session:admin', async (request) => {
    const source = await sourceOf(request);
    const paused = (await request.form()).get('paused') === 'on';
    await core.sources.update(request.tenant.id, source.id, { paused });
    await request.audit(paused ? 'source.pause' : 'source.resume', source.id);
    return request.to(sourcePath(request.tenant, source), paused ? 'paused' : 'resumed');
  });

  pages.post('/console/{tenant}/sources/{source}/delete', 'session:admin', async (request) => {
    const source = await sourceOf(request);
    const asks = await request.unconfirmed('sources', {
      title: texts.sources.removeTitle(source.name),
      consequences: texts.sources.removeConsequences(await core.documents.count(request.tenant.id, source.id)),
      button: texts.sources.removeButton,
      back: sourcePath(request.tenant, source),
    });
    if (asks !== null) return asks;
    await core.sources.remove(request.tenant.id, source.id);
    await request.audit('source.delete', source.id);
    return request.to(sourcesPath(request.tenant), 'source-removed');
  });

  /** Events `progress {html}` while a job runs, then one `done {html}`; the page fetches itself anew after it. */
  pages.get('/console/{tenant}/sources/{source}/progress', 'session:viewer', async (request) => {
    const { c } = request;
    const source = await sourceOf(request);
    const job = (await lastJobs(source, 1))[0];
    const { over, respond } = openEvents(c, runtime);
    return respond(async (send) => {
      const html = (shown: Job) => ({ html: String(<Progress job={shown} />) });
      if (job === undefined) return;
      let last = job;
      for await (last of core.jobs.watch(request.tenant.id, job.id, AbortSignal.any([over, c.req.raw.signal])))
        await send('progress', html(last));
      over.throwIfAborted();
      await send('done', html(last));
    });
  });

  pages.post(
    '/console/{tenant}/sources/{source}/files',
    'session:admin',
    async (request) => {
      const source = await sourceOf(request);
      const form = await request.form();
      const { upserted, unchanged, failed } = await putFiles(core, source, form, request.c.req.raw.signal);
      await request.audit('document.upload', source.id);
      if (request.isSwap)
        return request.fragment(
          <div>
            <p>{texts.sources.uploaded(upserted, unchanged)}</p>
            {failed.length > 0 && <p>{texts.sources.uploadFailed}</p>}
            <ul class="errors">
              {failed.map(({ id, problem }) => (
                <li>
                  <span class="what">{id}</span> <span class="why">{problem}</span>
                </li>
              ))}
            </ul>
          </div>,
        );
      if (failed.length > 0)
        return showSource(request, source, failed.map(({ id, problem }) => `${id}: ${problem}`).join(' '));
      return request.to(sourcePath(request.tenant, source), 'saved');
    },
    { maxBytes: limits.files },
  );

  pages.get('/console/{tenant}/documents/{document}', 'session:viewer', async (request) => {
    const document = await documentOf(request);
    const [source, chunks] = await Promise.all([
      core.sources.get(request.tenant.id, document.sourceId),
      core.documents.chunks(request.tenant.id, document.id, request.c.req.raw.signal),
    ]);
    return request.show(
      <DocumentPage shell={await request.shell('sources')} document={document} source={source} chunks={chunks} />,
    );
  });

  pages.post('/console/{tenant}/documents/{document}/forget', 'session:admin', async (request) => {
    const document = await documentOf(request);
    const source = await core.sources.get(request.tenant.id, document.sourceId);
    const syncs = core.sources.kinds.some(({ kind, syncs: does }) => kind === source?.kind && does);
    const asks = await request.unconfirmed('sources', {
      title: texts.sources.forgetTitle(document.title),
      consequences: [...texts.sources.forgetConsequences, ...(syncs ? [texts.sources.forgetComesBack] : [])],
      button: texts.sources.forgetButton,
      back: `/console/${encodeURIComponent(request.tenant.slug)}/documents/${document.id}`,
    });
    if (asks !== null) return asks;
    await core.documents.remove(request.tenant.id, document.sourceId, document.externalId, AbortSignal.timeout(30_000));
    await request.audit('document.delete', document.id);
    return request.to(`${sourcesPath(request.tenant)}/${document.sourceId}`, 'document-removed');
  });
};

const formSchema = z.object({
  name: z.string().max(200, 'At most 200 characters.'),
  schedule: z.string().max(100).optional(),
  audience: z.enum(['members', 'everybody', 'named']).default('members'),
  rev: z.coerce.number().int().optional(),
});

const textOf = (form: Form, name: string): string => {
  const value = form.get(name);
  return typeof value === 'string' ? value.trim() : '';
};

/** The driver's settings as its schema wants them; what was left empty is absent. Fields are posted as `settings.name`. */
const settingsOf = (kind: SourceKind, form: Form): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    kind.fields.flatMap(({ name, kind: type }): [string, unknown][] => {
      const text = textOf(form, `settings.${name}`);
      if (type === 'flag') return text === '' ? [] : [[name, true]];
      if (text === '') return [];
      if (type === 'number') return [[name, Number(text)]];
      if (type === 'lines')
        return [
          [
            name,
            text
              .split('\n')
              .map((line) => line.trim())
              .filter((line) => line !== ''),
          ],
        ];
      return [[name, text]];
    }),
  );

const shownSettings = (kind: SourceKind, source: Source): Readonly<Record<string, string | boolean | undefined>> =>
  Object.fromEntries(
    kind.fields.map(({ name, kind: type }) => {
      const value = source.settings[name];
      if (type === 'flag') return [`settings.${name}`, value === true];
      if (Array.isArray(value)) return [`settings.${name}`, value.join('\n')];
      return [`settings.${name}`, value === undefined ? undefined : String(value)];
    }),
  );

const sameSettings = (a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean =>
  JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
const sorted = (settings: Readonly<Record<string, unknown>>): readonly (readonly [string, unknown])[] =>
  Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
