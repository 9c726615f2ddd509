import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Furnished, operatorToken } from '../fakes/core.ts';
import { openReal, type Real } from './real.ts';
import { fill, idsOf } from './routes.ts';

/** Every list that pages, on the real stores: who pages with rubbish is told, and does not begin anew for ever. */

type Parameter = { readonly name: string; readonly in: string };
type Description = {
  readonly paths: Readonly<Record<string, { readonly get?: { readonly parameters?: readonly Parameter[] } }>>;
};

let real: Real;
let tenant: Furnished;
let lists: readonly string[];

beforeAll(async () => {
  real = await openReal();
  tenant = await real.furnish('acme');
  const description = (await (await real.app.request('/openapi.json')).json()) as Description;
  lists = Object.entries(description.paths)
    .filter(([, { get }]) => get?.parameters?.some((one) => one.name === 'cursor' && one.in === 'query'))
    .map(([path]) => fill(path, idsOf(tenant)));
}, 60_000);
afterAll(() => real.close());

const rubbish = [
  'garbage',
  '0',
  'eyJhIjoxfQ',
  Buffer.from('["a","b"]').toString('base64url'),
  Buffer.from('[1,2,3]').toString('base64url'),
  `${Buffer.from('[1,"a"]').toString('base64url')}!`,
];

it('no list takes a cursor that it did not give out', async () => {
  expect(lists.length).toBeGreaterThanOrEqual(3);
  for (const path of lists)
    for (const cursor of rubbish) {
      const response = await real.call('GET', `${path}?cursor=${encodeURIComponent(cursor)}`, operatorToken);
      const where = `${path} ${cursor}`;
      expect(response.status, where).toBe(422);
      expect(response.headers.get('content-type'), where).toContain('application/problem+json');
      expect(await response.json(), where).toMatchObject({ status: 422, errors: [{ at: 'cursor' }] });
    }
}, 60_000);
