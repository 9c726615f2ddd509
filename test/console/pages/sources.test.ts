import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Source } from '../../../core/domain.ts';
import { openReal, type Real } from '../real.ts';
import { postForm } from '../visitor.ts';

let real: Real;
let folder: string;
let tenantId: string;
let admin: string;
let viewer: string;

beforeAll(async () => {
  real = await openReal();
  const tenant = (await real.furnish('acme')).tenant;
  tenantId = tenant.id;
  folder = join(real.dataDir, '..', 'folders', 'handbook');
  await mkdir(folder);
  await writeFile(join(folder, 'parking.md'), '# Parking\nThe garage opens at six.');
  await writeFile(join(folder, 'broken.pdf'), '%PDF-1.4 broken');
  admin = await real.signIn('admin', tenantId);
  viewer = await real.signIn('viewer', tenantId);
  real.core.reindex.workHere();
});
afterAll(() => real.close());

const base = '/console/acme/sources';
const get = (path: string, cookie = admin) => real.app.request(path, { headers: { cookie } });
const post = (path: string, fields: Record<string, string>, cookie = admin) => postForm(real.app, path, fields, cookie);
const named = async (name: string): Promise<Source> => {
  const source = (await real.core.sources.list(tenantId)).find((one) => one.name === name);
  if (source === undefined) throw new Error(`no source ${name}`);
  return source;
};
const addFolder = async (name: string): Promise<Source> => {
  const response = await post(base, { kind: 'folder', name, 'settings.path': folder, schedule: '0 3 * * *' });
  expect(response.status).toBe(303);
  return named(name);
};
/** Follows the events of the newest job to its end. */
const settled = async (source: Source): Promise<string> => (await get(`${base}/${source.id}/progress`)).text();

describe('adding a source', () => {
  test('the form is drawn from the schema of its kind', async () => {
    const page = await (await get(`${base}/new?kind=folder`)).text();
    for (const name of ['settings.path', 'settings.include', 'settings.exclude', 'settings.hidden', 'schedule'])
      expect(page).toContain(`name="${name}"`);
    expect((await get(`${base}/new?kind=nonsense`)).status).toBe(404);
  });

  test('an address that may not be fetched is refused beside its field, and nothing that was typed is lost', async () => {
    const fields = {
      kind: 'website',
      name: 'Wiki',
      'settings.url': 'http://127.0.0.1:18999/',
      'settings.maxPages': '7',
    };
    const response = await post(base, { ...fields, probe: 'on' });
    const page = await response.text();
    expect(response.status).toBe(422);
    expect(page).toContain('address not allowed');
    for (const typed of ['Wiki', 'http://127.0.0.1:18999/', 'value="7"']) expect(page).toContain(typed);
  });

  test('a test of the connection names what it found and keeps nothing', async () => {
    const before = (await real.core.sources.list(tenantId)).length;
    const response = await post(base, { kind: 'folder', name: 'Probe', 'settings.path': folder, probe: 'on' });
    const page = await response.text();
    expect(response.status).toBe(200);
    expect(page).toContain('parking.md');
    expect(page).toContain('value="Probe"');
    expect((await real.core.sources.list(tenantId)).length).toBe(before);
  });

  test('what does not fit is said beside its field, and nothing that was typed is lost', async () => {
    const response = await post(base, { kind: 'folder', name: 'Elsewhere', 'settings.path': '/nowhere/<b>' });
    const page = await response.text();
    expect(response.status).toBe(422);
    expect(page).toContain('value="Elsewhere"');
    expect(page).toContain('value="/nowhere/&lt;b&gt;"');
    expect(page).toMatch(/id="settings\.path-error">[^<]*FOLDER_ROOTS/);
    const nameless = await (await post(base, { kind: 'folder', 'settings.path': folder })).text();
    expect(nameless).toContain('id="name-error"');
    expect(nameless).toContain(`value="${folder}"`);
  });

  test('it is synced at once; each document that cannot be read is named with the reason', async () => {
    const source = await addFolder('Facility');
    const events = await settled(source);
    expect(events).toContain('event: progress');
    expect(events).toMatch(/event: done\ndata: .*1 failed/);
    const page = await (await get(`${base}/${source.id}`)).text();
    expect(page).toContain('Parking');
    expect(page).toContain('broken.pdf: The PDF is damaged');
    expect(page).not.toContain('data-progress');
  });

  test('only by those who may', async () => {
    expect((await get(`${base}/new`, viewer)).status).toBe(403);
    expect((await post(base, { kind: 'push', name: 'X' }, viewer)).status).toBe(403);
    expect(await (await get(base, viewer)).text()).not.toContain('/sources/new');
  });
});

describe('a source', () => {
  test('is paused and resumed without losing its schedule', async () => {
    const source = await addFolder('Paused');
    await post(`${base}/${source.id}/pause`, { paused: 'on' });
    expect(await named('Paused')).toMatchObject({ schedule: '0 3 * * *' });
    expect((await named('Paused')).nextRunAt).toBeUndefined();
    expect(await (await get(`${base}/${source.id}`)).text()).toContain('Resume');
    await post(`${base}/${source.id}/pause`, {});
    expect((await named('Paused')).nextRunAt).toBeGreaterThan(0);
  });

  test('changed by two at once: the later one is told and keeps what was typed', async () => {
    const source = await addFolder('Both');
    const fields = { name: 'Mine', 'settings.path': folder, schedule: '', rev: String(source.rev) };
    expect((await post(`${base}/${source.id}`, fields)).status).toBe(303);
    const late = await post(`${base}/${source.id}`, { ...fields, name: 'Theirs' });
    const page = await late.text();
    expect(late.status).toBe(409);
    expect(page).toContain('value="Theirs"');
    expect(page).toContain('Somebody else saved a change here meanwhile');
    expect((await named('Mine')).schedule).toBeUndefined();
  });

  test('is deleted only after a page that says what goes', async () => {
    const source = await addFolder('Gone');
    await settled(source);
    const asked = await post(`${base}/${source.id}/delete`, {});
    expect(await asked.text()).toContain('Its 2 documents are forgotten.');
    expect(await real.core.sources.get(tenantId, source.id)).not.toBeNull();
    expect((await post(`${base}/${source.id}/delete`, { confirmed: 'yes' })).status).toBe(303);
    expect(await real.core.sources.get(tenantId, source.id)).toBeNull();
  });
});

describe('documents', () => {
  test('files are uploaded; one that cannot be read is named and does not stop the others', async () => {
    await post(base, { kind: 'upload', name: 'Files' });
    const source = await named('Files');
    const body = new FormData();
    body.append('files', new File(['# Lunch\nAt noon.'], 'lunch.md', { type: 'text/markdown' }));
    body.append('files', new File(['%PDF-1.4 broken'], 'broken.pdf', { type: 'application/pdf' }));
    const response = await real.app.request(`${base}/${source.id}/files`, {
      method: 'POST',
      headers: { cookie: admin, origin: 'http://localhost:3000', 'hx-request': 'true' },
      body,
    });
    const part = await response.text();
    expect(part).toContain('1 added or changed');
    expect(part).toContain('broken.pdf');
    const { items } = await real.core.documents.list(tenantId, { sourceId: source.id }, { limit: 10 });
    expect(items.find(({ externalId }) => externalId === 'lunch.md')).toMatchObject({ chunkCount: 1 });
    expect(items.find(({ externalId }) => externalId === 'broken.pdf')?.problem).toMatch(/damaged/);
  });

  test('files are not taken by a source that fetches its documents itself, nor are none of them a success', async () => {
    const upload = async (source: Source, ...files: File[]) => {
      const body = new FormData();
      for (const file of files) body.append('files', file);
      const headers = { cookie: admin, origin: 'http://localhost:3000' };
      return real.app.request(`${base}/${source.id}/files`, { method: 'POST', headers, body });
    };
    const folder = await addFolder('Not for files');
    await settled(folder);
    const before = await real.core.documents.count(tenantId, folder.id);
    expect((await upload(folder, new File(['# Lunch'], 'lunch.md'))).status).toBe(422);
    expect(await real.core.documents.count(tenantId, folder.id)).toBe(before);
    const files = await named('Files');
    expect((await upload(files, new File([], ''))).status).toBe(422);
    const many = Array.from({ length: 101 }, (_, at) => new File(['# One'], `${at}.md`));
    expect((await upload(files, ...many)).status).toBe(413);
  });

  test('one is shown with its passages and forgotten only when that was confirmed', async () => {
    const source = await named('Files');
    const { items } = await real.core.documents.list(tenantId, { sourceId: source.id }, { limit: 10 });
    const document = items.find(({ externalId }) => externalId === 'lunch.md');
    const path = `/console/acme/documents/${document?.id}`;
    const page = await (await get(path, viewer)).text();
    expect(page).toContain('At noon.');
    expect(page).not.toContain('/forget');
    expect((await post(`${path}/forget`, {}, viewer)).status).toBe(403);
    expect((await post(`${path}/forget`, {})).status).toBe(200);
    expect((await get(path)).status).toBe(200);
    expect((await post(`${path}/forget`, { confirmed: 'yes' })).status).toBe(303);
    expect((await get(path)).status).toBe(404);
  });
});
