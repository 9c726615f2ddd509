import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { MongoLimits } from '../../../../../core/drivers/state/mongo/connect.ts';
import { openMongoState } from '../../../../../core/drivers/state/mongo/state.ts';
import { isAppError } from '../../../../../core/errors.ts';
import type { StateStore } from '../../../../../core/ports/state.ts';
import { aLine, anEvent, anInboxRow, aReceipt, aTenant, fresh } from '../../../../contracts/rows.ts';
import { createTestRuntime, testStart } from '../../../../fakes/clock.ts';
import { startTcpProxy, type TcpProxy } from '../../../../faults/tcp-proxy.ts';
import { addressOf, dropDatabase, freshDatabase, mongodbUri, through } from './server.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

/** Real time, because sockets know no other; short, because nobody learns more from waiting. */
const limits: Partial<MongoLimits> = {
  selectionMs: 1_000,
  connectMs: 1_000,
  socketMs: 2_000,
  queueMs: 1_000,
  verbMs: 2_500,
  heartbeatMs: 500,
  poolSize: 4,
};
/** A verb's bound and what a busy machine adds. */
const boundMs = 2_500 + 2_000;

const now = testStart;

/** How a call ended, and that it did so in time. Anything but a value or `store-unavailable` fails the test. */
const ending = async <T>(call: Promise<T>): Promise<{ readonly value: T } | 'unavailable'> => {
  const startedAt = performance.now();
  try {
    return { value: await call };
  } catch (error) {
    if (!isAppError(error) || error.code !== 'store-unavailable') throw error;
    return 'unavailable';
  } finally {
    expect(performance.now() - startedAt).toBeLessThan(boundMs);
  }
};

const server = mongodbUri;
if (server === undefined || addressOf(server) === null) {
  describe('mongodb behind a line that breaks', () => {
    test.skip('not run: MONGODB_URI is not set, or names several hosts, so there is no one line to break', () =>
      undefined);
  });
} else {
  describe('mongodb behind a line that breaks', () => {
    let uri: string;
    let proxy: TcpProxy;
    let state: StateStore;
    /** The same database by a line of its own: what is really stored. */
    let truth: StateStore;

    beforeAll(async () => {
      uri = freshDatabase(server);
      proxy = await startTcpProxy(addressOf(server)!);
      const { log, clock } = createTestRuntime();
      truth = await openMongoState({ uri, log, clock, ttlIndexes: false, serverTime: false });
      state = await openMongoState({
        uri: through(uri, proxy.port),
        log,
        clock,
        ttlIndexes: false,
        serverTime: false,
        limits,
      });
    });
    afterEach(async () => {
      proxy.watch(null);
      proxy.delay(0);
      proxy.set('pass');
      await vi.waitFor(() => state.maintenance.check(), { timeout: 60_000, interval: 100 });
    });
    afterAll(async () => {
      await state.maintenance.close();
      await truth.maintenance.close();
      await proxy.close();
      await dropDatabase(uri);
    });

    test.each(['refuse', 'silent', 'mute'] as const)(
      '%s: every verb ends in time, and work goes on afterwards',
      async (mode) => {
        const tenant = aTenant();
        await state.tenants.create(tenant);
        proxy.set(mode);
        const calls = [
          state.tenants.get(tenant.id),
          state.tenants.bumpContentRevision(tenant.id),
          state.inbox.receive(anInboxRow(anEvent())),
          state.inbox.claimThread({ owner: 'a', now, leaseForMs: 1_000 }),
          state.jobs.claim({ owner: 'a', now, leaseForMs: 1_000, perTenant: 2 }),
          state.ledger.append(tenant.id, [aLine(tenant.id)]),
          state.receipts.list(tenant.id, { q: 'leave' }, { limit: 5 }),
          state.maintenance.check(),
        ];
        expect(await Promise.all(calls.map((call) => ending<unknown>(call)))).toEqual(calls.map(() => 'unavailable'));
        proxy.set('pass');
        await vi.waitFor(async () => expect(await state.tenants.get(tenant.id)).toMatchObject({ id: tenant.id }), {
          timeout: 60_000,
          interval: 100,
        });
      },
    );

    test('a slow line delays and does not break; one slower than a verb may be does', async () => {
      const tenant = aTenant();
      await state.tenants.create(tenant);
      proxy.delay(150);
      expect(await ending(state.tenants.bumpContentRevision(tenant.id))).toEqual({ value: 1 });
      proxy.delay(4_000);
      expect(await ending(state.tenants.bumpContentRevision(tenant.id))).toBe('unavailable');
    });

    test('of events received while the line is cut again and again, each that was acknowledged is stored', async () => {
      const rows = Array.from({ length: 120 }, () => anInboxRow(anEvent(), fresh('thread')));
      const cutting = setInterval(() => proxy.cut(), 40);
      const outcomes: ({ readonly value: 'stored' | 'duplicate' } | 'unavailable')[] = [];
      try {
        for (let n = 0; n < rows.length; n += 12) {
          outcomes.push(...(await Promise.all(rows.slice(n, n + 12).map((row) => ending(state.inbox.receive(row))))));
        }
      } finally {
        clearInterval(cutting);
      }
      const acknowledged = rows.filter((_, n) => outcomes[n] !== 'unavailable');
      const stored = await Promise.all(acknowledged.map((row) => truth.inbox.get(row.id)));
      expect(stored.filter((row) => row === null)).toEqual([]);
      expect(outcomes.filter((outcome) => outcome === 'unavailable').length, 'the line was really cut').toBeGreaterThan(
        0,
      );
      // The platform sends the others again. Then each is there once, and every thread is served, though many hints and
      // answers were lost on the way.
      await vi.waitFor(() => state.maintenance.check(), { timeout: 60_000, interval: 100 });
      for (const row of rows) await state.inbox.receive(row);
      const served = new Set<string>();
      for (;;) {
        const lease = await state.inbox.claimThread({ owner: 'a', now, leaseForMs: 60_000 });
        if (lease === null) break;
        for (const row of await state.inbox.pending(lease, 10)) {
          expect(await state.inbox.settle(lease, row.id, now, { reason: 'answered' })).toBe(true);
          served.add(row.id);
        }
        await state.inbox.releaseThread(lease);
      }
      expect(rows.filter((row) => !served.has(row.id))).toEqual([]);
      expect((await truth.inbox.depth(now)).ready).toBe(0);
    });

    describe('a verb of several steps that broke off anywhere is finished by its repeat', () => {
      /** Breaks the line at the nth command, for every n until the verb gets through. Returns how often it broke. */
      const brokenEverywhere = async (
        prepare: () => Promise<() => Promise<unknown>>,
        examine: () => Promise<void>,
      ): Promise<number> => {
        for (let n = 1; n < 40; n += 1) {
          const call = await prepare();
          let commands = 0;
          proxy.watch((text) => {
            if (!/find|update|delete|insert/.test(text)) return;
            commands += 1;
            if (commands === n) proxy.set('refuse');
          });
          const first = await ending(call());
          proxy.watch(null);
          proxy.set('pass');
          await vi.waitFor(() => state.maintenance.check(), { timeout: 60_000, interval: 50 });
          if (first === 'unavailable') await call();
          await examine();
          if (first !== 'unavailable') return n - 1;
        }
        throw new Error('the verb never got through');
      };
      let tenantId = '';
      const filled = async () => {
        const tenant = aTenant();
        tenantId = tenant.id;
        await truth.tenants.create(tenant);
        const receipt = aReceipt(tenant.id, { question: 'xyzzy', answer: 'xyzzy' });
        await truth.receipts.put(receipt);
        await truth.conversations.append(tenant.id, 'v', 'p', [
          { role: 'assistant', text: 'xyzzy', at: now, answerId: receipt.answerId },
        ]);
        await truth.outbox.open(tenant.id, 'o', receipt.answerId, now);
        await truth.outbox.finalize(tenant.id, 'o', { markdown: 'xyzzy', receipt, reason: 'answered' });
        await truth.ledger.append(tenant.id, [aLine(tenant.id)]);
        return receipt;
      };

      test('forgetting a person', async () => {
        const broke = await brokenEverywhere(
          async () => {
            await filled();
            return () => state.maintenance.forgetMember(tenantId, 'slack:U1', 'forgotten-1', now);
          },
          async () => {
            const left = JSON.stringify([
              await truth.receipts.list(tenantId, {}, { limit: 9 }),
              await truth.conversations.turns(tenantId, 'v', 9),
              await truth.outbox.get(tenantId, 'o'),
              await truth.ledger.list(tenantId, { from: 0, to: now + 1 }, { limit: 9 }),
            ]);
            expect(left).not.toContain('xyzzy');
            expect(left).not.toContain('slack:U1');
            expect(left).toContain('forgotten-1');
          },
        );
        expect(broke).toBeGreaterThan(5);
      });

      test('erasing a tenant', async () => {
        const broke = await brokenEverywhere(
          async () => {
            await filled();
            await truth.tenants.markDeleted(tenantId, now);
            return () => state.tenants.erase(tenantId);
          },
          async () => {
            expect(await truth.tenants.deleted(1_000)).not.toContain(tenantId);
            expect((await truth.receipts.list(tenantId, {}, { limit: 9 })).items).toEqual([]);
            expect(await truth.conversations.exists(tenantId, 'v')).toBe(false);
            expect((await truth.ledger.list(tenantId, { from: 0, to: now + 1 }, { limit: 9 })).items).toHaveLength(1);
          },
        );
        expect(broke).toBeGreaterThan(15);
      });
    });

    describe('a write whose answer is lost counts once when it is repeated', () => {
      /** Runs it with answers lost, then again with a line that works. */
      const lostThenRepeated = async <T>(call: () => Promise<T>, isDone: () => Promise<unknown>): Promise<T> => {
        await state.maintenance.check();
        proxy.set('mute');
        expect(await ending(call())).toBe('unavailable');
        await vi.waitFor(async () => expect(await isDone(), 'it was really done').toBeTruthy(), { timeout: 20_000 });
        proxy.set('pass');
        await vi.waitFor(() => state.maintenance.check(), { timeout: 60_000, interval: 100 });
        return call();
      };
      const counter = { id: 'tenant:t:tokens:2026-11-22', limit: 100, expiresAt: now + 86_400_000 };
      const held = async (tenantId: string) => (await truth.metering.counters(tenantId, [counter.id], now))[0];

      test('a reservation', async () => {
        const tenant = aTenant();
        // The window's first, so that the loss falls on the one conditional step.
        await state.metering.reserve(tenant.id, counter, 'r0', 1, now, now + 30_000);
        const reserve = () => state.metering.reserve(tenant.id, counter, 'r1', 60, now, now + 30_000);
        const done = async () => (await held(tenant.id))?.held === 61;
        expect(await lostThenRepeated(reserve, done)).toEqual({ outcome: 'held' });
        expect(await held(tenant.id)).toEqual({ id: counter.id, used: 0, held: 61 });
      });

      test('a settlement', async () => {
        const tenant = aTenant();
        await state.metering.reserve(tenant.id, counter, 'r', 60, now, now + 30_000);
        // It looks before it writes; only the answer to the write is lost.
        proxy.watch((text) => {
          if (text.includes('settled.')) proxy.set('mute');
        });
        const settle = () => state.metering.settle(tenant.id, counter.id, 'r', 40);
        expect(await ending(settle())).toBe('unavailable');
        expect(await held(tenant.id), 'it was really done').toEqual({ id: counter.id, used: 40, held: 0 });
        proxy.watch(null);
        proxy.set('pass');
        await vi.waitFor(() => state.maintenance.check(), { timeout: 60_000, interval: 100 });
        expect(await settle()).toBe(false);
        expect(await held(tenant.id)).toEqual({ id: counter.id, used: 40, held: 0 });
      });

      test('a line of the ledger', async () => {
        const tenant = aTenant();
        const line = aLine(tenant.id);
        const lines = async () => (await truth.ledger.list(tenant.id, { from: now, to: now + 1 }, { limit: 9 })).items;
        await lostThenRepeated(
          () => state.ledger.append(tenant.id, [line]),
          async () => (await lines()).length === 1,
        );
        expect(await lines()).toEqual([line]);
      });

      test('an event: the repeat is a duplicate, and its thread is served', async () => {
        const row = anInboxRow(anEvent());
        const done = async () => (await truth.inbox.get(row.id)) !== null;
        expect(await lostThenRepeated(() => state.inbox.receive(row), done)).toBe('duplicate');
        expect((await truth.inbox.claimThread({ owner: 'b', now, leaseForMs: 1_000 }))?.key).toBe(row.threadKey);
      });
    });
  });
}
