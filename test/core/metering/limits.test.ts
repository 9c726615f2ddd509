import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { QuotaLimit, Tenant } from '../../../core/domain.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { ceilingOf } from '../../../core/metering/allowances.ts';
import { createMetering, type Metering } from '../../../core/metering/metering.ts';
import type { QuotaWarning } from '../../../core/metering/warnings.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { aLine, aTenant } from '../../contracts/rows.ts';
import { createTestRuntime, type TestRuntime, testStart } from '../../fakes/clock.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let state: StateStore;
let runtime: TestRuntime;
let tenant: Tenant;
let metering: Metering;
let warnings: QuotaWarning[];
let serial = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'footnote-limits-'));
  state = await openSqliteState({ dataDir: folder, log: createTestRuntime().log });
});
afterAll(async () => {
  await state.maintenance.close();
  await rm(folder, { recursive: true });
});
const open = (): Metering => createMetering({ state, runtime, warn: async (warning) => void warnings.push(warning) });
beforeEach(() => {
  runtime = createTestRuntime();
  tenant = aTenant();
  warnings = [];
  metering = open();
});

const limit = (over: Partial<QuotaLimit> = {}): QuotaLimit => ({
  scope: 'tenant',
  unit: 'questions',
  per: 'day',
  limit: 10,
  ...over,
});
/** One question; `held` or the sentence that refuses it. */
const ask = async (by: Metering = metering, tokens = 10): Promise<string> => {
  serial += 1;
  const held = await by.reserve({
    tenant,
    reservationId: `l_${serial}`,
    memberId: 'slack:U1',
    channelId: 'slack:C1',
    tokens,
    costNanos: 0,
  });
  if (held.outcome === 'refused') return held.sentence;
  await held.settle({ tokens, costNanos: 0 });
  return 'held';
};
const askMany = async (count: number): Promise<readonly string[]> => {
  const said: string[] = [];
  for (let n = 0; n < count; n += 1) said.push(await ask());
  return said;
};
const day = 86_400_000;

describe('a grace', () => {
  test('of some percent allows so much more, and the refusal names both', async () => {
    await metering.putLimits(tenant.id, [limit({ grace: { percent: 20 } })]);
    const said = await askMany(13);
    expect(said.slice(0, 12)).toEqual(Array(12).fill('held'));
    expect(said[12]).toBe(
      'This organisation has used its 10 questions for today, and the 2 questions that were allowed beyond it. Ask again after 00:00 UTC.',
    );
    expect((await metering.limits(tenant.id))[0], 'used as it was').toMatchObject({ limit: 10, used: 12 });
  });

  test('until a moment refuses nothing before it, and everything beyond the limit after it', async () => {
    await metering.putLimits(tenant.id, [limit({ limit: 2, grace: { until: testStart + 60_000 } })]);
    expect(await askMany(5)).toEqual(Array(5).fill('held'));
    runtime.clock.set(testStart + 60_000);
    expect(await ask()).toContain('has used its 2 questions for today. Ask again');
  });

  test('of both is so much more before the moment, and nothing after it', () => {
    const both = { limit: 100, grace: { percent: 10, until: testStart } };
    expect([ceilingOf(both, testStart - 1), ceilingOf(both, testStart)]).toEqual([110, 100]);
    expect(ceilingOf({ limit: 100, grace: {} }, testStart)).toBe(100);
    expect(ceilingOf({ limit: 3, grace: { percent: 50 } }, testStart), 'never rounded up').toBe(4);
    expect(ceilingOf({ limit: 0, grace: { percent: 100 } }, testStart)).toBe(0);
    expect(
      Number.isSafeInteger(ceilingOf({ limit: Number.MAX_SAFE_INTEGER, grace: { percent: 100 } }, testStart)),
    ).toBe(true);
  });
});

describe('what was used before there was a limit', () => {
  const line = (over: Parameters<typeof aLine>[1]) => aLine(tenant.id, { at: testStart - 60_000, ...over });
  const put = (...limits: QuotaLimit[]) => metering.putLimits(tenant.id, limits);
  const usedOf = async () => (await metering.limits(tenant.id)).map(({ used }) => used);

  test('counts from the beginning of the day or month', async () => {
    await state.ledger.append(tenant.id, [
      line({ kind: 'question', promptTokens: 0, completionTokens: 0, costNanos: 0 }),
      line({ kind: 'question', promptTokens: 0, completionTokens: 0, at: testStart - 2 * day }),
      line({ kind: 'question', promptTokens: 0, completionTokens: 0, at: testStart - 30 * day }),
      line({ kind: 'chat', promptTokens: 100, completionTokens: 20, costNanos: 5_000 }),
      // Documents that were taken in are nobody's question.
      line({
        kind: 'embedding',
        sourceId: 's_1',
        promptTokens: 0,
        completionTokens: 0,
        embeddingTokens: 900,
        costNanos: 7,
      }),
    ]);
    await put(
      limit(),
      limit({ per: 'month' }),
      limit({ unit: 'tokens', limit: 500 }),
      limit({ unit: 'money', limit: 9_000 }),
    );
    expect(await usedOf()).toEqual([1, 2, 120, 5_000]);
    expect(await ask(metering, 0)).toBe('held');
    expect(await usedOf()).toEqual([2, 3, 120, 5_000]);
  });

  test('counts for one channel, one member, and for each of them', async () => {
    const question = { kind: 'question', promptTokens: 0, completionTokens: 0 } as const;
    await state.ledger.append(tenant.id, [
      line({ ...question, memberId: 'slack:U1', channelId: 'C1' }),
      line({ ...question, memberId: 'slack:U1', channelId: 'C1' }),
      line({ ...question, memberId: 'discord:9', channelId: 'C2', platform: 'discord' }),
    ]);
    await state.people.link(tenant.id, 'slack:U1', 'p_1');
    await state.people.link(tenant.id, 'discord:9', 'p_1');
    await put(limit({ scope: 'channel', id: 'slack:C1' }), limit({ scope: 'member', id: 'discord:9' }));
    expect(await usedOf(), 'accounts of one person are one').toEqual([2, 3]);
    await put(limit({ scope: 'member', limit: 2 }));
    const counters = await state.metering.counters(tenant.id, ['member:discord:9:questions:2026-11-22'], testStart);
    expect(counters[0]?.used).toBe(3);
  });

  test('is not counted twice when a limit is put anew', async () => {
    await put(limit());
    await ask();
    await state.ledger.append(tenant.id, [line({ kind: 'question', promptTokens: 0, completionTokens: 0 })]);
    await put();
    await put(limit({ limit: 20 }));
    expect(await usedOf()).toEqual([1]);
    await put(limit({ limit: 30 }));
    expect(await usedOf()).toEqual([1]);
  });
});

describe('a warning', () => {
  const settled = () => vi.waitFor(() => expect(runtime.logged.filter(({ level }) => level === 'warn')).toEqual([]));
  const percents = () => warnings.map(({ percent }) => percent);

  test('comes once for each threshold, for the highest that is reached', async () => {
    await metering.putLimits(tenant.id, [limit({ limit: 20 })]);
    await askMany(15);
    await settled();
    expect(percents()).toEqual([]);
    await askMany(1);
    await vi.waitFor(() => expect(percents()).toEqual([80]));
    await askMany(3);
    await vi.waitFor(() => expect(percents()).toEqual([80, 95]));
    await askMany(2);
    await vi.waitFor(() => expect(percents()).toEqual([80, 95, 100]));
    expect(warnings[0]).toMatchObject({ scope: 'tenant', scopeId: tenant.id, limit: 20, used: 16, unit: 'questions' });
    expect(warnings[0]?.sentence).toBe(
      '**80 % of a limit is used.** Acme has used 16 questions of 20 questions for today. Questions are answered until the limit is reached. It starts anew at 00:00 UTC.',
    );
    expect(warnings[2]?.sentence).toContain('Further questions are refused.');
  });

  test('has the same id wherever it is noticed, and another one in another period or under another limit', async () => {
    await metering.putLimits(tenant.id, [limit({ limit: 1 })]);
    await ask();
    await vi.waitFor(() => expect(percents()).toEqual([100]));
    await metering.putLimits(tenant.id, [limit({ limit: 2 })]);
    const elsewhere = open();
    await ask(elsewhere);
    await vi.waitFor(() => expect(percents()).toEqual([100, 100]));
    runtime.clock.set(testStart + day);
    await ask(elsewhere);
    await ask();
    await vi.waitFor(() => expect(warnings.length).toBeGreaterThanOrEqual(3));
    const ids = warnings.map(({ id }) => id);
    expect(new Set(ids).size).toBe(3);
    expect(ids[0]).toBe(`warning:tenant:${tenant.id}:questions:2026-11-22:1:100`);
  });

  test('goes by the thresholds of the tenant, and knows no grace', async () => {
    tenant = aTenant({ settings: { quotaWarnings: { at: [50], to: [] } } });
    await metering.putLimits(tenant.id, [limit({ scope: 'member', limit: 4, grace: { percent: 100 } })]);
    await askMany(2);
    await vi.waitFor(() => expect(percents()).toEqual([50]));
    expect(warnings[0]).toMatchObject({ scope: 'member', scopeId: 'slack:U1' });
    await askMany(4);
    expect(percents()).toEqual([50]);
  });
});
