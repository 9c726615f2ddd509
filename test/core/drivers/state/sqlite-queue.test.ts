import { describe, expect, test } from 'vitest';
import type { BatchResult } from '../../../../core/drivers/state/sqlite/batch.ts';
import { createQueue } from '../../../../core/drivers/state/sqlite/queue.ts';
import type { Call } from '../../../../core/drivers/state/sqlite/sync.ts';

describe('what waits for the one connection', () => {
  const world = (run?: (calls: readonly Call[]) => BatchResult) => {
    const batches: string[] = [];
    const answered: number[] = [];
    const queue = createQueue(
      (calls) => {
        batches.push(calls.map(({ id }) => id).join(' '));
        return run?.(calls) ?? { replies: calls.map(({ id }) => ({ id, value: null })), left: [] };
      },
      (replies) => answered.push(...replies.map(({ id }) => id)),
    );
    let id = 0;
    const add = (verb: string, count = 1): void =>
      queue.add(
        Array.from({ length: count }, () => {
          id += 1;
          return { id, group: 'inbox', verb, args: [], until: Number.POSITIVE_INFINITY };
        }),
      );
    return {
      batches,
      answered,
      read: () => add('get'),
      lease: () => add('claimThread'),
      write: (count = 1) => add('receive', count),
      /** At this time; undefined: does not end. */
      serve: (at: number, inAHurry = false) => queue.serve(at, inAHurry),
    };
  };

  test('is served by what it waits for: reads, then leases, then what waits for the disk', () => {
    const { write, lease, read, serve, batches } = world();
    write();
    lease();
    read();
    expect(serve(1_000)).toBeNull();
    expect(batches).toEqual(['3', '2', '1']);
  });

  test('a write alone never waits for others', () => {
    const { write, serve, batches } = world();
    for (let at = 1_000; at < 1_005; at += 1) {
      write(3);
      expect(serve(at)).toBeNull();
    }
    expect(batches).toHaveLength(5);
  });

  test('after a crowd of writes the next ones wait for each other, three milliseconds at the most, and reading goes on', () => {
    const { write, read, serve, batches, answered } = world();
    write(4);
    expect(serve(1_000)).toBeNull();
    write();
    expect(serve(1_001)).toBe(2);
    write(2);
    read();
    expect(serve(1_002)).toBe(1);
    expect(answered).toEqual([1, 2, 3, 4, 8]);
    expect(serve(1_003)).toBeNull();
    expect(batches).toEqual(['1 2 3 4', '8', '5 6 7']);
  });

  test('a store that closes lets nobody wait', () => {
    const { write, serve, answered } = world();
    write(4);
    serve(1_000);
    write();
    expect(serve(1_001, true)).toBeNull();
    expect(answered).toContain(5);
  });

  test('what a batch leaves is served as soon as others had their turn, also while writes wait', () => {
    let room = true;
    const { write, read, serve, answered } = world((calls) => {
      const fits = room ? calls.slice(0, 4) : calls.slice(0, 1);
      return { replies: fits.map(({ id }) => ({ id, value: null })), left: calls.slice(fits.length) };
    });
    write(4);
    serve(1_000);
    room = false;
    write();
    read();
    read();
    expect(serve(1_001)).toBe(0);
    expect(serve(1_001)).toBe(2);
    expect(answered).toEqual([1, 2, 3, 4, 6, 7]);
    expect(serve(1_003)).toBeNull();
  });
});
