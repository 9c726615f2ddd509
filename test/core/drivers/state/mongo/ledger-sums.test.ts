import { type Db, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { collectionsIn, type LedgerSumDoc } from '../../../../../core/drivers/state/mongo/collections.ts';
import { createLedgerSums } from '../../../../../core/drivers/state/mongo/ledger-sums.ts';
import { type MongoState, openMongoState } from '../../../../../core/drivers/state/mongo/state.ts';
import { aLine, aTenant } from '../../../../contracts/rows.ts';
import { createTestRuntime, testStart as now } from '../../../../fakes/clock.ts';
import { dropDatabase, freshDatabase, mongodbUri } from './server.ts';

const day = 24 * 3_600_000;
const [june, july] = [Date.UTC(2026, 5, 1), Date.UTC(2026, 6, 1)];

if (mongodbUri === undefined) {
  describe('sums of the ledger in MongoDB', () => {
    test.skip('not run: MONGODB_URI is not set, so there is no server to sum up on', () => undefined);
  });
} else {
  describe('sums of the ledger in MongoDB', { timeout: 60_000 }, () => {
    const uri = freshDatabase(mongodbUri ?? '');
    const { log, clock } = createTestRuntime();
    let client: MongoClient;
    let database: Db;
    /** Two instances of one deployment. */
    let states: readonly [MongoState, MongoState];
    const open = () => openMongoState({ uri, log, clock, ttlIndexes: false, serverTime: false });
    beforeAll(async () => {
      states = [await open(), await open()];
      client = await MongoClient.connect(uri);
      database = client.db();
    });
    afterAll(async () => {
      for (const state of states) await state.maintenance.close();
      await client.close();
      await dropDatabase(uri);
    });

    const kept = async (tenantId: string, field = 'member') =>
      (
        await database.collection<LedgerSumDoc>('ledger_sums').find({ tenantId, field }).sort({ month: 1 }).toArray()
      ).map(({ month, through, sums }) => ({
        month,
        through,
        keys: (JSON.parse(sums) as { key: string }[]).map((sum) => sum.key),
      }));
    const lineAt = (tenantId: string, at: number, memberId = 'slack:U1') =>
      aLine(tenantId, { at, memberId, costNanos: 1 });
    const members = async (state: MongoState, tenantId: string) =>
      (await state.ledger.usage(tenantId, { from: june, to: now + 90 * day }, 'member')).map(({ key, costNanos }) => [
        key,
        costNanos,
      ]);

    test('sums of an instance whose clock is ahead give nobody a day that was not asked for', async () => {
      const { id } = aTenant();
      const ahead = createTestRuntime({ now: july + 10 * day });
      const sumsAt = (at: { readonly now: () => number }) =>
        createLedgerSums(collectionsIn(database), { ...ahead.clock, now: at.now });
      const [state] = states;
      for (const at of [june + 4 * day, june + 5 * day + 1]) await state.ledger.append(id, [lineAt(id, at)]);
      await database.collection('ledger_sums').updateMany({ tenantId: id }, { $set: { notBefore: 0 } });
      const asked = { from: june, to: june + 5 * day };
      const cost = async (of: number, range = asked) =>
        (await sumsAt({ now: () => of }).of(id, range, 'member')).reduce((sum, { cost }) => sum + cost, 0);
      expect(await cost(june + 8 * day, { from: june, to: june + 8 * day })).toBe(2);
      expect(await cost(june + 7 * day)).toBe(1);
    });

    test('what is past is added up once, what is not is read from the lines', async () => {
      const [state] = states;
      const { id } = aTenant();
      await state.ledger.append(id, [lineAt(id, june + day), lineAt(id, now)]);
      // The late line of June holds its month for a day.
      expect(await members(state, id)).toEqual([['slack:U1', 2]]);
      expect((await kept(id)).map(({ through }) => through)).toEqual(expect.arrayContaining([0]));
      await clock.advance(day + 1);
      expect(await members(state, id)).toEqual([['slack:U1', 2]]);
      expect((await kept(id))[0]).toMatchObject({ month: '2026-06', through: july, keys: ['slack:U1'] });
      // Lines behind the sums' back show that the sums answer.
      await database.collection('ledger').deleteMany({ tenantId: id, at: june + day });
      expect(await members(state, id)).toEqual([['slack:U1', 2]]);
    });

    test('a late line resets its month before it is written, also when the writer then dies', async () => {
      const [one, two] = states;
      const { id } = aTenant();
      await one.ledger.append(id, [lineAt(id, june + day)]);
      await clock.advance(day + 1);
      expect(await members(two, id)).toEqual([['slack:U1', 1]]);
      expect((await kept(id))[0]?.through).toBe(july);
      await two.ledger.append(id, [lineAt(id, june + 2 * day)]);
      expect((await kept(id))[0]?.through).toBe(0);
      expect(await members(one, id)).toEqual([['slack:U1', 2]]);
      expect((await kept(id))[0]?.through, 'held for a day').toBe(0);
      await clock.advance(day + 1);
      expect(await members(one, id)).toEqual([['slack:U1', 2]]);
      expect((await kept(id))[0]?.through).toBe(july);
    });

    test('a reader whom a late line overtakes keeps nothing', async () => {
      const [state] = states;
      const { id } = aTenant();
      await state.ledger.append(id, [lineAt(id, june)]);
      await clock.advance(2 * day);
      const collections = collectionsIn(database);
      const { ledger } = collections;
      const overtaken = Object.assign(Object.create(ledger) as typeof ledger, {
        aggregate: (...args: Parameters<typeof ledger.aggregate>) => ({
          toArray: async () => {
            const rows = await ledger.aggregate(...args).toArray();
            await state.ledger.append(id, [lineAt(id, june + day)]);
            return rows;
          },
        }),
      });
      const slow = createLedgerSums({ ...collections, ledger: overtaken }, clock);
      expect(await slow.of(id, { from: june, to: july }, 'member')).toMatchObject([{ key: 'slack:U1', cost: 1 }]);
      expect((await kept(id))[0]).toMatchObject({ through: 0, keys: [] });
      expect(await members(state, id)).toEqual([['slack:U1', 2]]);
    });

    test('many lines, late and not, of two instances while others look: every sum is exact in the end', async () => {
      const { id } = aTenant();
      const start = clock.now();
      await Promise.all(
        Array.from({ length: 60 }, async (_, n) => {
          const state = states[n % 2 === 0 ? 0 : 1];
          await state.ledger.append(id, [lineAt(id, n % 3 === 0 ? june + n * 1_000 : start, `slack:U${n % 4}`)]);
          await members(state, id);
        }),
      );
      const exact = Array.from({ length: 4 }, (_, n) => [`slack:U${n}`, 15]);
      for (const forDays of [0, 2, 40]) {
        await clock.advance(forDays * day);
        for (const state of states) expect(await members(state, id)).toEqual(exact);
      }
    });

    test('nobody who was forgotten stays in a sum', async () => {
      const [state, other] = states;
      const { id } = aTenant();
      await state.ledger.append(id, [lineAt(id, june, 'slack:U1'), lineAt(id, june, 'slack:U2')]);
      await clock.advance(2 * day);
      await members(state, id);
      expect((await kept(id))[0]?.keys.toSorted()).toEqual(['slack:U1', 'slack:U2']);
      await Promise.all([
        state.maintenance.forgetMember(id, 'slack:U1', 'forgotten-1'),
        ...Array.from({ length: 5 }, () => members(other, id)),
      ]);
      expect(JSON.stringify(await kept(id))).not.toContain('slack:U1');
      await clock.advance(2 * day);
      expect(await members(other, id)).toEqual([
        ['forgotten-1', 1],
        ['slack:U2', 1],
      ]);
      expect((await kept(id))[0]?.keys.toSorted()).toEqual(['forgotten-1', 'slack:U2']);
    });
  });
}
