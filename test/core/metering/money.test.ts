import { describe, expect, test } from 'vitest';
import type { Price } from '../../../core/domain.ts';
import { costNanosOf, renderMoney } from '../../../core/metering/money.ts';
import { priceFor } from '../../../core/metering/prices.ts';
import { windowOf } from '../../../core/metering/windows.ts';
import { aTenant } from '../../contracts/rows.ts';

const at = (day: string) => Date.parse(`${day}T12:00:00Z`);
const price = (input: string, output = '0') => ({ inputPerMillion: input, outputPerMillion: output });
const use = (promptTokens: number, completionTokens = 0, embeddingTokens = 0) => ({
  promptTokens,
  completionTokens,
  embeddingTokens,
});

describe('money', () => {
  test.each([
    [price('0.15', '0.60'), use(1_000, 100), 210_000],
    [price('2.5', '10'), use(1, 1), 12_500],
    [price('0.02'), use(0, 0, 3), 60],
    [price('0.0005'), use(1), 1],
    [price('0.00049'), use(1), 0],
    [price('0.0015'), use(1), 2],
    [price('0.1', '0.2'), use(3, 3), 900],
    [price('0'), use(1_000_000), 0],
    [price('1000000', '0.000000000001'), use(1_000, 1), 1_000_000_000_000],
  ])('%o for %o costs %i nanos, rounded once and half up', (given, usage, nanos) => {
    expect(costNanosOf(given, usage)).toBe(nanos);
  });

  test('what cannot be counted exactly is refused', () => {
    expect(() => costNanosOf(price('1000000'), use(10_000_000_000))).toThrow(RangeError);
    expect(() => costNanosOf(price('1e3'), use(1))).toThrow(RangeError);
    expect(() => costNanosOf(price('-1'), use(1))).toThrow(RangeError);
  });

  test.each([
    [0, '0.00'],
    [1, '0.000000001'],
    [1_500_000_000, '1.50'],
    [12_345_000_000, '12.345'],
    [9_007_199_254_740_991, '9007199.254740991'],
  ])('%i nanos read %s', (nanos, amount) => {
    expect(renderMoney(nanos, 'USD')).toEqual({ amount, currency: 'USD' });
  });
});

describe('prices', () => {
  const own = (from: string, inputPerMillion: string, over: Partial<Price> = {}): Price => ({
    model: 'house-model',
    currency: 'EUR',
    inputPerMillion,
    outputPerMillion: '1',
    from,
    origin: 'tenant',
    ...over,
  });

  test('the one valid on the day counts', () => {
    const tenant = aTenant({
      settings: { prices: [own('2026-06-01', '2'), own('2026-01-01', '1'), own('2027-01-01', '3')] },
    });
    expect(priceFor(tenant, 'house-model', at('2025-12-31'))).toBeNull();
    expect(priceFor(tenant, 'house-model', at('2026-05-31'))?.inputPerMillion).toBe('1');
    expect(priceFor(tenant, 'house-model', at('2026-06-01'))?.inputPerMillion).toBe('2');
    expect(priceFor(tenant, 'house-model', at('2026-11-22'))?.inputPerMillion).toBe('2');
  });

  test('a tenant’s own replaces the built-in one, from its day on', () => {
    const tenant = aTenant({ settings: { prices: [own('2026-06-01', '9', { model: 'gpt-4o-mini' })] } });
    expect(priceFor(tenant, 'gpt-4o-mini', at('2026-05-31'))).toMatchObject({
      inputPerMillion: '0.15',
      outputPerMillion: '0.6',
      currency: 'USD',
      origin: 'built-in',
    });
    expect(priceFor(tenant, 'gpt-4o-mini', at('2026-06-01'))).toMatchObject({
      inputPerMillion: '9',
      currency: 'EUR',
      origin: 'tenant',
    });
  });

  test('the built-in table knows embedding models, price changes and dearer long prompts', () => {
    const tenant = aTenant();
    expect(priceFor(tenant, 'text-embedding-3-small', at('2026-11-22'))).toMatchObject({
      inputPerMillion: '0.02',
      outputPerMillion: '0',
    });
    expect(priceFor(tenant, 'o3', at('2025-06-09'))).toMatchObject({ inputPerMillion: '10' });
    expect(priceFor(tenant, 'o3', at('2025-06-11'))).toMatchObject({ inputPerMillion: '2', from: '2025-06-10' });
    expect(priceFor(tenant, 'gemini-2.5-pro', at('2026-11-22'))).toMatchObject({
      inputPerMillion: '1.25',
      outputPerMillion: '10',
    });
    expect(priceFor(tenant, 'gemini-2.5-pro', at('2026-11-22'), 200_001)).toMatchObject({
      inputPerMillion: '2.5',
      outputPerMillion: '15',
    });
  });

  test('unknown is null and never zero', () => {
    expect(priceFor(aTenant(), 'my-own-llama', at('2026-11-22'))).toBeNull();
    expect(
      priceFor(aTenant({ settings: { prices: [own('2026-01-01', 'cheap')] } }), 'house-model', at('2026-11-22')),
    ).toBeNull();
  });
});

describe('windows', () => {
  test('begin and end at midnight UTC, also at the end of months, years and leap days', () => {
    expect(windowOf('day', Date.parse('2026-12-31T23:59:59.999Z'))).toEqual({
      name: '2026-12-31',
      startsAt: Date.parse('2026-12-31T00:00:00Z'),
      endsAt: Date.parse('2027-01-01T00:00:00Z'),
    });
    expect(windowOf('month', Date.parse('2026-12-31T23:59:59.999Z'))).toEqual({
      name: '2026-12',
      startsAt: Date.parse('2026-12-01T00:00:00Z'),
      endsAt: Date.parse('2027-01-01T00:00:00Z'),
    });
    expect(windowOf('day', Date.parse('2028-02-28T00:00:00Z')).endsAt).toBe(Date.parse('2028-02-29T00:00:00Z'));
    expect(windowOf('month', Date.parse('2026-11-01T00:00:00Z'))).toEqual({
      name: '2026-11',
      startsAt: Date.parse('2026-11-01T00:00:00Z'),
      endsAt: Date.parse('2026-12-01T00:00:00Z'),
    });
  });
});
