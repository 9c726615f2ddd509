import { randomBytes } from 'node:crypto';
import { AppError } from '../errors.ts';
import type { Clock, Random } from '../ports/runtime.ts';

/** One for all: a stack for each wait that is cut short would be a good part of an answer's cost, and tells nothing. */
const stopped = new AppError('cancelled', 'The wait was stopped.');

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        reject(stopped);
      };
      if (signal?.aborted) return reject(stopped);
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stop);
        resolve();
      }, ms);
      signal?.addEventListener('abort', stop, { once: true });
    }),
};

export const systemRandom: Random = {
  hex: (bytes) => randomBytes(bytes).toString('hex'),
  float: () => randomBytes(4).readUInt32BE(0) / 2 ** 32,
};
