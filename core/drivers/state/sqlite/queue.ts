import type { BatchResult } from './batch.ts';
import { type Call, kindOf, type Reply } from './sync.ts';

/** In the order in which they are served. */
const lanes = ['read', 'lease', 'write'] as const;
/** A sync of the disk costs the processor as much as dozens of statements: under load there is one every so often. */
const syncEveryMs = 3;
/** So many writes together are load. */
const crowd = 4;

/** A verb that is none is answered with its refusal; where does not matter. */
const laneOf = (call: Call): (typeof lanes)[number] => {
  const kind = kindOf(call);
  return kind === 'read' || kind === 'lease' ? kind : 'write';
};

/** What waits for the one connection. */
export type Queue = {
  add(calls: readonly Call[]): void;
  /**
   * Serves what waits, as far as it may now; `inAHurry`: all of it. In how many milliseconds it wants to be called again: 0
   * as soon as others had their turn, null not before there is more.
   */
  serve(now: number, inAHurry: boolean): number | null;
};

export const createQueue = (
  runBatch: (calls: readonly Call[]) => BatchResult,
  answer: (replies: readonly Reply[]) => void,
): Queue => {
  let waiting: readonly Call[] = [];
  /** Where several wait for the disk at a time, more are on their way: before this no write is begun, so that they share a sync. */
  let restUntil = 0;
  return {
    add: (calls) => {
      waiting = [...waiting, ...calls];
    },
    serve: (now, inAHurry) => {
      // What needs no disk goes first: it would otherwise wait for the others' commit. And reads before leases: where another
      // process holds the lock, leases wait and fail, and reading goes on.
      const groups = lanes.map((lane) => waiting.filter((call) => laneOf(call) === lane));
      const writes = groups.at(-1) ?? [];
      const rests = now < restUntil && !inAHurry;
      if (rests) groups.pop();
      else if (writes.length >= crowd) restUntil = now + syncEveryMs;
      waiting = rests ? writes : [];
      const held = waiting.length;
      for (const calls of groups) {
        if (calls.length === 0) continue;
        const { replies, left } = runBatch(calls);
        waiting = [...waiting, ...left];
        answer(replies);
      }
      if (waiting.length > held) return 0;
      return held > 0 ? restUntil - now : null;
    },
  };
};
