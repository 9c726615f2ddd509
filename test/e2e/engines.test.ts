import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWeaviateChunks } from '../../core/drivers/chunks/weaviate/chunks.ts';
import { openCore, type Running, startFootnote } from '../../main.ts';
import { askReal } from '../core/drivers/chunks/weaviate/real-server.ts';
import { addressOf as addressOfUri, dropDatabase, freshDatabase, through } from '../core/drivers/state/mongo/server.ts';
import { createTestRuntime } from '../fakes/clock.ts';
import { type ModelServer, startModelServer } from '../fakes/model-server.ts';
import { startTcpProxy, type TcpProxy } from '../faults/tcp-proxy.ts';
import { callOn, footnote, operatorToken } from './product.ts';

/**
 * The whole product on both servers: WEAVIATE_URL (and WEAVIATE_GRPC_URL) and MONGODB_URI name ones that tests may fill and
 * empty. A database and a deployment of its own are made and dropped.
 */
const { MONGODB_URI, WEAVIATE_URL, WEAVIATE_GRPC_URL, WEAVIATE_API_KEY } = process.env;
const hasServers = MONGODB_URI !== undefined && WEAVIATE_URL !== undefined;

const hexOf = (text: string): string => Buffer.from(text).toString('hex');
const secretKey = Buffer.alloc(32, 7).toString('base64');

if (!hasServers) {
  describe('both servers', () => {
    it('was not run: MONGODB_URI and WEAVIATE_URL name no servers', (context) => {
      console.warn('NOT RUN: the whole product on Weaviate and MongoDB. Set MONGODB_URI and WEAVIATE_URL.');
      context.skip('MONGODB_URI or WEAVIATE_URL is not set');
    });
  });
} else {
  const deployment = `e2e-${Date.now().toString(36)}`;
  const databases: string[] = [];
  const database = (): string => {
    const uri = freshDatabase(MONGODB_URI);
    databases.push(uri);
    return uri;
  };
  const weaviate = {
    WEAVIATE_URL,
    WEAVIATE_GRPC_URL: WEAVIATE_GRPC_URL ?? `http://${new URL(WEAVIATE_URL).hostname}:50051`,
    FOOTNOTE_DEPLOYMENT: deployment,
    ...(WEAVIATE_API_KEY === undefined ? {} : { WEAVIATE_API_KEY }),
  };
  const environment = (uri: string, more: Readonly<Record<string, string>> = {}) => ({
    PORT: '0',
    // Neither made nor needed.
    DATA_DIR: join(tmpdir(), 'footnote-never-made'),
    FOOTNOTE_ADMIN_TOKEN: operatorToken,
    FOOTNOTE_SECRET_KEY: secretKey,
    LOG_LEVEL: 'silent',
    MONGODB_URI: uri,
    ...weaviate,
    ...more,
  });
  const sweepWeaviate = async (deploymentId: string): Promise<void> => {
    const { clock: _, ...runtime } = createTestRuntime();
    const store = await openWeaviateChunks({
      url: WEAVIATE_URL,
      grpcUrl: weaviate.WEAVIATE_GRPC_URL,
      apiKey: WEAVIATE_API_KEY,
      deploymentId,
      tenancy: 'collection',
      replicas: 1,
      maxTenants: 100,
      clock: (await import('../../core/observe/system.ts')).systemClock,
      log: runtime.log,
    });
    const folder = await mkdtemp(join(tmpdir(), 'footnote-sweep-'));
    await store.backup(folder, new AbortController().signal);
    const { indexes } = JSON.parse(await readFile(join(folder, 'weaviate-chunks.json'), 'utf8'));
    for (const { tenantId } of indexes) await store.dropTenant(tenantId);
    await store.close();
    await rm(folder, { recursive: true });
  };
  afterAll(async () => {
    for (const name of [deployment, `${deployment}-r`, `${deployment}-x`]) await sweepWeaviate(name);
    // Some MongoDB-compatible servers stumble over dropping an empty collection with indexes.
    for (const uri of databases) await dropDatabase(uri).catch(() => undefined);
  });

  describe('both servers', { timeout: 120_000 }, () => {
    const uri = database();
    let models: ModelServer;
    let one: Running;
    let two: Running;
    const env = () => environment(uri, { EMBEDDING_MODEL: 'fake-embed', EMBEDDING_BASE_URL: models.baseUrl });
    beforeAll(async () => {
      models = await startModelServer();
      one = await startFootnote(env());
      two = await startFootnote(env());
    }, 120_000);
    afterAll(async () => {
      await Promise.all([one.stop(), two.stop()]);
      await models.close();
    }, 60_000);

    it('serve without a DATA_DIR, and the demo answers with footnotes on either instance', async () => {
      expect(existsSync(join(tmpdir(), 'footnote-never-made'))).toBe(false);
      for (const running of [one, two]) {
        const { status, body } = await callOn(running, 'POST', '/api/v1/tenants/demo/ask', {
          body: { question: 'How many days of annual leave do I get?' },
        });
        expect(status).toBe(200);
        expect(body).toMatchObject({ kind: 'answered', citations: [{ n: 1 }] });
      }
    });

    it('sign the first owner in by a link that works once, on either instance', async () => {
      const path = new URL(one.signInUrl ?? '').pathname;
      const first = await callOn(two, 'GET', path, { headers: {} });
      expect(first.status).toBe(303);
      const cookie = first.headers
        .getSetCookie()
        .map((each) => each.split(';')[0])
        .join('; ');
      for (const running of [one, two])
        expect((await callOn(running, 'GET', '/console/settings/account', { headers: { cookie } })).status).toBe(200);
      expect((await callOn(one, 'GET', path, { headers: {} })).status).toBe(410);
    });

    it('refuse a revoked key on the other instance within a second', async () => {
      const made = await callOn(one, 'POST', '/api/v1/tenants/demo/keys', { body: { name: 'k', scopes: ['ask'] } });
      const search = () =>
        callOn(two, 'POST', '/api/v1/tenants/demo/search', { body: { query: 'leave' }, bearer: made.body.key });
      expect((await search()).status).toBe(200);
      expect((await callOn(one, 'DELETE', `/api/v1/tenants/demo/keys/${made.body.id}`)).status).toBe(204);
      const revokedAt = performance.now();
      while ((await search()).status !== 401) expect(performance.now() - revokedAt).toBeLessThan(1_000);
    });

    it('find a pushed document at once on the other instance, and no longer once it is deleted', async () => {
      const source = await callOn(one, 'POST', '/api/v1/tenants/demo/sources', { body: { kind: 'push', name: 'p' } });
      const path = `/api/v1/tenants/demo/sources/${source.body.id}/documents/wombat`;
      expect(
        (await callOn(one, 'PUT', path, { body: { title: 'Wombats', text: 'The wombat digs burrows at dusk.' } }))
          .status,
      ).toBe(201);
      const found = async (running: Running) =>
        (
          await callOn(running, 'POST', '/api/v1/tenants/demo/search', { body: { query: 'wombat burrows' } })
        ).body.passages.map((passage: { externalId: string }) => passage.externalId);
      expect((await found(two))[0]).toBe('wombat');
      expect((await callOn(two, 'DELETE', path)).status).toBe(204);
      for (const running of [one, two]) expect(await found(running)).not.toContain('wombat');
    });

    it('hold one version of a document that both are given at once, in index and row', async () => {
      const source = await callOn(one, 'POST', '/api/v1/tenants/demo/sources', { body: { kind: 'push', name: 'r' } });
      const path = `/api/v1/tenants/demo/sources/${source.body.id}/documents/numbat`;
      const put = (running: Running, text: string) =>
        callOn(running, 'PUT', path, { body: { title: 'Numbats', text } });
      for (let round = 0; round < 8; round += 1) {
        const said = await Promise.all([
          put(one, `The numbat sleeps, left ${round}.`),
          put(two, `The numbat sleeps, right ${round}.`),
        ]);
        for (const { status } of said) expect([200, 201]).toContain(status);
        const { body } = await callOn(one, 'POST', '/api/v1/tenants/demo/search', { body: { query: 'numbat sleeps' } });
        const found = body.passages.filter((passage: { externalId: string }) => passage.externalId === 'numbat');
        expect(found).toHaveLength(1);
        expect((await put(two, found[0].text)).body).toMatchObject({ outcome: 'unchanged' });
      }
      await callOn(one, 'DELETE', `/api/v1/tenants/demo/sources/${source.body.id}`);
    });

    it('answer a tenant without documents that nothing was found', async () => {
      await callOn(one, 'POST', '/api/v1/tenants', { body: { slug: 'empty', name: 'Empty' } });
      const { status, body } = await callOn(two, 'POST', '/api/v1/tenants/empty/ask', { body: { question: 'Why?' } });
      expect(status).toBe(200);
      expect(body).toMatchObject({ kind: 'not-found' });
    });

    it('re-index without a question that fails, and the alias follows the pointer', async () => {
      const { body } = await callOn(one, 'POST', '/api/v1/tenants/demo/reindex');
      let asked = 0;
      for (let state = ''; state !== 'done'; asked += 1) {
        const { status, body: answer } = await callOn(two, 'POST', '/api/v1/tenants/demo/search', {
          body: { query: 'annual leave' },
        });
        expect(status).toBe(200);
        expect(answer.passages.length).toBeGreaterThan(0);
        state = (await callOn(one, 'GET', `/api/v1/tenants/demo/jobs/${body.job.id}`)).body.state;
        expect(state).not.toBe('failed');
      }
      expect(asked).toBeGreaterThan(0);
      const { id } = (await callOn(one, 'GET', '/api/v1/tenants/demo')).body;
      const alias = `Footnote_${hexOf(deployment)}_${hexOf(id)}_Live`;
      const target = async () => ((await askReal('GET', `/aliases/${alias}`)) as { class?: string }).class;
      await expect.poll(target, { timeout: 20_000 }).toMatch(/_G2$/);
    });

    it('are told of by the doctor', async () => {
      const { code, out } = await footnote(env(), 'doctor', '--json');
      const { findings } = JSON.parse(out) as { findings: { item: string; ok: boolean; says: string }[] };
      expect(findings.filter(({ ok }) => !ok)).toEqual([]);
      expect(code).toBe(0);
      for (const item of ['MongoDB', 'MongoDB writes', 'MongoDB indexes', 'Clock', 'Weaviate', 'Embeddings'])
        expect(findings.map((finding) => finding.item)).toContain(item);
    });

    it('come back from a backup, with the ledger equal and the lost index built anew', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'footnote-backup-'));
      const copy = join(folder, 'copy');
      // Building the index anew is paid for after this moment, and stands in the ledger like anything else.
      const range = `from=2020-01-01&to=${new Date().toISOString()}&group=day`;
      const before = (await callOn(one, 'GET', `/api/v1/tenants/demo/usage?${range}`)).body;
      expect(before.rows.length).toBeGreaterThan(0);
      expect(await footnote(env(), 'backup', copy)).toMatchObject({ code: 0 });
      const restored = { ...env(), MONGODB_URI: database(), FOOTNOTE_DEPLOYMENT: `${deployment}-r` };
      const { code, out, err } = await footnote(restored, 'restore', copy, '--json');
      expect(err).toBe('');
      expect(code).toBe(0);
      expect(JSON.parse(out).reindexed).toMatchObject([{ tenant: 'demo', problem: null }]);
      // A second one would overwrite.
      expect(await footnote(restored, 'restore', copy)).toMatchObject({ code: 1 });
      const third = await startFootnote({ ...restored, DEMO: 'off' });
      expect((await callOn(third, 'GET', `/api/v1/tenants/demo/usage?${range}`)).body).toEqual(before);
      expect(
        (
          await callOn(third, 'POST', '/api/v1/tenants/demo/ask', {
            body: { question: 'How many days of annual leave do I get?' },
          })
        ).body,
      ).toMatchObject({ kind: 'answered' });
      expect(third.signInUrl).toBeNull();
      await third.stop();
      await rm(folder, { recursive: true });
    });

    it('lose a deleted tenant on both instances, with its index', async () => {
      const { id } = (await callOn(one, 'GET', '/api/v1/tenants/demo')).body;
      expect((await callOn(one, 'DELETE', '/api/v1/tenants/demo')).status).toBe(204);
      expect((await callOn(two, 'GET', '/api/v1/tenants/demo')).status).toBe(404);
      const classes = async () =>
        ((await askReal('GET', '/schema')) as { classes: { class: string }[] }).classes
          .map((each) => each.class)
          .filter((name) => name.startsWith(`Footnote_${hexOf(deployment)}_${hexOf(id)}`));
      await expect.poll(classes, { timeout: 40_000, interval: 500 }).toEqual([]);
    });
  });

  describe('a server that goes away', { timeout: 240_000 }, () => {
    let running: Running;
    let state: TcpProxy;
    let rest: TcpProxy;
    let grpc: TcpProxy;
    let source: string;
    const addressOf = (url: string) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) });
    beforeAll(async () => {
      const uri = database();
      const server = addressOfUri(uri);
      if (server === null) throw new Error('MONGODB_URI must name one host for this.');
      state = await startTcpProxy(server);
      rest = await startTcpProxy(addressOf(WEAVIATE_URL));
      grpc = await startTcpProxy(addressOf(weaviate.WEAVIATE_GRPC_URL));
      running = await startFootnote(
        environment(through(uri, state.port), {
          WEAVIATE_URL: `http://127.0.0.1:${rest.port}`,
          WEAVIATE_GRPC_URL: `http://127.0.0.1:${grpc.port}`,
        }),
      );
      source = (await callOn(running, 'POST', '/api/v1/tenants/demo/sources', { body: { kind: 'push', name: 'p' } }))
        .body.id;
    }, 60_000);
    afterAll(async () => {
      for (const proxy of [state, rest, grpc]) proxy.set('pass');
      await running.stop();
      for (const proxy of [state, rest, grpc]) await proxy.close();
    }, 60_000);

    const put = (id: string) =>
      callOn(running, 'PUT', `/api/v1/tenants/demo/sources/${source}/documents/${id}`, {
        body: { title: id, text: `The ${id} sleeps in the valley.` },
      });
    const listed = async (id: string): Promise<boolean> =>
      (await callOn(running, 'GET', `/api/v1/tenants/demo/sources/${source}/documents`)).body.documents.some(
        (document: { externalId: string }) => document.externalId === id,
      );
    const soonDone = async (id: string): Promise<void> => {
      const mendedAt = performance.now();
      for (let status = 0; status !== 200 && status !== 201; status = (await put(id)).status)
        expect(performance.now() - mendedAt).toBeLessThan(10_000);
      const found = await callOn(running, 'POST', '/api/v1/tenants/demo/search', { body: { query: `${id} valley` } });
      expect(found.body.passages[0].externalId).toBe(id);
    };

    it('Weaviate: no document is acknowledged, people are told, and all is well within ten seconds of its return', async () => {
      for (const proxy of [rest, grpc]) proxy.set('refuse');
      const refused = await put('quokka');
      expect(refused.status).toBe(503);
      expect(refused.body.detail).toMatch(/Weaviate/);
      expect(await listed('quokka')).toBe(false);
      expect((await fetch(`${running.url}/readyz`)).status).toBe(503);
      const asked = await callOn(running, 'POST', '/api/v1/tenants/demo/ask', { body: { question: 'Annual leave?' } });
      expect(asked.status).toBe(503);
      for (const proxy of [rest, grpc]) proxy.set('pass');
      await soonDone('quokka');
    });

    it('MongoDB: nothing is acknowledged, readiness says so, and all is well within ten seconds of its return', async () => {
      state.set('refuse');
      const refused = await put('numbat');
      expect(refused.status).toBe(503);
      expect(refused.body.detail).toMatch(/MongoDB|store/);
      expect((await fetch(`${running.url}/readyz`)).status).toBe(503);
      state.set('pass');
      await soonDone('numbat');
    });

    it('MongoDB, in the middle of a write whose answer is lost: refused, and whole when it is sent again', async () => {
      state.watch((text) => {
        if (text.includes('bilby') && text.includes('documents')) state.set('mute');
      });
      expect((await put('bilby')).status).toBe(503);
      state.watch(null);
      state.set('pass');
      await soonDone('bilby');
    });

    it('both slow: everything takes longer and nothing fails', async () => {
      for (const proxy of [state, rest, grpc]) proxy.delay(40);
      const { status } = await put('potoroo');
      expect(status).toBe(201);
      const asked = await callOn(running, 'POST', '/api/v1/tenants/demo/ask', {
        body: { question: 'How many days of annual leave do I get?' },
      });
      expect(asked.body).toMatchObject({ kind: 'answered' });
      for (const proxy of [state, rest, grpc]) proxy.delay(0);
    });
  });

  describe('a server in the wrong shape', { timeout: 60_000 }, () => {
    const refusal = async (env: Readonly<Record<string, string>>): Promise<string> => {
      try {
        await (await openCore(env)).core.close();
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
      return 'opened';
    };

    it('that is out of reach stops the start with its name in the sentence', async () => {
      expect(await refusal(environment('mongodb://127.0.0.1:9/x'))).toContain('check MONGODB_URI');
      expect(await refusal(environment(database(), { WEAVIATE_URL: 'http://127.0.0.1:9' }))).toMatch(/127\.0\.0\.1:9/);
      expect(await refusal(environment(database(), { WEAVIATE_GRPC_URL: 'http://127.0.0.1:9' }))).toMatch(/gRPC/);
    });

    it('that is an older Weaviate, or none at all, stops the start', async () => {
      for (const [body, says] of [
        [{ version: '1.31.9' }, 'Footnote needs 1.32 or newer'],
        [{ version: '1.32.4' }, 'not 1.32.3 or 1.32.4'],
        [{ hello: 'world' }, 'Weaviate'],
      ] as const) {
        const server = createServer((_request, response) => {
          response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        });
        await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
        const { port } = server.address() as AddressInfo;
        expect(await refusal(environment(database(), { WEAVIATE_URL: `http://127.0.0.1:${port}` }))).toContain(says);
        server.close();
      }
    });

    it('a collection that somebody else made under our name refuses the document, and says what to do', async () => {
      const uri = database();
      const running = await startFootnote(environment(uri, { DEMO: 'off', FOOTNOTE_DEPLOYMENT: `${deployment}-x` }));
      await callOn(running, 'POST', '/api/v1/tenants', { body: { slug: 'acme', name: 'Acme' } });
      const { id } = (await callOn(running, 'GET', '/api/v1/tenants/acme')).body;
      const name = `Footnote_${hexOf(`${deployment}-x`)}_${hexOf(id)}_G1`;
      await askReal('POST', '/schema', { class: name, vectorizer: 'none' });
      const source = await callOn(running, 'POST', '/api/v1/tenants/acme/sources', {
        body: { kind: 'push', name: 'p' },
      });
      const put = await callOn(running, 'PUT', `/api/v1/tenants/acme/sources/${source.body.id}/documents/a`, {
        body: { title: 'A', text: 'A wombat.' },
      });
      expect(put.status).toBeGreaterThanOrEqual(400);
      expect(put.body.detail).toContain('was not made by this version of Footnote');
      await running.stop();
      await askReal('DELETE', `/schema/${name}`);
    });
  });
}
