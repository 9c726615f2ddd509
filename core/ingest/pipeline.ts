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

type Ready = { readonly prepared: Prepared; readonly written: PromiseWithResolvers<void> };

/**
 * A document keeps its lane until it is written. Those whose passages change are written one after the other, each with
 * its row before the next is begun: a crash repeats the writing of one at the most, and of the others in the lanes no
 * trace was left. Documents that turn out unchanged free their lane at once, and go along with whatever is written next.
 */
export const createPipeline = (lanes: number, write: (ready: readonly Prepared[]) => Promise<void>): Pipeline => {
  let busy = 0;
  let failed: { readonly error: unknown } | undefined;
  let ready: readonly Ready[] = [];
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

  const takeNext = (): readonly Ready[] => {
    const first = ready.find(({ prepared }) => hasPassages(prepared));
    const taken = ready.filter((one) => one === first || !hasPassages(one.prepared));
    ready = ready.filter((one) => !taken.includes(one));
    return taken;
  };

  const writeAll = async (): Promise<void> => {
    if (writing) return;
    writing = true;
    while (ready.length > 0) {
      const taken = takeNext();
      // After a failure nothing more is written: it may be that this worker has lost its lease.
      if (failed === undefined) await write(taken.map(({ prepared }) => prepared)).catch(fail);
      for (const { written } of taken) written.resolve();
      tell();
    }
    writing = false;
    tell();
  };

  const runLane = async (work: () => Promise<Prepared>): Promise<void> => {
    try {
      const prepared = await work();
      const written = Promise.withResolvers<void>();
      ready = [...ready, { prepared, written }];
      void writeAll();
      if (!(isDone(prepared) && ready.length < writtenAtOnce)) await written.promise;
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

const hasPassages = (prepared: Prepared): boolean => 'chunks' in prepared;

const isDone = (prepared: Prepared): boolean => prepared.outcome === 'unchanged' && !prepared.write;
