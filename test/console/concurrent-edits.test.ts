import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { operatorToken } from '../fakes/core.ts';
import { openReal, type Real } from './real.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** Two programs change the same record: the later one is told, if it says what it has seen. */

let real: Real;
let places: Readonly<Record<string, readonly [path: string, method: string, change: (round: number) => object]>>;

beforeAll(async () => {
  real = await openReal();
  const { push, webhook } = await real.furnish('acme');
  const base = '/api/v1/tenants/acme';
  places = {
    'a tenant': [base, 'PATCH', (round) => ({ name: `Acme ${round}` })],
    'a source': [`${base}/sources/${push.id}`, 'PATCH', (round) => ({ name: `Handbook ${round}` })],
    'a webhook': [`${base}/webhooks/${webhook.id}`, 'PATCH', (round) => ({ name: `Tickets ${round}` })],
    'the rules of a channel': [`${base}/channels/slack/C1`, 'PUT', (round) => ({ instructions: `Be kind ${round}.` })],
    'the limits': [
      `${base}/quotas`,
      'PUT',
      (round) => ({ limits: [{ scope: 'tenant', unit: 'questions', per: 'day', limit: 100 + round }] }),
    ],
  };
});
afterAll(() => real.close());

const call = async (method: string, path: string, body?: object) => {
  const response = await real.call(method, path, operatorToken, body);
  return { status: response.status, body: (await response.json()) as { rev: string; detail: string; code: string } };
};

test.each(['a tenant', 'a source', 'a webhook', 'the rules of a channel', 'the limits'])('%s', async (what) => {
  const [path, method, change] = places[what]!;
  const seen = (await call('GET', path)).body.rev;
  expect(seen).toEqual(expect.any(String));

  const first = await call(method, path, { ...change(1), rev: seen });
  expect(first.status).toBe(200);
  expect(first.body.rev).not.toBe(seen);
  const late = await call(method, path, { ...change(2), rev: seen });
  expect([late.status, late.body.code]).toEqual([409, 'conflict']);
  expect(late.body.detail).toMatch(/somebody else.* meanwhile.*again/i);
  expect((await call('GET', path)).body, 'the first one stands').toEqual(first.body);

  expect((await call(method, path, { ...change(2), rev: 'no revision of ours' })).status).toBe(409);
  const told = await call(method, path, { ...change(2), rev: first.body.rev });
  expect(told.status).toBe(200);
  expect((await call(method, path, change(3))).status, 'who says nothing means whatever stands').toBe(200);

  const now = (await call('GET', path)).body.rev;
  const both = await Promise.all([4, 5].map((round) => call(method, path, { ...change(round), rev: now })));
  expect(both.map(({ status }) => status).toSorted(), 'at the same moment').toEqual([200, 409]);
});
