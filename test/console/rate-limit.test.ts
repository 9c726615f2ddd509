import { describe, expect, test } from 'vitest';
import { createRateLimit } from '../../console/rate-limit.ts';

/** A window that several instances share, as the store keeps it; each hit is a durable write. */
const sharedWindow = () => {
  const counts = new Map<string, number>();
  let now = 0;
  let writes = 0;
  return {
    now: () => now,
    pass: (ms: number) => {
      now += ms;
    },
    writes: () => writes,
    hit: async (key: string, limit: number, windowMs: number) => {
      writes += 1;
      const start = Math.floor(now / windowMs) * windowMs;
      const hits = (counts.get(`${key}@${start}`) ?? 0) + 1;
      counts.set(`${key}@${start}`, hits);
      return { ok: hits <= limit, resetsAt: start + windowMs };
    },
  };
};

const minute = 60_000;

describe('the rate limit of the API', () => {
  test('lets exactly the limit through, with one durable write for a block of requests', async () => {
    const window = sharedWindow();
    const limit = createRateLimit(window, window.now);
    const answers = await Promise.all(Array.from({ length: 700 }, () => limit('key', 600, minute)));
    expect(answers.filter(({ ok }) => ok)).toHaveLength(600);
    expect(window.writes()).toBe(25);
    // A caller that goes on after the limit costs no more writes.
    await Promise.all(Array.from({ length: 500 }, () => limit('key', 600, minute)));
    expect(window.writes()).toBe(25);
  });

  test('is never exceeded by several instances together', async () => {
    const window = sharedWindow();
    const instances = [1, 2, 3].map(() => createRateLimit(window, window.now));
    let passed = 0;
    for (let at = 0; at < 1000; at++) {
      const answer = await instances[at % 3]?.('key', 600, minute);
      if (answer?.ok) passed += 1;
    }
    expect(passed).toBe(600);
  });

  test('begins anew with the next window, and says when that is', async () => {
    const window = sharedWindow();
    const limit = createRateLimit(window, window.now);
    for (let at = 0; at < 3; at++) expect((await limit('key', 3, minute)).ok).toBe(true);
    expect(await limit('key', 3, minute)).toEqual({ ok: false, resetsAt: minute });
    window.pass(minute);
    expect(await limit('key', 3, minute)).toEqual({ ok: true, resetsAt: 2 * minute });
  });

  test('keeps callers apart', async () => {
    const window = sharedWindow();
    const limit = createRateLimit(window, window.now);
    expect((await limit('one', 1, minute)).ok).toBe(true);
    expect((await limit('one', 1, minute)).ok).toBe(false);
    expect((await limit('other', 1, minute)).ok).toBe(true);
  });
});
