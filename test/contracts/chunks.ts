import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EmbeddedChunk } from '../../core/domain.ts';
import type { ChunkStore, IndexRef } from '../../core/ports/chunks.ts';
import { analyserVersion } from '../../core/text/analyse.ts';

const { signal } = new AbortController();
const profile = { analyser: analyserVersion, embeddingModel: 'fake', dimensions: 8 };

/** A unit vector near the given direction; the same number always gives the same one. */
export const vectorAt = (angle: number, dimensions = 8): Float32Array => {
  const vector = Float32Array.from({ length: dimensions }, (_, at) => Math.sin(angle * (at + 1)) + (at === 0 ? 2 : 0));
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
};

export const chunkOf = (
  documentId: string,
  ordinal: number,
  text: string,
  more: Partial<EmbeddedChunk> = {},
): EmbeddedChunk => ({
  id: `c_${documentId}_${ordinal}`,
  documentId,
  sourceId: 's_one',
  externalId: documentId,
  ordinal,
  title: 'Handbook',
  headingPath: [],
  text,
  start: 0,
  end: text.length,
  tokens: 10,
  vector: vectorAt(ordinal + documentId.length),
  ...more,
});

export type OpenedChunks = { readonly store: ChunkStore; readonly close: () => Promise<void> };

/** What every chunk store promises. `open` gives an empty one. */
export const describeChunkStore = (name: string, open: () => Promise<OpenedChunks>): void => {
  describe(`chunk store: ${name}`, { timeout: 60_000 }, () => {
    let opened: OpenedChunks;
    let store: ChunkStore;
    const ref: IndexRef = { tenantId: 't_000000000000000000000001', generation: 1 };
    const other: IndexRef = { tenantId: 't_000000000000000000000002', generation: 1 };

    beforeEach(async () => {
      opened = await open();
      store = opened.store;
      await store.ensureIndex(ref, profile);
      await store.ensureIndex(other, profile);
    });
    afterEach(async () => {
      await store.dropTenant(ref.tenantId);
      await store.dropTenant(other.tenantId);
      await opened.close();
    });

    const put = (at: IndexRef, documentId: string, ...chunks: EmbeddedChunk[]) =>
      store.replaceDocuments(at, [{ documentId, chunks }], signal);
    const text = async (at: IndexRef, query: string, more: { limit?: number; sourceIds?: readonly string[] } = {}) =>
      (await store.searchText(at, query, { limit: 10, signal, ...more })).hits.map(({ chunk }) => chunk.id);
    const vector = async (
      at: IndexRef,
      query: Float32Array,
      more: { limit?: number; sourceIds?: readonly string[] } = {},
    ) => (await store.searchVector(at, query, { limit: 10, signal, ...more })).map(({ chunk }) => chunk.id);

    it('gives back a chunk exactly as it was put, without its vector', async () => {
      const chunk = chunkOf('d1', 0, 'Parental leave lasts twelve weeks.', {
        headingPath: ['Leave', 'Parents'],
        page: 3,
        url: 'https://example.com/x',
      });
      await put(ref, 'd1', chunk);
      const { vector: _, ...plain } = chunk;
      const { hits } = await store.searchText(ref, 'parental leave', { limit: 10, signal });
      expect(hits[0]?.chunk).toEqual(plain);
      expect(await store.documentChunks(ref, 'd1', signal)).toEqual([plain]);
    });

    it('replaces what a document held before', async () => {
      await put(ref, 'd1', chunkOf('d1', 0, 'old wombat'), chunkOf('d1', 1, 'old numbat'));
      await put(ref, 'd1', chunkOf('d1', 2, 'new quokka'));
      expect(await text(ref, 'wombat numbat')).toEqual([]);
      expect(await text(ref, 'quokka')).toEqual(['c_d1_2']);
      expect(await vector(ref, vectorAt(3))).toEqual(['c_d1_2']);
      expect(await store.stats(ref)).toMatchObject({ documents: 1, chunks: 1 });
    });

    it('changes nothing when a part of a replacement is refused', async () => {
      await put(ref, 'd1', chunkOf('d1', 0, 'the old wombat'));
      const wrong = chunkOf('d2', 0, 'numbat', { vector: new Float32Array([1, 0, 0]) });
      await expect(
        store.replaceDocuments(
          ref,
          [
            { documentId: 'd1', chunks: [chunkOf('d1', 1, 'quokka')] },
            { documentId: 'd2', chunks: [wrong] },
          ],
          signal,
        ),
      ).rejects.toMatchObject({ code: 'conflict' });
      expect(await text(ref, 'wombat')).toEqual(['c_d1_0']);
      expect(await text(ref, 'quokka numbat')).toEqual([]);
    });

    it('removes documents from every search, twice without complaint', async () => {
      await put(ref, 'd1', chunkOf('d1', 0, 'wombat'));
      await put(ref, 'd2', chunkOf('d2', 0, 'wombat'));
      await store.removeDocuments(ref, ['d1', 'unknown'], signal);
      await store.removeDocuments(ref, ['d1'], signal);
      expect(await text(ref, 'wombat')).toEqual(['c_d2_0']);
      expect(await vector(ref, vectorAt(2))).toEqual(['c_d2_0']);
      expect(await store.presentDocuments(ref, ['d1', 'd2', 'd3'], signal)).toEqual(['d2']);
    });

    it('never finds a chunk of another tenant or generation', async () => {
      const next = { ...ref, generation: 2 };
      await store.ensureIndex(next, profile);
      await put(other, 'd1', chunkOf('d1', 0, 'wombat'));
      await put(next, 'd2', chunkOf('d2', 0, 'wombat'));
      expect(await text(ref, 'wombat')).toEqual([]);
      expect(await vector(ref, vectorAt(2))).toEqual([]);
      expect([...(await store.generations(ref.tenantId))].sort()).toEqual([1, 2]);
    });

    it('finds only chunks of the listed sources, and fills the limit from them', async () => {
      await put(ref, 'd1', ...Array.from({ length: 20 }, (_, at) => chunkOf('d1', at, 'wombat wombat')));
      await put(
        ref,
        'd2',
        ...[0, 1, 2].map((at) => chunkOf('d2', at, 'one wombat among many other words', { sourceId: 's_two' })),
      );
      const ours = ['c_d2_0', 'c_d2_1', 'c_d2_2'];
      expect(await text(ref, 'wombat', { limit: 3, sourceIds: ['s_two'] })).toEqual(ours);
      expect((await vector(ref, vectorAt(5), { limit: 3, sourceIds: ['s_two'] })).sort()).toEqual(ours);
      expect(await text(ref, 'wombat', { sourceIds: [] })).toEqual([]);
      expect(await vector(ref, vectorAt(5), { sourceIds: [] })).toEqual([]);
      expect(await text(ref, 'wombat', { sourceIds: ['s_unknown'] })).toEqual([]);
    });

    it('orders ties by chunk id', async () => {
      const ids = ['c_3', 'c_1', 'c_4', 'c_2'];
      for (const id of ids)
        await put(ref, `d${id}`, chunkOf(`d${id}`, 0, 'the same wombat', { id, vector: vectorAt(1) }));
      expect(await text(ref, 'wombat', { limit: 3 })).toEqual(['c_1', 'c_2', 'c_3']);
      expect(await vector(ref, vectorAt(1), { limit: 3 })).toEqual(['c_1', 'c_2', 'c_3']);
    });

    it('tells how many chunks hold each term and which terms a hit holds', async () => {
      await put(
        ref,
        'd1',
        chunkOf('d1', 0, 'wombat burrow'),
        chunkOf('d1', 1, 'wombat'),
        chunkOf('d1', 2, 'something else'),
      );
      const found = await store.searchText(ref, 'wombats burrow zebra', { limit: 10, signal });
      expect(found.terms.map(({ documentFrequency }) => documentFrequency)).toEqual([2, 1, 0]);
      expect(found.totalChunks).toBe(3);
      expect(found.hits.map(({ matched }) => matched)).toEqual([[0, 1], [0]]);
    });

    it('refuses an index that was filled under another profile', async () => {
      await store.ensureIndex(ref, profile);
      await expect(store.ensureIndex(ref, { ...profile, embeddingModel: 'another' })).rejects.toMatchObject({
        code: 'conflict',
      });
      await expect(store.ensureIndex(ref, { ...profile, dimensions: 9 })).rejects.toMatchObject({ code: 'conflict' });
    });

    it('answers an empty index, an empty query and one of stop words with nothing', async () => {
      expect(await text(ref, 'wombat')).toEqual([]);
      expect(await vector(ref, vectorAt(1))).toEqual([]);
      await put(ref, 'd1', chunkOf('d1', 0, 'the wombat and the others'));
      for (const query of ['', '   ', '?!', 'the and of']) expect(await text(ref, query)).toEqual([]);
    });

    it('is read as an empty one where there is none, and is not made by a read or by a write', async () => {
      const absent: IndexRef = { tenantId: ref.tenantId, generation: 9 };
      expect(await store.profileOf(absent, signal)).toBeNull();
      expect(await text(absent, 'wombat')).toEqual([]);
      expect(await vector(absent, vectorAt(1))).toEqual([]);
      expect(await store.documentChunks(absent, 'd1', signal)).toEqual([]);
      expect(await store.presentDocuments(absent, ['d1'], signal)).toEqual([]);
      expect(await store.stats(absent)).toEqual({ documents: 0, chunks: 0, bytes: 0 });
      await store.removeDocuments(absent, ['d1'], signal);
      await expect(put(absent, 'd1', chunkOf('d1', 0, 'wombat'))).rejects.toMatchObject({ code: 'not-found' });
      expect(await store.generations(ref.tenantId)).toEqual([ref.generation]);
      expect(await store.profileOf(ref, signal)).toEqual(profile);
    });

    it('gives all there is when more is asked for', async () => {
      await put(ref, 'd1', chunkOf('d1', 0, 'wombat'));
      expect(await text(ref, 'wombat', { limit: 500 })).toHaveLength(1);
      expect(await vector(ref, vectorAt(1), { limit: 500 })).toHaveLength(1);
    });

    it('finds Chinese, Japanese, Thai, Arabic and Hebrew', async () => {
      const texts = [
        '请假政策规定员工每年有十天假期',
        '東京本社の休暇規定について',
        'นโยบายการลาพักร้อน',
        'سياسة الإجازات للموظفين',
        'מדיניות החופשות של החברה',
      ];
      await put(ref, 'd1', ...texts.map((each, at) => chunkOf('d1', at, each)));
      const queries = ['员工假期', '休暇規定', 'ลาพักร้อน', 'الإجازات', 'החופשות'];
      for (const [at, query] of queries.entries()) expect((await text(ref, query))[0], query).toBe(`c_d1_${at}`);
    });

    it('survives a question of 50,000 characters', async () => {
      await put(ref, 'd1', chunkOf('d1', 0, 'wombat'));
      expect(await text(ref, `wombat ${'lorem ipsum '.repeat(4_200)}`)).toEqual(['c_d1_0']);
    });

    it('is empty after the tenant is dropped, and dropping twice is no fault', async () => {
      await put(ref, 'd1', chunkOf('d1', 0, 'wombat'));
      await store.dropTenant(ref.tenantId);
      await store.dropTenant(ref.tenantId);
      expect(await store.generations(ref.tenantId)).toEqual([]);
      await store.ensureIndex(ref, profile);
      expect(await text(ref, 'wombat')).toEqual([]);
      expect(await vector(ref, vectorAt(2))).toEqual([]);
    });

    it('stops when told to before it began', async () => {
      await expect(store.searchText(ref, 'wombat', { limit: 1, signal: AbortSignal.abort() })).rejects.toMatchObject({
        code: 'cancelled',
      });
    });
  });
};
