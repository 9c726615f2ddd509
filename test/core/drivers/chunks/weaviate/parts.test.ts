import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openWeaviateChunks, type WeaviateChunks } from '../../../../../core/drivers/chunks/weaviate/chunks.ts';
import { faultOf, RestFailure } from '../../../../../core/drivers/chunks/weaviate/faults.ts';
import { chunkObjectIdOf, createNames, markerIdOf } from '../../../../../core/drivers/chunks/weaviate/names.ts';
import { classOf, defaultSettings, profileOf } from '../../../../../core/drivers/chunks/weaviate/schema.ts';
import { systemClock } from '../../../../../core/observe/system.ts';
import { createTestRuntime } from '../../../../fakes/clock.ts';
import { chunkOf } from './real-server.ts';
import { emptyWeaviate } from './stand-in.ts';

const never = new AbortController().signal;
const profile = { analyser: 'a', embeddingModel: 'm', dimensions: 2 };
const ref = { tenantId: 't_0123', generation: 3 };

describe('names in Weaviate', () => {
  const names = createNames('prod');

  it('are lower-case hex behind a prefix, because the server does not tell capitals apart', () => {
    expect(names.collection(ref)).toMatch(/^Footnote_70726f64_[0-9a-f]+_G3$/);
    expect(names.collection({ ...ref, tenantId: 'T_A' }).toLowerCase()).not.toBe(
      names.collection({ ...ref, tenantId: 't_a' }).toLowerCase(),
    );
    expect(names.refOf(names.collection(ref))).toEqual(ref);
  });

  it('belong to one deployment', () => {
    expect(createNames('prod2').refOf(names.collection(ref))).toBeUndefined();
    expect(createNames('pro').refOf(names.collection(ref))).toBeUndefined();
    for (const foreign of ['Article', 'Footnote_', names.alias(ref.tenantId), names.shared(profile)])
      expect(names.refOf(foreign)).toBeUndefined();
  });

  it('are refused when they could leave their place in an address', () => {
    for (const tenantId of ['', '../x', 'a/b', 'ü', 'x'.repeat(65)])
      expect(() => names.collection({ tenantId, generation: 1 })).toThrow(/cannot name/);
    for (const generation of [-1, 1.5, Number.NaN])
      expect(() => names.collection({ tenantId: 't', generation })).toThrow(/whole number/);
    for (const deployment of ['', 'a b', 'x'.repeat(25)])
      expect(() => createNames(deployment)).toThrow(/deployment id/);
  });

  it('give every object an id of its own, and always the same', () => {
    expect(markerIdOf(ref, 'd')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(markerIdOf(ref, 'd')).toBe(markerIdOf({ ...ref }, 'd'));
    const ids = [
      markerIdOf(ref, 'd1'),
      chunkObjectIdOf(ref, 'd1', 1, 11),
      chunkObjectIdOf(ref, 'd1', 11, 1),
      chunkObjectIdOf(ref, 'd11', 1, 1),
      chunkObjectIdOf({ ...ref, generation: 4 }, 'd1', 1, 11),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('a collection', () => {
  const made = classOf('X', profile, defaultSettings, false);

  it('leaves nothing to the defaults of a server', () => {
    expect(made).toMatchObject({
      invertedIndexConfig: { bm25: { k1: 1.2, b: 0.75 }, stopwords: { preset: 'none' } },
      shardingConfig: { desiredCount: 1 },
      vectorConfig: {
        default: { vectorIndexType: 'hnsw', vectorIndexConfig: { distance: 'cosine', skipDefaultQuantization: true } },
      },
    });
  });

  it('has no vector index without an embedding model', () => {
    const config = classOf('X', { ...profile, embeddingModel: null, dimensions: null }, defaultSettings, false);
    expect(config).toMatchObject({ vectorConfig: { default: { vectorIndexConfig: { skip: true } } } });
  });

  it('remembers what filled it', () => {
    expect(profileOf('X', made, false)).toEqual(profile);
  });

  it.each([
    ['description', { description: 'mine' }],
    ['property terms', { properties: [] }],
    ['stop words', { invertedIndexConfig: { bm25: { k1: 1.2, b: 0.75 }, stopwords: { preset: 'en' } } }],
    ['number of shards', { shardingConfig: { desiredCount: 3 } }],
    ['multi-tenancy', { multiTenancyConfig: { enabled: true } }],
  ])('is refused when its %s is not as we make it', (what, change) => {
    const start = what === 'property terms' ? 'property documentId' : what;
    expect(() => profileOf('X', { ...made, ...change }, false)).toThrow(start);
  });
});

describe('what went wrong', () => {
  const named = (name: string, message = ''): Error => Object.assign(new Error(message), { name });

  it.each([
    ['AbortError', named('AbortError'), 'slow'],
    ['WeaviateRequestTimeoutError', named('WeaviateRequestTimeoutError'), 'slow'],
    ['WeaviateUnauthenticatedError', named('WeaviateUnauthenticatedError'), 'unauthenticated'],
    [
      'gRPC UNAVAILABLE',
      named('WeaviateQueryError', '/Search UNAVAILABLE: No connection established'),
      'unreachable-grpc',
    ],
    ['a reset stream', named('WeaviateBatchError', 'INTERNAL: Received RST_STREAM with code 2'), 'busy'],
    ['an exhausted server', named('WeaviateDeleteManyError', 'RESOURCE_EXHAUSTED: too much'), 'busy'],
    ['a missing collection', named('WeaviateQueryError', 'UNKNOWN: could not find class X in schema'), 'no-index'],
    ['other dimensions', named('WeaviateQueryError', "vector lengths don't match"), 'dimensions'],
    ['a bare fetch failure', new TypeError('fetch failed'), 'unreachable'],
    ['503', new RestFailure(503, ''), 'busy'],
    ['429', new RestFailure(429, 'slow down'), 'busy'],
    ['429 over a limit', new RestFailure(429, 'USAGE_LIMIT_EXCEEDED'), 'full'],
    ['a read-only shard', new RestFailure(500, 'store is read-only'), 'read-only'],
    [
      'a server whose operator lets nobody write',
      named('WeaviateStartUpError', '/grpc.health.v1.Health/Check UNAVAILABLE: read-only mode is enabled'),
      'read-only',
    ],
    ['anything else', named('Error', 'boom'), 'refused'],
  ])('is told by name and text: %s', (_, error, fault) => {
    expect(faultOf(error, false)).toBe(fault);
    expect(faultOf(error, true)).toBe('cancelled');
  });
});

describe('a backup', () => {
  it('writes down which indexes there were, and no others: the rest is derived', async () => {
    const names = createNames('test');
    const classes = [names.collection(ref), createNames('other').collection(ref), 'Article'].map((name) => ({
      class: name,
    }));
    const server = await emptyWeaviate({
      rest: (request) =>
        request === 'GET /v1/schema' ? { status: 200, answer: JSON.stringify({ classes }) } : undefined,
    });
    const folder = await mkdtemp(join(tmpdir(), 'footnote-weaviate-'));
    const store = await openWeaviateChunks({
      ...server,
      deploymentId: 'test',
      tenancy: 'collection',
      replicas: 1,
      maxTenants: 1,
      clock: systemClock,
      log: createTestRuntime().log,
    });
    try {
      await store.backup(folder, never);
      const manifest: unknown = JSON.parse(await readFile(join(folder, 'weaviate-chunks.json'), 'utf8'));
      expect(manifest).toEqual({
        store: 'weaviate',
        serverVersion: '1.39.0',
        deploymentId: 'test',
        tenancy: 'collection',
        indexes: [ref],
      });
    } finally {
      await store.close();
      await server.close();
      await rm(folder, { recursive: true });
    }
  });
});

describe('a look at the server', () => {
  const own = createNames('test');
  const other = createNames('other');
  const classes = [own, other].flatMap((names) => [names.collection(ref), names.shared(profile)]);

  it.each([
    ['collection', own.shared(profile)],
    ['native', own.collection(ref)],
  ] as const)(
    'under the tenancy %s names what the other one left, and nothing of another deployment',
    async (tenancy, left) => {
      const schema = JSON.stringify({ classes: [...classes, 'Article'].map((name) => ({ class: name })) });
      const server = await emptyWeaviate({
        rest: (request) => (request === 'GET /v1/schema' ? { status: 200, answer: schema } : undefined),
      });
      const store = await openWeaviateChunks({
        ...server,
        deploymentId: 'test',
        tenancy,
        replicas: 1,
        maxTenants: 5,
        clock: systemClock,
        log: createTestRuntime().log,
      });
      try {
        const found = (await store.examine(never)).find(({ item }) => item === 'Weaviate leftovers');
        expect(found).toMatchObject({ ok: true, warns: true });
        expect(found?.says.match(/Footnote_\w+|Article/g)).toEqual([left]);
      } finally {
        await store.close();
        await server.close();
      }
    },
  );
});

describe('a server that is still starting', () => {
  it('is not believed when it says that there is no such index', async () => {
    let starting = true;
    const names = createNames('test');
    const server = await emptyWeaviate({
      rest: (request) => {
        if (starting && request === 'GET /v1/.well-known/ready') return { status: 503, answer: '' };
        if (!starting && request === `GET /v1/schema/${names.collection(ref)}`) {
          return { status: 200, answer: JSON.stringify(classOf('X', profile, defaultSettings, false)) };
        }
        return undefined;
      },
      grpc: (request) =>
        !starting && request.startsWith('/weaviate')
          ? { status: 0, answer: Buffer.alloc(5).toString('base64') }
          : undefined,
    });
    const store = await openWeaviateChunks({
      ...server,
      deploymentId: 'test',
      tenancy: 'collection',
      replicas: 1,
      maxTenants: 1,
      clock: systemClock,
      log: createTestRuntime().log,
      // Long enough for a busy machine to answer once.
      timeouts: { totalMs: 3_000 },
    });
    try {
      const present = () => store.presentDocuments(ref, ['d'], never);
      await expect(present()).rejects.toMatchObject({ code: 'store-unavailable', retryable: true });
      starting = false;
      expect(await present()).toEqual([]);
      // Known to be there; now the server restarts and its gRPC answers before its schema is back.
      starting = true;
      await expect(present()).rejects.toMatchObject({ code: 'store-unavailable', retryable: true });
    } finally {
      await store.close();
      await server.close();
    }
  });
});

describe('objects that fail inside a batch that succeeds', () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  type Sent = { readonly objects: readonly { readonly id: string }[] };
  /** A server with one index that answers batches as told and holds nothing. */
  const opened = async (
    answer: (sent: Sent, nth: number) => readonly (string | undefined)[],
  ): Promise<{ store: WeaviateChunks; batches: Sent[] }> => {
    const batches: Sent[] = [];
    const names = createNames('test');
    const server = await emptyWeaviate({
      rest: (request, body) => {
        if (request === `GET /v1/schema/${names.collection(ref)}`)
          return { status: 200, answer: JSON.stringify(classOf('X', profile, defaultSettings, false)) };
        if (!request.startsWith('POST /v1/batch/objects')) return undefined;
        const sent = JSON.parse(body) as Sent;
        batches.push(sent);
        const problems = answer(sent, batches.length);
        const rows = sent.objects.map(({ id }, at) => ({
          id,
          result:
            problems[at] === undefined
              ? { status: 'SUCCESS' }
              : { status: 'FAILED', errors: { error: [{ message: problems[at] }] } },
        }));
        return { status: 200, answer: JSON.stringify(rows) };
      },
      // An empty answer: no objects found, none deleted.
      grpc: (request) =>
        request.startsWith('/weaviate') ? { status: 0, answer: Buffer.alloc(5).toString('base64') } : undefined,
    });
    const store = await openWeaviateChunks({
      ...server,
      deploymentId: 'test',
      tenancy: 'collection',
      replicas: 1,
      maxTenants: 1,
      clock: systemClock,
      log: createTestRuntime().log,
    });
    closers.push(server.close, () => store.close());
    return { store, batches };
  };
  const write = (store: WeaviateChunks) =>
    store.replaceDocuments(
      ref,
      [{ documentId: 'd', chunks: [0, 1, 2].map((at) => chunkOf('d', at, `word ${at}`)) }],
      never,
    );

  it('are sent again, and only they', async () => {
    const { store, batches } = await opened((_, nth) => (nth === 1 ? [undefined, 'shard is busy', undefined] : []));
    await write(store);
    expect(batches.map(({ objects }) => objects.length)).toEqual([3, 1, 1]);
    expect(batches[1]?.objects[0]?.id).toBe(batches[0]?.objects[1]?.id);
  });

  it('keep the marker from being written when they go on failing', async () => {
    const { store, batches } = await opened((sent) => sent.objects.map((_, at) => (at === 0 ? 'no' : undefined)));
    await expect(write(store)).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('refused some passages') as string,
    });
    expect(JSON.stringify(batches)).not.toContain('"marker":true');
  });

  it('tell of a full disk and of other dimensions in words', async () => {
    const full = await opened(() => ['store is read-only due to: disk usage too high', undefined, undefined]);
    await expect(write(full.store)).rejects.toMatchObject({
      message: expect.stringContaining('disk or memory is nearly full') as string,
    });
    const other = await opened(() => [
      'new node has a vector with length 2: vector dimensions do not match the index dimensions',
    ]);
    await expect(write(other.store)).rejects.toMatchObject({ code: 'conflict' });
  });
});
