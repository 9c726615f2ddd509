import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { QuotaLimit, Tenant } from '../../../core/domain.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { AppError } from '../../../core/errors.ts';
import {
  createMetering,
  type MeteredCall,
  type Metering,
  type Refusal,
  type Reservation,
  type ReserveRequest,
} from '../../../core/metering/metering.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { aTenant } from '../../contracts/rows.ts';
import { createTestRandom, createTestRuntime, type TestRuntime, testStart } from '../../fakes/clock.ts';

// Real files, threads and processes: slow on a busy machine, and then not wrong.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let state: StateStore;
let runtime: TestRuntime;
let metering: Metering;
let tenant: Tenant;
let serial = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'footnote-metering-'));
  state = await openSqliteState({ dataDir: folder, log: createTestRuntime().log });
});
afterAll(async () => {
  await state.maintenance.close();
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  runtime = createTestRuntime();
  metering = createMetering({ state, runtime });
  tenant = aTenant();
});

const limit = (over: Partial<QuotaLimit> = {}): QuotaLimit => ({
  scope: 'tenant',
  unit: 'tokens',
  per: 'day',
  limit: 100,
  ...over,
});
const ask = (over: Partial<ReserveRequest> = {}): Promise<Reservation | Refusal> => {
  serial += 1;
  return metering.reserve({
    tenant,
    reservationId: `a_${serial}`,
    memberId: 'slack:U1',
    channelId: 'slack:C1',
    tokens: 10,
    costNanos: 0,
    ...over,
  });
};

test('accounts of one person draw on one allowance, and parting begins no new one', async () => {
  await metering.putLimits(tenant.id, [limit({ scope: 'member', limit: 25 })]);
  const person = { id: 'p_1', memberIds: ['discord:9', 'slack:U1'] };
  const spend = async (memberId: string, linked: boolean): Promise<string> => {
    const held = await ask({ memberId, ...(linked ? { person } : {}) });
    if (held.outcome === 'held') await held.settle({ tokens: 10, costNanos: 0 });
    return held.outcome;
  };
  expect(await spend('discord:9', true)).toBe('held');
  expect(await spend('slack:U1', true)).toBe('held');
  expect(await spend('slack:U1', true)).toBe('refused');
  expect(await spend('discord:9', false)).toBe('refused');
  expect(await spend('slack:U2', false)).toBe('held');
});

test('a limit for any account of a person is the person’s', async () => {
  await metering.putLimits(tenant.id, [
    limit({ scope: 'member', limit: 5 }),
    limit({ scope: 'member', id: 'slack:U1', limit: 50 }),
  ]);
  const person = { id: 'p_1', memberIds: ['discord:9', 'slack:U1'] };
  expect((await ask({ memberId: 'discord:9', person })).outcome).toBe('held');
  expect((await ask({ memberId: 'discord:9' })).outcome).toBe('refused');
});
const held = async (asked: Promise<Reservation | Refusal>): Promise<Reservation> => {
  const result = await asked;
  if (result.outcome !== 'held') throw new Error(`refused: ${result.sentence}`);
  return result;
};
const refused = async (asked: Promise<Reservation | Refusal>): Promise<Refusal> => {
  const result = await asked;
  if (result.outcome !== 'refused') throw new Error('was not refused');
  return result;
};
const counters = async (...ids: string[]) =>
  (await state.metering.counters(tenant.id, ids, runtime.clock.now())).map((counter) => [counter.used, counter.held]);
const spend = async (tokens: number) => (await held(ask({ tokens }))).settle({ tokens, costNanos: 0 });
const tenantBucket = () => `tenant:${tenant.id}:tokens:2026-11-22`;

describe('reserving', () => {
  test('without limits holds nothing and settles nothing', async () => {
    const reservation = await held(ask());
    expect(reservation.buckets).toEqual([]);
    await reservation.settle({ tokens: 5, costNanos: 0 });
    expect(runtime.clock.sleeping()).toBe(0);
  });

  test('draws on member, channel and tenant in this order', async () => {
    await metering.putLimits(tenant.id, [
      limit(),
      limit({ scope: 'channel' }),
      limit({ scope: 'member' }),
      limit({ scope: 'member', unit: 'questions', per: 'month', limit: 2 }),
    ]);
    const reservation = await held(ask());
    expect(reservation.buckets).toEqual([
      'member:slack:U1:questions:2026-11',
      'member:slack:U1:tokens:2026-11-22',
      'channel:slack:C1:tokens:2026-11-22',
      tenantBucket(),
    ]);
    expect(await counters(...reservation.buckets)).toEqual([
      [0, 1],
      [0, 10],
      [0, 10],
      [0, 10],
    ]);
    await reservation.settle({ tokens: 7, costNanos: 0 });
    expect(await counters(...reservation.buckets)).toEqual([
      [1, 0],
      [7, 0],
      [7, 0],
      [7, 0],
    ]);
  });

  test('gives back what was held earlier when a later limit refuses', async () => {
    await metering.putLimits(tenant.id, [limit({ limit: 9 }), limit({ scope: 'channel' }), limit({ scope: 'member' })]);
    expect(await refused(ask())).toMatchObject({ scope: 'tenant', bucket: tenantBucket() });
    expect(
      await counters('member:slack:U1:tokens:2026-11-22', 'channel:slack:C1:tokens:2026-11-22', tenantBucket()),
    ).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    expect(runtime.counted('quota_refusals_total', { scope: 'tenant', unit: 'tokens' })).toBe(1);
    expect(runtime.clock.sleeping()).toBe(0);
  });

  test('charges what was really used, more than was held too, and nothing when released', async () => {
    await metering.putLimits(tenant.id, [limit()]);
    const over = await held(ask({ tokens: 10 }));
    await over.settle({ tokens: 25, costNanos: 0 });
    await over.settle({ tokens: 25, costNanos: 0 });
    const failed = await held(ask({ tokens: 50 }));
    await failed.release();
    expect(await counters(tenantBucket())).toEqual([[25, 0]]);
  });

  test('the same answer tried again after a crash holds and pays once', async () => {
    await metering.putLimits(tenant.id, [limit({ limit: 10 })]);
    await held(ask({ reservationId: 'same' }));
    const again = await held(ask({ reservationId: 'same' }));
    await again.settle({ tokens: 10, costNanos: 0 });
    await (await held(ask({ reservationId: 'same' }))).settle({ tokens: 10, costNanos: 0 });
    expect(await counters(tenantBucket())).toEqual([[10, 0]]);
  });

  test('a limit without an id bears on each by itself, one with an id on that one alone', async () => {
    await metering.putLimits(tenant.id, [
      limit({ scope: 'channel', limit: 10 }),
      limit({ scope: 'channel', id: 'slack:C2', limit: 30 }),
      limit({ scope: 'member', id: 'slack:U9', limit: 5 }),
    ]);
    await held(ask());
    await refused(ask());
    await held(ask({ channelId: 'slack:C3' }));
    await held(ask({ channelId: 'slack:C2', tokens: 30 }));
    await refused(ask({ channelId: 'slack:C2', tokens: 1 }));
    expect(await refused(ask({ channelId: 'slack:C4', memberId: 'slack:U9' }))).toMatchObject({ scope: 'member' });
    const {
      memberId: _,
      channelId: __,
      ...nameless
    } = { tenant, reservationId: 'n', memberId: '', channelId: '', tokens: 500, costNanos: 0 };
    expect((await held(metering.reserve(nameless))).buckets).toEqual([]);
  });

  test('a fraction or less than nothing is never held', async () => {
    await expect(ask({ tokens: -1 })).rejects.toMatchObject({ code: 'internal' });
    await expect(ask({ costNanos: 0.5 })).rejects.toMatchObject({ code: 'internal' });
  });
});

describe('a refusal', () => {
  const midnight = Date.UTC(2026, 10, 23);

  test('says which limit, what is used and until when', async () => {
    await metering.putLimits(tenant.id, [limit({ scope: 'channel', limit: 50_000 })]);
    await spend(50_000);
    expect(await refused(ask())).toEqual({
      outcome: 'refused',
      scope: 'channel',
      unit: 'tokens',
      per: 'day',
      limit: 50_000,
      used: 50_000,
      retryAt: midnight,
      bucket: 'channel:slack:C1:tokens:2026-11-22',
      sentence: 'This channel has used its 50,000 tokens for today. Ask again after 00:00 UTC.',
    });
  });

  test('tells when what is left is too little', async () => {
    await metering.putLimits(tenant.id, [limit({ scope: 'member', limit: 12_000 })]);
    await spend(11_500);
    const { sentence, used } = await refused(ask({ tokens: 600 }));
    expect(used).toBe(11_500);
    expect(sentence).toBe(
      'You have used 11,500 tokens of your 12,000 tokens for today, and what is left is too little for another answer. Ask again after 00:00 UTC.',
    );
  });

  test('of a month names the day', async () => {
    await metering.putLimits(tenant.id, [limit({ unit: 'questions', per: 'month', limit: 1 })]);
    await spend(1);
    expect(await refused(ask())).toMatchObject({
      retryAt: Date.UTC(2026, 11, 1),
      sentence: 'This organisation has used its 1 question for this month. Ask again after 1 December, 00:00 UTC.',
    });
  });

  test('sends nobody away till midnight for questions that are under way', async () => {
    await metering.putLimits(tenant.id, [limit()]);
    await held(ask({ tokens: 95 }));
    const refusal = await refused(ask());
    expect(refusal).toMatchObject({ used: 0, retryAt: testStart + 60_000 });
    expect(refusal.sentence).toContain('Ask again in a minute.');
  });

  test('of an answer that can never fit says so', async () => {
    await metering.putLimits(tenant.id, [limit({ scope: 'channel', limit: 5 })]);
    expect((await refused(ask())).sentence).toBe(
      "An answer may take up to 10 tokens, but this channel's allowance for today is 5 tokens. Ask an admin to raise it.",
    );
  });

  test('of money reads as money', async () => {
    await metering.putLimits(tenant.id, [limit({ unit: 'money', limit: 5_000_000_000 })]);
    const price = metering.priceOf(tenant, 'gpt-4o', testStart);
    await (await held(ask({ costNanos: 5_000_000_000, price }))).settle({ tokens: 1, costNanos: 5_000_000_000 });
    expect((await refused(ask({ costNanos: 1, price }))).sentence).toBe(
      'This organisation has used its USD 5.00 for today. Ask again after 00:00 UTC.',
    );
  });

  test('meets a call of unknown price, or of another currency, where money is limited', async () => {
    await metering.putLimits(tenant.id, [limit({ unit: 'money', limit: 5_000_000_000 }), limit()]);
    const refusal = await refused(ask({ price: null, model: 'my-llama' }));
    expect(refusal).toMatchObject({ unit: 'money' });
    expect(refusal.sentence).toContain('the price of the model my-llama is not known');
    const usd = metering.priceOf(tenant, 'gpt-4o', testStart);
    const euros: Tenant = {
      ...tenant,
      settings: {
        prices: [
          {
            model: 'x',
            currency: 'EUR',
            inputPerMillion: '1',
            outputPerMillion: '1',
            from: '2026-01-01',
            origin: 'tenant',
          },
        ],
      },
    };
    expect(await refused(ask({ tenant: euros, price: usd }))).toMatchObject({ unit: 'money' });
    expect(await refused(ask())).toMatchObject({ unit: 'money' });
    await held(ask({ tokens: 0 }));
    await held(ask({ tokens: 0, price: null }));
    await metering.putLimits(tenant.id, [limit({ limit: 1_000 })]);
    await held(ask({ price: null }));
  });

  test('is over when the window is', async () => {
    await metering.putLimits(tenant.id, [limit({ limit: 10 })]);
    await spend(10);
    await refused(ask());
    runtime.clock.set(midnight);
    await held(ask());
  });
});

describe('the hold', () => {
  test('is kept by a heartbeat for as long as the call runs', async () => {
    await metering.putLimits(tenant.id, [limit({ limit: 10 })]);
    const reservation = await held(ask());
    for (let tick = 0; tick < 30; tick += 1) {
      await runtime.clock.advance(10_000);
      // The store answers from another thread; its next answer comes after the heartbeat's.
      await state.maintenance.check();
    }
    expect(await counters(tenantBucket())).toEqual([[0, 10]]);
    await refused(ask());
    await reservation.settle({ tokens: 4, costNanos: 0 });
    await runtime.clock.advance(20_000);
    expect(runtime.clock.sleeping()).toBe(0);
    expect(await counters(tenantBucket())).toEqual([[4, 0]]);
  });

  describe('that stands in the way of another one', () => {
    /** What is waited for, in the order in which it is; `meanwhile` happens in that time. */
    const waiting = (meanwhile: () => Promise<void> = async () => undefined) => {
      const waits: number[] = [];
      return {
        waits,
        wait: async (ms: number): Promise<void> => {
          waits.push(ms);
          await meanwhile();
        },
      };
    };

    test('is waited for some seconds, once, and what it did not use is there for the other', async () => {
      await metering.putLimits(tenant.id, [limit({ limit: 15 })]);
      const first = await held(ask());
      const { wait, waits } = waiting(() => first.settle({ tokens: 2, costNanos: 0 }));
      const second = await held(ask({ wait }));
      expect(waits).toEqual([expect.any(Number)]);
      expect(waits[0]).toBeGreaterThanOrEqual(3_000);
      expect(waits[0]).toBeLessThanOrEqual(5_000);
      expect(await counters(tenantBucket())).toEqual([[2, 10]]);
      await second.settle({ tokens: 9, costNanos: 0 });
    });

    test('refuses it when it is still there then; who is refused is counted once', async () => {
      await metering.putLimits(tenant.id, [limit({ limit: 15 })]);
      await held(ask());
      const { wait, waits } = waiting();
      expect((await refused(ask({ wait }))).sentence).toContain('answered right now');
      expect(waits).toHaveLength(1);
      expect(runtime.counted('quota_refusals_total')).toBe(1);
    });

    test('is not waited for where it will be used up, where the limit is spent, or where nobody can wait', async () => {
      const { wait, waits } = waiting();
      await metering.putLimits(tenant.id, [limit({ unit: 'questions', limit: 1 })]);
      await held(ask());
      await refused(ask({ wait }));
      await metering.putLimits(tenant.id, [limit({ limit: 15 })]);
      const spent = await held(ask());
      await refused(ask());
      await spent.settle({ tokens: 12, costNanos: 0 });
      await refused(ask({ wait }));
      expect(waits).toEqual([]);
    });

    test('is not waited for any longer than somebody waits for the answer', async () => {
      await metering.putLimits(tenant.id, [limit({ limit: 15 })]);
      await held(ask());
      const stopped = ask({ wait: () => Promise.reject(new AppError('cancelled', 'Stopped.')) });
      await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
      expect(await counters(tenantBucket())).toEqual([[0, 10]]);
    });
  });

  test('of a crashed process frees its room within a minute, and no row is left after the sweep', async () => {
    await metering.putLimits(tenant.id, [limit({ limit: 10 })]);
    // A runtime whose clock nobody moves: its heartbeat never comes.
    const crashed = createMetering({ state, runtime: createTestRuntime() });
    await crashed.reserve({ tenant, reservationId: 'crashed', tokens: 10, costNanos: 0 });
    await refused(ask());
    runtime.clock.set(testStart + 60_000);
    await state.maintenance.sweep(runtime.clock.now());
    expect(await counters(tenantBucket())).toEqual([[0, 0]]);
    await held(ask());
  });

  test('that ran out while its room was free is taken again; where it was not, the call is told to stop', async () => {
    await metering.putLimits(tenant.id, [limit({ limit: 10 })]);
    const reservation = await held(ask());
    runtime.clock.set(testStart + 35_000);
    const other = createMetering({ state, runtime: createTestRuntime({ now: testStart + 35_000 }) });
    const lost = new Promise((resolve) => reservation.lost?.addEventListener('abort', resolve));
    expect((await other.reserve({ tenant, reservationId: 'other', tokens: 10, costNanos: 0 })).outcome).toBe('held');
    await runtime.clock.advance(1);
    await lost;
    expect(await counters(tenantBucket())).toEqual([[0, 10]]);
  });

  test('of an answer that was settled and is tried again after a crash holds and charges nothing more', async () => {
    await metering.putLimits(tenant.id, [limit()]);
    await (await held(ask({ reservationId: 'r' }))).settle({ tokens: 6, costNanos: 0 });
    const again = await held(ask({ reservationId: 'r' }));
    expect(await counters(tenantBucket())).toEqual([[6, 0]]);
    await again.settle({ tokens: 9, costNanos: 0 });
    expect(await counters(tenantBucket())).toEqual([[6, 0]]);
  });
});

describe('the overview', () => {
  test('shows each limit with what is used and when it begins anew', async () => {
    await metering.putLimits(tenant.id, [
      limit(),
      limit({ scope: 'channel', id: 'slack:C1', per: 'month' }),
      limit({ scope: 'member' }),
    ]);
    await spend(40);
    expect(await metering.limits(tenant.id)).toEqual([
      { ...limit(), used: 40, resetsAt: Date.UTC(2026, 10, 23) },
      { ...limit({ scope: 'channel', id: 'slack:C1', per: 'month' }), used: 40, resetsAt: Date.UTC(2026, 11, 1) },
      { ...limit({ scope: 'member' }), used: 0, resetsAt: Date.UTC(2026, 10, 23) },
    ]);
  });
});

describe('the ledger', () => {
  const call = (over: Partial<MeteredCall> = {}): MeteredCall => ({
    id: 'a_1:1:0',
    kind: 'chat',
    model: 'gpt-4o-mini',
    promptTokens: 1_000,
    completionTokens: 100,
    embeddingTokens: 0,
    tenant,
    platform: 'slack',
    ...over,
  });
  const range = { from: 0, to: testStart + 1_000 };

  test('has a line a call with the price used, once', async () => {
    const calls = [
      call(),
      call({
        id: 'a_1:1:1',
        kind: 'embedding',
        model: 'text-embedding-3-small',
        promptTokens: 0,
        completionTokens: 0,
        embeddingTokens: 50,
      }),
      call({ id: 'a_1:question', kind: 'question' }),
    ];
    const { model: _, ...question } = calls[2] as MeteredCall;
    const entries = await metering.record(tenant.id, [
      ...calls.slice(0, 2),
      { ...question, promptTokens: 0, completionTokens: 0 },
    ]);
    runtime.clock.set(testStart + 500);
    await metering.record(tenant.id, calls);
    const { items } = await state.ledger.list(tenant.id, range, { limit: 10 });
    expect(items).toEqual(entries.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
    expect(items.map((line) => [line.kind, line.costNanos, line.price?.origin])).toEqual([
      ['chat', 210_000, 'built-in'],
      ['embedding', 1_000, 'built-in'],
      ['question', undefined, undefined],
    ]);
    expect(items[0]).not.toHaveProperty('tenant');
  });

  test('knows no cost where it knows no price', async () => {
    const [line] = await metering.record(tenant.id, [call({ model: 'my-llama' })]);
    expect(line).not.toHaveProperty('costNanos');
    expect(await state.ledger.usage(tenant.id, range, 'model')).toMatchObject([
      { key: 'my-llama', costNanos: 0, costUnknown: true },
    ]);
  });

  test('uses the price of the call’s own time', async () => {
    const [line] = await metering.record(tenant.id, [call({ model: 'o3', at: Date.UTC(2025, 5, 1) })]);
    expect(line).toMatchObject({ at: Date.UTC(2025, 5, 1), costNanos: 14_000_000 });
  });
});

describe('any interleaving', () => {
  test.each(Array.from({ length: 12 }, (_, seed) => seed + 1))(
    'never overspends, loses no charge and leaves no hold (seed %i)',
    async (seed) => {
      const random = createTestRandom(seed);
      const pick = (n: number) => Math.floor(random.float() * n);
      const most = { tenant: 60 + pick(60), channel: 30 + pick(40), member: 20 + pick(30) };
      await metering.putLimits(tenant.id, [
        limit({ limit: most.tenant }),
        limit({ scope: 'channel', limit: most.channel }),
        limit({ scope: 'member', limit: most.member }),
      ]);
      // What was settled is kept here too, to be compared with what the store says.
      const spent = new Map<string, number>();
      const nobodyMoves = createMetering({ state, runtime: createTestRuntime() });
      const question = async (n: number) => {
        const request: ReserveRequest = {
          tenant,
          reservationId: `q${n}`,
          memberId: `slack:U${pick(3)}`,
          channelId: `slack:C${pick(2)}`,
          tokens: 1 + pick(9),
          costNanos: 0,
        };
        const end = pick(5);
        const result = await (end < 2 ? nobodyMoves : metering).reserve(request);
        if (result.outcome === 'refused') return;
        if (pick(2) === 0) await state.maintenance.check();
        const tokens = pick(request.tokens + 1);
        const charge = () => {
          for (const bucket of result.buckets) spent.set(bucket, (spent.get(bucket) ?? 0) + tokens);
        };
        // Dies after holding; dies half way through settling and is tried again; fails; ends well.
        if (end === 0) return;
        if (end === 1) {
          await state.metering.settle(tenant.id, result.buckets[0] ?? '', request.reservationId, tokens);
          const again = await metering.reserve(request);
          if (again.outcome === 'held') await again.settle({ tokens, costNanos: 0 });
          return charge();
        }
        if (end === 2) return result.release();
        await result.settle({ tokens, costNanos: 0 });
        charge();
      };
      await Promise.all(Array.from({ length: 80 }, (_, n) => question(n)));
      runtime.clock.set(testStart + 60_000);
      await state.maintenance.sweep(runtime.clock.now());
      expect(spent.size).toBeGreaterThan(0);
      for (const [bucket, tokens] of spent) {
        expect(await counters(bucket)).toEqual([[tokens, 0]]);
        expect(tokens).toBeLessThanOrEqual(most[bucket.split(':')[0] as keyof typeof most]);
      }
    },
  );
});
