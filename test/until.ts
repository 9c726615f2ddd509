import { vi } from 'vitest';

/** Looks again and again until `check` holds, that is: no longer throws. The time is for a busy machine, not for the thing. */
export const until = (check: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 20_000, interval: 10 });
