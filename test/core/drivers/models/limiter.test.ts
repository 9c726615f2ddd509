import { describe, expect, it } from 'vitest';
import { createLimiter } from '../../../../core/drivers/models/limiter.ts';
import { createTestRuntime } from '../../../fakes/clock.ts';

const never = new AbortController().signal;

describe('limiter of requests and tokens per minute', () => {
  it('serves waiting tenants in turn, so that a busy one waits for itself', async () => {
    const runtime = createTestRuntime();
    const limiter = createLimiter(runtime, { requestsPerMinute: 1, maxWaitMs: 3_600_000 });
    const served: string[] = [];
    await limiter.acquire('first', 1, never);
    const waiting = [
      ...Array.from({ length: 5 }, (_, index) => ['busy', `busy ${index}`] as const),
      ['quiet', 'quiet'] as const,
    ].map(([tenant, name]) => limiter.acquire(tenant, 1, never).then(() => served.push(name)));
    await runtime.clock.advance(2 * 60_000 + 10);
    expect(served).toEqual(['busy 0', 'quiet']);
    await runtime.clock.advance(10 * 60_000);
    await Promise.all(waiting);
    expect(served).toEqual(['busy 0', 'quiet', 'busy 1', 'busy 2', 'busy 3', 'busy 4']);
  });

  it('never starts more requests within any minute than allowed', async () => {
    const runtime = createTestRuntime();
    const limiter = createLimiter(runtime, { requestsPerMinute: 10, maxWaitMs: 3_600_000 });
    const starts: number[] = [];
    for (let index = 0; index < 40; index += 1)
      void limiter.acquire(`t${index % 3}`, 1, never).then(() => starts.push(runtime.clock.now()));
    for (let step = 0; step < 60; step += 1) await runtime.clock.advance(5_000);
    expect(starts).toHaveLength(40);
    for (const start of starts)
      expect(starts.filter((other) => other >= start && other < start + 60_000).length).toBeLessThanOrEqual(10);
  });

  it('counts tokens by the estimate first and by the truth later', async () => {
    const runtime = createTestRuntime();
    const limiter = createLimiter(runtime, { tokensPerMinute: 1_000, maxWaitMs: 3_600_000 });
    const first = await limiter.acquire('a', 900, never);
    let started = false;
    const second = limiter.acquire('b', 500, never).then(() => {
      started = true;
    });
    await runtime.clock.advance(1_000);
    expect(started).toBe(false);
    first.correct(300);
    await second;
    expect(started).toBe(true);
  });

  it('lets a single call above the whole allowance go alone', async () => {
    const limiter = createLimiter(createTestRuntime(), { tokensPerMinute: 100 });
    await limiter.acquire('a', 5_000, never);
  });

  it('refuses when the queue is full and when the wait grows too long, and forgets who went away', async () => {
    const runtime = createTestRuntime();
    const limiter = createLimiter(runtime, { requestsPerMinute: 1, maxWaiting: 2, maxWaitMs: 5_000 });
    await limiter.acquire('a', 1, never);
    const caller = new AbortController();
    const left = limiter.acquire('a', 1, caller.signal);
    const late = limiter.acquire('b', 1, never);
    late.catch(() => undefined);
    await expect(limiter.acquire('c', 1, never)).rejects.toMatchObject({ code: 'rate-limited' });
    caller.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    const again = limiter.acquire('c', 1, never);
    again.catch(() => undefined);
    await runtime.clock.advance(5_001);
    await expect(late).rejects.toMatchObject({ code: 'rate-limited', retryAfterMs: expect.any(Number) });
    await expect(again).rejects.toMatchObject({ code: 'rate-limited' });
  });

  it('starts nobody before the provider is ready again', async () => {
    const runtime = createTestRuntime();
    const limiter = createLimiter(runtime, {});
    limiter.pauseUntil(runtime.clock.now() + 3_000);
    let started = false;
    const waiting = limiter.acquire('a', 1, never).then(() => {
      started = true;
    });
    await runtime.clock.advance(2_900);
    expect(started).toBe(false);
    await runtime.clock.advance(200);
    await waiting;
    expect(started).toBe(true);
  });
});
