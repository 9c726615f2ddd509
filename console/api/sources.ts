import { openEvents } from '../events.ts';
import type { HttpParts } from '../guard.ts';
import type { Operations } from './operation.ts';
import { found, renderJob, renderSource, revOf } from './render.ts';
import { tenantPath } from './schemas/fields.ts';
import * as schemas from './schemas/sources.ts';
import { defined, pageOf } from './tenants.ts';

const base = '/api/v1/tenants/{slug}';

export const addSources = ({ add }: Operations, { core }: HttpParts): void => {
  const tag = 'Sources';
  add(
    {
      method: 'post',
      path: `${base}/sources`,
      policy: 'key:ingest',
      tag,
      summary: 'Create a source',
      audit: 'source.create',
      description: `Kinds here: ${core.sources.kinds.map(({ kind }) => kind).join(', ')}. A schedule is a cron expression in UTC.`,
      params: tenantPath,
      body: schemas.sourceInput,
      answers: { 201: schemas.source },
    },
    async ({ c, body }) => {
      const { kind, name, settings, schedule, audience } = body;
      const source = await core.sources.create(c.get('tenant').id, {
        kind,
        name,
        settings,
        ...(schedule === undefined ? {} : { schedule }),
        ...(audience === undefined ? {} : { audience }),
      });
      return c.json(renderSource(source), 201);
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/sources`,
      policy: 'key:ingest',
      tag,
      summary: 'List sources',
      params: tenantPath,
      answers: { 200: schemas.sources },
    },
    async ({ c }) =>
      c.json({ sources: (await core.sources.list(c.get('tenant').id)).map(renderSource), nextCursor: null }),
  );
  add(
    {
      method: 'get',
      path: `${base}/sources/{source}`,
      policy: 'key:ingest',
      tag,
      summary: 'Read a source',
      params: schemas.sourcePath,
      answers: { 200: schemas.source },
    },
    async ({ c, params }) =>
      c.json(renderSource(found(await core.sources.get(c.get('tenant').id, params.source), 'source'))),
  );
  add(
    {
      method: 'patch',
      path: `${base}/sources/{source}`,
      policy: 'key:ingest',
      tag,
      summary: 'Change a source',
      audit: 'source.update',
      params: schemas.sourcePath,
      body: schemas.sourcePatch,
      answers: { 200: schemas.source },
    },
    async ({ c, params, body: { rev, ...patch } }) => {
      const tenantId = c.get('tenant').id;
      found(await core.sources.get(tenantId, params.source), 'source');
      return c.json(renderSource(await core.sources.update(tenantId, params.source, defined(patch), revOf(rev))));
    },
  );
  add(
    {
      method: 'delete',
      path: `${base}/sources/{source}`,
      policy: 'key:ingest',
      tag,
      summary: 'Delete a source and its documents',
      audit: 'source.delete',
      params: schemas.sourcePath,
      answers: { 204: null },
    },
    async ({ c, params }) => {
      const tenantId = c.get('tenant').id;
      found(await core.sources.get(tenantId, params.source), 'source');
      await core.sources.remove(tenantId, params.source);
      return c.body(null, 204);
    },
  );
  add(
    {
      method: 'post',
      path: `${base}/sources/{source}/sync`,
      policy: 'key:ingest',
      tag,
      summary: 'Sync a source now',
      audit: 'source.sync',
      params: schemas.sourcePath,
      answers: { 202: schemas.jobStarted },
    },
    async ({ c, params }) => {
      const tenantId = c.get('tenant').id;
      found(await core.sources.get(tenantId, params.source), 'source');
      return c.json({ job: { id: (await core.sources.sync(tenantId, params.source)).id } }, 202);
    },
  );
};

export const addJobs = ({ add }: Operations, { core, runtime }: HttpParts): void => {
  const tag = 'Jobs';
  add(
    {
      method: 'get',
      path: `${base}/jobs`,
      policy: 'key:ingest',
      tag,
      summary: 'List jobs',
      params: tenantPath,
      query: schemas.ofSourceQuery,
      answers: { 200: schemas.jobs },
    },
    async ({ c, query }) => {
      const page = await core.jobs.list(
        c.get('tenant').id,
        query.source === undefined ? {} : { sourceId: query.source },
        pageOf(query),
      );
      return c.json({ jobs: page.items.map(renderJob), nextCursor: page.nextCursor ?? null });
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/jobs/{job}`,
      policy: 'key:ingest',
      tag,
      summary: 'Read a job, or follow it',
      description:
        'With `Accept: text/event-stream`: an event `progress` at each change and one `done` with the last state.',
      params: schemas.jobPath,
      answers: { 200: schemas.job },
      also: ['text/event-stream'],
    },
    async ({ c, params }) => {
      const tenantId = c.get('tenant').id;
      const job = found(await core.jobs.get(tenantId, params.job), 'job');
      if (!wantsEvents(c.req.header('accept'))) return c.json(renderJob(job));
      // A sync may take longer than any answer, so this follows the connection only.
      const { over, respond } = openEvents(c, runtime);
      return respond(
        async (send) => {
          let last = job;
          for await (last of core.jobs.watch(tenantId, job.id, AbortSignal.any([over, c.req.raw.signal])))
            await send('progress', renderJob(last));
          over.throwIfAborted();
          await send('done', renderJob(last));
        },
        (problem, send) => send('error', problem),
      );
    },
  );
};

export const wantsEvents = (accept: string | undefined): boolean =>
  /(?:^|[\s,])text\/event-stream\b/i.test(accept ?? '');
