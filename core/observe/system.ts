import { randomBytes } from 'node:crypto';
import { AppError } from '../errors.ts';
import type { Clock, Random } from '../ports/runtime.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  // By hand: timers/promises builds an error with a stack for each wait that is cut short, and most heartbeats are.
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const stopped = (): void => {
        clearTimeout(timer);
        reject(new AppError('cancelled', 'The wait was stopped.'));
      };
      if (signal?.aborted) return reject(new AppError('cancelled', 'The wait was stopped.'));
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stopped);
        resolve();
      }, ms);
      signal?.addEventListener('abort', stopped, { once: true });
    }),
};

export const systemRandom: Random = {
  hex: (bytes) => randomBytes(bytes).toString('hex'),
  float: () => randomBytes(4).readUInt32BE(0) / 2 ** 32,
};
