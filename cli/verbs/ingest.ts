import { readFile, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Core, DocumentInput } from '../../core/core.ts';
import type { TenantId } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { type FoundFile, findFiles } from '../files.ts';
import { createProgress } from '../progress.ts';
import { type Call, renderJson, tenantOf, tenantOption, UsageError, type Verb } from '../verb.ts';

/** Documents are handed over in batches: many small files share one index write, and memory stays bounded. */
const maxBatchDocuments = 64;
const maxBatchBytes = 16 * 1024 * 1024;
const maxFileBytes = 50 * 1024 * 1024;
/** How long pages that are being written may take when the person has seen enough. */
const drainForMs = 10_000;

type Problem = { readonly id: string; readonly problem: string };
type Counts = { seen: number; upserted: number; unchanged: number; removed: number; failed: number };

export const ingest: Verb = {
  name: 'ingest',
  about: 'Read files, folders or a website into a tenant. Documents that did not change cost nothing.',
  args: '<path|url> [more…]',
  options: {
    ...tenantOption,
    include: {
      type: 'string',
      multiple: true,
      about: 'only files that match, such as *.md (Markdown, HTML, text, PDF, DOCX)',
    },
    exclude: { type: 'string', multiple: true, about: 'leave out files and folders that match' },
    'include-node-modules': { type: 'boolean', about: 'also look inside node_modules' },
    prune: { type: 'boolean', about: 'remove documents whose files are gone from the folder' },
    source: { type: 'string', about: 'name of the source to fill (the path, or the address)' },
    'max-pages': { type: 'string', about: 'of a website, at most so many pages (10,000)' },
    'max-depth': { type: 'string', about: 'of a website, follow at most so many links away from the first page' },
  },
  async run(call) {
    if (call.args.length === 0) throw new UsageError('Give a file, a folder or an address.');
    const door = await call.open();
    const tenant = await tenantOf(call, door.core);
    const counts: Counts = { seen: 0, upserted: 0, unchanged: 0, removed: 0, failed: 0 };
    const problems: Problem[] = [];
    const report = { counts, problems };
    const worksHere = call.args.some(isAddress);
    if (worksHere) door.core.reindex.workHere();
    try {
      for (const target of call.args) {
        if (isAddress(target)) await ingestSite(call, door.core, tenant.id, target, report);
        else await ingestPath(call, door.core, tenant.id, target, report);
      }
    } finally {
      // Once, at the very end: what has drained reads nothing more.
      if (worksHere) await door.core.drain(drainForMs);
    }
    if (call.json) call.terminal.out(renderJson({ ...counts, errors: problems }));
    else {
      const { seen, upserted, unchanged, removed, failed } = counts;
      call.terminal.out(
        `${seen} seen: ${upserted} new or changed, ${unchanged} unchanged${removed > 0 ? `, ${removed} removed` : ''}${failed > 0 ? `, ${failed} failed` : ''}\n`,
      );
      for (const { id, problem } of problems) call.terminal.err(`${id}: ${problem}\n`);
    }
    return counts.failed > 0 ? 1 : 0;
  },
};

const isAddress = (target: string): boolean => /^https?:\/\//i.test(target);

type Report = { readonly counts: Counts; readonly problems: Problem[] };

const ingestPath = async (
  call: Call,
  core: Core,
  tenantId: TenantId,
  target: string,
  report: Report,
): Promise<void> => {
  const path = await realpath(resolve(target)).catch(() => null);
  if (path === null) throw new UsageError(`${target} cannot be found.`);
  const { signal } = call.terminal;
  const files: FoundFile[] = [];
  const progress = createProgress(call.terminal);
  const include = call.texts('include');
  const exclude = call.texts('exclude');
  try {
    for await (const file of findFiles(path, {
      include,
      exclude,
      includeNodeModules: call.flag('include-node-modules'),
      signal,
    })) {
      files.push(file);
      progress.show(`Looking: ${files.length} files`);
    }
    report.counts.seen += files.length;
    const sourceId = await sourceNamed(core, tenantId, call.text('source') ?? path);
    let done = 0;
    for (const batch of batchesOf(files, report)) {
      signal.throwIfAborted();
      progress.show(`${done} of ${files.length}  ${batch[0]?.externalId ?? ''}`);
      const documents = await Promise.all(batch.map(readDocument(report)));
      const readable = documents.filter((document) => document !== null);
      const result = await core.documents.putBatch(tenantId, sourceId, readable, signal);
      report.counts.upserted += result.upserted;
      report.counts.unchanged += result.unchanged;
      report.counts.failed += result.failed.length;
      report.problems.push(...result.failed);
      done += batch.length;
    }
    if (call.flag('prune')) {
      const present = new Set(files.map(({ externalId }) => externalId));
      report.counts.removed += await prune(core, tenantId, sourceId, present, signal);
    }
  } finally {
    progress.clear();
  }
};

const sourceNamed = async (core: Core, tenantId: TenantId, name: string): Promise<string> => {
  const known = (await core.sources.list(tenantId)).find((source) => source.kind === 'upload' && source.name === name);
  return (known ?? (await core.sources.create(tenantId, { kind: 'upload', name, settings: {} }))).id;
};

/** Greedy batches by count and bytes; files that are too large are reported and left out. */
function* batchesOf(files: readonly FoundFile[], report: Report): Generator<readonly FoundFile[]> {
  let batch: FoundFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (file.bytes > maxFileBytes) {
      fail(report, file.externalId, `The file is larger than ${maxFileBytes / 1024 / 1024} MB.`);
      continue;
    }
    if (batch.length === maxBatchDocuments || (batch.length > 0 && bytes + file.bytes > maxBatchBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.bytes;
  }
  if (batch.length > 0) yield batch;
}

const readDocument =
  (report: Report) =>
  async ({ path, externalId }: FoundFile): Promise<DocumentInput | null> => {
    try {
      return { externalId, content: new Uint8Array(await readFile(path)) };
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
      fail(report, externalId, `The file cannot be read (${code}).`);
      return null;
    }
  };

const fail = ({ counts, problems }: Report, id: string, problem: string): void => {
  counts.failed += 1;
  problems.push({ id, problem });
};

const prune = async (
  core: Core,
  tenantId: TenantId,
  sourceId: string,
  present: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<number> => {
  // Listed whole before the first removal, so that removing cannot make a page skip.
  const gone: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await core.documents.list(
      tenantId,
      { sourceId },
      { limit: 500, ...(cursor === undefined ? {} : { cursor }) },
    );
    for (const { externalId } of page.items) if (!present.has(externalId)) gone.push(externalId);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  for (const externalId of gone) await core.documents.remove(tenantId, sourceId, externalId, signal);
  return gone.length;
};

/** A site, by a source of its own kind: the same one again when the address is given again. */
const ingestSite = async (
  call: Call,
  core: Core,
  tenantId: TenantId,
  address: string,
  report: Report,
): Promise<void> => {
  const { signal } = call.terminal;
  const progress = createProgress(call.terminal);
  try {
    const job = await core.sources.sync(tenantId, await siteNamed(call, core, tenantId, address));
    let last = job;
    for await (const now of core.jobs.watch(tenantId, job.id, signal)) {
      last = now;
      progress.show(`${now.counts.seen} pages, ${now.counts.upserted} new or changed`);
    }
    signal.throwIfAborted();
    for (const name of ['seen', 'upserted', 'unchanged', 'removed', 'failed'] as const)
      report.counts[name] += last.counts[name];
    for (const { problem } of last.errors) report.problems.push({ id: address, problem });
    if (last.state === 'failed') report.counts.failed += 1;
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'cancelled' || error.code === 'store-unavailable') throw error;
    fail(report, address, error.message);
  } finally {
    progress.clear();
  }
};

const siteNamed = async (call: Call, core: Core, tenantId: TenantId, address: string): Promise<string> => {
  const settings = {
    url: address,
    ...listed('include', call.texts('include')),
    ...listed('exclude', call.texts('exclude')),
    ...numbered('maxPages', call.text('max-pages')),
    ...numbered('maxDepth', call.text('max-depth')),
  };
  const name = call.text('source') ?? address.replace(/^https?:\/\//i, '').slice(0, 200);
  const known = (await core.sources.list(tenantId)).find((one) => one.kind === 'website' && one.name === name);
  if (known === undefined) return (await core.sources.create(tenantId, { kind: 'website', name, settings })).id;
  // Settings that were made elsewhere stay, unless this call says otherwise.
  const wanted = { ...known.settings, ...settings };
  if (JSON.stringify(wanted) !== JSON.stringify(known.settings))
    await core.sources.update(tenantId, known.id, { settings: wanted });
  return known.id;
};

const listed = (name: string, values: readonly string[]) => (values.length === 0 ? {} : { [name]: [...values] });

const numbered = (name: string, value: string | undefined) => {
  if (value === undefined) return {};
  if (!/^\d{1,6}$/.test(value)) throw new UsageError(`${value} is not a number.`);
  return { [name]: Number(value) };
};
