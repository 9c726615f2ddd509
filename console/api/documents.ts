import { HTTPException } from 'hono/http-exception';
import type { BatchResult, Core, DocumentInput } from '../../core/core.ts';
import type { Document } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { documentIdOf } from '../../core/ids.ts';
import { formOf, maxFiles, putFiles } from '../files.ts';
import { type HttpParts, isTooDeep, limits } from '../guard.ts';
import { sentenceOf } from '../problem.ts';
import type { Operations } from './operation.ts';
import { found, renderDocument } from './render.ts';
import * as schemas from './schemas/documents.ts';
import { pageQuery, tenantPath } from './schemas/fields.ts';
import { ofSourceQuery, sourcePath } from './schemas/sources.ts';
import { defined, pageOf } from './tenants.ts';

const base = '/api/v1/tenants/{slug}';
const tag = 'Documents';
const maxLines = 1000;

export const addDocuments = ({ add }: Operations, { core }: HttpParts): void => {
  add(
    {
      method: 'put',
      path: `${base}/sources/{source}/documents/{id}`,
      policy: 'key:ingest',
      tag,
      summary: 'Put one document',
      description: 'Searchable when it returns. The id is yours; encode slashes in it as %2F.',
      params: schemas.sourceDocumentPath,
      body: schemas.documentInput,
      maxBytes: limits.document,
      answers: { 200: schemas.putResult, 201: schemas.putResult },
    },
    async ({ c, params, body, signal }) => {
      const tenantId = c.get('tenant').id;
      found(await core.sources.get(tenantId, params.source), 'source');
      const { outcome, document } = await core.documents.put(
        tenantId,
        params.source,
        inputOf({ ...body, id: params.id }),
        signal,
      );
      return c.json({ outcome, document: renderDocument(document) }, outcome === 'created' ? 201 : 200);
    },
  );
  add(
    {
      method: 'post',
      path: `${base}/sources/{source}/documents:batch`,
      policy: 'key:ingest',
      tag,
      summary: 'Put many documents',
      description: `One JSON document per line, at most ${maxLines} lines and 16 MB; searchable when it returns. A broken line is reported, never the end of the batch.`,
      params: sourcePath,
      rawBody: { mediaType: 'application/x-ndjson', schema: { type: 'string' } },
      maxBytes: limits.batch,
      answers: { 200: schemas.batchResult },
    },
    async ({ c, params, signal }) => {
      requireType(c.req.header('content-type'), ['application/x-ndjson', 'application/ndjson', 'application/jsonl']);
      const tenantId = c.get('tenant').id;
      found(await core.sources.get(tenantId, params.source), 'source');
      const { inputs, failed } = parseLines(await c.req.text());
      const result: BatchResult =
        inputs.length === 0
          ? { upserted: 0, unchanged: 0, failed: [] }
          : await core.documents.putBatch(tenantId, params.source, inputs, signal);
      return c.json({
        upserted: result.upserted,
        unchanged: result.unchanged,
        failed: [...failed, ...result.failed.map(({ id, problem }) => ({ id, problem }))],
      });
    },
  );
  add(
    {
      method: 'post',
      path: `${base}/sources/{source}/files`,
      policy: 'key:ingest',
      tag,
      summary: 'Upload files',
      description: `For sources of the kind \`upload\`: multipart/form-data, every part with a file name is one document, at most ${maxFiles} files and 50 MB. The type is decided by content.`,
      params: sourcePath,
      maxBytes: limits.files,
      answers: { 200: schemas.batchResult },
      rawBody: {
        mediaType: 'multipart/form-data',
        schema: {
          type: 'object',
          properties: { file: { type: 'array', items: { type: 'string', format: 'binary' } } },
        },
      },
    },
    async ({ c, params, signal }) => {
      requireType(c.req.header('content-type'), ['multipart/form-data']);
      const tenantId = c.get('tenant').id;
      const source = found(await core.sources.get(tenantId, params.source), 'source');
      return c.json(await putFiles(core, source, await formOf(c), signal));
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/documents`,
      policy: 'key:ingest',
      tag,
      summary: 'List documents',
      params: tenantPath,
      query: ofSourceQuery,
      answers: { 200: schemas.documents },
    },
    async ({ c, query }) => {
      const page = await core.documents.list(
        c.get('tenant').id,
        query.source === undefined ? {} : { sourceId: query.source },
        pageOf(query),
      );
      return c.json({ documents: page.items.map(renderDocument), nextCursor: page.nextCursor ?? null });
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/sources/{source}/documents`,
      policy: 'key:ingest',
      tag,
      summary: "List a source's documents",
      params: sourcePath,
      query: pageQuery,
      answers: { 200: schemas.documents },
    },
    async ({ c, params, query }) => {
      const tenantId = c.get('tenant').id;
      found(await core.sources.get(tenantId, params.source), 'source');
      const page = await core.documents.list(tenantId, { sourceId: params.source }, pageOf(query));
      return c.json({ documents: page.items.map(renderDocument), nextCursor: page.nextCursor ?? null });
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/documents/{document}`,
      policy: 'key:ingest',
      tag,
      summary: 'Read a document',
      description: 'By our id, or by yours where only one source has it.',
      params: schemas.documentPath,
      answers: { 200: schemas.document },
    },
    async ({ c, params }) => c.json(renderDocument(await documentNamed(core, c.get('tenant').id, params.document))),
  );
  add(
    {
      method: 'delete',
      path: `${base}/sources/{source}/documents/{id}`,
      policy: 'key:ingest',
      tag,
      summary: 'Delete a document by your id',
      description: 'Gone from every search when it returns.',
      params: schemas.sourceDocumentPath,
      answers: { 204: null },
    },
    async ({ c, params, signal }) => {
      const tenantId = c.get('tenant').id;
      found(await core.sources.get(tenantId, params.source), 'source');
      if (!(await core.documents.remove(tenantId, params.source, params.id, signal)))
        throw new AppError('not-found', 'There is no such document.');
      return c.body(null, 204);
    },
  );
  add(
    {
      method: 'delete',
      path: `${base}/documents/{document}`,
      policy: 'key:ingest',
      tag,
      summary: 'Delete a document',
      description: 'By our id, or by yours where only one source has it. Gone from every search when it returns.',
      params: schemas.documentPath,
      answers: { 204: null },
    },
    async ({ c, params, signal }) => {
      const tenantId = c.get('tenant').id;
      const document = await documentNamed(core, tenantId, params.document);
      await core.documents.remove(tenantId, document.sourceId, document.externalId, signal);
      return c.body(null, 204);
    },
  );
};

/** A document by our id, or by the pusher's when exactly one source knows it. */
const documentNamed = async (core: Core, tenantId: string, name: string): Promise<Document> => {
  const direct = await core.documents.get(tenantId, name);
  if (direct !== null) return direct;
  const sources = await core.sources.list(tenantId);
  const ids = sources.map((source) => documentIdOf(source.id, name));
  const [first, second] = await core.documents.getMany(tenantId, ids);
  if (second !== undefined)
    throw new AppError('conflict', 'Several sources have a document with this id; name the source in the path.');
  return found(first ?? null, 'document');
};

type Line = {
  readonly id: string;
  readonly text: string;
  readonly title?: string | undefined;
  readonly mediaType: string;
  readonly url?: string | undefined;
  readonly metadata?: Record<string, unknown> | undefined;
};

const inputOf = ({ id, text, ...rest }: Line): DocumentInput => ({ externalId: id, content: text, ...defined(rest) });

type Parsed = {
  readonly inputs: readonly DocumentInput[];
  readonly failed: readonly { readonly id: string; readonly problem: string }[];
};

const parseLines = (body: string): Parsed => {
  const lines = body
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((text, index) => ({ text: text.trim(), number: index + 1 }))
    .filter(({ text }) => text !== '');
  if (lines.length > maxLines)
    throw new AppError('too-large', `A batch has at most ${maxLines} lines; this one has ${lines.length}.`);
  const inputs: DocumentInput[] = [];
  const failed: { id: string; problem: string }[] = [];
  for (const { text, number } of lines) {
    const line = parseLine(text);
    if (line.input !== undefined) inputs.push(line.input);
    else failed.push({ id: line.id ?? `line ${number}`, problem: line.problem });
  }
  return { inputs, failed };
};

const parseLine = (
  text: string,
):
  | { readonly id: string; readonly input: DocumentInput }
  | { readonly id: string | undefined; readonly problem: string; readonly input?: never } => {
  let value: unknown;
  try {
    if (isTooDeep(text)) return { id: undefined, problem: `nested deeper than ${limits.jsonDepth} levels` };
    value = JSON.parse(text);
  } catch {
    return { id: undefined, problem: 'not valid JSON' };
  }
  const parsed = schemas.batchLine.safeParse(value);
  if (parsed.success) return { id: parsed.data.id, input: inputOf(parsed.data) };
  const given =
    value !== null && typeof value === 'object' && 'id' in value && typeof value.id === 'string' && value.id !== ''
      ? value.id.slice(0, 1024)
      : undefined;
  const issue = parsed.error.issues[0];
  return {
    id: given,
    problem:
      issue === undefined
        ? 'does not fit the schema'
        : [issue.path.join('.'), sentenceOf(issue)].filter((part) => part !== '').join(': '),
  };
};

const requireType = (given: string | undefined, allowed: readonly string[]): void => {
  const essence = (given ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (!allowed.includes(essence))
    throw new HTTPException(415, { message: `Send the body as ${allowed.join(' or ')}.` });
};
