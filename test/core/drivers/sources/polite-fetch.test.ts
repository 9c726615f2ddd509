import { describe, expect, it } from 'vitest';
import { createPace } from '../../../../core/drivers/sources/website/pace.ts';
import { createPoliteFetch, retryAfterMs } from '../../../../core/drivers/sources/website/polite-fetch.ts';
import { AppError } from '../../../../core/errors.ts';
import { createTestClock, testStart } from '../../../fakes/clock.ts';

type Answer = { readonly status: number; readonly headers?: Readonly<Record<string, string>> } | AppError;

/** A site that answers what it is told, and the times at which it was asked. */
const setUp = (answers: Answer[] = []) => {
  const clock = createTestClock(testStart);
  const askedAt: number[] = [];
  const fetchPolitely = createPoliteFetch({
    clock,
    pace: createPace(clock),
    fetch: async (url) => {
      askedAt.push(clock.now() - testStart);
      const answer = answers.shift() ?? { status: 200 };
      if (answer instanceof AppError) throw answer;
      return { url, headers: {}, bytes: new Uint8Array(), ...answer };
    },
  });
  return { clock, askedAt, fetchPolitely };
};
const options = { signal: new AbortController().signal, intervalMs: 500 };

describe('the polite fetch', () => {
  it('asks a host no more often than it may, however many ask at once, and other hosts meanwhile', async () => {
    const { clock, askedAt, fetchPolitely } = setUp();
    const all = ['a', 'b', 'c', 'd'].map((path) => fetchPolitely(`http://one.example/${path}`, options));
    const other = fetchPolitely('http://two.example/', options);
    await clock.advance(5_000);
    await Promise.all([...all, other]);
    expect([...askedAt].sort((a, b) => a - b)).toEqual([0, 0, 500, 1_000, 1_500]);
  });

  it.each([429, 503])('comes back when a site that answers %d says so', async (status) => {
    const { clock, askedAt, fetchPolitely } = setUp([{ status, headers: { 'retry-after': '20' } }, { status }]);
    const answer = fetchPolitely('http://one.example/', options);
    await clock.advance(60_000);
    expect((await answer).status).toBe(200);
    expect(askedAt).toEqual([0, 20_000, 28_000]);
  });

  it('holds back everything else for that host as well', async () => {
    const { clock, askedAt, fetchPolitely } = setUp([{ status: 429, headers: { 'retry-after': '30' } }]);
    const first = fetchPolitely('http://one.example/', options);
    const second = fetchPolitely('http://one.example/2', options);
    await clock.advance(60_000);
    await Promise.all([first, second]);
    expect(askedAt).toEqual([0, 30_000, 30_500]);
  });

  it('gives up on a site that stays busy or asks for an hour', async () => {
    const busy = setUp([{ status: 503 }, { status: 503 }, { status: 503 }]);
    const answer = busy.fetchPolitely('http://one.example/', options);
    await busy.clock.advance(60_000);
    expect((await answer).status).toBe(503);
    const hour = setUp([{ status: 429, headers: { 'retry-after': '3600' } }]);
    expect((await hour.fetchPolitely('http://one.example/', options)).status).toBe(429);
    expect(hour.askedAt).toHaveLength(1);
  });

  it('asks once more after a broken connection, and never after a refusal', async () => {
    const broken = new AppError('unreadable-document', 'No answer.', { retryable: true });
    const { clock, askedAt, fetchPolitely } = setUp([broken, broken]);
    const answer = fetchPolitely('http://one.example/', options);
    answer.catch(() => undefined);
    await clock.advance(60_000);
    await expect(answer).rejects.toBe(broken);
    expect(askedAt).toHaveLength(2);
    const refused = setUp([new AppError('address-not-allowed', 'address not allowed')]);
    await expect(refused.fetchPolitely('http://one.example/', options)).rejects.toMatchObject({
      code: 'address-not-allowed',
    });
    expect(refused.askedAt).toHaveLength(1);
  });

  it('stops waiting when it is told to', async () => {
    const { fetchPolitely } = setUp();
    const control = new AbortController();
    await fetchPolitely('http://one.example/', options);
    const waiting = fetchPolitely('http://one.example/', { ...options, signal: control.signal });
    control.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('reads Retry-After as seconds or a date', () => {
    expect(retryAfterMs('7', 0)).toBe(7_000);
    expect(retryAfterMs('Thu, 01 Jan 1970 00:00:09 GMT', 4_000)).toBe(5_000);
    expect(retryAfterMs('Thu, 01 Jan 1970 00:00:09 GMT', 40_000)).toBe(0);
    expect([retryAfterMs('soon', 0), retryAfterMs(undefined, 0)]).toEqual([null, null]);
  });
});
