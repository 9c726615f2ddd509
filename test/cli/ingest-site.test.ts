import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openCore } from '../../main.ts';
import { openWebSite, pageOf, type WebSite } from '../fakes/web-site.ts';
import { footnote } from './surroundings.ts';

/** The command line over the real core: what it prints of a site, and what it may not reach. */
let folder: string;
let site: WebSite;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'footnote-cli-'));
  site = await openWebSite();
});
afterEach(async () => {
  await site.close();
  await rm(folder, { recursive: true, force: true });
});

const ingest = async (args: readonly string[], allow = site.host) => {
  const { core } = await openCore({ DATA_DIR: folder, DEMO: 'off', LOG_LEVEL: 'silent', FETCH_ALLOW: allow });
  if ((await core.tenants.bySlug('demo')) === null) await core.tenants.create({ slug: 'demo', name: 'Demo' });
  return footnote(['ingest', '--tenant', 'demo', ...args], { core });
};

it('reads a website, and again only what changed', async () => {
  site.set('/', { body: pageOf('Home', 'hello to all', ['/a', '/bad']), headers: { etag: '"1"' } });
  site.set('/a', pageOf('Page A', 'the garage opens at six'));
  const first = await ingest([`${site.origin}/`, '--json']);
  expect(JSON.parse(first.out)).toEqual({ seen: 2, upserted: 2, unchanged: 0, removed: 0, failed: 0, errors: [] });
  expect(first.code).toBe(0);
  site.remove('/a');
  const second = await ingest([`${site.origin}/`]);
  expect(second.out).toBe('1 seen: 0 new or changed, 1 unchanged, 1 removed\n');
}, 180_000);

it('refuses a private address and says so', async () => {
  const { code, err } = await ingest([`${site.origin}/`], '');
  expect(code).toBe(1);
  expect(err).toContain(`${site.origin}/: address not allowed`);
  expect(site.visits).toEqual([]);
}, 180_000);

it('reads two sites and a folder in one call', async () => {
  site.set('/', { body: pageOf('Home', 'hello to all', []) });
  const other = await openWebSite();
  try {
    other.set('/', { body: pageOf('Elsewhere', 'hello from afar', []) });
    const notes = join(folder, 'notes');
    await mkdir(notes);
    await writeFile(join(notes, 'a.md'), 'The anchor is heavy.');
    const { code, out } = await ingest([`${site.origin}/`, `${other.origin}/`, notes], `${site.host},${other.host}`);
    expect(out).toBe('3 seen: 3 new or changed, 0 unchanged\n');
    expect(code).toBe(0);
  } finally {
    await other.close();
  }
}, 180_000);
