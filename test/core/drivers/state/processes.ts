import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Order, Report } from './child.ts';

export type Process = {
  /** Lets it work. */
  go(): void;
  kill(): Promise<void>;
  /** Resolves with all reports when the process has ended. */
  readonly ended: Promise<readonly Report[]>;
  /** Resolves when a report of that shape has come. */
  report<Key extends string>(key: Key): Promise<Extract<Report, Readonly<Record<Key, unknown>>>>;
};

/** Starts a real process over `dataDir` and waits until it has opened the store. */
export const startProcess = async (dataDir: string, order: Order): Promise<Process> => {
  const child: ChildProcess = fork(
    fileURLToPath(new URL('./child.ts', import.meta.url)),
    [dataDir, JSON.stringify(order)],
    { execArgv: [] },
  );
  const reports: Report[] = [];
  const ended = once(child, 'exit').then(() => reports);
  const report = <Key extends string>(key: Key) =>
    new Promise<Extract<Report, Readonly<Record<Key, unknown>>>>((resolve, reject) => {
      const look = (message: Report) => {
        if (key in message) resolve(message as Extract<Report, Readonly<Record<Key, unknown>>>);
      };
      reports.forEach(look);
      child.on('message', look);
      child.once('exit', () => reject(new Error(`the process ended without a report of ${key}`)));
    });
  child.on('message', (message: Report) => reports.push(message));
  await report('ready');
  return {
    go: () => void child.send('go'),
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
    ended,
    report,
  };
};
