import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseOf } from '../../../../../core/drivers/state/mongo/connect.ts';
import { restoreMongoState } from '../../../../../core/drivers/state/mongo/restore.ts';
import { type MongoState, openMongoState } from '../../../../../core/drivers/state/mongo/state.ts';
import { systemClock } from '../../../../../core/observe/system.ts';
import { createTestRuntime } from '../../../../fakes/clock.ts';
import { dropDatabase, freshDatabase, mongodbUri } from './server.ts';

if (mongodbUri === undefined) {
  describe('restore into MongoDB', () => {
    it('was not run: MONGODB_URI is not set', (context) => {
      console.warn('NOT RUN: restore into MongoDB. Set MONGODB_URI to a server on which tests may make databases.');
      context.skip('MONGODB_URI is not set');
    });
  });
} else {
  describe('restore into MongoDB', { timeout: 60_000 }, () => {
    const { log } = createTestRuntime();
    const { signal } = new AbortController();
    const databases: string[] = [];
    const fresh = (): string => {
      const uri = freshDatabase(mongodbUri ?? '');
      databases.push(uri);
      return uri;
    };
    const open = (uri: string, clock = systemClock): Promise<MongoState> => openMongoState({ uri, log, clock });
    const tenant = {
      id: 't_000000000000000000000001',
      slug: 'acme',
      name: 'Acme',
      createdAt: 1,
      settings: { channels: {} },
      activeGeneration: 3,
      contentRevision: 4,
      rev: 5,
    };
    let folder: string;
    const backup = async (): Promise<string> => {
      const into = await mkdtemp(join(folder, 'copy-'));
      await rm(into, { recursive: true });
      const state = await open(source);
      await state.maintenance.backup(into);
      await state.maintenance.close();
      return into;
    };
    let source: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'footnote-mongo-restore-'));
      source = fresh();
      const state = await open(source);
      await state.tenants.create(tenant);
      await state.documents.write(tenant.id, 's_1', {
        rows: [],
        contents: [{ documentId: 'd_1', stamp: 's', data: new Uint8Array([0, 1, 2, 255]) }],
      });
      await state.database.collection('auth_user').insertOne({ email: 'ada@example.com', signedInAt: new Date(7) });
      await state.maintenance.close();
    }, 60_000);
    afterAll(async () => {
      await rm(folder, { recursive: true });
      for (const uri of databases) await dropDatabase(uri).catch(() => undefined);
    });

    it('brings back rows, bytes, and users with their dates', async () => {
      const [copy, target] = [await backup(), fresh()];
      await restoreMongoState({ uri: target, folder: copy, log, signal });
      const state = await open(target);
      expect(await state.tenants.get(tenant.id)).toMatchObject({ slug: 'acme', activeGeneration: 3, rev: 5 });
      const [contents] = await state.documents.contents(tenant.id, ['d_1']);
      expect([...(contents?.data ?? [])]).toEqual([0, 1, 2, 255]);
      expect(await state.database.collection('auth_user').findOne({})).toMatchObject({ signedInAt: new Date(7) });
      await state.maintenance.close();
    });

    it('never overwrites a database that holds a tenant', async () => {
      await expect(restoreMongoState({ uri: source, folder: await backup(), log, signal })).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('holds data') as string,
      });
    });

    it('that was cut short is not served from, and is done again by the same command', async () => {
      const [copy, target] = [await backup(), fresh()];
      const whole = await readFile(join(copy, 'tenants.ndjson'), 'utf8');
      await writeFile(join(copy, 'tenants.ndjson'), `${whole.slice(0, 20)}\n`);
      await expect(restoreMongoState({ uri: target, folder: copy, log, signal })).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringContaining('tenants.ndjson') as string,
      });
      await expect(open(target)).rejects.toMatchObject({
        code: 'config',
        message: expect.stringContaining('cut short'),
      });
      await writeFile(join(copy, 'tenants.ndjson'), whole);
      await restoreMongoState({ uri: target, folder: copy, log, signal });
      const state = await open(target);
      expect((await state.tenants.get(tenant.id))?.slug).toBe('acme');
      await state.maintenance.close();
    });

    it('tells that lines were lost or added', async () => {
      const copy = await backup();
      await appendFile(join(copy, 'ledger.ndjson'), '{"_id":"x"}\n');
      await expect(restoreMongoState({ uri: fresh(), folder: copy, log, signal })).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringContaining('1 documents instead of 0') as string,
      });
    });

    it('refuses a folder that is no such backup', async () => {
      await expect(restoreMongoState({ uri: fresh(), folder, log, signal })).rejects.toMatchObject({ code: 'invalid' });
      const copy = await backup();
      await writeFile(join(copy, 'manifest.json'), '{"format":"footnote-mo');
      await expect(restoreMongoState({ uri: fresh(), folder: copy, log, signal })).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringContaining('cut short') as string,
      });
    });

    it('the time is the server’s, however wrong the clock of this machine is', async () => {
      const wrong = { ...systemClock, now: () => Date.now() - 3_600_000 };
      const state = await open(source, wrong);
      expect(Math.abs(state.serverClock.now() - Date.now())).toBeLessThan(5_000);
      const findings = (await state.examine?.(signal)) ?? [];
      expect(findings.find(({ item }) => item === 'Clock')).toMatchObject({
        ok: true,
        warns: true,
        says: expect.stringContaining('3600.0 s behind') as string,
      });
      await state.maintenance.close();
    });

    it('doctor names an index that somebody dropped', async () => {
      const state = await open(source);
      const client = await MongoClient.connect(source);
      await client.db(databaseOf(source)).collection('api_keys').dropIndex('tenant');
      await client.close();
      const findings = (await state.examine?.(signal)) ?? [];
      expect(findings.find(({ item }) => item === 'MongoDB indexes')).toMatchObject({
        ok: false,
        says: expect.stringContaining('api_keys.tenant') as string,
      });
      await state.maintenance.close();
    });
  });
}
