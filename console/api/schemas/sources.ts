import { z } from '@hono/zod-openapi';
import { id, name, nextCursor, pageQuery, rev, seenRev, tenantPath, time } from './fields.ts';

export const sourcePath = tenantPath.extend({ source: id });
export const jobPath = tenantPath.extend({ job: id });
export const generationPath = tenantPath.extend({ generation: z.coerce.number().int().min(0).max(1e9) });
/** Of one source, or of all. */
export const ofSourceQuery = pageQuery.extend({ source: id.optional() });

const settings = z.record(z.string().max(100), z.unknown());
const audience = z.enum(['everybody', 'members', 'named']).openapi({
  description:
    'Who may be shown its words: guests and outsiders too; people of the organisation (default); only channels whose rules name it',
});
export const sourceInput = z.object({
  kind: z.string().min(1).max(50),
  name,
  settings: settings.default({}),
  schedule: z.string().min(1).max(100).nullish(),
  audience: audience.optional(),
});
export const sourcePatch = z.object({
  name: name.optional(),
  settings: settings.optional(),
  schedule: z.string().min(1).max(100).nullish(),
  audience: audience.optional(),
  rev: seenRev,
});
export const source = z
  .object({
    id: z.string(),
    kind: z.string(),
    name: z.string(),
    settings: z.looseObject({}),
    schedule: z.string().nullable(),
    audience: z.string(),
    createdAt: time,
    lastSyncedAt: time.nullable(),
    nextRunAt: time.nullable(),
    rev,
  })
  .openapi('Source');
export const sources = z.object({ sources: z.array(source), nextCursor });
const counts = z.object({ seen: z.int(), upserted: z.int(), unchanged: z.int(), removed: z.int(), failed: z.int() });
export const job = z
  .object({
    id: z.string(),
    kind: z.string(),
    sourceId: z.string().optional(),
    state: z.enum(['queued', 'running', 'done', 'failed']),
    counts,
    errors: z.array(z.object({ documentId: z.string().optional(), problem: z.string() })),
    createdAt: time,
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
    attempts: z.int(),
  })
  .openapi('Job');
export const jobStarted = z.object({ job: z.object({ id: z.string() }) });
export const jobs = z.object({ jobs: z.array(job), nextCursor });
const generation = z
  .object({
    number: z.int(),
    state: z.enum(['live', 'building', 'previous']),
    analyser: z.string(),
    chunker: z.string(),
    embeddingModel: z.string().nullable(),
    createdAt: z.string(),
    fits: z.boolean(),
    held: z.boolean(),
    jobId: z.string().nullable(),
    goneAt: z.string().nullable(),
  })
  .openapi('Generation');
export const generations = z.object({ generations: z.array(generation), nextCursor });
