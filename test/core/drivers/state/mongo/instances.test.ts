import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Collections, collectionsIn } from '../../../../../core/drivers/state/mongo/collections.ts';
import { databaseOf } from '../../../../../core/drivers/state/mongo/connect.ts';
import { openMongoState } from '../../../../../core/drivers/state/mongo/state.ts';
import type { StateStore } from '../../../../../core/ports/state.ts';
import { aDocument, aJob, anEvent, anInboxRow, aTenant, fresh, noCounts } from '../../../../contracts/rows.ts';
import { createTestRuntime, testStart } from '../../../../fakes/clock.ts';
import { dropDatabase, freshDatabase, mongodbUri } from './server.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const now = testStart;
const minute = 60_000;
/** Few connections, so that verbs wait for each other; long, because how fast the server is is not asked here. */
const limits = { poolSize: 5, queueMs: 30_000, verbMs: 45_000 };

const server = mongodbUri;
if (server === undefined) {
  describe('several instances over one MongoDB', () => {
    test.skip('not run: MONGODB_URI is not set', () => undefined);
  });
} else {
  describe('several instances over one MongoDB', () => {
    let uri: string;
    let stores: StateStore[];
    let client: MongoClient;
    let raw: Collections;
    const store = (n: number): StateStore => stores[n % stores.length]!;

    beforeAll(async () => {
      uri = freshDatabase(server);
      const { log, clock } = createTestRuntime();
      const real = { ...clock, sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)) };
      // All at once: one prepares the database, the others wait for it.
      stores = await Promise.all(
        [1, 2, 3, 4].map(() => openMongoState({ uri, log, clock: real, ttlIndexes: false, serverTime: false, limits })),
      );
      client = new MongoClient(uri);
      raw = collectionsIn(client.db(databaseOf(uri)));
    });
    afterAll(async () => {
      await Promise.all(stores.map((one) => one.maintenance.close()));
      await client.close();
      await dropDatabase(uri);
    });

    test('a document that a version without revisions has written again is replaced, and not taken for stale for ever', async () => {
      const tenant = aTenant();
      await store(0).tenants.create(tenant);
      const document = aDocument(tenant.id, 's', { rev: 'first' });
      await store(0).documents.write(tenant.id, 's', { rows: [document], contents: [] });
      // It keeps what it does not know in the record, and drops what stands beside it.
      await raw.documents.updateOne({ tenantId: tenant.id, id: document.id }, { $unset: { rev: '' } });
      const [row] = await store(1).documents.getMany(tenant.id, [document.id]);
      const expected = new Map([[document.id, row?.rev ?? null]]);
      const rows = [{ ...document, title: 'Anew', rev: 'second' }];
      expect(await store(1).documents.write(tenant.id, 's', { rows, contents: [], expected })).toMatchObject({
        stale: [],
      });
      expect(await store(2).documents.get(tenant.id, document.id)).toMatchObject({ title: 'Anew', rev: 'second' });
    });

    const serve = async (one: StateStore, owner: string, settled: string[]): Promise<void> => {
      for (let idle = 0; idle < 3; ) {
        const lease = await one.inbox.claimThread({ owner, now, leaseForMs: minute });
        if (lease === null) {
          idle += 1;
          continue;
        }
        idle = 0;
        for (const row of await one.inbox.pending(lease, 10))
          if (await one.inbox.settle(lease, row.id, now, { reason: 'answered' })) settled.push(row.id);
        await one.inbox.releaseThread(lease);
      }
    };

    test('while events come in by all, each is settled by one and none is left', async () => {
      const threads = Array.from({ length: 12 }, () => fresh('thread'));
      const rows = Array.from({ length: 96 }, (_, n) => anInboxRow(anEvent(), threads[n % threads.length]));
      const settled: string[] = [];
      const receiving = Promise.all(
        rows.flatMap((row, n) => [store(n).inbox.receive(row), store(n + 1).inbox.receive(row)]),
      );
      await Promise.all([receiving, ...stores.map((one, n) => serve(one, `o${n}`, settled))]);
      await serve(store(0), 'last', settled);
      expect((await receiving).filter((outcome) => outcome === 'stored')).toHaveLength(rows.length);
      expect(settled.toSorted()).toEqual(rows.map((row) => row.id).toSorted());
      expect(await store(1).inbox.depth(now)).toEqual({ ready: 0, oldestMs: 0 });
    });

    test('reservations of all instances together never pass the limit, also while holds run out and are settled', async () => {
      const tenant = aTenant();
      const counter = { id: 'tenant:t:tokens:2026-11-22', limit: 100, expiresAt: now + 86_400_000 };
      // Ten holds that have run out must not keep anybody out, nor let anybody take their room twice.
      for (let n = 0; n < 10; n += 1)
        await store(n).metering.reserve(tenant.id, counter, `old${n}`, 10, now - minute, now);
      const outcomes = await Promise.all(
        Array.from({ length: 40 }, async (_, n) => {
          const { outcome } = await store(n).metering.reserve(tenant.id, counter, `r${n}`, 7, now, now + minute);
          if (outcome !== 'held') return 0;
          const settled = await Promise.all(
            [0, 1, 2].map((k) => store(n + k).metering.settle(tenant.id, counter.id, `r${n}`, 7)),
          );
          expect(settled.filter(Boolean)).toHaveLength(1);
          return 7;
        }),
      );
      const [state] = await store(0).metering.counters(tenant.id, [counter.id], now);
      expect(state).toEqual({ id: counter.id, used: outcomes.reduce((a, b) => a + b, 0 as number), held: 0 });
      expect(state?.used).toBe(98);
      // A hold that is gone is charged all the same, and once.
      const late = await Promise.all(
        [0, 1, 2, 3].map((k) => store(k).metering.settle(tenant.id, counter.id, 'old3', 5)),
      );
      expect(late.filter(Boolean)).toHaveLength(1);
      expect((await store(0).metering.counters(tenant.id, [counter.id], now))[0]?.used).toBe(103);
    });

    test('a tenant’s share and a source’s one running job hold against all who claim at once', async () => {
      const tenant = aTenant();
      const jobs = Array.from({ length: 12 }, (_, n) =>
        aJob(tenant.id, { sourceId: `s_${n % 6}`, kind: n < 6 ? 'sync' : 'reindex', createdAt: now + n }),
      );
      for (const job of jobs) await store(0).jobs.enqueue(job);
      const claim = (n: number, perTenant: number) =>
        store(n).jobs.claim({ owner: `o${n}`, now, leaseForMs: minute, perTenant });
      const first = (await Promise.all(Array.from({ length: 12 }, (_, n) => claim(n, 2)))).filter(
        (one) => one !== null,
      );
      expect(first.length).toBeLessThanOrEqual(2);
      for (let n = first.length; n < 2; n += 1) first.push((await claim(n, 2))!);
      expect(await claim(9, 2)).toBeNull();
      for (const { lease } of first)
        expect(await store(0).jobs.finish(lease, now, { state: 'done', counts: noCounts, errors: [] })).toBe(true);
      const rest = (await Promise.all(Array.from({ length: 24 }, (_, n) => claim(n, 100)))).filter(
        (one) => one !== null,
      );
      const sources = rest.map(({ job }) => job.sourceId);
      expect(new Set(sources).size, 'no source twice').toBe(sources.length);
      for (const { lease } of rest)
        await store(0).jobs.finish(lease, now, { state: 'done', counts: noCounts, errors: [] });
    });

    test('a row whose thread was never told of it is served: by the next claim, and by the sweep of a busy deployment', async () => {
      const [orphan, other] = [anInboxRow(anEvent()), anInboxRow(anEvent())];
      for (const row of [orphan, other]) {
        await store(0).inbox.receive(row);
        // Closing waits for the hints; so does a claim. Then the process "dies" before it told the thread.
        await vi.waitFor(async () => expect(await raw.threads.findOne({ _id: row.threadKey })).not.toBeNull());
        await raw.threads.deleteOne({ _id: row.threadKey });
      }
      await raw.threads.insertOne({
        _id: other.threadKey,
        waiting: false,
        marks: 3,
        owner: '',
        fence: 7,
        leaseUntil: 0,
        servedAt: now - 9,
        notBefore: 0,
      });
      await store(1).maintenance.sweep(now);
      expect(await raw.threads.findOne({ _id: other.threadKey })).toMatchObject({ waiting: true, fence: 7 });
      expect(await raw.threads.findOne({ _id: orphan.threadKey })).toMatchObject({ waiting: true });
      await raw.threads.deleteOne({ _id: orphan.threadKey });
      const keys = [
        (await store(2).inbox.claimThread({ owner: 'a', now, leaseForMs: minute }))?.key,
        (await store(3).inbox.claimThread({ owner: 'b', now, leaseForMs: minute }))?.key,
      ];
      expect(keys).toEqual([other.threadKey, orphan.threadKey]);
      expect(await store(0).inbox.claimThread({ owner: 'c', now, leaseForMs: minute })).toBeNull();
      await serve(store(0), 'end', []);
      await raw.threads.updateMany({}, { $set: { leaseUntil: 0 } });
      await serve(store(0), 'end', []);
    });

    test('a thread that says it has rows and has none is not handed out', async () => {
      const row = anInboxRow(anEvent());
      await store(0).inbox.receive(row);
      const lease = (await store(0).inbox.claimThread({ owner: 'a', now, leaseForMs: 1_000 }))!;
      await store(0).inbox.settle(lease, row.id, now, { reason: 'answered' });
      // Its holder dies without releasing it.
      expect(await store(1).inbox.claimThread({ owner: 'b', now: now + 2_000, leaseForMs: 1_000 })).toBeNull();
      expect(await raw.threads.findOne({ _id: row.threadKey })).toMatchObject({ waiting: false, owner: '' });
    });

    test('who was overtaken between looking and settling cannot settle what the next one has taken up', async () => {
      const row = anInboxRow(anEvent());
      await store(0).inbox.receive(row);
      const late = (await store(0).inbox.claimThread({ owner: 'a', now, leaseForMs: 1_000 }))!;
      const next = (await store(1).inbox.claimThread({ owner: 'b', now: now + 1_000, leaseForMs: 1_000 }))!;
      expect(await store(1).inbox.pending(next, 5)).toHaveLength(1);
      // The look is won by giving the late one its thread back, as it stood when it looked.
      await raw.threads.updateOne({ _id: row.threadKey }, { $set: { owner: 'a', fence: late.fence } });
      expect(await store(0).inbox.settle(late, row.id, now, { reason: 'failed' })).toBe(false);
      await raw.threads.updateOne({ _id: row.threadKey }, { $set: { owner: 'b', fence: next.fence } });
      expect(await store(1).inbox.settle(next, row.id, now, { reason: 'answered' })).toBe(true);
      await store(1).inbox.releaseThread(next);
    });

    test('marks of settled reservations leave their counter, which stays small, and are not forgotten', async () => {
      const tenant = aTenant();
      const counter = { id: 'tenant:t:tokens:2026-11-22', limit: 1_000, expiresAt: now + 86_400_000 };
      for (let n = 0; n < 20; n += 1) {
        await store(n).metering.reserve(tenant.id, counter, `r${n}`, 1, now, now + minute);
        await store(n).metering.settle(tenant.id, counter.id, `r${n}`, 1);
      }
      const marks = async () =>
        Object.keys((await raw.counters.findOne({ tenantId: tenant.id }))?.settled ?? {}).length;
      await store(0).maintenance.sweep(now + 30_000);
      expect(await marks()).toBe(20);
      await store(0).maintenance.sweep(now + 2 * minute);
      expect(await marks(), 'copied, not yet gone: somebody may have looked just before').toBe(20);
      await store(0).maintenance.sweep(now + 13 * minute);
      expect(await marks()).toBe(0);
      await store(0).maintenance.sweep(now + 14 * minute);
      expect(await raw.counters.findOne({ tenantId: tenant.id })).toMatchObject({ busy: 0, used: 20, taken: 20 });
      expect(await store(1).metering.settle(tenant.id, counter.id, 'r3', 1)).toBe(false);
      const late = now + 14 * minute;
      expect(
        await store(1).metering.reserve(tenant.id, { ...counter, limit: 20 }, 'r3', 1, late, late + minute),
      ).toEqual({
        outcome: 'held',
      });
      expect(
        await store(1).metering.reserve(tenant.id, { ...counter, limit: 20 }, 'new', 1, late, late + minute),
      ).toMatchObject({
        outcome: 'refused',
      });
    });
  });
}
