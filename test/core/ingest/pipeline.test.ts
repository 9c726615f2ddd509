import { expect, it } from 'vitest';
import { createPipeline } from '../../../core/ingest/pipeline.ts';
import type { Prepared } from '../../../core/ingest/prepare-documents.ts';

const rowOf = (id: string) => ({ id }) as Prepared['row'];
const changed = (id: string): Prepared => ({
  outcome: 'updated',
  row: rowOf(id),
  over: null,
  chunks: [],
  contents: new Uint8Array(),
});
const unchanged = (id: string): Prepared => ({
  outcome: 'unchanged',
  row: rowOf(id),
  over: null,
  write: true,
});

/** A store that takes what it is given only when it is told to. */
const createSlowStore = () => {
  const begun: string[][] = [];
  const ends: (() => void)[] = [];
  const waiters: (() => void)[] = [];
  return {
    begun,
    write: (batch: readonly Prepared[]): Promise<void> => {
      begun.push(batch.map(({ row }) => row.id));
      for (const tell of waiters.splice(0)) tell();
      return new Promise((resolve) => ends.push(resolve));
    },
    hasBegun: async (writes: number): Promise<void> => {
      while (begun.length < writes) await new Promise<void>((resolve) => waiters.push(resolve));
    },
    finishOne: (): void => ends.shift()?.(),
  };
};

it('begins to write a document only when the one before it is written with its row', async () => {
  const store = createSlowStore();
  const pipeline = createPipeline(4, store.write);
  for (const id of ['a', 'b', 'c']) await pipeline.enter(async () => changed(id));
  await pipeline.enter(async () => unchanged('d'));
  await store.hasBegun(1);
  // All of them are ready, and one is being written.
  await new Promise((resolve) => setImmediate(resolve));
  expect(store.begun).toEqual([['a']]);
  store.finishOne();
  await store.hasBegun(2);
  // What changes no passages goes along.
  expect(store.begun).toEqual([['a'], ['b', 'd']]);
  store.finishOne();
  await store.hasBegun(3);
  store.finishOne();
  await pipeline.settle();
  expect(store.begun).toEqual([['a'], ['b', 'd'], ['c']]);
});

it('lets no document in while every lane holds one that is not written yet', async () => {
  const store = createSlowStore();
  const pipeline = createPipeline(2, store.write);
  await pipeline.enter(async () => changed('a'));
  await pipeline.enter(async () => changed('b'));
  let isIn = false;
  const third = pipeline
    .enter(async () => changed('c'))
    .then(() => {
      isIn = true;
    });
  await store.hasBegun(1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(isIn).toBe(false);
  store.finishOne();
  await third;
  await store.hasBegun(2);
  store.finishOne();
  await store.hasBegun(3);
  store.finishOne();
  await pipeline.settle();
});

it('writes nothing more after a write that failed, and says so to whoever enters', async () => {
  let writes = 0;
  const pipeline = createPipeline(3, async () => {
    writes += 1;
    throw new Error('the lease is lost');
  });
  await pipeline.enter(async () => changed('a'));
  await expect(pipeline.settle()).rejects.toThrow('the lease is lost');
  await expect(pipeline.enter(async () => changed('b'))).rejects.toThrow('the lease is lost');
  await pipeline.end();
  expect(writes).toBe(1);
});
