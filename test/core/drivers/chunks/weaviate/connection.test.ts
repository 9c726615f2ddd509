import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { openWeaviateChunks, type WeaviateChunks } from '../../../../../core/drivers/chunks/weaviate/chunks.ts';
import { connect, defaultTimeouts } from '../../../../../core/drivers/chunks/weaviate/connection.ts';
import { parseEndpoints } from '../../../../../core/drivers/chunks/weaviate/endpoints.ts';
import { systemClock } from '../../../../../core/observe/system.ts';
import { createTestRuntime } from '../../../../fakes/clock.ts';
import { createFaultProxy } from './fault-proxy.ts';
import { emptyWeaviate, type HandMade } from './stand-in.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const { log, logged } = createTestRuntime();
const never = new AbortController().signal;

type Where = { readonly url: string; readonly grpcUrl?: string; readonly apiKey?: string };
const open = async (where: Where, timeouts = {}): Promise<WeaviateChunks> => {
  const store = await openWeaviateChunks({
    ...where,
    deploymentId: 'test',
    tenancy: 'collection',
    replicas: 1,
    maxTenants: 5,
    clock: systemClock,
    log,
    // Time enough for a busy machine; what is about silence gives less.
    timeouts: { connectMs: 10_000, queryMs: 1_000, totalMs: 3_000, ...timeouts },
  });
  closers.push(() => store.close());
  return store;
};

const standIn = async (made: HandMade = {}): Promise<{ url: string; grpcUrl: string }> => {
  const server = await emptyWeaviate(made);
  closers.push(() => server.close());
  return server;
};

const portOf = (url: string): number => Number(new URL(url).port);
const closedPort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
};

/** Both protocols through proxies of their own. */
const proxied = async (made: HandMade = {}) => {
  const server = await standIn(made);
  const rest = await createFaultProxy({ host: '127.0.0.1', port: portOf(server.url) });
  const grpc = await createFaultProxy({ host: '127.0.0.1', port: portOf(server.grpcUrl) });
  closers.push(rest.close, grpc.close);
  return { rest, grpc, where: { url: `http://127.0.0.1:${rest.port}`, grpcUrl: `http://127.0.0.1:${grpc.port}` } };
};

describe('the start', () => {
  it('connects to a healthy server and tells its version', async () => {
    const store = await open(await standIn());
    expect(store.serverVersion).toBe('1.39.0');
    await store.check(never);
  });

  it.each(['1.31.9', '1.32.3', '1.32.4', '1.27.0'])('refuses version %s in a sentence', async (version) => {
    await expect(open(await standIn({ version }))).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringMatching(`is version ${version}\\. Footnote needs 1\\.32 or newer`) as string,
    });
  });

  it.each(['1.32.0', '1.32.5', '1.40.0-dev', '2.0.0'])('takes version %s', async (version) => {
    await open(await standIn({ version }));
  });

  it('says that nobody answers', async () => {
    const url = `http://127.0.0.1:${await closedPort()}`;
    await expect(open({ url })).rejects.toMatchObject({
      code: 'store-unavailable',
      retryable: true,
      message: `Weaviate at ${url} cannot be reached. Check that it runs and that WEAVIATE_URL is right.`,
    });
  });

  it('says that only the gRPC port is closed', async () => {
    const { url } = await standIn();
    const grpc = await closedPort();
    await expect(open({ url, grpcUrl: `http://127.0.0.1:${grpc}` })).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining(
        `The gRPC port of Weaviate at 127.0.0.1:${grpc} cannot be reached. Check WEAVIATE_GRPC_URL`,
      ) as string,
    });
  });

  it('says that a server which takes connections and stays silent does not answer', async () => {
    const { rest, where } = await proxied();
    rest.halfOpen();
    await expect(open(where, { connectMs: 1_000 })).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('did not answer in time') as string,
    });
  });

  it.each([
    ['a page', { status: 200, answer: '<html>hello</html>' }, 'is not Weaviate'],
    ['another service', { status: 200, answer: '{"hello":1}' }, 'is not Weaviate'],
    ['nothing under that path', { status: 404, answer: '' }, 'is not Weaviate'],
    [
      'a wrong key',
      { status: 401, answer: '{"code":401,"message":"anonymous access not enabled"}' },
      'Check WEAVIATE_API_KEY',
    ],
    ['a key without rights', { status: 403, answer: '{}' }, 'may not do this'],
  ])('tells %s', async (_, answer, sentence) => {
    const where = await standIn({ rest: (request) => (request === 'GET /v1/meta' ? answer : undefined) });
    await expect(open({ ...where, apiKey: 'sesame-123' })).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining(sentence) as string,
    });
    expect(JSON.stringify(logged)).not.toContain('sesame-123');
  });

  it('refuses an address with a password in it, without repeating it', async () => {
    await expect(open({ url: 'http://me:sesame@127.0.0.1:1' })).rejects.toSatisfy(
      (error: Error) =>
        /must not contain a user or a password/.test(error.message) && !error.message.includes('sesame'),
    );
  });

  it('finds the gRPC address beside the REST address unless it is told', () => {
    const at = (url: string, grpcUrl?: string) => parseEndpoints({ url, grpcUrl }).grpc;
    expect(at('http://weaviate:8080')).toEqual({ host: 'weaviate', port: 50_051, secure: false });
    expect(at('https://weaviate')).toEqual({ host: 'weaviate', port: 50_051, secure: true });
    expect(at('https://weaviate', 'https://grpc.weaviate')).toEqual({ host: 'grpc.weaviate', port: 443, secure: true });
    expect(at('https://weaviate', 'grpc://inside:5000')).toEqual({ host: 'inside', port: 5_000, secure: false });
  });
});

describe('a connection that breaks', () => {
  it('heals after a cut', async () => {
    const { rest, grpc, where } = await proxied();
    const store = await open(where);
    await store.check(never);
    rest.cut();
    grpc.cut();
    await expect(store.check(never)).rejects.toMatchObject({ code: 'store-unavailable', retryable: true });
    rest.mend();
    grpc.mend();
    await store.check(never);
  });

  it('says so while both are cut, also to a call that only needs gRPC, and heals', async () => {
    const { rest, grpc, where } = await proxied();
    const timeouts = { ...defaultTimeouts, queryMs: 1_000, totalMs: 3_000 };
    const connection = await connect({ ...where, timeouts, clock: systemClock, log });
    closers.push(() => connection.close());
    const ask = () =>
      connection.grpc({ kind: 'query' }, (client) => client.collections.use('X').query.fetchObjects({ limit: 1 }));
    await expect(ask()).rejects.toMatchObject({ code: 'not-found' });
    rest.cut();
    grpc.cut();
    for (let turn = 0; turn < 3; turn += 1) {
      await expect(ask()).rejects.toMatchObject({
        code: 'store-unavailable',
        retryable: true,
        message: expect.stringMatching(/cannot be reached|did not answer in time/) as string,
      });
    }
    rest.mend();
    grpc.mend();
    await expect(ask()).rejects.toMatchObject({ code: 'not-found' });
  });

  it('heals when only gRPC was cut', async () => {
    const { grpc, where } = await proxied();
    const store = await open(where);
    await store.check(never);
    grpc.cut();
    await expect(store.check(never)).rejects.toMatchObject({ code: 'store-unavailable' });
    grpc.mend();
    await store.check(never);
  });

  it('dials again when the channel is half open, instead of waiting on it for ever', async () => {
    const { grpc, where } = await proxied();
    const store = await open(where);
    await store.check(never);
    const before = grpc.taken;
    grpc.halfOpen();
    grpc.mend();
    await expect(store.check(never)).rejects.toMatchObject({
      message: expect.stringContaining('did not answer in time') as string,
    });
    await store.check(never);
    expect(grpc.taken).toBeGreaterThan(before);
  });

  it('takes a slow server for slow, and works with one that is only a little slow', async () => {
    const { grpc, where } = await proxied();
    const store = await open(where);
    grpc.delay(50);
    await store.check(never);
    grpc.delay(3_000);
    await expect(store.check(never)).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('did not answer in time') as string,
    });
  });

  it('tells the caller who stopped from a server that was slow', async () => {
    const { grpc, where } = await proxied();
    const store = await open(where);
    grpc.delay(3_000);
    const stop = new AbortController();
    const checked = store.check(stop.signal);
    setTimeout(() => stop.abort(), 50);
    await expect(checked).rejects.toMatchObject({ code: 'cancelled' });
    await expect(store.check(AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
  });

  it.each([
    ['a reset stream', { status: 13, message: 'Received RST_STREAM with code 2', answer: '' }],
    ['an exhausted server', { status: 8, message: 'RESOURCE_EXHAUSTED', answer: '' }],
  ])('tries again after %s', async (_, failure) => {
    let calls = 0;
    const where = await standIn({
      grpc: (request) => (request.endsWith('/Search') && ++calls <= 2 ? failure : undefined),
    });
    const store = await open(where);
    await store.check(never);
    expect(calls).toBe(3);
  });

  it('tries again after 503, and gives up in the end', async () => {
    let calls = 0;
    const where = await standIn({
      rest: (request) => (request.endsWith('/ready') ? { status: ++calls > 2 ? 200 : 503, answer: '' } : undefined),
    });
    const store = await open(where);
    await store.check(never);
    expect(calls).toBe(3);
    calls = -100;
    await expect(store.check(never)).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('busy or restarting') as string,
    });
  });

  it('does not try again what cannot help', async () => {
    let calls = 0;
    const where = await standIn({
      grpc: (request) =>
        request.endsWith('/Search') ? { status: 7, message: `denied ${++calls}`, answer: '' } : undefined,
    });
    const store = await open(where);
    await expect(store.check(never)).rejects.toMatchObject({
      message: expect.stringContaining('may not do this') as string,
    });
    expect(calls).toBe(1);
  });
});
