import { randomBytes } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { openSqliteChunks } from '../../core/drivers/chunks/sqlite/chunks.ts';
import { openSqliteState } from '../../core/drivers/state/sqlite/state.ts';
import { createIngest } from '../../core/ingest/ingest.ts';
import type { Metering } from '../../core/metering/metering.ts';
import type { Log, Runtime } from '../../core/ports/runtime.ts';
import type { Change } from '../../core/ports/source.ts';
import { makePdf } from '../core/ingest/make-documents.ts';
import type { BenchResult } from './result.ts';

/**
 * P6: the whole path of a document without embeddings, beside the bare parsers on as many threads in the same run. Small
 * rounds by turns, and the median of their ratios, because a machine's speed changes by the minute. Only on a machine that
 * does nothing else: of a busy one the whole path gets more than the parser, having more threads. So the load is told.
 */

type Kind = 'markdown' | 'html' | 'pdf';
type Sample = { readonly name: string; readonly bytes: Uint8Array };
type Corpus = { readonly name: string; readonly minBytes: number; readonly files: number };

const threads = 2;
const warmUp = 20;
const rounds = 5;
const maxBytes = 60_000;
const [loadBefore = 0] = loadavg();

/** Most READMEs are shorter than what organisations write: told apart, since each document has costs of its own. */
const corpora: readonly Corpus[] = [
  { name: 'README files as they are', minBytes: 500, files: 200 },
  { name: 'documents of 10 to 60 kB', minBytes: 10_000, files: 100 },
];

const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
const runtime: Runtime = {
  clock: {
    now: () => Date.now(),
    sleep: async (ms, signal) => void (await sleep(ms, undefined, signal === undefined ? {} : { signal })),
  },
  random: { hex: (bytes) => randomBytes(bytes).toString('hex'), float: () => Math.random() },
  log: silent,
  metrics: { count: () => undefined, observe: () => undefined, set: () => undefined },
};

/** Spread over the alphabet, so that families of packages do not count for many. */
const markdownSamples = ({ minBytes, files }: Corpus): readonly Sample[] => {
  const modules = fileURLToPath(new URL('../../node_modules/', import.meta.url));
  const all = globSync(['*/*.md', '@*/*/*.md'], { cwd: modules })
    .sort()
    .map((name) => ({ name, bytes: readFileSync(join(modules, name)) }))
    .filter(({ bytes }) => bytes.length > minBytes && bytes.length < maxBytes);
  const step = Math.max(1, Math.floor(all.length / files));
  return all.filter((_sample, at) => at % step === 0).slice(0, files);
};

/** Prose of the Markdown files as pages: articles with navigation, lists and code. */
const htmlSamples = (markdown: readonly Sample[]): readonly Sample[] =>
  markdown.map(({ name, bytes }) => {
    const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
    const blocks = new TextDecoder()
      .decode(bytes)
      .split(/\n{2,}/)
      .map((block) => {
        if (/^#{1,6} /.test(block)) return `<h2>${escaped(block.replace(/^#+ /, ''))}</h2>`;
        if (block.startsWith('```')) return `<pre><code>${escaped(block)}</code></pre>`;
        if (/^[-*] /.test(block))
          return `<ul>${block
            .split('\n')
            .map((line) => `<li>${escaped(line.slice(2))}</li>`)
            .join('')}</ul>`;
        return `<p>${escaped(block)}</p>`;
      });
    const page = `<!doctype html><html><head><title>${escaped(name)}</title></head><body><nav><a href="/">Home</a></nav><main><h1>${escaped(name)}</h1>${blocks.join('\n')}</main></body></html>`;
    return { name: `${name}.html`, bytes: Buffer.from(page) };
  });

const pdfSamples = (markdown: readonly Sample[]): readonly Sample[] =>
  markdown.map(({ name, bytes }) => {
    const lines = new TextDecoder()
      .decode(bytes)
      .replace(/[^\x20-\x7e\n]/g, '')
      .split('\n')
      .flatMap((line) => line.match(/.{1,90}/g) ?? []);
    const pages = Array.from({ length: Math.ceil(lines.length / 48) }, (_, at) =>
      lines.slice(at * 48, at * 48 + 48).join('\n'),
    );
    return { name: `${name}.pdf`, bytes: makePdf(pages.length === 0 ? ['empty'] : pages) };
  });

/** Time on the clock, and processor time of all threads: the second hardly changes when others use the machine as well. */
type Spent = { readonly seconds: number; readonly processor: number };

const stopwatch = (): (() => Spent) => {
  const started = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { seconds: (performance.now() - started) / 1_000, processor: (user + system) / 1e6 };
  };
};

/** Something that takes all samples through, as often as it is asked to; its start is not counted. */
type Contender = { readonly run: () => Promise<Spent>; readonly end: () => Promise<void> };

const bareParser = async (variant: 'ours' | 'library', samples: readonly Sample[]): Promise<Contender> => {
  const workers = await Promise.all(
    Array.from({ length: threads }, async (_, at) => {
      const worker = new Worker(new URL('./ingest-parser.ts', import.meta.url), {
        workerData: { variant, samples: samples.filter((_sample, index) => index % threads === at) },
      });
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      return worker;
    }),
  );
  return {
    run: async () => {
      const spent = stopwatch();
      await Promise.all(
        workers.map((worker) => {
          const finished = new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
          worker.postMessage('go');
          return finished;
        }),
      );
      return spent();
    },
    end: async () => void (await Promise.all(workers.map((worker) => worker.terminate()))),
  };
};

/** From the first change to the last document searchable, over the real embedded stores. */
const wholePath = async (samples: readonly Sample[]): Promise<Contender> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'footnote-bench-'));
  const state = await openSqliteState({ dataDir, log: silent });
  const chunks = await openSqliteChunks({ dataDir, log: silent });
  const tenant = {
    id: 't_00000000000000000000000b',
    slug: 'bench',
    name: 'Bench',
    createdAt: 0,
    settings: {},
    activeGeneration: 1,
    contentRevision: 0,
    rev: 1,
  };
  await state.tenants.create(tenant);
  let queue: readonly Sample[] = [];
  const changes = async function* (): AsyncGenerator<Change> {
    for (const { name, bytes } of queue) yield { type: 'upsert', externalId: name, read: async () => bytes };
  };
  const driver = { kind: 'samples', label: 'Samples', settings: z.strictObject({}), open: async () => ({ changes }) };
  const metering = { record: async () => [] } as unknown as Metering;
  const ingest = createIngest({
    state,
    chunks,
    embedder: null,
    metering,
    sources: [driver],
    runtime,
    limits: { parseWorkers: threads, jobs: { leaseForMs: 30_000 } },
  });
  const source = await ingest.createSource(tenant, { kind: driver.kind, name: 'Samples', settings: {} });
  /** All as documents that were never seen before. */
  const sync = async (prefix: string, wanted: readonly Sample[]): Promise<Spent> => {
    queue = wanted.map((sample) => ({ ...sample, name: `${prefix}/${sample.name}` }));
    const spent = stopwatch();
    const { id } = await ingest.sync(tenant, source.id);
    for await (const job of ingest.watch(tenant.id, id, AbortSignal.timeout(300_000))) {
      if (job.state === 'failed' || job.counts.failed > 0) throw new Error(JSON.stringify(job.errors));
    }
    return spent();
  };
  ingest.start();
  // Threads are started, and code is compiled, by first documents that are not counted; so for the bare parser.
  await sync('warm', samples.slice(0, warmUp));
  let round = 0;
  return {
    run: () => sync(`round-${round++}`, samples),
    end: async () => {
      await ingest.stop(1_000);
      await chunks.close();
      await state.maintenance.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
};

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const notes: Readonly<Record<Kind, string>> = {
  markdown:
    'mdast-util-from-markdown: exact CommonMark blocks with offsets, so quotes are slices of what was pushed; marked is ten times as fast but gives no positions',
  html: 'linkedom + readability, rehype-parse + hast-util-to-mdast: tables, code and nesting come out right; turndown loses tables',
  pdf: 'unpdf (PDF.js): sizes and places of words without native code or a copyleft licence',
};

const measure = async (kind: Kind, corpus: Corpus, samples: readonly Sample[]): Promise<BenchResult> => {
  const bytes = samples.reduce((sum, sample) => sum + sample.bytes.length, 0);
  const contenders = {
    ours: await bareParser('ours', samples),
    ...(kind === 'markdown' ? { library: await bareParser('library', samples) } : {}),
    whole: await wholePath(samples),
  };
  const spent = { ours: [] as Spent[], library: [] as Spent[], whole: [] as Spent[] };
  for (let round = 0; round < rounds; round++) {
    spent.ours.push(await contenders.ours.run());
    if (contenders.library !== undefined) spent.library.push(await contenders.library.run());
    spent.whole.push(await contenders.whole.run());
  }
  for (const contender of Object.values(contenders)) await contender.end();
  const shareOf = (parser: readonly Spent[], of: keyof Spent): number =>
    Math.round(median(spent.whole.map((whole, round) => (parser[round]?.[of] ?? 0) / whole[of])) * 100) / 100;
  const rate = (of: readonly Spent[]): number =>
    Math.round((bytes / 1e6 / median(of.map(({ seconds }) => seconds))) * 100) / 100;
  const ratio = shareOf(spent.ours, 'seconds');
  return {
    id: 'P6',
    item: `ingest of ${kind} without embeddings, ${corpus.name} (${Math.round(bytes / samples.length / 100) / 10} kB on average), as a share of the parser alone on ${threads} threads`,
    value: ratio,
    unit: '× parser',
    target: '≥ 0.8',
    beside: [
      { name: 'the same share in processor time', value: shareOf(spent.ours, 'processor') },
      { name: 'whole path, MB/s', value: rate(spent.whole) },
      { name: 'parser alone, MB/s', value: rate(spent.ours) },
      ...(kind === 'markdown'
        ? [
            { name: 'the same parser as its users call it (inline constructs too), MB/s', value: rate(spent.library) },
            { name: 'the share of that', value: shareOf(spent.library, 'seconds') },
          ]
        : []),
      { name: 'documents a round', value: samples.length },
      { name: 'rounds', value: rounds },
      { name: 'load of the machine before', value: loadBefore },
    ],
    note: notes[kind],
    ok: ratio >= 0.8,
  };
};

export const run = async (): Promise<BenchResult[]> => {
  const results: BenchResult[] = [];
  for (const corpus of corpora) {
    const markdown = markdownSamples(corpus);
    results.push(await measure('markdown', corpus, markdown));
    results.push(await measure('html', corpus, htmlSamples(markdown)));
    results.push(await measure('pdf', corpus, pdfSamples(markdown)));
  }
  return results;
};
