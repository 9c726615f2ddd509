import type { Prepared } from './prepare-documents.ts';

/** Documents on their way through a sync: some being read, some being written, each in order of its own. */
export type Pipeline = {
  /** Resolves when a lane is free and has begun the work. Throws what any earlier work or write threw. */
  enter(work: () => Promise<Prepared>): Promise<void>;
  /** Resolves when all that entered is written. Throws like `enter`. */
  settle(): Promise<void>;
  /** Like `settle`, but never throws: nothing is under way any more. */
  end(): Promise<void>;
};

/** Of what nothing is to be done, many are reported in one go. */
const writtenAtOnce = 64;

/**
 * A document keeps its lane until it is written, so that a crash repeats no more documents than there are lanes. Whatever
 * is ready when a write ends goes into the next one together; nothing waits for company. Documents that turn out
 * unchanged free their lane at once: there is no work of theirs that could be lost.
 */
export const createPipeline = (lanes: number, write: (ready: readonly Prepared[]) => Promise<void>): Pipeline => {
  let busy = 0;
  let failed: { readonly error: unknown } | undefined;
  let ready: Prepared[] = [];
  let round = Promise.withResolvers<void>();
  let writing = false;
  const waiters = new Set<() => void>();

  const changed = (): Promise<void> => new Promise((resolve) => waiters.add(resolve));
  const tell = (): void => {
    const told = [...waiters];
    waiters.clear();
    for (const waiter of told) waiter();
  };
  const fail = (error: unknown): void => {
    failed ??= { error };
  };

  const writeAll = async (): Promise<void> => {
    if (writing) return;
    writing = true;
    while (ready.length > 0) {
      const batch = ready;
      const written = round;
      ready = [];
      round = Promise.withResolvers<void>();
      // After a failure nothing more is written: it may be that this worker has lost its lease.
      if (failed === undefined) await write(batch).catch(fail);
      written.resolve();
      tell();
    }
    writing = false;
    tell();
  };

  const runLane = async (work: () => Promise<Prepared>): Promise<void> => {
    try {
      const prepared = await work();
      ready.push(prepared);
      const written = round.promise;
      void writeAll();
      if (!(prepared.outcome === 'unchanged' && !prepared.write && ready.length < writtenAtOnce)) await written;
    } catch (error) {
      fail(error);
    }
    busy -= 1;
    tell();
  };

  const until = async (isReached: () => boolean): Promise<void> => {
    while (!isReached()) await changed();
  };
  const isIdle = (): boolean => busy === 0 && !writing;

  return {
    async enter(work) {
      await until(() => busy < lanes || failed !== undefined);
      if (failed !== undefined) throw failed.error;
      busy += 1;
      void runLane(work);
    },
    async settle() {
      await until(isIdle);
      if (failed !== undefined) throw failed.error;
    },
    end: () => until(isIdle),
  };
};
