import type { Lease } from '../../../ports/state.ts';
import type { Collections } from './collections.ts';
import { inserted, stepRows, within } from './queries.ts';

/**
 * Why no row is ever stranded. A ready row is found through its thread's document, which says `waiting`. The two are
 * separate documents, and a process may die between them; so `waiting` is only a hint, and the rows are the truth:
 * - The row is written first, then the hint. The hint adds to `marks`, also when `waiting` stands already.
 * - The hint is taken away only by the thread's holder, who reads `marks`, then finds no ready row, and then takes it away
 *   on condition that `marks` is still the same. A row written before the look was seen by it; a hint set after reading
 *   `marks` makes the condition fail; and a row written after the look sets its hint later still.
 * - What remains is a row whose hint was never written: its process died, or lost its connection. A claim that finds no
 *   waiting thread looks at the ready rows themselves and sets the hints that are missing, and so does every sweep. An
 *   idle deployment repairs within a poll, a busy one within the sweep's half minute.
 * - A hint without a row (a holder who died after settling the last one) is found by the claim, which looks for a ready
 *   row before it hands out the lease.
 */
export type Threads = {
  /** Says that the thread has a new row. `at` is when it came. */
  mark(threadKey: string, at: number): Promise<void>;
  /** `except`: none whose key begins so. */
  claim(owner: string, now: number, leaseForMs: number, except?: string): Promise<Lease | null>;
  holds(lease: Lease): Promise<boolean>;
  heartbeat(lease: Lease, until: number): Promise<boolean>;
  release(lease: Lease, notBefore: number): Promise<boolean>;
  /** Sets the hints that are missing; true when one was. `rows`: how many of the oldest ready rows are looked at. */
  repair(now: number, rows: number): Promise<boolean>;
};

/** Hints without rows that one claim clears away before it gives up until the next. */
const maxEmpty = 32;
/** Of the oldest ready rows, so many are looked at when a claim found no thread. */
const looked = 200;

const held = (lease: Lease) => ({ _id: lease.key, owner: lease.owner, fence: lease.fence });

export const createThreads = ({ threads, inbox }: Collections): Threads => {
  const hasRows = async (threadKey: string): Promise<boolean> =>
    (await inbox.findOne({ threadKey, state: 'ready' }, { ...within, projection: { _id: 1 } })) !== null;

  const mark = async (threadKey: string, at: number): Promise<void> => {
    const changed = await threads.updateOne({ _id: threadKey }, { $set: { waiting: true }, $inc: { marks: 1 } });
    if (changed.matchedCount === 1) return;
    // A thread nobody has served counts as served when its first row came: whoever waits longest is next. Its fences
    // begin at that time, so that they go on growing when an old document was swept away in between.
    const added = await inserted(() =>
      threads.insertOne({
        _id: threadKey,
        waiting: true,
        marks: 1,
        owner: '',
        fence: at,
        leaseUntil: 0,
        servedAt: at,
        notBefore: 0,
      }),
    );
    if (!added) await threads.updateOne({ _id: threadKey }, { $set: { waiting: true }, $inc: { marks: 1 } });
  };

  const takeNext = async (owner: string, now: number, leaseForMs: number, except?: string): Promise<Lease | null> => {
    // Between the beginning itself and what comes after all that begin so: the comparison of strings needs no pattern.
    const others =
      except === undefined ? {} : { $or: [{ _id: { $lt: except } }, { _id: { $gte: `${except}\uffff` } }] };
    for (let empty = 0; empty < maxEmpty; empty += 1) {
      const doc = await threads.findOneAndUpdate(
        { waiting: true, leaseUntil: { $lte: now }, notBefore: { $lte: now }, ...others },
        { $set: { owner, leaseUntil: now + leaseForMs, servedAt: now }, $inc: { fence: 1 } },
        { sort: { servedAt: 1, _id: 1 }, returnDocument: 'after' },
      );
      if (doc === null) return null;
      const lease = { key: doc._id, owner, fence: doc.fence };
      if (await hasRows(doc._id)) return lease;
      await release(lease, 0);
    }
    return null;
  };

  const release = async (lease: Lease, notBefore: number): Promise<boolean> => {
    const free = { owner: '', leaseUntil: 0, notBefore };
    const thread = await threads.findOne(held(lease), within);
    if (thread === null) return false;
    if (!(await hasRows(lease.key))) {
      const cleared = await threads.updateOne(
        { ...held(lease), marks: thread.marks },
        { $set: { ...free, waiting: false } },
      );
      if (cleared.matchedCount === 1) return true;
    }
    return (await threads.updateOne(held(lease), { $set: free })).matchedCount === 1;
  };

  const repair = async (now: number, rows: number): Promise<boolean> => {
    let seen = 0;
    let after: { receivedAt: number; _id: string } | null = null;
    let mended = false;
    while (seen < rows) {
      const page: { _id: string; threadKey: string; receivedAt: number }[] = await inbox
        .find(
          {
            state: 'ready',
            ...(after === null
              ? {}
              : {
                  $or: [
                    { receivedAt: { $gt: after.receivedAt } },
                    { receivedAt: after.receivedAt, _id: { $gt: after._id } },
                  ],
                }),
          },
          within,
        )
        .project<{ _id: string; threadKey: string; receivedAt: number }>({ threadKey: 1, receivedAt: 1 })
        .sort({ receivedAt: 1, _id: 1 })
        .limit(Math.min(stepRows, rows))
        .toArray();
      const last = page.at(-1);
      if (last === undefined) break;
      const keys = [...new Set(page.map((row) => row.threadKey))];
      const marked = await threads
        .find({ _id: { $in: keys }, waiting: true }, within)
        .project<{ _id: string }>({ _id: 1 })
        .toArray();
      const known = new Set(marked.map((doc) => doc._id));
      for (const key of keys.filter((one) => !known.has(one))) {
        await mark(key, now);
        mended = true;
      }
      seen += page.length;
      if (page.length < Math.min(stepRows, rows)) break;
      after = last;
    }
    return mended;
  };

  return {
    mark,
    claim: async (owner, now, leaseForMs, except) => {
      const lease = await takeNext(owner, now, leaseForMs, except);
      if (lease !== null || !(await repair(now, looked))) return lease;
      return takeNext(owner, now, leaseForMs, except);
    },
    holds: async (lease) => (await threads.findOne(held(lease), { ...within, projection: { _id: 1 } })) !== null,
    heartbeat: async (lease, until) =>
      (await threads.updateOne(held(lease), { $set: { leaseUntil: until } })).matchedCount === 1,
    release,
    repair,
  };
};
