import { parentPort, Worker } from 'node:worker_threads';

/**
 * The other side of a bench, in a thread of its own: a platform that asks and takes the answers. Here is what the three
 * have in common; each has its program (slack-load.ts, discord-load.ts, teams-load.ts).
 */

export type LoadCommand = {
  /** `acknowledge` measures until the platform's "ok", `reply` until the call that posts the answer comes in. */
  readonly kind: 'acknowledge' | 'reply';
  /** Where the bot hears. */
  readonly url: string;
  readonly count: number;
  /** Under way at once. */
  readonly concurrency: number;
  /** A second; absent: as fast as they are done. */
  readonly perSecond?: number;
  /** Asked by turns; absent: the same each time. */
  readonly questions?: readonly string[];
  /** Questions come from so many of the workspaces that the program said hello with, and from ten people in each (default: 1). */
  readonly workspaces?: number;
};

export type LoadReport = {
  /** Until the acknowledgement, where there is one. */
  readonly acknowledgedMs: readonly number[];
  /** Until the answer; empty for `acknowledge`. */
  readonly answeredMs: readonly number[];
  readonly forMs: number;
  readonly failures: number;
  /** Processor time of this side's thread. */
  readonly cpuMs: number;
};

/** One question: `ask` resolves when it is acknowledged, `answered` when its answer came. */
export type Asked = { readonly asked: Promise<void>; readonly answered: Promise<void> };
export type Turn = {
  readonly question: string;
  /** Index of the workspace, and of the person in it. */
  readonly workspace: number;
  readonly person: number;
};

const peopleEach = 10;
const plainQuestion = 'how many days of leave do I have?';

/** In the load thread: asks as the command says. A question that fails is counted, and the next one goes on. */
export const runLoad = async (command: LoadCommand, ask: (turn: Turn) => Asked): Promise<LoadReport> => {
  const { questions = [plainQuestion], workspaces = 1 } = command;
  const acknowledgedMs: number[] = [];
  const answeredMs: number[] = [];
  let failures = 0;
  let next = 0;
  const cpuBefore = process.threadCpuUsage();
  const startedAt = performance.now();
  const one = async (index: number): Promise<void> => {
    const dueAt = command.perSecond === undefined ? 0 : startedAt + (index * 1000) / command.perSecond;
    const wait = dueAt - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const from = performance.now();
    const { asked, answered } = ask({
      question: questions[index % questions.length] ?? plainQuestion,
      workspace: index % workspaces,
      person: Math.floor(index / workspaces) % peopleEach,
    });
    answered.catch(() => undefined);
    try {
      await asked;
      acknowledgedMs.push(performance.now() - from);
      if (command.kind === 'acknowledge') return;
      await answered;
      answeredMs.push(performance.now() - from);
    } catch {
      failures += 1;
    }
  };
  const worker = async (): Promise<void> => {
    while (next < command.count) {
      next += 1;
      await one(next - 1);
    }
  };
  await Promise.all(Array.from({ length: command.concurrency }, worker));
  const { user, system } = process.threadCpuUsage(cpuBefore);
  return { acknowledgedMs, answeredMs, forMs: performance.now() - startedAt, failures, cpuMs: (user + system) / 1000 };
};

/** Answers that are awaited, by what tells them apart. */
export const createAwaited = (withinMs = 20_000) => {
  const awaited = new Map<string, () => void>();
  return {
    of: (key: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          awaited.delete(key);
          reject(new Error('no answer'));
        }, withinMs);
        awaited.set(key, () => {
          clearTimeout(timer);
          awaited.delete(key);
          resolve();
        });
      }),
    came: (key: string): void => awaited.get(key)?.(),
  };
};

/** In the load thread: says hello, then does what it is told, one thing at a time. */
export const serveLoad = (hello: unknown, run: (command: LoadCommand) => Promise<LoadReport>): void => {
  parentPort?.on('message', (command: LoadCommand) => {
    run(command).then(
      (report) => parentPort?.postMessage(report),
      (error: unknown) => {
        throw error;
      },
    );
  });
  parentPort?.postMessage(hello);
};

export type LoadThread<Hello> = {
  readonly hello: Hello;
  run(command: LoadCommand): Promise<LoadReport>;
  close(): Promise<void>;
};

/** In the bench: starts the thread and waits for its hello. */
export const startLoad = async <Hello>(program: URL, workerData?: unknown): Promise<LoadThread<Hello>> => {
  const thread = new Worker(program, { workerData });
  const next = <T>(): Promise<T> =>
    new Promise((resolve, reject) => {
      thread.removeAllListeners('error');
      thread.once('message', resolve);
      thread.once('error', reject);
    });
  const hello = await next<Hello>();
  return {
    hello,
    run: (command) => {
      const report = next<LoadReport>();
      thread.postMessage(command);
      return report;
    },
    close: async () => void (await thread.terminate()),
  };
};
