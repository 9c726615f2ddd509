import { afterEach, describe, expect, it } from 'vitest';
import type { DocumentInput } from '../../../core/core.ts';
import { pushSource } from '../../../core/drivers/sources/push.ts';
import { uploadSource } from '../../../core/drivers/sources/upload.ts';
import { AppError } from '../../../core/errors.ts';
import { stampOf } from '../../../core/ingest/contents.ts';
import type { ChunkStore } from '../../../core/ports/chunks.ts';
import type { Embedder } from '../../../core/ports/model.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { type Bench, openBench, whileTimePasses } from './workbench.ts';

let bench: Bench;
afterEach(() => bench.close());
const signal = new AbortController().signal;

const open = async (options: Partial<Parameters<typeof openBench>[0]> = {}): Promise<string> => {
  bench = await openBench({ sources: [pushSource, uploadSource], ...options });
  return (await bench.ingest.createSource(bench.tenant, { kind: 'push', name: 'Handbook', settings: {} })).id;
};
const put = (sourceId: string, externalId: string, content: string | Uint8Array, more: Partial<DocumentInput> = {}) =>
  bench.ingest.put(bench.tenant, sourceId, { externalId, content, ...more }, signal);

describe('putting a document', () => {
  it('is searchable when it resolves, and says created, unchanged, updated', async () => {
    const source = await open();
    const first = await put(source, 'kettle', '# The kettle\n\nDescale the kettle on Mondays.');
    expect(first.outcome).toBe('created');
    expect(first.document.title).toBe('The kettle');
    expect(await bench.find('kettle')).toEqual(['# The kettle\n\nDescale the kettle on Mondays.']);
    expect((await put(source, 'kettle', '# The kettle\n\nDescale the kettle on Mondays.')).outcome).toBe('unchanged');
    expect((await put(source, 'kettle', '# The kettle\n\nDescale the kettle on Fridays.')).outcome).toBe('updated');
    expect(await bench.find('mondays')).toEqual([]);
    expect(await bench.find('fridays')).toHaveLength(1);
  });

  it('raises the content revision for a change and for nothing else', async () => {
    const source = await open();
    const revision = async () => (await bench.state.tenants.get(bench.tenant.id))?.contentRevision;
    await put(source, 'a', 'Tea at four.');
    const before = await revision();
    await put(source, 'a', 'Tea at four.');
    expect(await revision()).toBe(before);
    await put(source, 'a', 'Tea at five.');
    expect(await revision()).not.toBe(before);
  });

  it('raises it for a source that comes, goes or is opened to other readers: lists of sources are remembered by it', async () => {
    await open();
    const revision = async () => (await bench.state.tenants.get(bench.tenant.id))?.contentRevision ?? 0;
    let before = await revision();
    const moved = async (change: Promise<unknown>): Promise<boolean> => {
      await change;
      const now = await revision();
      const has = now > before;
      before = now;
      return has;
    };
    const created = bench.ingest.createSource(bench.tenant, { kind: 'push', name: 'Payroll', settings: {} });
    expect(await moved(created)).toBe(true);
    const { id } = await created;
    expect(await moved(bench.ingest.updateSource(bench.tenant, id, { audience: 'named' }))).toBe(true);
    expect(await moved(bench.ingest.updateSource(bench.tenant, id, { name: 'Wages' }))).toBe(false);
    expect(await moved(bench.ingest.removeSource(bench.tenant, id, new AbortController().signal))).toBe(true);
  });

  it('keeps the last good version searchable when a newer one cannot be read', async () => {
    const source = await open();
    await put(source, 'a', 'The gate opens at six.');
    const broken = put(source, 'a', new TextEncoder().encode('%PDF-1.7 broken'));
    await expect(broken).rejects.toMatchObject({
      code: 'unreadable-document',
      message: 'The PDF is damaged and cannot be read.',
    });
    expect(await bench.find('gate')).toHaveLength(1);
    const [row] = (await bench.state.documents.list(bench.tenant.id, {}, { limit: 10 })).items;
    expect(row?.problem).toContain('damaged');
    expect((await put(source, 'a', 'The gate opens at six.')).document.problem).toBeUndefined();
  });

  it('leaves nothing half done when it is aborted', async () => {
    const source = await open();
    const control = new AbortController();
    const aborted = bench.ingest.put(
      bench.tenant,
      source,
      { externalId: 'a', content: 'lanterns '.repeat(200_000) },
      control.signal,
    );
    setImmediate(() => control.abort());
    await expect(aborted).rejects.toMatchObject({ code: 'cancelled' });
    await expect(bench.find('lanterns').catch(() => [])).resolves.toEqual([]);
    expect((await bench.state.documents.list(bench.tenant.id, {}, { limit: 10 })).items).toEqual([]);
    expect((await put(source, 'b', 'after that, others are read')).outcome).toBe('created');
  });

  it('lets puts of one document take turns: the last one wins, whole', async () => {
    const source = await open();
    await Promise.all(Array.from({ length: 8 }, (_, n) => put(source, 'a', `version${n} of the plan`)));
    const [row] = (await bench.state.documents.list(bench.tenant.id, {}, { limit: 10 })).items;
    expect(await bench.find('plan')).toEqual(['version7 of the plan']);
    expect(row?.contentHash).toBe((await put(source, 'a', 'version7 of the plan')).document.contentHash);
  });

  it('repairs a document that the index has lost', async () => {
    const source = await open();
    const { document } = await put(source, 'a', 'The ladder stands in the shed.');
    await bench.chunks.removeDocuments({ tenantId: bench.tenant.id, generation: 1 }, [document.id], signal);
    expect((await put(source, 'a', 'The ladder stands in the shed.')).outcome).toBe('updated');
    expect(await bench.find('ladder')).toHaveLength(1);
  });

  it('repairs what a crash between chunks and row left', async () => {
    let broken = true;
    const source = await open({
      wrapState: (state) => ({
        ...state,
        documents: {
          ...state.documents,
          write: (...args) =>
            broken ? Promise.reject(new AppError('store-unavailable', 'down')) : state.documents.write(...args),
        },
      }),
    });
    await expect(put(source, 'a', 'The boat is blue.')).rejects.toMatchObject({ code: 'store-unavailable' });
    broken = false;
    expect((await put(source, 'a', 'The boat is blue.')).outcome).toBe('created');
    expect(await bench.find('boat')).toEqual(['The boat is blue.']);
  });

  it('refuses an unknown source, one that is filled by syncing, and a bad id', async () => {
    const source = await open();
    await expect(put('s_unknown', 'a', 'x')).rejects.toMatchObject({ code: 'not-found' });
    await expect(put(source, '', 'x')).rejects.toMatchObject({ code: 'invalid' });
  });

  it('takes another title for a change of the chunks', async () => {
    const source = await open();
    await put(source, 'a', 'It is in the attic.', { title: 'Trunk' });
    const again = await put(source, 'a', 'It is in the attic.', { title: 'Suitcase' });
    expect(again.outcome).toBe('updated');
    const [chunk] = await bench.chunks.documentChunks(
      { tenantId: bench.tenant.id, generation: 1 },
      again.document.id,
      signal,
    );
    expect(chunk?.title).toBe('Suitcase');
  });
});

describe('putting a batch', () => {
  it('is not stopped by a bad document; of two lines with one id the last wins', async () => {
    const source = await open();
    const documents: DocumentInput[] = [
      { externalId: 'a', content: 'The lantern is in the cellar.' },
      { externalId: 'bad', content: new TextEncoder().encode('%PDF-1.4 x') },
      { externalId: 'empty', content: '  ' },
      { externalId: 'a', content: 'The lantern is on the roof.' },
      { externalId: 'b', content: 'The rope is in the barn.' },
      { externalId: ' ', content: 'no id' },
    ];
    const result = await bench.ingest.putBatch(bench.tenant, source, documents, signal);
    expect(result.upserted).toBe(2);
    expect(result.failed.map((line) => line.id).sort()).toEqual([' ', 'bad', 'empty']);
    expect(await bench.find('cellar')).toEqual([]);
    expect(await bench.find('roof')).toHaveLength(1);
    expect((await bench.ingest.putBatch(bench.tenant, source, documents, signal)).unchanged).toBe(2);
  });
});

describe('removing', () => {
  it('takes a document out of every search', async () => {
    const source = await open();
    await put(source, 'a', 'The spade is in the shed.');
    expect(await bench.ingest.remove(bench.tenant, source, 'a', signal)).toBe(true);
    expect(await bench.find('spade')).toEqual([]);
    expect(await bench.ingest.remove(bench.tenant, source, 'a', signal)).toBe(false);
  });

  it('takes a source away with all its documents, and no other source’s', async () => {
    const source = await open();
    const other = await bench.ingest.createSource(bench.tenant, { kind: 'upload', name: 'Files', settings: {} });
    await put(source, 'a', 'The spade is in the shed.');
    await put(other.id, 'a', 'The spade was sold.');
    await bench.ingest.removeSource(bench.tenant, source, signal);
    expect(await bench.find('spade')).toEqual(['The spade was sold.']);
    expect(await bench.state.documents.count(bench.tenant.id)).toBe(1);
    await expect(put(source, 'b', 'x')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('drops a deleted tenant with its index', async () => {
    const source = await open();
    await put(source, 'a', 'The spade is in the shed.');
    await bench.state.tenants.markDeleted(bench.tenant.id, 1);
    await bench.ingest.dropTenant(bench.tenant.id);
    expect(await bench.chunks.generations(bench.tenant.id)).toEqual([]);
    expect(await bench.state.tenants.deleted(10)).toEqual([]);
  });
});

describe('two processes and one document', () => {
  /** The first call of the verb is made at once, and tells its caller only when it is let go. */
  const holdingFirst = (verb: 'replaceDocuments' | 'removeDocuments') => {
    const made = Promise.withResolvers<void>();
    const free = Promise.withResolvers<void>();
    let calls = 0;
    const wrapChunks = (store: ChunkStore): ChunkStore => {
      const held = async (...args: never[]) => {
        calls += 1;
        const isFirst = calls === 1;
        await (store[verb] as (...args: never[]) => Promise<void>)(...args);
        if (!isFirst) return;
        made.resolve();
        await free.promise;
      };
      return { ...store, [verb]: held };
    };
    return { made: made.promise, letGo: () => free.resolve(), wrapChunks };
  };
  const rows = async () => (await bench.state.documents.list(bench.tenant.id, {}, { limit: 10 })).items;
  const finish = <T>(work: Promise<T>): Promise<T> => whileTimePasses(bench.runtime, work);

  it('what is found is what its row says, though the one who wrote first into the index is the last to write the row', async () => {
    const source = await open();
    await put(source, 'a', 'The gate opens at five.');
    const { made, letGo, wrapChunks } = holdingFirst('replaceDocuments');
    const slow = bench
      .another({ chunks: wrapChunks(bench.chunks) })
      .put(bench.tenant, source, { externalId: 'a', content: 'The gate opens at six.' }, signal);
    await made;
    await put(source, 'a', 'The gate opens at seven.');
    letGo();
    const { document } = await finish(slow);
    expect(await bench.find('gate')).toEqual(['The gate opens at six.']);
    expect(await rows()).toMatchObject([{ contentHash: document.contentHash }]);
    // The kept text too: an index that is built from it holds the same.
    const [contents] = await bench.state.documents.contents(bench.tenant.id, [document.id]);
    expect(contents?.stamp).toBe(stampOf((await rows())[0]!));
    expect((await put(source, 'a', 'The gate opens at six.')).outcome).toBe('unchanged');
  });

  it('the first version of both is one document, found as its row says', async () => {
    const source = await open();
    const { made, letGo, wrapChunks } = holdingFirst('replaceDocuments');
    const slow = bench
      .another({ chunks: wrapChunks(bench.chunks) })
      .put(bench.tenant, source, { externalId: 'a', content: 'The gate opens at six.' }, signal);
    await made;
    await put(source, 'a', 'The gate opens at seven.');
    letGo();
    const { document } = await finish(slow);
    expect(await bench.find('gate')).toEqual(['The gate opens at six.']);
    expect(await rows()).toMatchObject([{ contentHash: document.contentHash }]);
  });

  it('is found when it was removed while it was being written, for then it was written last', async () => {
    const source = await open();
    await put(source, 'a', 'The gate opens at five.');
    const { made, letGo, wrapChunks } = holdingFirst('replaceDocuments');
    const slow = bench
      .another({ chunks: wrapChunks(bench.chunks) })
      .put(bench.tenant, source, { externalId: 'a', content: 'The gate opens at six.' }, signal);
    await made;
    expect(await bench.ingest.remove(bench.tenant, source, 'a', signal)).toBe(true);
    letGo();
    await finish(slow);
    expect(await bench.find('gate')).toEqual(['The gate opens at six.']);
    expect(await rows()).toHaveLength(1);
  });

  it('is gone, index and row, when it was written while it was being removed', async () => {
    const source = await open();
    await put(source, 'a', 'The gate opens at five.');
    const { made, letGo, wrapChunks } = holdingFirst('removeDocuments');
    const slow = bench.another({ chunks: wrapChunks(bench.chunks) }).remove(bench.tenant, source, 'a', signal);
    await made;
    await put(source, 'a', 'The gate opens at six.');
    letGo();
    expect(await finish(slow)).toBe(true);
    expect(await rows()).toEqual([]);
    expect(await bench.find('gate')).toEqual([]);
  });

  it('what one tells about it and what the other writes into it both stand', async () => {
    const source = await open();
    await put(source, 'a', 'The gate opens at five.');
    const read = Promise.withResolvers<void>();
    const free = Promise.withResolvers<void>();
    const late: StateStore = {
      ...bench.state,
      documents: {
        ...bench.state.documents,
        write: async (...args) => {
          read.resolve();
          await free.promise;
          return bench.state.documents.write(...args);
        },
      },
    };
    const telling = bench
      .another({ state: late })
      .put(
        bench.tenant,
        source,
        { externalId: 'a', content: 'The gate opens at five.', metadata: { floor: 2 } },
        signal,
      );
    await read.promise;
    const { document } = await put(source, 'a', 'The gate opens at seven.');
    free.resolve();
    await finish(telling);
    expect(await rows()).toMatchObject([{ contentHash: document.contentHash, metadata: { floor: 2 } }]);
    expect(await bench.find('gate')).toEqual(['The gate opens at seven.']);
  });
});

describe('embedding', () => {
  const embedder = (calls: string[][]): Embedder => ({
    name: 'tiny',
    embed: async (texts) => {
      calls.push([...texts]);
      return { vectors: texts.map(() => new Float32Array([1, 0])), tokens: texts.length * 3, model: 'tiny' };
    },
  });

  it('is metered once for what is new, and never for what is unchanged', async () => {
    const calls: string[][] = [];
    const source = await open({ embedder: embedder(calls) });
    await put(source, 'a', '# Kettle\n\nDescale it.');
    await put(source, 'a', '# Kettle\n\nDescale it.');
    expect(calls).toEqual([['Kettle\n\n# Kettle\n\nDescale it.']]);
    expect(bench.metered).toMatchObject([{ kind: 'embedding', embeddingTokens: 3, model: 'tiny', sourceId: source }]);
  });

  it('never mixes models: what comes in meanwhile is found by its words, and a new index is asked for', async () => {
    const calls: string[][] = [];
    const source = await open({ embedder: embedder([]) });
    await put(source, 'a', 'Descale it.');
    const other = bench.another({ embedder: { ...embedder(calls), name: 'other' } });
    const again = (externalId: string, content: string) =>
      other.put(bench.tenant, source, { externalId, content }, signal);
    expect((await again('a', 'Descale it.')).outcome).toBe('unchanged');
    expect((await again('b', 'Rinse it well.')).outcome).toBe('created');
    expect(calls).toEqual([]);
    expect(await bench.find('rinse')).toEqual(['Rinse it well.']);
    const jobs = await bench.state.jobs.list(bench.tenant.id, {}, { limit: 10 });
    expect(jobs.items).toMatchObject([{ kind: 'reindex', state: 'queued', reindex: { automatic: true } }]);
  });

  it('writes each document before the next one is paid for', async () => {
    const seen: { texts: number; rows: number }[] = [];
    const paid: Embedder = {
      name: 'paid',
      embed: async (texts) => {
        seen.push({ texts: texts.length, rows: await bench.state.documents.count(bench.tenant.id) });
        return { vectors: texts.map(() => new Float32Array([1, 0])), tokens: 1, model: 'paid' };
      },
    };
    const source = await open({ embedder: paid });
    const documents = ['a', 'b', 'c'].map((externalId) => ({ externalId, content: `Words of ${externalId}.` }));
    await bench.ingest.putBatch(bench.tenant, source, documents, signal);
    expect(seen).toEqual([
      { texts: 1, rows: 0 },
      { texts: 1, rows: 1 },
      { texts: 1, rows: 2 },
    ]);
  });
});
