import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { WeaviateChunks } from '../../../../../core/drivers/chunks/weaviate/chunks.ts';
import type { IndexProfile } from '../../../../../core/ports/chunks.ts';
import { type Interfere, recordWeaviate } from '../../../../fakes/weaviate-replay.ts';
import { againstRealServer, askReal, chunkOf, openReal } from './real-server.ts';

const never = new AbortController().signal;
const profile: IndexProfile = { analyser: 'a', embeddingModel: 'm', dimensions: 2 };
const keywordsOnly: IndexProfile = { analyser: 'a', embeddingModel: null, dimensions: null };
const search = { limit: 50, signal: never };

// A server that shares the cores with everything else is slow at times.
vi.setConfig({ testTimeout: 120_000 });

againstRealServer('Weaviate itself', (server) => {
  const tenantId = 't_server';
  const ref = { tenantId, generation: 1 };
  const closers: (() => Promise<void>)[] = [];
  let store: WeaviateChunks;

  const collectionOf = (deployment: string, tenant: string, generation: number): string =>
    `Footnote_${Buffer.from(deployment).toString('hex')}_${Buffer.from(tenant).toString('hex')}_G${generation}`;

  /** A store whose requests some of are answered by us: a server that fails at a chosen point. */
  const through = async (interfere: Interfere): Promise<WeaviateChunks> => {
    const between = await recordWeaviate(server, interfere);
    const broken = await openReal(between, { timeouts: { totalMs: 5_000 } });
    closers.push(between.close, () => broken.close());
    return broken;
  };
  const texts = async (from: WeaviateChunks, query: string): Promise<string[]> =>
    (await from.searchText(ref, query, search)).hits.map(({ chunk }) => chunk.text).sort();

  beforeAll(async () => {
    store = await openReal(server);
  });
  beforeEach(async () => {
    await store.dropTenant(tenantId);
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    await store.dropTenant(tenantId);
    await store.close();
  });

  describe('a document changes in one step', () => {
    const before = [chunkOf('d', 0, 'common alpha one'), chunkOf('d', 1, 'common alpha two')];
    const after = [
      chunkOf('d', 0, 'common beta one'),
      chunkOf('d', 1, 'common beta two'),
      chunkOf('d', 2, 'common beta three'),
    ];
    const write = (to: WeaviateChunks, chunks: typeof before) =>
      to.replaceDocuments(ref, [{ documentId: 'd', chunks }], never);

    beforeEach(async () => {
      await store.ensureIndex(ref, keywordsOnly);
      await write(store, before);
    });

    it('shows the old version when the writer dies before the marker', async () => {
      const dying = await through((over, request, sent) =>
        over === 'rest' && request.startsWith('POST /v1/batch') && sent.includes('"marker":true')
          ? { status: 500, answer: '{}' }
          : undefined,
      );
      await expect(write(dying, after)).rejects.toMatchObject({ code: 'store-unavailable' });
      expect(await texts(store, 'common')).toEqual(['common alpha one', 'common alpha two']);
      expect(await store.searchText(ref, 'beta', search)).toMatchObject({ hits: [] });
      expect((await store.documentChunks(ref, 'd', never)).map(({ text }) => text)).toEqual([
        'common alpha one',
        'common alpha two',
      ]);
    });

    it('shows the old version when the writer dies half way through the chunks', async () => {
      const dying = await through((over, request) =>
        over === 'rest' && request.startsWith('POST /v1/batch') ? { status: 500, answer: '{}' } : undefined,
      );
      await expect(write(dying, after)).rejects.toMatchObject({ code: 'store-unavailable' });
      expect(await texts(store, 'common')).toEqual(['common alpha one', 'common alpha two']);
    });

    it('shows the new version when the writer dies before the old one is deleted, and the next write leaves nothing behind', async () => {
      const dying = await through((over, request) =>
        over === 'grpc' && request.endsWith('/BatchDelete') ? { status: 14, message: 'gone', answer: '' } : undefined,
      );
      await expect(write(dying, after)).rejects.toMatchObject({ code: 'store-unavailable' });
      expect(await texts(store, 'common')).toEqual(['common beta one', 'common beta three', 'common beta two']);
      expect(await texts(store, 'alpha')).toEqual([]);
      await write(store, before);
      expect(await texts(store, 'common')).toEqual(['common alpha one', 'common alpha two']);
      expect(await store.stats(ref)).toMatchObject({ documents: 1, chunks: 2 });
    });

    it('never shows half a version while it changes', async () => {
      const many = (word: string) => Array.from({ length: 12 }, (_, at) => chunkOf('d', at, `common ${word} ${at}`));
      const second = await openReal(server);
      closers.push(() => second.close());
      let writing = true;
      const writer = (async () => {
        for (let turn = 0; turn < 25; turn += 1) await write(store, many(turn % 2 === 0 ? 'odd' : 'even'));
        writing = false;
      })();
      const seen: Record<string, number> = {};
      while (writing) {
        const hits = await texts(second, 'common odd');
        const odd = hits.filter((text) => text.includes('odd')).length;
        const key = `${odd} odd of ${hits.length}`;
        seen[key] = (seen[key] ?? 0) + 1;
      }
      await writer;
      const allowed = ['0 odd of 12', '12 odd of 12', '0 odd of 2', '0 odd of 0'];
      expect(Object.keys(seen).filter((key) => !allowed.includes(key))).toEqual([]);
    });

    it('shows all of a version that was completed while the search ran', async () => {
      const arrived = Promise.withResolvers<void>();
      const release = Promise.withResolvers<void>();
      const writer = await through(async (_, request, sent) => {
        if (!request.startsWith('POST /v1/batch') || !sent.includes('gamma 39')) return undefined;
        arrived.resolve();
        await release.promise;
        return undefined;
      });
      const chunks = Array.from({ length: 40 }, (_, at) => chunkOf('d', at, `gamma ${at}`));
      const written = write(writer, chunks);
      await arrived.promise;
      // The search has been answered, from half of the chunks; before it looks at the marker, the writer finishes.
      const reader = await through(async (over, _, sent) => {
        if (over === 'grpc' && Buffer.from(sent, 'base64').includes('since')) {
          release.resolve();
          await written;
        }
        return undefined;
      });
      expect(await texts(reader, 'gamma')).toHaveLength(40);
    });

    it('never goes back to the revision of a writer that was overtaken', async () => {
      const arrived = Promise.withResolvers<void>();
      const release = Promise.withResolvers<void>();
      const late = await through(async (_, request, sent) => {
        if (!request.startsWith('POST /v1/batch') || !sent.includes('beta')) return undefined;
        arrived.resolve();
        await release.promise;
        return undefined;
      });
      const overtaken = write(late, after);
      await arrived.promise;
      await write(store, before);
      release.resolve();
      await overtaken;
      expect(await texts(store, 'common')).toEqual(['common alpha one', 'common alpha two']);
      expect(await store.stats(ref)).toMatchObject({ documents: 1, chunks: 2 });
    });
  });

  it('deletes more objects than the server deletes in one call', { timeout: 240_000 }, async () => {
    await store.ensureIndex(ref, keywordsOnly);
    const chunks = Array.from({ length: 10_100 }, (_, at) => chunkOf('big', at, `word${at % 50}`));
    await store.replaceDocuments(
      ref,
      [
        { documentId: 'big', chunks },
        { documentId: 'small', chunks: [chunkOf('small', 0, 'word1')] },
      ],
      never,
    );
    expect(await store.stats(ref)).toMatchObject({ documents: 2, chunks: 10_101 });
    expect(await store.documentChunks(ref, 'big', never)).toHaveLength(10_100);
    await store.removeDocuments(ref, ['big'], never);
    expect(await store.stats(ref)).toMatchObject({ documents: 1, chunks: 1 });
  });

  it('refuses a collection that somebody else made under our name, and sweeps it with the tenant', async () => {
    const name = collectionOf('tests', tenantId, 1);
    await askReal('POST', '/schema', { class: name, properties: [{ name: 'title', dataType: ['text'] }] });
    await expect(store.ensureIndex(ref, profile)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('was not made by this version of Footnote') as string,
    });
    await store.dropTenant(tenantId);
    await store.ensureIndex(ref, profile);
  });

  it.each([
    ['BM25', { invertedIndexConfig: { bm25: { k1: 2, b: 0.75 } } }],
    ['stop words', { invertedIndexConfig: { stopwords: { preset: 'en' } } }],
  ])('notices that %s was changed behind our back', async (what, change) => {
    await store.ensureIndex(ref, profile);
    const name = collectionOf('tests', tenantId, 1);
    const made = (await askReal('GET', `/schema/${name}`)) as { invertedIndexConfig: object };
    await askReal('PUT', `/schema/${name}`, {
      ...made,
      invertedIndexConfig: { ...made.invertedIndexConfig, ...change.invertedIndexConfig },
    });
    await expect(store.ensureIndex(ref, profile)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(what) as string,
    });
  });

  it('makes no collection when one was dropped under a writer', async () => {
    await store.ensureIndex(ref, profile);
    const other = await openReal(server);
    closers.push(() => other.close());
    await other.dropGeneration(ref);
    await expect(
      store.replaceDocuments(ref, [{ documentId: 'd', chunks: [chunkOf('d', 0, 'word')] }], never),
    ).rejects.toMatchObject({ code: 'not-found' });
    expect(await store.searchText(ref, 'word', search)).toMatchObject({ hits: [] });
    expect(await store.generations(tenantId)).toEqual([]);
  });

  it('lets two makers of one index both succeed', async () => {
    const other = await openReal(server);
    closers.push(() => other.close());
    await Promise.all([store.ensureIndex(ref, profile), other.ensureIndex(ref, profile)]);
    expect(await store.generations(tenantId)).toEqual([1]);
  });

  it('sees and sweeps its own deployment only', async () => {
    const other = await openReal(server, { deploymentId: 'test' });
    closers.push(() => other.close());
    await store.ensureIndex(ref, profile);
    await other.ensureIndex({ tenantId, generation: 7 }, profile);
    expect(await store.generations(tenantId)).toEqual([1]);
    await store.dropTenant(tenantId);
    expect(await other.generations(tenantId)).toEqual([7]);
    await other.dropTenant(tenantId);
    expect(await other.generations(tenantId)).toEqual([]);
  });

  it.each(['collection', 'native'] as const)(
    'refuses a tenant above the limit, but not a further generation (%s)',
    async (tenancy) => {
      const small = await openReal(server, { deploymentId: 'cap', maxTenants: 2, tenancy });
      closers.push(() => small.close());
      try {
        await small.ensureIndex({ tenantId: 't_a', generation: 1 }, profile);
        await small.ensureIndex({ tenantId: 't_b', generation: 1 }, profile);
        await expect(small.ensureIndex({ tenantId: 't_c', generation: 1 }, profile)).rejects.toMatchObject({
          code: 'conflict',
          message: expect.stringContaining('WEAVIATE_MAX_TENANTS') as string,
        });
        await small.ensureIndex({ tenantId: 't_a', generation: 2 }, profile);
      } finally {
        for (const each of ['t_a', 't_b', 't_c']) await small.dropTenant(each);
      }
    },
  );

  it('says that a read-only server takes no writes, and searches on', async () => {
    await store.ensureIndex(ref, keywordsOnly);
    await store.replaceDocuments(ref, [{ documentId: 'd', chunks: [chunkOf('d', 0, 'word')] }], never);
    const name = collectionOf('tests', tenantId, 1);
    const [shard] = (await askReal('GET', `/schema/${name}/shards`)) as { name: string }[];
    await askReal('PUT', `/schema/${name}/shards/${shard?.name}`, { status: 'READONLY' });
    await expect(
      store.replaceDocuments(ref, [{ documentId: 'd', chunks: [chunkOf('d', 0, 'other')] }], never),
    ).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('takes no writes') as string,
    });
    expect(await texts(store, 'word')).toEqual(['word']);
  });

  it('quantises an index that has grown large, and finds its neighbours as before', async () => {
    const growing = await openReal(server, { index: { quantizeAbove: 300 } });
    closers.push(() => growing.close());
    await growing.ensureIndex(ref, profile);
    const name = collectionOf('tests', tenantId, 1);
    const isQuantised = async () =>
      JSON.stringify(await askReal('GET', `/schema/${name}`)).includes('"rq":{"bits":8,"enabled":true');
    const batch = (of: string) => ({
      documentId: of,
      chunks: Array.from({ length: 200 }, (_, at) =>
        chunkOf(of, at, 'word', { vector: Float32Array.of(Math.cos(at / 100), Math.sin(at / 100)) }),
      ),
    });
    await growing.replaceDocuments(ref, [batch('a')], never);
    expect(await isQuantised()).toBe(false);
    await growing.replaceDocuments(ref, [batch('b')], never);
    expect(await isQuantised()).toBe(true);
    await growing.replaceDocuments(ref, [batch('c')], never);
    const hits = await growing.searchVector(ref, Float32Array.of(Math.cos(1), Math.sin(1)), {
      limit: 3,
      signal: never,
    });
    expect(hits.map(({ chunk }) => chunk.id)).toEqual(['c_a_00100', 'c_b_00100', 'c_c_00100']);
    await growing.ensureIndex(ref, profile);
  });

  it('moves the alias for people, and takes it along when the index goes', async () => {
    const next = { tenantId, generation: 2 };
    await store.ensureIndex(ref, profile);
    await store.ensureIndex(next, profile);
    await store.pointAlias(ref, never);
    await store.pointAlias(next, never);
    const alias = `${collectionOf('tests', tenantId, 0).replace(/_G0$/, '')}_Live`;
    expect(await askReal('GET', `/aliases/${alias}`)).toMatchObject({ class: collectionOf('tests', tenantId, 2) });
    await store.dropGeneration(next);
    expect(await askReal('GET', `/aliases?class=${collectionOf('tests', tenantId, 2)}`)).toMatchObject({ aliases: [] });
  });

  it('gives each tenant and generation a place of its own under native tenancy', async () => {
    const native = await openReal(server, { tenancy: 'native', deploymentId: 'nat' });
    closers.push(() => native.close());
    const [a, b] = [
      { tenantId: 't_a', generation: 1 },
      { tenantId: 't_b', generation: 1 },
    ];
    try {
      for (const each of [a, b, { ...a, generation: 2 }]) await native.ensureIndex(each, profile);
      await native.replaceDocuments(
        a,
        [{ documentId: 'd', chunks: [chunkOf('d', 0, 'zebra', { vector: Float32Array.of(1, 0) })] }],
        never,
      );
      expect((await native.searchText(a, 'zebra', search)).hits).toHaveLength(1);
      expect(await native.searchVector(a, Float32Array.of(1, 0), search)).toMatchObject([{ score: 1 }]);
      expect(await native.searchText(b, 'zebra', search)).toMatchObject({ hits: [], totalChunks: 0 });
      await expect(native.ensureIndex(a, keywordsOnly)).rejects.toMatchObject({ code: 'conflict' });
      expect(await native.generations('t_a')).toEqual([1, 2]);
      await native.dropTenant('t_a');
      expect(await native.generations('t_a')).toEqual([]);
      expect(await native.generations('t_b')).toEqual([1]);
    } finally {
      for (const each of ['t_a', 't_b']) await native.dropTenant(each);
    }
  });
});
