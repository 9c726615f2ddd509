import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { describeFault } from './faults.ts';
import { type Call, isLight, kindOf, type Reply, type SyncStore, unfinished } from './sync.ts';

/** A batch ends after this many calls or this long, so that another process gets its turn and no caller waits for a crowd. */
const maxCalls = 1_000;
const maxMs = 15;

export type BatchResult = {
  readonly replies: readonly Reply[];
  /** Calls for the end of the queue: no room in this batch, or not yet finished. */
  readonly left: readonly Call[];
};

type Fault = ReturnType<typeof describeFault>;
type Run = (...args: readonly unknown[]) => unknown;

/**
 * Runs what has queued up and commits once. Replies leave only after the commit, so every caller's write has reached the
 * disk, for the price of one wait for it. A call that fails is undone alone; a commit that fails fails them all.
 */
export const createBatches = (
  database: DatabaseSync,
  store: SyncStore,
  forMs = maxMs,
): ((calls: readonly Call[]) => BatchResult) => {
  const frame: Frame = {
    database,
    begin: database.prepare('BEGIN'),
    beginWriting: database.prepare('BEGIN IMMEDIATE'),
    commit: database.prepare('COMMIT'),
    synchronous: null,
  };
  return (calls) => {
    const current = calls.filter((call) => call.until > Date.now());
    // Failing calls are rare and savepoints are not free: they are set only when the batch has to be run again.
    return (
      attempt(frame, store, current, { guarded: false, forMs }) ??
      attempt(frame, store, current, { guarded: true, forMs }) ?? { replies: [], left: [] }
    );
  };
};

/** What stands around every batch, prepared once. */
type Frame = {
  readonly database: DatabaseSync;
  readonly begin: StatementSync;
  readonly beginWriting: StatementSync;
  readonly commit: StatementSync;
  /** As the connection was told last. */
  synchronous: 'NORMAL' | 'FULL' | null;
};

/** Null: a call failed with nothing to undo it alone, so nothing was done at all. */
const attempt = (
  frame: Frame,
  store: SyncStore,
  calls: readonly Call[],
  { guarded, forMs }: { readonly guarded: boolean; readonly forMs: number },
): BatchResult | null => {
  const { database } = frame;
  const first = calls.slice(0, maxCalls);
  const replies: Reply[] = [];
  const again: Call[] = [];
  let done = 0;
  const failAll = (fault: Fault): BatchResult => {
    if (database.isTransaction) database.exec('ROLLBACK');
    return { replies: first.map(({ id }) => ({ ...fault, id })), left: calls.slice(first.length) };
  };
  try {
    // In WAL mode NORMAL leaves the commit to the operating system: safe against our death, and the next FULL one syncs it too.
    const synchronous = first.every(isLight) ? 'NORMAL' : 'FULL';
    if (synchronous !== frame.synchronous) database.exec(`PRAGMA synchronous = ${synchronous}`);
    frame.synchronous = synchronous;
    (first.some(isWrite) ? frame.beginWriting : frame.begin).run();
    const started = performance.now();
    for (const call of first) {
      if (done > 0 && performance.now() - started > forMs) break;
      done += 1;
      const reply = guarded && isWrite(call) ? runGuarded(database, store, call) : runCall(store, call);
      const failed = reply !== unfinished && 'problem' in reply;
      // A full disk ends the whole transaction: then nothing of this batch stands, and nobody may hear otherwise.
      if (!database.isTransaction) return failAll(failed ? reply : describeFault(null));
      if (failed && !guarded && isWrite(call)) {
        database.exec('ROLLBACK');
        return null;
      }
      if (reply === unfinished) again.push(call);
      else replies.push(reply);
    }
    frame.commit.run();
    return { replies, left: [...calls.slice(done), ...again] };
  } catch (error) {
    return failAll(describeFault(error));
  }
};

const isWrite = (call: Call): boolean => {
  const kind = kindOf(call);
  return kind === 'write' || kind === 'lease';
};

const runGuarded = (database: DatabaseSync, store: SyncStore, call: Call): Reply | typeof unfinished => {
  database.exec('SAVEPOINT call');
  const reply = runCall(store, call);
  if (!database.isTransaction) return reply;
  if (reply !== unfinished && 'problem' in reply) database.exec('ROLLBACK TO call');
  database.exec('RELEASE call');
  return reply;
};

const runCall = (store: SyncStore, call: Call): Reply | typeof unfinished => {
  try {
    const group = store[call.group as keyof SyncStore] as Readonly<Record<string, Run>>;
    const verb = group[call.verb];
    if (kindOf(call) === undefined || verb === undefined) throw new Error(`unknown verb ${call.group}.${call.verb}`);
    const value = verb(...call.args);
    return value === unfinished ? unfinished : { id: call.id, value };
  } catch (error) {
    return { id: call.id, ...describeFault(error) };
  }
};
