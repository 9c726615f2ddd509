import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Change, SourceConnector } from '../../core/ports/source.ts';

/** A place with documents that a test may change, and the driver's view of it. */
export type SourceUnderTest = {
  open(): Promise<SourceConnector>;
  put(externalId: string, text: string): Promise<void>;
  remove(externalId: string): Promise<void>;
  /** The id under which the driver reports what was put as this name. Default: the name. */
  idOf?(name: string): string;
  close(): Promise<void>;
};

/** What every source driver that can be synced keeps. */
export const sourceContract = (name: string, create: () => Promise<SourceUnderTest>): void => {
  describe(`source contract: ${name}`, () => {
    let place: SourceUnderTest;
    beforeEach(async () => {
      place = await create();
    });
    afterEach(() => place.close());

    const changes = async (options: { cursor?: string; stopAfter?: number } = {}): Promise<Change[]> => {
      const seen: Change[] = [];
      const { signal } = new AbortController();
      for await (const change of (await place.open()).changes({
        signal,
        ...(options.cursor === undefined ? {} : { cursor: options.cursor }),
      })) {
        seen.push(change);
        if (seen.length === options.stopAfter) break;
      }
      return seen;
    };
    const idOf = (name: string): string => place.idOf?.(name) ?? name;
    const upserts = (seen: readonly Change[]) => seen.filter((change) => change.type === 'upsert');
    const text = async (change: Change | undefined): Promise<string> =>
      change?.type === 'upsert' ? new TextDecoder().decode(await change.read(new AbortController().signal)) : '';

    it('reports every document with its bytes, then that this was everything', async () => {
      for (let n = 0; n < 30; n++) await place.put(`folder/${n}.md`, `text ${n}`);
      const seen = await changes();
      const ids = upserts(seen).map((change) => change.externalId);
      expect([...ids].sort()).toEqual(Array.from({ length: 30 }, (_, n) => idOf(`folder/${n}.md`)).sort());
      expect(await text(upserts(seen).find((change) => change.externalId === idOf('folder/7.md')))).toBe('text 7');
      expect(seen.at(-1)?.type).toBe('complete');
    });

    it('resumes without loss from every cursor it has given', async () => {
      for (let n = 0; n < 10; n++) await place.put(`${n}.md`, `text ${n}`);
      const first = await changes();
      for (const [at, change] of first.entries()) {
        if (change.type !== 'cursor') continue;
        const before = upserts(first.slice(0, at)).map((one) => one.externalId);
        const after = upserts(await changes({ cursor: change.cursor })).map((one) => one.externalId);
        expect(new Set([...before, ...after]).size).toBe(10);
      }
    });

    it('tells a changed document by another version, and an untouched one by the same', async () => {
      await place.put('a.md', 'one');
      await place.put('b.md', 'two');
      const versions = async () =>
        new Map(upserts(await changes()).map((change) => [change.externalId, change.version]));
      const before = await versions();
      await place.put('a.md', 'another text');
      const after = await versions();
      expect(after.get(idOf('a.md'))).toBeTypeOf('string');
      expect(after.get(idOf('a.md'))).not.toBe(before.get(idOf('a.md')));
      expect(after.get(idOf('b.md'))).toBe(before.get(idOf('b.md')));
    });

    it('lets a removed document be known, by a removal or by completeness', async () => {
      await place.put('a.md', 'one');
      await place.put('b.md', 'two');
      const cursor = (await changes()).findLast((change) => change.type === 'cursor');
      await place.remove('a.md');
      const seen = await changes(cursor?.type === 'cursor' ? { cursor: cursor.cursor } : {});
      const removed = seen.some((change) => change.type === 'remove' && change.externalId === idOf('a.md'));
      const swept =
        seen.at(-1)?.type === 'complete' && !upserts(seen).some((change) => change.externalId === idOf('a.md'));
      expect(removed || swept).toBe(true);
    });

    it('stops within a second when it is aborted', async () => {
      for (let n = 0; n < 200; n++) await place.put(`${n}.md`, `text ${n}`);
      const control = new AbortController();
      let afterAbort = 0;
      const started = performance.now();
      const run = async () => {
        for await (const change of (await place.open()).changes({ signal: control.signal })) {
          if (control.signal.aborted && change.type === 'upsert') afterAbort++;
          control.abort();
        }
      };
      await expect(run()).rejects.toMatchObject({ code: 'cancelled' });
      expect(afterAbort).toBeLessThan(200);
      expect(performance.now() - started).toBeLessThan(5_000);
    });
  });
};
