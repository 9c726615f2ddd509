import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openCore, type Running, startFootnote } from '../../main.ts';
import { againstRealServer, askReal } from '../core/drivers/chunks/weaviate/real-server.ts';
import { startModelServer } from '../fakes/model-server.ts';
import { startTcpProxy } from '../faults/tcp-proxy.ts';
import { callOn, footnote, operatorToken } from './product.ts';

/** The whole product with its passages in a real Weaviate and its state in a file: what a server in a bad way means to people. */
againstRealServer('the product on Weaviate', (server) => {
  const { WEAVIATE_API_KEY } = process.env;
  const deployments = ['collection', 'native', 'readonly', 'dims', 'slow', 'key'].map(
    (name) => `${name}-${Date.now().toString(36)}`,
  );
  const [collection = '', native = '', readonly = '', dims = '', slow = '', keyed = ''] = deployments;
  const hexOf = (text: string): string => Buffer.from(text).toString('hex');
  const closers: (() => Promise<unknown>)[] = [];
  let folder = '';

  const environment = (deployment: string, more: Readonly<Record<string, string>> = {}) => ({
    PORT: '0',
    DATA_DIR: join(folder, deployment),
    DEMO: 'off',
    FOOTNOTE_ADMIN_TOKEN: operatorToken,
    FOOTNOTE_DEPLOYMENT: deployment,
    LOG_LEVEL: process.env.E2E_LOG ?? 'silent',
    WEAVIATE_URL: server.url,
    WEAVIATE_GRPC_URL: server.grpcUrl,
    ...(WEAVIATE_API_KEY === undefined ? {} : { WEAVIATE_API_KEY }),
    ...more,
  });
  const start = async (deployment: string, more: Readonly<Record<string, string>> = {}): Promise<Running> => {
    const running = await startFootnote(environment(deployment, more));
    closers.push(() => running.stop());
    return running;
  };
  /** A tenant with a source to push to. */
  const furnish = async (running: Running): Promise<{ readonly id: string; readonly documents: string }> => {
    await callOn(running, 'POST', '/api/v1/tenants', { body: { slug: 'acme', name: 'Acme' } });
    const { id } = (await callOn(running, 'GET', '/api/v1/tenants/acme')).body;
    const source = await callOn(running, 'POST', '/api/v1/tenants/acme/sources', { body: { kind: 'push', name: 'p' } });
    return { id, documents: `/api/v1/tenants/acme/sources/${source.body.id}/documents` };
  };
  const put = (running: Running, documents: string, id: string) =>
    callOn(running, 'PUT', `${documents}/${id}`, { body: { title: id, text: `The ${id} sleeps in the valley.` } });
  const found = async (running: Running, query: string) => {
    const { status, body } = await callOn(running, 'POST', '/api/v1/tenants/acme/search', { body: { query } });
    return status === 200 ? body.passages.map((passage: { externalId: string }) => passage.externalId) : body.detail;
  };
  const listed = async (running: Running, documents: string): Promise<readonly string[]> =>
    (await callOn(running, 'GET', documents)).body.documents.map(
      ({ externalId }: { externalId: string }) => externalId,
    );
  const refusal = async (env: Readonly<Record<string, string>>): Promise<string> => {
    try {
      await (await openCore(env)).core.close();
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    return 'opened';
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'footnote-weaviate-'));
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    const { classes } = (await askReal('GET', '/schema')) as { classes: readonly { class: string }[] };
    const ours = deployments.map((name) => `Footnote_${hexOf(name)}_`);
    for (const { class: name } of classes)
      if (ours.some((prefix) => name.startsWith(prefix))) await askReal('DELETE', `/schema/${name}`);
    await rm(folder, { recursive: true });
  });

  describe.each([
    ['collection', collection],
    ['native', native],
  ] as const)('tenancy %s', (tenancy, deployment) => {
    it('answers, forgets, re-indexes, and is well in the eyes of the doctor', { timeout: 120_000 }, async () => {
      const env = environment(deployment, { WEAVIATE_TENANCY: tenancy });
      const running = await start(deployment, { WEAVIATE_TENANCY: tenancy });
      const { documents } = await furnish(running);
      for (const id of ['wombat', 'quokka']) expect((await put(running, documents, id)).status).toBe(201);
      expect(await found(running, 'wombat')).toEqual(['wombat']);
      expect((await callOn(running, 'DELETE', `${documents}/wombat`)).status).toBe(204);
      expect(await found(running, 'wombat')).toEqual([]);
      const { body } = await callOn(running, 'POST', '/api/v1/tenants/acme/reindex');
      const stateOf = async () => (await callOn(running, 'GET', `/api/v1/tenants/acme/jobs/${body.job.id}`)).body.state;
      await expect.poll(stateOf, { timeout: 60_000, interval: 200 }).toBe('done');
      expect(await found(running, 'quokka')).toEqual(['quokka']);
      const { code, out } = await footnote(env, 'doctor', '--json');
      expect({ code, bad: JSON.parse(out).findings.filter(({ ok }: { ok: boolean }) => !ok) }).toEqual({
        code: 0,
        bad: [],
      });
    });
  });

  it('an index that is read-only takes nothing, says so, and is searched on; afterwards the same push goes through', {
    timeout: 120_000,
  }, async () => {
    const running = await start(readonly);
    const { id, documents } = await furnish(running);
    expect((await put(running, documents, 'wombat')).status).toBe(201);
    const name = `Footnote_${hexOf(readonly)}_${hexOf(id)}_G1`;
    const setStatus = async (status: string): Promise<void> => {
      const shards = (await askReal('GET', `/schema/${name}/shards`)) as readonly { name: string }[];
      for (const shard of shards) await askReal('PUT', `/schema/${name}/shards/${shard.name}`, { status });
    };
    await setStatus('READONLY');
    for (const [method, path] of [
      ['PUT', `${documents}/quokka`],
      ['DELETE', `${documents}/wombat`],
    ] as const) {
      const refused = await callOn(running, method, path, {
        ...(method === 'PUT' ? { body: { title: 'quokka', text: 'The quokka sleeps in the valley.' } } : {}),
      });
      expect(refused.status, method).toBe(503);
      expect(refused.body.detail, method).toMatch(/takes no writes.*Make room/);
    }
    expect(await listed(running, documents)).not.toContain('quokka');
    expect(await found(running, 'wombat')).toEqual(['wombat']);
    await setStatus('READY');
    expect((await put(running, documents, 'quokka')).status).toBe(201);
    expect(await found(running, 'quokka')).toContain('quokka');
  });

  it('an embedding model that answers with other dimensions is named by the doctor, searched around, and indexed anew', {
    timeout: 120_000,
  }, async () => {
    const small = await startModelServer();
    const large = await startModelServer({ dimensions: 96 });
    closers.push(small.close, large.close);
    const models = ({ baseUrl }: { readonly baseUrl: string }) => ({
      EMBEDDING_MODEL: 'fake-embed',
      EMBEDDING_BASE_URL: baseUrl,
    });
    const before = await start(dims, models(small));
    const { documents } = await furnish(before);
    expect((await put(before, documents, 'wombat')).status).toBe(201);
    await before.stop();
    const after = await start(dims, models(large));
    // Judged before anything has led to a re-index.
    const { code, out } = await footnote(environment(dims, models(large)), 'doctor', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out).findings).toContainEqual({
      item: 'Embeddings',
      ok: false,
      says: expect.stringMatching(/96 dimensions.*64.*footnote reindex --tenant acme/s),
    });
    // Searched by words alone, and taken in without vectors; nobody is told of vectors that cannot be compared.
    expect(await found(after, 'wombat')).toContain('wombat');
    expect((await put(after, documents, 'quokka')).status).toBe(201);
    expect(await found(after, 'quokka')).toContain('quokka');
    const health = async () => (await footnote(environment(dims, models(large)), 'doctor', '--json')).code;
    // The index is built anew by itself.
    await expect.poll(health, { timeout: 90_000, interval: 1_000 }).toBe(0);
    expect(await found(after, 'quokka')).toContain('quokka');
  });

  it('one that is too slow is given up on in words, and nothing is acknowledged meanwhile', {
    timeout: 180_000,
  }, async () => {
    const proxies = await Promise.all(
      [server.url, server.grpcUrl].map((url) =>
        startTcpProxy({ host: new URL(url).hostname, port: Number(new URL(url).port) }),
      ),
    );
    const [restProxy, grpcProxy] = proxies;
    closers.push(...proxies.map((proxy) => () => proxy.close()));
    const running = await start(slow, {
      WEAVIATE_URL: `http://127.0.0.1:${restProxy?.port}`,
      WEAVIATE_GRPC_URL: `http://127.0.0.1:${grpcProxy?.port}`,
    });
    const { documents } = await furnish(running);
    expect((await put(running, documents, 'wombat')).status).toBe(201);
    for (const proxy of proxies) proxy.set('silent');
    const startedAt = performance.now();
    const [refused, sentence] = await Promise.all([put(running, documents, 'quokka'), found(running, 'wombat')]);
    expect(performance.now() - startedAt).toBeLessThan(70_000);
    expect(refused.status).toBe(503);
    expect(refused.body.detail).toMatch(/did not answer in time/);
    expect(sentence).toMatch(/did not answer in time/);
    for (const proxy of proxies) proxy.set('pass');
    await expect
      .poll(async () => (await put(running, documents, 'quokka')).status, { timeout: 30_000 })
      .toBeLessThan(300);
    expect(await found(running, 'quokka')).toContain('quokka');
  });

  it('a key that the server does not accept stops the start, and the doctor says which variable it is', {
    timeout: 60_000,
  }, async (context) => {
    if (WEAVIATE_API_KEY === undefined) context.skip('WEAVIATE_API_KEY is not set: the server lets everybody in');
    for (const WEAVIATE_API_KEY of ['wrong-key-1234', '']) {
      const env = environment(keyed, { WEAVIATE_API_KEY });
      const sentence = await refusal(env);
      expect(sentence).toMatch(/does not accept our key\. Check WEAVIATE_API_KEY/);
      expect(sentence).not.toContain('wrong-key-1234');
      const { code, out } = await footnote(env, 'doctor');
      expect(code).toBe(1);
      expect(out).toContain('Check WEAVIATE_API_KEY');
    }
  });
});
