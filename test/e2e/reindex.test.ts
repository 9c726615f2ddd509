import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run } from '../../cli/main.ts';
import { openDoor } from '../../cli/open.ts';
import { type Running, startFootnote } from '../../main.ts';
import { type ModelServer, startModelServer } from '../fakes/model-server.ts';

const token = 'an-operator-token-for-tests';
let dataDir: string;
let server: ModelServer;
let running: Running | undefined;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'footnote-reindex-'));
  server = await startModelServer();
});
afterEach(async () => {
  await running?.stop();
  await server.close();
  await rm(dataDir, { recursive: true });
});

const start = async (more: Readonly<Record<string, string>> = {}): Promise<void> => {
  running = await startFootnote({
    PORT: '0',
    DATA_DIR: dataDir,
    FOOTNOTE_ADMIN_TOKEN: token,
    LOG_LEVEL: 'silent',
    ...more,
  });
};
const call = async (method: string, path: string, body?: unknown) => {
  const response = await fetch(`${running?.url}/api/v1/tenants/demo${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
};
type Shown = {
  readonly number: number;
  readonly state: string;
  readonly fits: boolean;
  readonly embeddingModel: string;
};
const liveOne = async (): Promise<Shown | undefined> =>
  (await call('GET', '/generations')).body.generations.find((one: Shown) => one.state === 'live');
const until = async (is: () => Promise<boolean>): Promise<void> => {
  for (const deadline = Date.now() + 60_000; !(await is()); await new Promise((done) => setTimeout(done, 20)))
    if (Date.now() > deadline) throw new Error('It did not come to pass.');
};
const queries = (): number => server.calls.filter(({ path }) => path.endsWith('/embeddings')).length;

it('a model that is configured later makes the documents searchable by meaning, and nothing fails meanwhile', async () => {
  await start();
  const source = (await call('POST', '/sources', { kind: 'push', name: 'More' })).body.id;
  const put = (id: string, text: string) => call('PUT', `/sources/${source}/documents/${id}`, { text });
  expect((await put('anchor', 'The anchor weighs forty kilograms.')).status).toBe(201);
  expect(await liveOne()).toMatchObject({ number: 1, fits: true, embeddingModel: null });
  await running?.stop();

  const env = { EMBEDDING_MODEL: 'test-embedding', EMBEDDING_BASE_URL: server.baseUrl };
  await start(env);
  const answers: number[] = [];
  await until(async () => {
    answers.push((await call('POST', '/search', { query: 'anchor' })).status);
    answers.push((await put(`meanwhile-${answers.length}`, `Rope number ${answers.length} is long.`)).status);
    const live = await liveOne();
    return live?.number === 2 && live.fits;
  });
  expect(answers.filter((status) => status !== 200 && status !== 201)).toEqual([]);
  const before = queries();
  const { body } = await call('POST', '/search', { query: 'How heavy is the anchor?' });
  expect(queries()).toBe(before + 1);
  expect(body.passages[0].text).toContain('forty kilograms');
  for (let n = 2; n <= answers.length; n += 2) {
    const { body: found } = await call('POST', '/search', { query: `rope ${n - 1}`, limit: 50 });
    expect(found.passages.length).toBeGreaterThan(0);
  }

  await until(async () =>
    (await call('GET', '/jobs')).body.jobs.every((job: { state: string }) => job.state === 'done'),
  );
  const back = await call('POST', '/generations/1/activate');
  expect(back.status).toBe(202);
  await until(async () => (await call('GET', `/jobs/${back.body.job.id}`)).body.state === 'done');
  expect(await liveOne()).toMatchObject({ number: 1, fits: false, held: true });
  expect((await call('POST', '/search', { query: 'anchor' })).body.passages[0].text).toContain('forty kilograms');

  let out = '';
  const code = await run(['reindex', '--json'], {
    terminal: {
      out: (text) => {
        out += text;
      },
      err: () => undefined,
      isTerminal: false,
      columns: 80,
      input: Readable.from([]),
      signal: new AbortController().signal,
    },
    env: { DATA_DIR: dataDir, ...env },
    openDoor,
  });
  expect({ code, out: JSON.parse(out) }).toMatchObject({
    code: 0,
    out: { tenants: [{ tenant: 'demo', problem: null }] },
  });
  expect(await liveOne()).toMatchObject({ fits: true, embeddingModel: 'test-embedding' });
});
