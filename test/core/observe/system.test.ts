import { describe, expect, it } from 'vitest';
import { systemClock, systemRandom } from '../../../core/observe/system.ts';

describe('the system clock', () => {
  it('sleeps at least as long as asked', async () => {
    const before = performance.now();
    await systemClock.sleep(20);
    expect(performance.now() - before).toBeGreaterThanOrEqual(19);
  });

  it('wakes with an error when the wait is stopped, before or during it', async () => {
    const stop = new AbortController();
    const sleeping = systemClock.sleep(60_000, stop.signal);
    stop.abort();
    await expect(sleeping).rejects.toMatchObject({ code: 'cancelled' });
    await expect(systemClock.sleep(60_000, stop.signal)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('chance', () => {
  it('gives hex of the asked length and fractions below one', () => {
    expect(systemRandom.hex(12)).toMatch(/^[0-9a-f]{24}$/);
    expect(systemRandom.hex(12)).not.toBe(systemRandom.hex(12));
    const fraction = systemRandom.float();
    expect(fraction >= 0 && fraction < 1).toBe(true);
  });
});
