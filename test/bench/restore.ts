import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { seeded } from './corpus.ts';
import type { BenchResult } from './result.ts';

/**
 * R10: a deployment with 10,000 passages and a ledger is backed up and restored by the command line, as an operator would.
 * Embedded; and with MONGODB_URI, WEAVIATE_URL (and WEAVIATE_GRPC_URL) on those servers, where the index is not copied
 * but built anew from the kept texts. A compiled `dist` has to be there (`npm run build`).
 */

const root = fileURLToPath(new URL('../../', import.meta.url));
const documents = 1_000;
const sectionsEach = 10;
const questions = 5;

export const run = async (): Promise<BenchResult[]> => {
  const { MONGODB_URI, WEAVIATE_URL, WEAVIATE_GRPC_URL, WEAVIATE_API_KEY } = process.env;
  const embedded = await measure('embedded', (_which, dataDir) => ({ DATA_DIR: dataDir }));
  if (MONGODB_URI === undefined || WEAVIATE_URL === undefined)
    return [
      embedded,
      {
        id: 'R10',
        item: 'restore, servers',
        value: 'not run',
        unit: '',
        note: 'MONGODB_URI or WEAVIATE_URL is not set',
      },
    ];
  const started = Date.now().toString(36);
  const server = await measure('servers', (which) => ({
    MONGODB_URI: new URL(`/footnote-bench-${started}-${which}`, MONGODB_URI).href,
    WEAVIATE_URL,
    ...(WEAVIATE_GRPC_URL === undefined ? {} : { WEAVIATE_GRPC_URL }),
    ...(WEAVIATE_API_KEY === undefined ? {} : { WEAVIATE_API_KEY }),
    FOOTNOTE_DEPLOYMENT: `bench-${started}-${which}`,
    FOOTNOTE_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
  }));
  return [embedded, server];
};

/** Until the stores are open and sound, and what it took to find and build the indexes that are missing. */
type Restored = { readonly stateMs: number; readonly indexMs: number };
type Environment = (which: 'from' | 'to', dataDir: string) => Readonly<Record<string, string>>;

const measure = async (form: string, environmentOf: Environment): Promise<BenchResult> => {
  const folder = await mkdtemp(join(tmpdir(), 'footnote-bench-restore-'));
  try {
    await writeDocuments(join(folder, 'documents'));
    const from = environmentOf('from', join(folder, 'from'));
    const to = environmentOf('to', join(folder, 'to'));
    const copy = join(folder, 'copy');
    await footnote(from, 'tenant', 'create', 'bench');
    await footnote(from, 'ingest', join(folder, 'documents'), '--tenant', 'bench');
    for (let n = 0; n < questions; n += 1) await footnote(from, 'ask', `What is w${n} of w1?`, '--tenant', 'bench');
    const ledger = await footnote(from, 'usage', '--tenant', 'bench', '--json');
    const backedUp = await timed(() => footnote(from, 'backup', copy));
    const { stateMs, indexMs } = JSON.parse(await footnote(to, 'restore', copy, '--json')) as Restored;
    const isEqual = (await footnote(to, 'usage', '--tenant', 'bench', '--json')) === ledger;
    const seconds = stateMs / 1_000;
    return {
      id: 'R10',
      item: `restore of ${documents * sectionsEach} passages in ${documents} documents, ${form}; ledger ${isEqual ? 'equal' : 'DIFFERENT'}`,
      value: seconds,
      unit: 's',
      target: '≤ 60 s, ledger equal',
      ok: isEqual && seconds <= 60,
      beside: [
        { name: 'the index, built from the kept texts', value: `${(indexMs / 1_000).toFixed(1)} s` },
        { name: 'the backup', value: `${(backedUp / 1_000).toFixed(1)} s` },
      ],
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const writeDocuments = async (folder: string): Promise<void> => {
  const chance = seeded(10);
  // Long enough that each section is a passage of its own.
  const paragraph = (): string => Array.from({ length: 180 }, () => `w${Math.floor(chance() ** 2 * 5_000)}`).join(' ');
  await mkdir(folder, { recursive: true });
  for (let n = 0; n < documents; n += 1) {
    const sections = Array.from({ length: sectionsEach }, (_, at) => `## Part ${at}\n\n${paragraph()}.\n`);
    await writeFile(join(folder, `${n}.md`), `# Document ${n}\n\n${sections.join('\n')}`);
  }
};

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
};

/** What the verb printed; throws what it complained of. */
const footnote = (env: Readonly<Record<string, string>>, ...words: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'bin/footnote.js'), ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, DEMO: 'off', ...env },
      timeout: 15 * 60_000,
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (text) => {
      out += String(text);
    });
    child.stderr.on('data', (text) => {
      err += String(text);
    });
    child.on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`${words[0]}: ${err || out}`))));
  });

if (process.argv[1] === fileURLToPath(import.meta.url)) console.dir(await run(), { depth: null });
