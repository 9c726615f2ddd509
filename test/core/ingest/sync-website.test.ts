import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Job } from '../../../core/domain.ts';
import { createWebsiteSource } from '../../../core/drivers/sources/website/website.ts';
import { systemClock } from '../../../core/observe/system.ts';
import { createGuardedFetch } from '../../../core/security/guarded-fetch.ts';
import { openWebSite, pageOf, type WebSite } from '../../fakes/web-site.ts';
import { type Bench, openBench, whileTimePasses } from './workbench.ts';

/** A website through the whole path: what is searchable, what is paid for, and what becomes of a refused address. */
let site: WebSite;
let bench: Bench;
beforeEach(async () => {
  site = await openWebSite();
  bench = await openBench({
    sources: [createWebsiteSource({ fetch: createGuardedFetch({ allow: [site.host] }), clock: systemClock })],
  });
  bench.ingest.start();
});
afterEach(async () => {
  await whileTimePasses(bench.runtime, bench.close());
  await site.close();
});

const add = (url: string) =>
  bench.ingest.createSource(bench.tenant, { kind: 'website', name: 'Site', settings: { url, requestsPerSecond: 50 } });
const sync = (sourceId: string): Promise<Job> =>
  whileTimePasses(
    bench.runtime,
    (async () => {
      let last = await bench.ingest.sync(bench.tenant, sourceId);
      for await (const now of bench.ingest.watch(bench.tenant.id, last.id, AbortSignal.timeout(30_000))) last = now;
      return last;
    })(),
  );

it('makes pages searchable with their title and address, without their navigation, and forgets them again', async () => {
  const words = 'The parking garage opens at six in the morning, and closes when the last train has left.';
  site.set('/', {
    body: pageOf('Home', 'Welcome to the handbook of all teams.', ['/garage']),
    headers: { etag: '"1"' },
  });
  site.set('/garage', { body: pageOf('Garage', words), headers: { etag: '"1"' } });
  const source = await add(`${site.origin}/`);
  expect((await sync(source.id)).counts).toMatchObject({ seen: 2, upserted: 2, failed: 0 });
  const [hit = ''] = await bench.find('parking garage');
  expect(hit).toContain('opens at six');
  expect(hit).not.toContain('href');
  const { items } = await bench.state.documents.list(bench.tenant.id, { sourceId: source.id }, { limit: 10 });
  expect(items.find(({ title }) => title === 'Garage')?.url).toBe(`${site.origin}/garage`);

  site.forget();
  expect((await sync(source.id)).counts).toMatchObject({ seen: 2, upserted: 0, unchanged: 2, removed: 0 });
  expect(site.visits.filter(({ status }) => status === 200)).toEqual([]);

  site.remove('/garage');
  expect((await sync(source.id)).counts).toMatchObject({ seen: 1, unchanged: 1, removed: 1 });
  expect(await bench.find('parking garage')).toEqual([]);
}, 60_000);

it('fails the job of a refused address, keeps what a site that is down had, and says so', async () => {
  const refused = await add('http://127.0.0.1:1024/');
  const job = await sync(refused.id);
  expect(job.state).toBe('failed');
  expect(job.errors.map(({ problem }) => problem).join()).toContain('address not allowed');

  site.set('/', pageOf('Home', 'Welcome to the handbook of all teams.'));
  const source = await add(`${site.origin}/`);
  await sync(source.id);
  site.set('/', { status: 502 });
  const down = await sync(source.id);
  expect(down.state).toBe('failed');
  expect(down.errors.map(({ problem }) => problem).join()).toContain('502');
  expect(await bench.find('handbook')).toHaveLength(1);
}, 60_000);
