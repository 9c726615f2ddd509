import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { AppError } from '../../../errors.ts';
import { describeFault } from './faults.ts';

type Job = { readonly backupOf: string; readonly into: string };

const withinMs = 10 * 60_000;

/**
 * Copies the state file into `folder/state.sqlite` as it stood at one instant, while others go on writing: a thread and a
 * connection of its own read one snapshot. Throws AppError `conflict` when the folder has one already.
 */
export const backupInto = async (file: string, folder: string): Promise<void> => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const into = join(folder, 'state.sqlite');
  if (existsSync(into))
    throw new AppError('conflict', 'The backup folder already holds a state.sqlite; choose an empty one.');
  const job: Job = { backupOf: file, into };
  const worker = new Worker(new URL(import.meta.url), { workerData: job });
  const patience = setTimeout(() => void worker.terminate(), withinMs);
  try {
    const problem = await new Promise<string>((resolve) => {
      worker.once('message', resolve);
      worker.once('error', (error) => resolve(describeFault(error).problem));
      worker.once('exit', () => resolve('The backup did not finish in time.'));
    });
    if (problem !== '') throw new AppError('store-unavailable', `The backup failed. ${problem}`, { retryable: true });
  } finally {
    clearTimeout(patience);
  }
};

const copy = ({ backupOf, into }: Job): void => {
  const draft = `${into}.part`;
  rmSync(draft, { force: true });
  const database = new DatabaseSync(backupOf, { readOnly: true, timeout: 5_000 });
  try {
    database.prepare('VACUUM INTO ?').run(draft);
  } finally {
    database.close();
  }
  chmodSync(draft, 0o600);
  const handle = openSync(draft, 'r');
  fsyncSync(handle);
  closeSync(handle);
  renameSync(draft, into);
};

if (parentPort !== null && typeof (workerData as Partial<Job> | null)?.backupOf === 'string') {
  try {
    copy(workerData as Job);
    parentPort.postMessage('');
  } catch (error) {
    parentPort.postMessage(describeFault(error).problem);
  }
}
