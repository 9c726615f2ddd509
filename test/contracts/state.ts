import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type {
  ChannelRules,
  Connection,
  Job,
  LedgerEntry,
  ReasonCode,
  Receipt,
  Tenant,
  UsageGroup,
} from '../../core/domain.ts';
import type {
  Books,
  DocumentContents,
  Paged,
  ReceiptFilter,
  StateStore,
  StoredDocument,
} from '../../core/ports/state.ts';
import { testStart } from '../fakes/clock.ts';
import {
  aDocument,
  aJob,
  aLine,
  aNotice,
  anEvent,
  anInboxRow,
  aReceipt,
  aSource,
  aTenant,
  aWebhook,
  fresh,
  noCounts,
} from './rows.ts';

/** The promises of core/ports/state.ts, which every driver keeps. One store serves the whole suite; each test has its own tenants. */

const now = testStart;
const second = 1_000;
const hour = 3_600_000;
const day = 24 * hour;

const everything = async <T>(list: (cursor?: string) => Promise<Paged<T>>): Promise<readonly T[]> => {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await list(cursor);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return items;
};

const pageAt = (cursor: string | undefined, limit: number) => ({ limit, ...(cursor === undefined ? {} : { cursor }) });

type Opened = {
  readonly state: StateStore;
  close(): Promise<void>;
  /** Moves the time of a store that has one of its own. */
  later?(ms: number): Promise<void>;
};

export const describeStateStore = (name: string, open: () => Promise<Opened>): void => {
  describe(`state store ${name}`, () => {
    let opened: Opened;
    let state: StateStore;
    beforeAll(async () => {
      opened = await open();
      state = opened.state;
    });
    afterAll(() => opened.close());

    const newTenant = async (over: Partial<Tenant> = {}): Promise<Tenant> => {
      const tenant = aTenant(over);
      expect(await state.tenants.create(tenant)).toBe('created');
      return tenant;
    };

    describe('what a newer version wrote, during a deploy', () => {
      const later = { addedLater: { deep: ['yes', 1] } };

      test('comes back whole, with words that this version does not know', async () => {
        const tenant = await newTenant();
        const receipt = { ...aReceipt(tenant.id, { reasonCode: 'of-tomorrow' as ReasonCode }), ...later };
        await state.receipts.put(receipt);
        const document = { ...aDocument(tenant.id, 's_1'), ...later };
        await state.documents.write(document.tenantId, document.sourceId, { rows: [document], contents: [] });
        const row = anInboxRow({ ...anEvent({ kind: 'of-tomorrow' as 'message' }), ...later });
        await state.inbox.receive(row);
        await state.channels.put(tenant.id, 'slack', 'C1', { enabled: true, ...later });
        expect(await state.receipts.get(tenant.id, receipt.answerId)).toEqual(receipt);
        expect((await state.receipts.list(tenant.id, { outcome: 'of-tomorrow' }, { limit: 5 })).items).toEqual([
          receipt,
        ]);
        expect((await state.receipts.tally(tenant.id, { from: 0, to: now + 1 })).outcomes).toMatchObject([
          { reason: 'of-tomorrow', count: 1 },
        ]);
        expect(await state.documents.get(tenant.id, document.id)).toEqual(document);
        expect((await state.inbox.get(row.id))?.event).toEqual(row.event);
        expect(await state.channels.get(tenant.id, 'slack', 'C1')).toEqual({ enabled: true, ...later });
      });

      test('is changed without being lost', async () => {
        const tenant = await newTenant();
        const receipt = { ...aReceipt(tenant.id, { kind: 'not-found', reasonCode: 'not-found' }), ...later };
        await state.receipts.put(receipt);
        await state.receipts.addFeedback(tenant.id, receipt.answerId, { rating: 'down', at: now, user: 'slack:U9' });
        await state.receipts.markGap(tenant.id, receipt.answerId, { state: 'dismissed', at: now });
        expect(await state.receipts.get(tenant.id, receipt.answerId)).toMatchObject({
          ...later,
          gap: { state: 'dismissed' },
          feedback: [{ rating: 'down' }],
        });
      });
    });

    describe('tenants', () => {
      test('a slug is given once, even after its tenant was deleted and erased', async () => {
        const tenant = await newTenant();
        expect(await state.tenants.create(aTenant({ slug: tenant.slug }))).toBe('slug-taken');
        expect(await state.tenants.markDeleted(tenant.id, now)).toBe(true);
        expect(await state.tenants.markDeleted(tenant.id, now)).toBe(false);
        await state.tenants.erase(tenant.id);
        expect(await state.tenants.create(aTenant({ slug: tenant.slug }))).toBe('slug-taken');
      });

      test('a deleted tenant is absent from every read and listed for erasure until it is erased', async () => {
        const tenant = await newTenant();
        expect(await state.tenants.get(tenant.id)).toEqual(tenant);
        expect(await state.tenants.bySlug(tenant.slug)).toEqual(tenant);
        await state.tenants.markDeleted(tenant.id, now);
        expect(await state.tenants.get(tenant.id)).toBeNull();
        expect(await state.tenants.bySlug(tenant.slug)).toBeNull();
        const listed = await everything((cursor) => state.tenants.list(pageAt(cursor, 2)));
        expect(listed.map((one) => one.id)).not.toContain(tenant.id);
        expect(await state.tenants.update(tenant.id, 0, { name: 'B' })).toBeNull();
        expect(await state.tenants.bumpContentRevision(tenant.id)).toBeNull();
        expect(await state.tenants.switchGeneration(tenant.id, 0, 1)).toBe(false);
        expect(await state.tenants.deleted(1_000)).toContain(tenant.id);
        await state.tenants.erase(tenant.id);
        await state.tenants.erase(tenant.id);
        expect(await state.tenants.deleted(1_000)).not.toContain(tenant.id);
      });

      test('pages show every tenant once', async () => {
        const created = [await newTenant(), await newTenant(), await newTenant()];
        const listed = await everything((cursor) => state.tenants.list(pageAt(cursor, 2)));
        const ids = listed.map((tenant) => tenant.id);
        expect(ids).toEqual(expect.arrayContaining(created.map((tenant) => tenant.id)));
        expect(new Set(ids).size).toBe(ids.length);
      });

      test('tenants are found by words in slug or name, whatever their case and signs', async () => {
        const word = fresh('q-');
        const [bySlug, byName] = [
          await newTenant({ slug: `${word}-slug` }),
          await newTenant({ name: `The ${word.toUpperCase()} (50% off.*)` }),
        ];
        const found = async (q: string) =>
          (await everything((cursor) => state.tenants.list(pageAt(cursor, 1), { q }))).map(({ id }) => id);
        expect(new Set(await found(word))).toEqual(new Set([bySlug.id, byName.id]));
        expect(await found(`${word} (50% OFF.*)`)).toEqual([byName.id]);
        expect(await found(`${word} (50_ off`)).toEqual([]);
        await state.tenants.markDeleted(byName.id, now);
        expect(await found(word)).toEqual([bySlug.id]);
      });

      test('figures say what each tenant holds, and what it asked and spent in a time', async () => {
        const [tenant, other, empty] = [await newTenant(), await newTenant(), await newTenant()];
        const of = (tenantId: string, rows: readonly StoredDocument[]) =>
          state.documents.write(tenantId, 's_1', { rows, contents: [] });
        await of(tenant.id, [
          aDocument(tenant.id, 's_1', { bytes: 1_000, chunkCount: 3 }),
          aDocument(tenant.id, 's_1', { bytes: 24, chunkCount: 1 }),
        ]);
        const grown = aDocument(other.id, 's_1', { bytes: 5, chunkCount: 1 });
        await of(other.id, [grown]);
        await of(other.id, [{ ...grown, bytes: 7, chunkCount: 2 }]);
        const entry = (over: Partial<LedgerEntry>): LedgerEntry => {
          const { costNanos: _cost, currency: _currency, ...line } = aLine(tenant.id);
          return { ...line, promptTokens: 0, completionTokens: 0, ...over };
        };
        await state.ledger.append(tenant.id, [
          entry({ at: now, kind: 'question' }),
          entry({ at: now + 1, kind: 'question' }),
          entry({ at: now + 1, kind: 'chat', promptTokens: 9, costNanos: 40, currency: 'USD' }),
          entry({ at: now + 2, kind: 'chat', promptTokens: 9, costNanos: 2, currency: 'USD' }),
          entry({ at: now + 2, kind: 'chat', promptTokens: 9, costNanos: 7, currency: 'EUR' }),
          entry({ at: now + 10, kind: 'chat', promptTokens: 9 }),
          entry({ at: now + 10, kind: 'question' }),
        ]);
        const during = (to: number) =>
          state.tenants.figures([other.id, tenant.id, empty.id], { from: now, to: now + to });
        const nothing = { documents: 0, chunks: 0, bytes: 0, questions: 0, costs: [], costUnknown: false };
        expect(await during(10)).toEqual([
          { ...nothing, tenantId: other.id, documents: 1, chunks: 2, bytes: 7 },
          {
            tenantId: tenant.id,
            documents: 2,
            chunks: 4,
            bytes: 1_024,
            questions: 2,
            costs: [
              { currency: 'EUR', nanos: 7 },
              { currency: 'USD', nanos: 42 },
            ],
            costUnknown: false,
          },
          { ...nothing, tenantId: empty.id },
        ]);
        expect((await during(11))[1]).toMatchObject({ questions: 3, costUnknown: true });
        // Whole days, which a store may keep sums of: the same to the unit, also after a line was written twice.
        const midnight = now - (now % day);
        await state.ledger.append(tenant.id, [entry({ id: 'l_next', at: midnight + day, kind: 'question' })]);
        await state.ledger.append(tenant.id, [entry({ id: 'l_next', at: midnight + day, kind: 'question' })]);
        const over = async (days: number) =>
          (await state.tenants.figures([tenant.id], { from: midnight, to: midnight + days * day }))[0];
        expect(await over(1)).toEqual((await during(11))[1]);
        expect(await over(2)).toEqual({ ...(await over(1)), questions: 4 });
        const byDay = (from: number) => state.ledger.usage(tenant.id, { from, to: midnight + 2 * day }, 'day');
        expect(await byDay(midnight)).toEqual(await byDay(midnight + 1));
        expect(await state.tenants.figures([], { from: now, to: now + 1 })).toEqual([]);
      });

      test('an update with an old revision is stale and changes nothing', async () => {
        const tenant = await newTenant();
        const updated = await state.tenants.update(tenant.id, 0, { settings: { language: 'de' } });
        expect(updated).toEqual({ ...tenant, settings: { language: 'de' }, rev: 1 });
        expect(await state.tenants.update(tenant.id, 0, { name: 'Late' })).toBe('stale');
        expect(await state.tenants.get(tenant.id)).toEqual(updated);
        expect(await state.tenants.update('t_unknown', 0, {})).toBeNull();
      });

      test('parallel updates of one revision: one wins', async () => {
        const tenant = await newTenant();
        const results = await Promise.all(
          Array.from({ length: 8 }, (_, n) => state.tenants.update(tenant.id, 0, { name: `${n}` })),
        );
        expect(results.filter((result) => result !== 'stale')).toHaveLength(1);
      });

      test('content revision grows by one for each of many parallel bumps', async () => {
        const tenant = await newTenant();
        const revisions = await Promise.all(
          Array.from({ length: 20 }, () => state.tenants.bumpContentRevision(tenant.id)),
        );
        expect(revisions.toSorted((a, b) => Number(a) - Number(b))).toEqual(
          Array.from({ length: 20 }, (_, n) => n + 1),
        );
        expect(await state.tenants.bumpContentRevision('t_unknown')).toBeNull();
      });

      test('the generation is switched from the expected one only, and with it the content revision', async () => {
        const tenant = await newTenant();
        expect(await state.tenants.switchGeneration(tenant.id, 5, 6)).toBe(false);
        expect(await state.tenants.switchGeneration(tenant.id, 0, 1)).toBe(true);
        expect(await state.tenants.get(tenant.id)).toMatchObject({ activeGeneration: 1, contentRevision: 1 });
      });

      test('erasing takes all rows but the ledger, and nobody else’s', async () => {
        const [gone, stays] = [await newTenant(), await newTenant()];
        for (const { id } of [gone, stays]) {
          await state.sources.create(aSource(id, { id: `s_${id}` }));
          await state.documents.write(id, `s_${id}`, { rows: [aDocument(id, `s_${id}`)], contents: [] });
          await state.conversations.append(id, 'v', 'p', [{ role: 'user', text: 'q', at: now }]);
          await state.receipts.put(aReceipt(id, { answerId: `a_${id}` }));
          await state.channels.put(id, 'slack', 'C1', { enabled: false });
          await state.metering.putLimits(id, [{ scope: 'tenant', unit: 'tokens', per: 'day', limit: 1 }]);
          await state.outbox.open(id, 'o', 'a', now);
          await state.ledger.append(id, [aLine(id)]);
        }
        await state.tenants.erase(gone.id);
        expect(await state.documents.count(gone.id), 'a living tenant is not erased').toBe(1);
        await state.tenants.markDeleted(gone.id, now);
        await state.tenants.erase(gone.id);
        const left = async (id: string) => [
          (await state.sources.list(id)).length,
          await state.documents.count(id),
          (await state.conversations.turns(id, 'v', 5)).length,
          (await state.receipts.list(id, {}, { limit: 5 })).items.length,
          (await state.channels.list(id)).length,
          (await state.metering.limits(id)).length,
          (await state.outbox.get(id, 'o')) === null ? 0 : 1,
          (await state.ledger.list(id, { from: 0, to: now + 1 }, { limit: 5 })).items.length,
        ];
        expect(await left(gone.id)).toEqual([0, 0, 0, 0, 0, 0, 0, 1]);
        expect(await left(stays.id)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
      });

      test('generations are added once, merged, due in their time, and gone with their tenant', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const profile = { analyser: 'a', chunker: 'c', embeddingModel: null };
        const first = { number: 0, profile, createdAt: now };
        expect(await state.tenants.addGeneration(tenant.id, first)).toEqual(first);
        expect(await state.tenants.addGeneration(tenant.id, { ...first, createdAt: now + 1 })).toEqual(first);
        const second = { ...first, number: 1, phase: 'building' as const, jobId: 'j_1', sweepAt: now + hour };
        expect(await state.tenants.addGeneration(tenant.id, second)).toEqual(second);
        expect(await state.tenants.addGeneration('t_unknown', first)).toBeNull();
        expect(await state.tenants.generations(tenant.id)).toEqual([first, second]);
        expect(await state.tenants.generations(other.id)).toEqual([]);

        expect(await state.tenants.updateGeneration(tenant.id, 1, { phase: null, incomplete: true })).toBe(true);
        expect(await state.tenants.updateGeneration(tenant.id, 7, { incomplete: true })).toBe(false);
        expect(await state.tenants.updateGeneration(other.id, 1, { incomplete: true })).toBe(false);
        const { phase: _phase, ...merged } = { ...second, incomplete: true };
        expect((await state.tenants.generations(tenant.id))[1]).toEqual(merged);

        const due = async (at: number) =>
          (await state.tenants.generationsDue(at, 1_000)).filter((one) => one.tenantId === tenant.id);
        expect(await due(now + hour - 1)).toEqual([]);
        expect(await due(now + hour)).toEqual([{ tenantId: tenant.id, number: 1 }]);
        expect(await state.tenants.switchGeneration(tenant.id, 0, 1)).toBe(true);
        expect(await due(now + hour), 'the active one never is').toEqual([]);
        await state.tenants.updateGeneration(tenant.id, 0, { sweepAt: now });
        expect(await due(now)).toEqual([{ tenantId: tenant.id, number: 0 }]);
        await state.tenants.removeGeneration(tenant.id, 0);
        await state.tenants.removeGeneration(tenant.id, 0);
        expect(await state.tenants.generations(tenant.id)).toEqual([merged]);

        await state.tenants.updateGeneration(tenant.id, 1, { sweepAt: now });
        await state.tenants.markDeleted(tenant.id, now);
        expect(await due(now)).toEqual([]);
        expect(await state.tenants.addGeneration(tenant.id, { ...first, number: 9 })).toBeNull();
        await state.tenants.erase(tenant.id);
        expect(await state.tenants.generations(tenant.id)).toEqual([]);
      });
    });

    describe('keys and members', () => {
      test('a key is found by its hash until it is revoked or its tenant deleted', async () => {
        const tenant = await newTenant();
        const other = await newTenant();
        const key = { id: fresh('k_'), tenantId: tenant.id, name: 'ci', scopes: ['ask'] as const, createdAt: now };
        await state.keys.create(key, `hash-${key.id}`);
        expect(await state.keys.byHash(`hash-${key.id}`)).toEqual(key);
        expect(await state.keys.byHash('hash-unknown')).toBeNull();
        await state.keys.touch(other.id, key.id, now);
        await state.keys.touch(tenant.id, key.id, now + 5);
        expect(await state.keys.list(tenant.id)).toEqual([{ ...key, lastUsedAt: now + 5 }]);
        expect(await state.keys.list(other.id)).toEqual([]);
        expect(await state.keys.revoke(other.id, key.id)).toBe(false);
        expect(await state.keys.revoke(tenant.id, key.id)).toBe(true);
        expect(await state.keys.revoke(tenant.id, key.id)).toBe(false);
        expect(await state.keys.byHash(`hash-${key.id}`)).toBeNull();
        await state.keys.create({ ...key, id: `${key.id}b` }, `hash-${key.id}b`);
        await state.tenants.markDeleted(tenant.id, now);
        expect(await state.keys.byHash(`hash-${key.id}b`)).toBeNull();
      });

      test('a person has one role in each tenant; operators are counted apart', async () => {
        const tenant = await newTenant();
        const userId = fresh('user');
        const before = await state.members.operators();
        await state.members.put({ userId, tenantId: tenant.id, role: 'viewer', createdAt: now });
        await state.members.put({ userId, tenantId: tenant.id, role: 'admin', createdAt: now });
        await state.members.put({ userId, tenantId: null, role: 'operator', createdAt: now });
        expect((await state.members.ofUser(userId)).map(({ tenantId, role }) => [tenantId, role])).toEqual(
          expect.arrayContaining([
            [tenant.id, 'admin'],
            [null, 'operator'],
          ]),
        );
        expect(await state.members.ofTenant(tenant.id)).toMatchObject([{ userId, role: 'admin' }]);
        // From the role that was seen only: of two who change it at once, one does.
        const member = { userId, tenantId: tenant.id, createdAt: now };
        const both = await Promise.all([
          state.members.put({ ...member, role: 'owner' }, 'admin'),
          state.members.put({ ...member, role: 'billing' }, 'admin'),
        ]);
        expect(both.toSorted()).toEqual([false, true]);
        const [stands] = await state.members.ofTenant(tenant.id);
        expect(stands?.role).toBe(both[0] ? 'owner' : 'billing');
        expect(await state.members.remove(tenant.id, userId, 'admin')).toBe(false);
        expect(await state.members.put({ ...member, userId: fresh('U'), role: 'admin' }, 'viewer')).toBe(false);
        expect(await state.members.put({ ...member, role: 'admin' }, stands?.role)).toBe(true);
        expect(await state.members.operators()).toBe(before + 1);
        expect(await state.members.remove(null, userId)).toBe(true);
        expect(await state.members.operators()).toBe(before);
        await state.tenants.markDeleted(tenant.id, now);
        expect(await state.members.ofUser(userId)).toEqual([]);
        expect(await state.members.remove(tenant.id, 'nobody')).toBe(false);
      });
    });

    describe('sources and documents', () => {
      test('a source keeps whom it is meant for', async () => {
        const tenant = await newTenant();
        const source = aSource(tenant.id, { audience: 'everybody' });
        await state.sources.create(source);
        expect(await state.sources.get(tenant.id, source.id)).toEqual(source);
        const changed = await state.sources.update(tenant.id, source.id, source.rev, { audience: 'named' });
        expect(changed).toMatchObject({ audience: 'named' });
        expect((await state.sources.list(tenant.id))[0]?.audience).toBe('named');
      });

      test('a source is changed at its revision, by its tenant', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const source = aSource(tenant.id, { schedule: '0 * * * *', nextRunAt: now });
        await state.sources.create(source);
        expect(await state.sources.get(tenant.id, source.id)).toEqual(source);
        expect(await state.sources.get(other.id, source.id)).toBeNull();
        expect(await state.sources.update(other.id, source.id, 0, { name: 'x' })).toBeNull();
        expect(await state.sources.update(tenant.id, source.id, 3, { name: 'x' })).toBe('stale');
        const { schedule: _, nextRunAt: __, ...onDemand } = source;
        expect(await state.sources.update(tenant.id, source.id, 0, { schedule: null, nextRunAt: null })).toEqual({
          ...onDemand,
          rev: 1,
        });
        await state.sources.saveCursor(tenant.id, source.id, 'c1');
        await state.sources.markSynced(tenant.id, source.id, now + 1);
        expect(await state.sources.get(tenant.id, source.id)).toEqual({
          ...onDemand,
          rev: 1,
          cursor: 'c1',
          lastSyncedAt: now + 1,
        });
        await state.sources.saveCursor(tenant.id, source.id, null);
        expect((await state.sources.get(tenant.id, source.id))?.cursor).toBeUndefined();
        expect(await state.sources.remove(other.id, source.id)).toBe(false);
        expect(await state.sources.remove(tenant.id, source.id)).toBe(true);
        expect(await state.sources.list(tenant.id)).toEqual([]);
      });

      test('of several who reschedule a due source, one succeeds', async () => {
        const tenant = await newTenant();
        const source = aSource(tenant.id, { nextRunAt: now });
        await state.sources.create(source);
        const isDue = async (at: number) => (await state.sources.due(at, 1_000)).some((one) => one.id === source.id);
        expect(await isDue(now - 1)).toBe(false);
        expect(await isDue(now)).toBe(true);
        const won = await Promise.all(
          Array.from({ length: 6 }, () => state.sources.reschedule(tenant.id, source.id, now, now + hour)),
        );
        expect(won.filter(Boolean)).toHaveLength(1);
        expect(await isDue(now)).toBe(false);
        expect(await isDue(now + hour)).toBe(true);
        await state.tenants.markDeleted(tenant.id, now);
        expect(await isDue(now + hour)).toBe(false);
      });

      test('documents are replaced by id, paged, counted and removed within their tenant', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const documents = Array.from({ length: 5 }, () => aDocument(tenant.id, 's_a'));
        await state.documents.write(tenant.id, 's_a', { rows: documents, contents: [] });
        const elsewhere = aDocument(tenant.id, 's_b');
        await state.documents.write(tenant.id, 's_b', { rows: [elsewhere], contents: [] });
        await state.documents.write(tenant.id, 's_b', { rows: [{ ...elsewhere, title: 'New' }], contents: [] });
        expect((await state.documents.get(tenant.id, elsewhere.id))?.title).toBe('New');
        expect(await state.documents.get(other.id, elsewhere.id)).toBeNull();
        expect(
          await state.documents.getMany(
            other.id,
            documents.map(({ id }) => id),
          ),
        ).toEqual([]);
        expect(
          await state.documents.getMany(tenant.id, [documents[1]!.id, documents[0]!.id, 'd_unknown']),
        ).toHaveLength(2);
        expect(await state.documents.count(tenant.id)).toBe(6);
        expect(await state.documents.count(tenant.id, 's_a')).toBe(5);
        const paged = await everything((cursor) =>
          state.documents.list(tenant.id, { sourceId: 's_a' }, pageAt(cursor, 2)),
        );
        expect(paged.map(({ id }) => id).toSorted()).toEqual(documents.map(({ id }) => id).toSorted());
        expect(await state.documents.remove(other.id, [documents[0]!.id])).toBe(0);
        expect(await state.documents.remove(tenant.id, [documents[0]!.id, 'd_unknown'])).toBe(1);
        expect(await state.documents.count(tenant.id)).toBe(5);
      });

      test('a write of documents tells how things stand after it, and counts as a change when it brings contents', async () => {
        const tenant = await newTenant();
        const source = aSource(tenant.id);
        await state.sources.create(source);
        const row = aDocument(tenant.id, source.id);
        const write = (contents: readonly DocumentContents[]) =>
          state.documents.write(tenant.id, source.id, { rows: [row], contents });
        const changed = await write([{ documentId: row.id, stamp: 'x', data: new Uint8Array([1]) }]);
        expect(changed).toMatchObject({ tenant: { contentRevision: 1 }, hasSource: true, generations: [] });
        const profile = { analyser: 'a', chunker: 'c', embeddingModel: null };
        await state.tenants.addGeneration(tenant.id, { number: 1, profile, createdAt: now });
        await state.sources.remove(tenant.id, source.id);
        const unchanged = await write([]);
        expect(unchanged).toMatchObject({ tenant: { contentRevision: 1 }, hasSource: false });
        expect(unchanged.generations).toMatchObject([{ number: 1, profile }]);
        const { stale: _, ...stands } = unchanged;
        expect(await state.documents.standing(tenant.id, source.id)).toEqual(stands);
        await state.tenants.markDeleted(tenant.id, now);
        expect(await state.documents.standing(tenant.id, source.id)).toMatchObject({ tenant: null, hasSource: false });
      });

      test('a row is replaced or removed only as it was read, when that is asked for', async () => {
        const tenant = await newTenant();
        const source = aSource(tenant.id);
        await state.sources.create(source);
        const row = aDocument(tenant.id, source.id, { title: 'Read' });
        const write = (title: string, rev: string, over: string | null) =>
          state.documents.write(tenant.id, source.id, {
            rows: [{ ...row, title, rev }],
            contents: [],
            expected: new Map([[row.id, over]]),
          });
        const titled = async () => (await state.documents.get(tenant.id, row.id))?.title;
        // Nothing is there: who expects something comes too late, who expects nothing writes the first.
        expect(await write('Gone', 'r0', 'r9')).toMatchObject({ stale: [row.id], hasSource: true });
        expect(await titled()).toBeUndefined();
        const first = await Promise.all(['a', 'b', 'c', 'd'].map((title) => write(title, `r_${title}`, null)));
        const winner = first.findIndex(({ stale }) => stale.length === 0);
        expect(first.filter(({ stale }) => stale.length === 0)).toHaveLength(1);
        expect(await titled()).toBe('abcd'[winner]);
        // Of several who have read the same, one replaces it.
        const read = (await state.documents.get(tenant.id, row.id))?.rev ?? null;
        const all = await Promise.all(['e', 'f', 'g', 'h'].map((title) => write(title, `r_${title}`, read)));
        expect(all.filter(({ stale }) => stale.length === 0)).toHaveLength(1);
        expect(await titled()).toBe('efgh'[all.findIndex(({ stale }) => stale.length === 0)]);
        // One that is as expected and one that is not: each by itself.
        const other = aDocument(tenant.id, source.id, { rev: 'o1' });
        const { stale } = await state.documents.write(tenant.id, source.id, {
          rows: [{ ...row, title: 'late', rev: 'r_late' }, other],
          contents: [],
          expected: new Map([
            [row.id, read],
            [other.id, null],
          ]),
        });
        expect(stale).toEqual([row.id]);
        expect(await state.documents.get(tenant.id, other.id)).toMatchObject({ rev: 'o1' });
        // Whoever expects nothing of a row replaces it; one without a revision is expected with null.
        await state.documents.write(tenant.id, source.id, { rows: [row], contents: [] });
        expect((await write('Over none', 'r2', null)).stale).toEqual([]);
        expect(await state.documents.remove(tenant.id, [row.id], new Map([[row.id, 'r1']]))).toBe(0);
        expect(await state.documents.remove(tenant.id, [row.id], new Map([[row.id, null]]))).toBe(0);
        expect(await titled()).toBe('Over none');
        expect(
          await state.documents.remove(
            tenant.id,
            [row.id, other.id],
            new Map([
              [row.id, 'r2'],
              [other.id, 'o0'],
            ]),
          ),
        ).toBe(1);
        expect(await titled()).toBeUndefined();
        expect(await state.documents.get(tenant.id, other.id)).not.toBeNull();
      });

      test('what a run has not seen is told by source', async () => {
        const tenant = await newTenant();
        const [seen, unseen, elsewhere] = [
          aDocument(tenant.id, 's_a', { seenIn: 'r0' }),
          aDocument(tenant.id, 's_a'),
          aDocument(tenant.id, 's_b'),
        ];
        await state.documents.write(tenant.id, 's_a', { rows: [seen, unseen], contents: [] });
        await state.documents.write(tenant.id, 's_b', { rows: [elsewhere], contents: [] });
        await state.documents.markSeen(tenant.id, [seen.id], 'r1');
        expect(await state.documents.unseen(tenant.id, 's_a', 'r1', 10)).toEqual([unseen.id]);
        expect((await state.documents.get(tenant.id, seen.id))?.seenIn).toBe('r1');
      });

      test('contents are kept byte for byte, replaced, and gone with their document and their tenant', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const [first, second] = [aDocument(tenant.id, 's_a'), aDocument(tenant.id, 's_a')];
        const bytes = Uint8Array.from({ length: 70_000 }, (_, n) => n % 256);
        await state.documents.write(tenant.id, 's_a', {
          rows: [first, second],
          contents: [
            { documentId: first.id, stamp: 'one', data: bytes },
            { documentId: second.id, stamp: 'two', data: new Uint8Array() },
          ],
        });
        const ids = [first.id, second.id, 'd_unknown'];
        const read = async () =>
          new Map((await state.documents.contents(tenant.id, ids)).map((one) => [one.documentId, one]));
        expect((await read()).size).toBe(2);
        expect(Buffer.from((await read()).get(first.id)!.data).equals(bytes)).toBe(true);
        expect((await read()).get(second.id)).toMatchObject({ stamp: 'two', data: { byteLength: 0 } });
        expect(await state.documents.contents(other.id, ids)).toEqual([]);
        await state.documents.write(tenant.id, 's_a', {
          rows: [first],
          contents: [{ documentId: first.id, stamp: 'later', data: new Uint8Array([7]) }],
        });
        expect((await read()).get(first.id)).toMatchObject({ stamp: 'later', data: { byteLength: 1 } });
        expect(await state.documents.remove(other.id, [first.id])).toBe(0);
        expect((await read()).size).toBe(2);
        expect(await state.documents.remove(tenant.id, [first.id])).toBe(1);
        expect([...(await read()).keys()]).toEqual([second.id]);
        await state.tenants.markDeleted(tenant.id, now);
        await state.tenants.erase(tenant.id);
        expect(await state.documents.contents(tenant.id, ids)).toEqual([]);
      });

      test('marks of what was built outlive their documents, by generation', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const documents = Array.from({ length: 5 }, () => aDocument(tenant.id, 's_a'));
        await state.documents.write(tenant.id, 's_a', { rows: documents, contents: [] });
        const marks = documents.map(({ id }) => ({ documentId: id, generation: 2, stamp: 'x', chunks: 3 }));
        await state.documents.markBuilt(tenant.id, marks);
        const again = { ...marks[0]!, generation: 3, stamp: 'y', chunks: 0 };
        await state.documents.markBuilt(tenant.id, [again]);
        await state.documents.remove(tenant.id, [documents[1]!.id]);
        const of = (id: string, generation: number) =>
          everything((cursor) => state.documents.built(id, generation, pageAt(cursor, 2)));
        const byId = (a: { documentId: string }, b: { documentId: string }) => (a.documentId < b.documentId ? -1 : 1);
        expect((await of(tenant.id, 2)).toSorted(byId)).toEqual(marks.slice(1).toSorted(byId));
        expect(await of(tenant.id, 3)).toEqual([again]);
        expect(await of(other.id, 2)).toEqual([]);
        const two = [documents[0]!.id, documents[1]!.id, 'd_unknown'];
        expect((await state.documents.builtOf(tenant.id, two)).toSorted(byId)).toEqual(
          [again, marks[1]!].toSorted(byId),
        );
        expect(await state.documents.builtOf(other.id, two)).toEqual([]);
        await state.documents.removeBuilt(other.id, two);
        await state.documents.removeBuilt(tenant.id, [documents[1]!.id]);
        expect(await of(tenant.id, 2)).toHaveLength(3);
        await state.tenants.markDeleted(tenant.id, now);
        await state.tenants.erase(tenant.id);
        expect(await of(tenant.id, 2)).toEqual([]);
      });
    });

    describe('jobs', () => {
      const claim = (owner: string, at = now, perTenant = 10) =>
        state.jobs.claim({ owner, now: at, leaseForMs: 30 * second, perTenant });
      /** Claims until it is this tenant's turn: the suite's store is shared. */
      const drain = async () => {
        for (
          let leased = await claim('drain', now + 100 * day, 1_000);
          leased !== null;
          leased = await claim('drain', now + 100 * day, 1_000)
        ) {
          await state.jobs.finish(leased.lease, now, { state: 'done', counts: noCounts, errors: [] });
        }
      };

      test('an equal queued job is returned instead of a second one', async () => {
        const tenant = await newTenant();
        const job = aJob(tenant.id, { sourceId: 's_1' });
        expect(await state.jobs.enqueue(job)).toEqual(job);
        const results = await Promise.all(
          Array.from({ length: 5 }, () => state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_1' }))),
        );
        expect(new Set(results.map(({ id }) => id))).toEqual(new Set([job.id]));
        expect((await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_2' }))).id).not.toBe(job.id);
        expect(await state.jobs.list(tenant.id, { sourceId: 's_1' }, { limit: 10 })).toMatchObject({
          items: [{ id: job.id }],
        });
        expect(await state.jobs.get('t_other', job.id)).toBeNull();
        await drain();
      });

      test('one of many takes a job; a source never runs twice at once; a tenant has its share', async () => {
        await drain();
        const tenant = await newTenant();
        const first = await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_1' }));
        const claims = await Promise.all(['a', 'b', 'c'].map((owner) => claim(owner)));
        const [leased] = claims.filter((one) => one !== null);
        expect(claims.filter((one) => one !== null)).toHaveLength(1);
        expect(leased).toMatchObject({ job: { id: first.id, state: 'running', attempts: 1 } });
        await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_1', createdAt: now + 1 }));
        expect(await claim('d')).toBeNull();
        const other = await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_2', createdAt: now + 2 }));
        expect(await claim('d', now, 1)).toBeNull();
        expect(await claim('d', now, 2)).toMatchObject({ job: { id: other.id } });
        await drain();
      });

      test('a job whose lease ran out is taken over, and the late holder is told', async () => {
        await drain();
        const tenant = await newTenant();
        await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_1' }));
        const late = (await claim('a'))!;
        expect(await claim('b', now + 29 * second)).toBeNull();
        expect(
          await state.jobs.heartbeat(late.lease, now + 20 * second, 30 * second, {
            counts: { ...noCounts, seen: 3 },
            errors: [],
          }),
        ).toBe(true);
        expect(await claim('b', now + 49 * second)).toBeNull();
        const taken = (await claim('b', now + 50 * second))!;
        expect(taken.job).toMatchObject({ attempts: 2, counts: { seen: 3 } });
        expect(taken.lease.fence).toBeGreaterThan(late.lease.fence);
        expect(await state.jobs.heartbeat(late.lease, now, 30 * second)).toBe(false);
        expect(await state.jobs.finish(late.lease, now, { state: 'done', counts: noCounts, errors: [] })).toBe(false);
        expect(await state.jobs.release(late.lease)).toBe(false);
        expect(
          await state.jobs.finish(taken.lease, now + 60 * second, {
            state: 'failed',
            counts: noCounts,
            errors: [{ problem: 'x' }],
          }),
        ).toBe(true);
        expect(await state.jobs.get(tenant.id, taken.job.id)).toMatchObject({
          state: 'failed',
          finishedAt: now + 60 * second,
        });
        expect(await claim('c', now + day)).toBeNull();
      });

      test('a released job is claimed again, even beside an equal queued one', async () => {
        await drain();
        const tenant = await newTenant();
        const job = await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_1' }));
        const leased = (await claim('a'))!;
        const twin = await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_1', createdAt: now + 1 }));
        expect(twin.id).not.toBe(job.id);
        expect(await state.jobs.release(leased.lease)).toBe(true);
        expect((await claim('b'))?.job.id).toBe(job.id);
        expect(await claim('c')).toBeNull();
        await drain();
      });

      test('jobs of all tenants are listed, counted, and say who holds them', async () => {
        await drain();
        const before = await state.jobs.depth(now);
        const [one, two] = [await newTenant(), await newTenant()];
        const late = 500 * day;
        const jobs = [
          await state.jobs.enqueue(aJob(one.id, { sourceId: 's_1', createdAt: now + late })),
          await state.jobs.enqueue(aJob(two.id, { sourceId: 's_2', createdAt: now + late + 1 })),
          await state.jobs.enqueue(aJob(two.id, { sourceId: 's_3', createdAt: now + late + 2 })),
        ];
        const ids = async (filter: { readonly state?: Job['state'] }) =>
          (await everything((cursor) => state.jobs.all(filter, pageAt(cursor, 2))))
            .map(({ id }) => id)
            .filter((id) => jobs.some((job) => job.id === id));
        expect(await ids({})).toEqual(jobs.map(({ id }) => id).toReversed());
        const leased = (await claim('a', now + late))!;
        expect(leased.job.id).toBe(jobs[0]?.id);
        expect(await ids({ state: 'running' })).toEqual([leased.job.id]);
        expect((await state.jobs.all({ state: 'running' }, { limit: 10 })).items).toEqual([
          { ...leased.job, heldBy: 'a', leaseUntil: now + late + 30 * second },
        ]);
        expect(await ids({ state: 'queued' })).toEqual([jobs[2]?.id, jobs[1]?.id]);
        expect(await state.jobs.depth(now + late + 5)).toEqual({ ...before, queued: 2, running: 1, oldestMs: 4 });
        await state.jobs.finish(leased.lease, now, { state: 'failed', counts: noCounts, errors: [{ problem: 'x' }] });
        expect(await ids({ state: 'failed' })).toEqual([leased.job.id]);
        expect(await state.jobs.depth(now)).toMatchObject({ failed: before.failed + 1, running: 0, oldestMs: 0 });
        await drain();
      });

      test('a job that is cancelled has failed, its holder is told, and an equal one may come', async () => {
        await drain();
        const [tenant, other] = [await newTenant(), await newTenant()];
        const running = await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_1' }));
        const leased = (await claim('a'))!;
        await state.jobs.heartbeat(leased.lease, now, 30 * second, {
          counts: { ...noCounts, seen: 3 },
          errors: [{ problem: 'one' }],
        });
        const queued = await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_1', createdAt: now + 1 }));
        expect(await state.jobs.cancel(other.id, running.id, now + 5, 'stop')).toBe(false);
        expect(await state.jobs.cancel(tenant.id, running.id, now + 5, 'stop')).toBe(true);
        expect(await state.jobs.get(tenant.id, running.id)).toMatchObject({
          state: 'failed',
          finishedAt: now + 5,
          counts: { seen: 3 },
          errors: [{ problem: 'one' }, { problem: 'stop' }],
        });
        expect(await state.jobs.cancel(tenant.id, running.id, now + 6, 'again')).toBe(false);
        expect(await state.jobs.heartbeat(leased.lease, now + 6, 30 * second)).toBe(false);
        expect(await state.jobs.finish(leased.lease, now, { state: 'done', counts: noCounts, errors: [] })).toBe(false);
        expect(await state.jobs.release(leased.lease)).toBe(false);
        expect(await state.jobs.cancel(tenant.id, queued.id, now + 5, 'stop')).toBe(true);
        const next = await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_1', createdAt: now + 2 }));
        expect(next.id).not.toBe(queued.id);
        expect((await claim('b'))?.job.id).toBe(next.id);
        expect(await claim('c')).toBeNull();
        await drain();
      });

      test('a kind that the claimer does not know is left to one that does, also when its lease ran out', async () => {
        await drain();
        const tenant = await newTenant();
        const among = (owner: string, kinds: readonly Job['kind'][], at = now) =>
          state.jobs.claim({ owner, now: at, leaseForMs: 30 * second, perTenant: 10, kinds });
        const newer = await state.jobs.enqueue(aJob(tenant.id, { kind: 'translate' as Job['kind'] }));
        const known = await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_1', createdAt: now + 1 }));
        expect((await among('old', ['sync']))?.job.id).toBe(known.id);
        expect(await among('old', ['sync'])).toBeNull();
        expect((await among('new', ['sync', newer.kind]))?.job).toEqual({
          ...newer,
          state: 'running',
          attempts: 1,
          startedAt: now,
        });
        expect((await among('old', ['sync'], now + day))?.job.id).toBe(known.id);
        expect(await among('old', ['sync'], now + day)).toBeNull();
        await drain();
      });

      test('of a deleted tenant none runs, and none is left when it is erased', async () => {
        await drain();
        const tenant = await newTenant();
        const job = await state.jobs.enqueue(aJob(tenant.id, { sourceId: 's_1' }));
        await state.tenants.markDeleted(tenant.id, now);
        expect(await claim('a')).toBeNull();
        await state.tenants.erase(tenant.id);
        expect(await state.jobs.get(tenant.id, job.id)).toBeNull();
      });
    });

    describe('inbox', () => {
      const claim = (owner: string, at = now) => state.inbox.claimThread({ owner, now: at, leaseForMs: 30 * second });
      const drain = async (at = now + 200 * day) => {
        for (let lease = await claim('drain', at); lease !== null; lease = await claim('drain', at)) {
          for (const row of await state.inbox.pending(lease, 100))
            await state.inbox.settle(lease, row.id, now, { reason: 'answered' });
          await state.inbox.releaseThread(lease);
        }
      };

      test('an event delivered many times at once is stored once', async () => {
        const row = anInboxRow(anEvent());
        const outcomes = await Promise.all(Array.from({ length: 10 }, () => state.inbox.receive(row)));
        expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(1);
        expect(await state.inbox.get(row.id)).toEqual(row);
        await drain();
      });

      test('any known key makes a duplicate, and so do the keys that came with the duplicate', async () => {
        const [a, b, c] = [fresh('key'), fresh('key'), fresh('key')];
        expect(await state.inbox.receive(anInboxRow(anEvent({ dedupeKeys: [a, b] })))).toBe('stored');
        expect(await state.inbox.receive(anInboxRow(anEvent({ dedupeKeys: [c, b] })))).toBe('duplicate');
        expect(await state.inbox.receive(anInboxRow(anEvent({ dedupeKeys: [c] })))).toBe('duplicate');
        await drain();
      });

      test('a claim passes over what begins with the excepted words, and only over that', async () => {
        const waiting = ['slack:T1:C:1', 'slack:T10:C:1', 'discord:T1:C:1'];
        for (const threadKey of waiting) await state.inbox.receive({ ...anInboxRow(anEvent()), threadKey });
        const past = (except: string) => state.inbox.claimThread({ owner: 'a', now, leaseForMs: 30 * second, except });
        const keys = [(await past('slack:T1:'))?.key, (await past('slack:T1:'))?.key];
        expect(keys.toSorted()).toEqual(['discord:T1:C:1', 'slack:T10:C:1']);
        expect(await past('slack:T1:')).toBeNull();
        expect((await claim('a'))?.key).toBe('slack:T1:C:1');
        await drain();
      });

      test('an event that names a key twice is stored', async () => {
        const key = fresh('key');
        expect(await state.inbox.receive(anInboxRow(anEvent({ dedupeKeys: [key, key] })))).toBe('stored');
        expect(await state.inbox.receive(anInboxRow(anEvent({ dedupeKeys: [key, key] })))).toBe('duplicate');
        await drain();
      });

      test('a mention raises its unaddressed twin while that still waits, and never lowers it', async () => {
        await drain();
        const key = fresh('key');
        const row = anInboxRow(anEvent({ dedupeKeys: [key], addressed: 'none' }));
        await state.inbox.receive(row);
        expect(await state.inbox.receive(anInboxRow(anEvent({ dedupeKeys: [key], addressed: 'mention' })))).toBe(
          'duplicate',
        );
        expect((await state.inbox.get(row.id))?.event.addressed).toBe('mention');
        await state.inbox.receive(anInboxRow(anEvent({ dedupeKeys: [key], addressed: 'none' })));
        expect((await state.inbox.get(row.id))?.event.addressed).toBe('mention');
        const settledKey = fresh('key');
        const settled = anInboxRow(anEvent({ dedupeKeys: [settledKey], addressed: 'none' }));
        await state.inbox.receive(settled);
        await drain();
        await state.inbox.receive(anInboxRow(anEvent({ dedupeKeys: [settledKey], addressed: 'mention' })));
        expect((await state.inbox.get(settled.id))?.event.addressed).toBe('none');
      });

      test('a thread has one holder, who gets its rows in platform order and settles them', async () => {
        await drain();
        const thread = fresh('thread');
        const rows = ['3', '1', '2'].map((orderKey) => anInboxRow(anEvent({ orderKey }), thread));
        for (const row of rows) await state.inbox.receive(row);
        const leases = (await Promise.all(['a', 'b', 'c'].map((owner) => claim(owner)))).filter(
          (lease) => lease !== null,
        );
        expect(leases).toHaveLength(1);
        const lease = leases[0]!;
        expect(lease.key).toBe(thread);
        expect((await state.inbox.pending(lease, 10)).map((row) => [row.event.orderKey, row.attempts])).toEqual([
          ['1', 1],
          ['2', 1],
          ['3', 1],
        ]);
        expect(await state.inbox.pending(lease, 2)).toHaveLength(2);
        expect(
          await state.inbox.settle(lease, rows[1]!.id, now + 5, {
            reason: 'answered',
            tenantId: 't_9',
            answerId: 'a_9',
          }),
        ).toBe(true);
        expect(await state.inbox.settle(lease, rows[1]!.id, now + 9, { reason: 'failed' })).toBe(true);
        expect(await state.inbox.get(rows[1]!.id)).toMatchObject({
          state: 'settled',
          reason: 'answered',
          tenantId: 't_9',
          answerId: 'a_9',
          settledAt: now + 5,
        });
        expect(await state.inbox.settle(lease, 'm_unknown', now, { reason: 'answered' })).toBe(false);
        expect(await state.inbox.depth(now + 7 * second)).toEqual({ ready: 2, oldestMs: 7 * second });
        expect(await state.inbox.releaseThread(lease)).toBe(true);
        expect(await state.inbox.releaseThread(lease)).toBe(false);
        await drain();
        expect(await state.inbox.depth(now)).toEqual({ ready: 0, oldestMs: 0 });
      });

      test('a thread whose lease ran out is taken over, and the late holder can do nothing more', async () => {
        await drain();
        const row = anInboxRow(anEvent());
        await state.inbox.receive(row);
        const late = (await claim('a'))!;
        expect(await claim('b', now + 29 * second)).toBeNull();
        expect(await state.inbox.heartbeatThread(late, now + 20 * second, 30 * second)).toBe(true);
        expect(await claim('b', now + 49 * second)).toBeNull();
        const taken = (await claim('b', now + 50 * second))!;
        expect(taken.key).toBe(late.key);
        expect(taken.fence).toBeGreaterThan(late.fence);
        expect(await state.inbox.heartbeatThread(late, now, 30 * second)).toBe(false);
        expect(await state.inbox.pending(late, 10)).toEqual([]);
        expect(await state.inbox.settle(late, row.id, now, { reason: 'answered' })).toBe(false);
        expect(await state.inbox.releaseThread(late)).toBe(false);
        expect((await state.inbox.get(row.id))?.state).toBe('ready');
        expect(await state.inbox.pending(taken, 10)).toHaveLength(1);
        await drain();
      });

      test('the thread that was served longest ago is next', async () => {
        await drain();
        const [first, second_] = [fresh('thread'), fresh('thread')];
        const put = (thread: string, at: number) => state.inbox.receive(anInboxRow(anEvent(), thread, at));
        await put(first, now + 1);
        await put(first, now + 2);
        await put(second_, now + 3);
        const lease = (await claim('a', now + 10))!;
        expect(lease.key).toBe(first);
        await state.inbox.settle(lease, (await state.inbox.pending(lease, 1))[0]!.id, now + 10, { reason: 'answered' });
        await state.inbox.releaseThread(lease);
        expect((await claim('a', now + 11))?.key).toBe(second_);
        expect((await claim('a', now + 12))?.key).toBe(first);
        expect(await claim('a', now + 13)).toBeNull();
        await drain();
      });

      test('a thread put off is not claimed before its time', async () => {
        await drain();
        await state.inbox.receive(anInboxRow(anEvent()));
        await state.inbox.releaseThread((await claim('a'))!, now + 5 * second);
        expect(await claim('a', now + 4 * second)).toBeNull();
        expect(await claim('a', now + 5 * second)).not.toBeNull();
        await drain();
      });

      describe('an event that is stored and taken up in one', () => {
        const take = { owner: 'a', now, leaseForMs: 30 * second };

        test('is stored once, and its lease, if it came with one, is as good as a claimed one', async () => {
          await drain();
          const row = anInboxRow(anEvent());
          const { outcome, lease: given } = await state.inbox.receiveAndClaim(row, take);
          expect(outcome).toBe('stored');
          expect(await state.inbox.receiveAndClaim(row, take)).toEqual({ outcome: 'duplicate', lease: null });
          const lease = given ?? (await claim('a'))!;
          expect(await claim('b', now + 29 * second)).toBeNull();
          if (given === null) await state.inbox.pending(lease, 1);
          expect((await state.inbox.get(row.id))?.attempts).toBe(1);
          expect(await state.inbox.heartbeatThread(lease, now, 30 * second)).toBe(true);
          expect(await state.inbox.settleAndNext(lease, row.id, now, { reason: 'answered' })).toBe('freed');
          expect(await state.inbox.get(row.id)).toMatchObject({ state: 'settled', reason: 'answered' });
          expect(await state.inbox.depth(now)).toEqual({ ready: 0, oldestMs: 0 });
        });

        test('comes without a lease while somebody holds the thread, it is put off, or another row is ready in it', async () => {
          await drain();
          const thread = fresh('thread');
          const put = () => state.inbox.receiveAndClaim(anInboxRow(anEvent(), thread), take);
          await state.inbox.receive(anInboxRow(anEvent(), thread));
          expect(await put()).toEqual({ outcome: 'stored', lease: null });
          const lease = (await claim('b'))!;
          for (const row of await state.inbox.pending(lease, 9))
            await state.inbox.settle(lease, row.id, now, { reason: 'answered' });
          expect(await put()).toEqual({ outcome: 'stored', lease: null });
          await state.inbox.settle(lease, (await state.inbox.pending(lease, 1))[0]!.id, now, { reason: 'answered' });
          await state.inbox.releaseThread(lease, now + second);
          expect(await put()).toEqual({ outcome: 'stored', lease: null });
          expect(await claim('b')).toBeNull();
          await drain();
        });

        test('comes without a lease when more is known about its message', async () => {
          await drain();
          const question = anEvent();
          const removal = anEvent({ kind: 'delete', targetMessageId: question.messageId });
          await state.inbox.receive(anInboxRow(removal, fresh('thread')));
          expect(await state.inbox.receiveAndClaim(anInboxRow(question, fresh('thread')), take)).toEqual({
            outcome: 'stored',
            lease: null,
          });
          await drain();
        });
      });

      test('settling hands out the next row, frees a thread without one, and does nothing for a late holder', async () => {
        await drain();
        const thread = fresh('thread');
        const rows = ['2', '1'].map((orderKey) => anInboxRow(anEvent({ orderKey }), thread));
        for (const row of rows) await state.inbox.receive(row);
        const lease = (await claim('a'))!;
        const [first] = await state.inbox.pending(lease, 1);
        const next = await state.inbox.settleAndNext(lease, first!.id, now, { reason: 'answered', answerId: 'a_1' });
        expect(next).toMatchObject({ id: rows[0]!.id, attempts: 1 });
        expect(await claim('b', now + 29 * second)).toBeNull();
        const taken = (await claim('b', now + 30 * second))!;
        expect(await state.inbox.settleAndNext(lease, rows[0]!.id, now, { reason: 'failed' })).toBe('lost');
        expect((await state.inbox.get(rows[0]!.id))?.state).toBe('ready');
        expect(await state.inbox.settleAndNext(taken, rows[0]!.id, now, { reason: 'answered' })).toBe('freed');
        expect(await state.inbox.heartbeatThread(taken, now, second)).toBe(false);
        await state.inbox.receive(anInboxRow(anEvent(), thread));
        expect((await claim('c', now + 31 * second))?.key).toBe(thread);
        await drain();
      });

      describe('the last write of an answer', () => {
        const pair = [{ role: 'user' as const, text: 'q', at: now }];
        /** A question in the hands of a worker, whose answer is final in the outbox. */
        const delivered = async (over: Partial<Receipt> = {}) => {
          await drain();
          const tenant = await newTenant();
          const row = anInboxRow(anEvent(), fresh('thread'));
          await state.inbox.receive(row);
          const lease = (await claim('a'))!;
          await state.inbox.pending(lease, 1);
          const receipt = aReceipt(tenant.id, over);
          await state.outbox.open(tenant.id, row.id, receipt.answerId, now);
          await state.outbox.finalize(tenant.id, row.id, { markdown: 'Yes', receipt, reason: 'answered' });
          const turns = { conversationId: 'v', id: 'p', pair };
          const outcome = { reason: 'answered', tenantId: tenant.id, answerId: receipt.answerId } as const;
          const close = (books: Partial<Books> = {}, by = lease) =>
            state.inbox.settleAndNext(by, row.id, now, outcome, {
              tenantId: tenant.id,
              id: row.id,
              books: { posted: ['p1'], turns, ...books },
            });
          const kept = async () => ({
            delivery: await state.outbox.get(tenant.id, row.id),
            receipt: await state.receipts.get(tenant.id, receipt.answerId),
            turns: await state.conversations.turns(tenant.id, 'v', 9),
            row: (await state.inbox.get(row.id))?.state,
          });
          return { tenant, row, lease, receipt, close, kept };
        };

        test('says that it was sent, keeps its books and settles its row; the receipt is the one of the final answer', async () => {
          const { receipt, close, kept } = await delivered();
          expect(await close()).toBe('freed');
          expect(await kept()).toMatchObject({
            delivery: { state: 'sent', postedIds: ['p1'] },
            receipt,
            turns: pair,
            row: 'settled',
          });
        });

        test('keeps the receipt that it is given instead, where not every word may be kept', async () => {
          const { receipt, close, kept } = await delivered();
          const masked = { ...receipt, question: '…', answer: '…' };
          await close({ receipt: masked });
          expect((await kept()).receipt).toEqual(masked);
        });

        test('keeps the books also for a worker that lost the thread, for it was said, and leaves the row to the other', async () => {
          const { row, receipt, close, kept } = await delivered();
          const other = (await claim('b', now + 30 * second))!;
          expect(await close()).toBe('lost');
          expect(await kept()).toMatchObject({ delivery: { state: 'sent' }, receipt, turns: pair, row: 'ready' });
          await state.inbox.pending(other, 1);
          expect(await close({}, other)).toBe('freed');
          expect(await kept()).toMatchObject({ delivery: { postedIds: ['p1'] }, receipt, turns: pair, row: 'settled' });
          expect((await state.inbox.get(row.id))?.attempts).toBe(2);
        });

        test('repeated takes away no verdict that was given in between', async () => {
          const { tenant, lease, receipt, close, kept } = await delivered();
          await close();
          await state.receipts.addFeedback(tenant.id, receipt.answerId, { rating: 'up', user: 'u', at: now });
          await close({}, lease);
          expect((await kept()).receipt?.feedback).toMatchObject([{ rating: 'up', user: 'u' }]);
        });

        test('keeps nothing of somebody who was forgotten while it was under way', async () => {
          const { tenant, close, kept } = await delivered({ memberId: 'slack:U1' });
          await state.maintenance.forgetMember(tenant.id, 'slack:U1', 'forgotten-1');
          expect(await close()).toBe('freed');
          expect(await kept()).toMatchObject({ receipt: null, turns: [], row: 'settled' });
        });
      });

      test('a question, its edit and its deletion are found together', async () => {
        const about = { channelId: fresh('C'), workspaceId: 'W9' };
        const question = anEvent(about);
        const edit = anEvent({ ...about, kind: 'edit', targetMessageId: question.messageId });
        const removal = anEvent({ ...about, kind: 'delete', targetMessageId: question.messageId });
        for (const [n, event] of [question, edit, removal, anEvent(about)].entries())
          await state.inbox.receive(anInboxRow(event, fresh('thread'), now + n));
        const found = await state.inbox.byMessage('slack', 'W9', about.channelId, question.messageId);
        expect(found.map((row) => row.event.kind)).toEqual(['message', 'edit', 'delete']);
        expect(await state.inbox.byMessage('slack', 'W8', about.channelId, question.messageId)).toEqual([]);
        await drain();
      });

      test('after 25 hours a repeat is still a duplicate; after 72 the text is gone and the reason stands', async () => {
        await drain();
        const row = anInboxRow(anEvent({ feedback: { rating: 'up', comment: 'secret' } }));
        await state.inbox.receive(row);
        await drain(now);
        await state.maintenance.sweep(now + 25 * hour);
        expect(await state.inbox.receive(row)).toBe('duplicate');
        expect((await state.inbox.get(row.id))?.event.text).not.toBe('');
        await state.maintenance.sweep(now + 73 * hour);
        const stripped = await state.inbox.get(row.id);
        expect(stripped).toMatchObject({ reason: 'answered', event: { text: '', attachments: [], handle: {} } });
        expect(JSON.stringify(stripped)).not.toContain('secret');
        await state.maintenance.sweep(now + 30 * day);
        expect(await state.inbox.receive(row)).toBe('duplicate');
        await state.maintenance.sweep(now + 32 * day);
        expect(await state.inbox.get(row.id)).toBeNull();
      });

      test('waiting rows are never swept', async () => {
        await drain();
        const row = anInboxRow(anEvent());
        await state.inbox.receive(row);
        await state.maintenance.sweep(now + 400 * day);
        expect(await state.inbox.get(row.id)).toEqual(row);
        expect(await state.inbox.receive(row)).toBe('duplicate');
        await drain();
      });
    });

    describe('outbox', () => {
      test('a delivery is opened once and remembered over attempts', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const receipt = aReceipt(tenant.id);
        expect(await state.outbox.open(tenant.id, 'o1', 'a1', now)).toEqual({
          id: 'o1',
          tenantId: tenant.id,
          state: 'open',
          attempts: 1,
          postedIds: [],
          answerId: 'a1',
        });
        await state.outbox.posted(tenant.id, 'o1', 'p1');
        await state.outbox.posted(tenant.id, 'o1', 'p2');
        await state.outbox.posted(tenant.id, 'o1', 'p1');
        await state.outbox.finalize(tenant.id, 'o1', { markdown: 'Yes', receipt, reason: 'answered' });
        await state.outbox.finalize(tenant.id, 'o1', { markdown: 'No', receipt, reason: 'answered' });
        expect(await state.outbox.open(tenant.id, 'o1', 'a1', now)).toEqual({
          id: 'o1',
          tenantId: tenant.id,
          state: 'final',
          attempts: 2,
          postedIds: ['p1', 'p2'],
          answerId: 'a1',
          final: { markdown: 'Yes', receipt, reason: 'answered' },
        });
        await state.outbox.sent(tenant.id, 'o1', now);
        expect((await state.outbox.get(tenant.id, 'o1'))?.state).toBe('sent');
        expect((await state.outbox.byPostedId(tenant.id, 'p2'))?.id).toBe('o1');
        expect(await state.outbox.byPostedId(other.id, 'p2')).toBeNull();
        expect(await state.outbox.get(other.id, 'o1')).toBeNull();
        await state.maintenance.sweep(now + 80 * hour);
        expect(await state.outbox.byPostedId(tenant.id, 'p2')).toMatchObject({ state: 'sent', answerId: 'a1' });
        expect((await state.outbox.get(tenant.id, 'o1'))?.final).toBeUndefined();
      });

      test('what was sent leaves its messages, receipt and turns behind, however often it is said', async () => {
        const tenant = await newTenant();
        const receipt = aReceipt(tenant.id);
        const pair = [{ role: 'user' as const, text: 'q', at: now }];
        const books = { posted: ['p1', 'p2'], receipt, turns: { conversationId: 'v', id: 'p', pair } };
        await state.outbox.open(tenant.id, 'o1', receipt.answerId, now);
        await state.outbox.posted(tenant.id, 'o1', 'p1');
        for (const at of [now, now + 1]) await state.outbox.sent(tenant.id, 'o1', at, books);
        expect(await state.outbox.get(tenant.id, 'o1')).toMatchObject({ state: 'sent', postedIds: ['p1', 'p2'] });
        expect(await state.receipts.get(tenant.id, receipt.answerId)).toEqual(receipt);
        expect(await state.conversations.turns(tenant.id, 'v', 9)).toEqual(pair);
        // Swept with all that was posted for it: a delivery of the same name begins anew.
        await state.maintenance.sweep(now + 91 * day);
        expect(await state.outbox.get(tenant.id, 'o1')).toBeNull();
        expect((await state.outbox.open(tenant.id, 'o1', 'a2', now + 91 * day)).postedIds).toEqual([]);
      });
    });

    test('only an open delivery can be stopped, in its own tenant', async () => {
      const [tenant, other] = [await newTenant(), await newTenant()];
      const id = fresh('o');
      expect(await state.outbox.stop(tenant.id, id)).toBe(false);
      await state.outbox.open(tenant.id, id, 'a1', now);
      expect(await state.outbox.stop(other.id, id)).toBe(false);
      expect((await state.outbox.get(tenant.id, id))?.stopped).toBeUndefined();
      expect(await state.outbox.stop(tenant.id, id)).toBe(true);
      expect((await state.outbox.get(tenant.id, id))?.stopped).toBe(true);
      await state.outbox.finalize(tenant.id, id, { markdown: 'x', receipt: aReceipt(tenant.id), reason: 'answered' });
      expect(await state.outbox.stop(tenant.id, id)).toBe(false);
    });

    describe('conversations and receipts', () => {
      test('the newest turns come oldest first, a pair once, and only to their tenant', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const pair = (n: number) => [
          { role: 'user' as const, text: `q${n}`, at: now + n },
          { role: 'assistant' as const, text: `a${n}`, at: now + n, answerId: `a_${n}` },
        ];
        for (const n of [1, 2, 3, 3]) await state.conversations.append(tenant.id, 'v', `p${n}`, pair(n));
        const texts = async (limit: number) =>
          (await state.conversations.turns(tenant.id, 'v', limit)).map((turn) => turn.text);
        expect(await texts(4)).toEqual(['q2', 'a2', 'q3', 'a3']);
        expect(await texts(3)).toEqual(['a2', 'q3', 'a3']);
        expect(await state.conversations.turns(other.id, 'v', 4)).toEqual([]);
        expect(await state.conversations.exists(tenant.id, 'v')).toBe(true);
        expect(await state.conversations.exists(other.id, 'v')).toBe(false);
        await state.conversations.removePair(other.id, 'v', 'p3');
        await state.conversations.removePair(tenant.id, 'v', 'p3');
        expect(await texts(9)).toEqual(['q1', 'a1', 'q2', 'a2']);
      });

      test('receipts are listed newest first, page by page, by outcome and by words', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const receipts = Array.from({ length: 5 }, (_, n) =>
          aReceipt(tenant.id, {
            at: now + n,
            question: `Question about Überstunden ${n}`,
            answer: n === 2 ? 'A unicorn, 休暇は三十日です' : 'no',
          }),
        );
        for (const receipt of receipts) await state.receipts.put(receipt);
        await state.receipts.put(receipts[0]!);
        await state.receipts.put(aReceipt(tenant.id, { at: now - 1, kind: 'refused', reasonCode: 'quota' }));
        await state.receipts.put(aReceipt(other.id, { answer: 'unicorn' }));
        const list = (filter: { outcome?: string; q?: string }) =>
          everything((cursor) => state.receipts.list(tenant.id, filter, pageAt(cursor, 2)));
        expect((await list({})).map((receipt) => receipt.at)).toEqual([
          now + 4,
          now + 3,
          now + 2,
          now + 1,
          now,
          now - 1,
        ]);
        expect(await list({ outcome: 'quota' })).toHaveLength(1);
        expect(await list({ outcome: 'refused' })).toHaveLength(1);
        expect(await list({ outcome: 'answered', q: 'überstunden' })).toHaveLength(5);
        expect((await list({ q: 'unicorn question' })).map((receipt) => receipt.at)).toEqual([now + 2]);
        expect(await list({ q: '三十日' })).toHaveLength(1);
        expect(await list({ q: 'of' })).toHaveLength(1);
        expect(await list({ q: '" OR question:* --' })).toEqual([]);
        expect(await state.receipts.get(tenant.id, receipts[2]!.answerId)).toEqual(receipts[2]);
        expect(await state.receipts.get(other.id, receipts[2]!.answerId)).toBeNull();
      });

      test('receipts are narrowed by place, person, verdict and time', async () => {
        const tenant = await newTenant();
        const there = aReceipt(tenant.id, { at: now, platform: 'discord', channelId: 'C9', memberId: 'discord:U9' });
        const here = aReceipt(tenant.id, { at: now + 5, channelId: 'C1' });
        for (const receipt of [there, here]) await state.receipts.put(receipt);
        await state.receipts.addFeedback(tenant.id, here.answerId, {
          rating: 'up',
          comment: '"rating":"down"',
          user: 'u',
          at: now,
        });
        const ids = async (filter: ReceiptFilter) =>
          (await state.receipts.list(tenant.id, filter, { limit: 9 })).items.map(({ answerId }) => answerId);
        for (const filter of [
          { platform: 'discord' },
          { channelId: 'C9' },
          { memberId: 'discord:U9' },
          { to: now + 5 },
          { platform: 'discord', channelId: 'C9', memberId: 'discord:U9', from: now, to: now + 1, q: 'leave of' },
        ])
          expect(await ids(filter), JSON.stringify(filter)).toEqual([there.answerId]);
        for (const filter of [{ rating: 'up' as const }, { from: now + 1 }, { channelId: 'C1' }])
          expect(await ids(filter), JSON.stringify(filter)).toEqual([here.answerId]);
        expect(await ids({ rating: 'down' })).toEqual([]);
        expect(await ids({ platform: 'discord', channelId: 'C1' })).toEqual([]);
      });

      test('answers of a time are counted by outcome, with the median and the slow end of their times', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        expect(await state.receipts.tally(tenant.id, { from: now, to: now + day })).toEqual({ outcomes: [] });
        for (let n = 1; n <= 20; n++)
          await state.receipts.put(aReceipt(tenant.id, { at: now + n - 1, timingsMs: { total: n * 10 } }));
        await state.receipts.put(aReceipt(tenant.id, { at: now, kind: 'not-found', reasonCode: 'not-found' }));
        const refused = { kind: 'refused', reasonCode: 'quota', timingsMs: { total: 0.1 } } as const;
        await state.receipts.put(aReceipt(tenant.id, { at: now, ...refused }));
        await state.receipts.put(aReceipt(tenant.id, { at: now - 1 }));
        await state.receipts.put(aReceipt(tenant.id, { at: now + 20 }));
        await state.receipts.put(aReceipt(other.id, { at: now }));
        expect(await state.receipts.tally(tenant.id, { from: now, to: now + 20 })).toEqual({
          outcomes: [
            { kind: 'answered', reason: 'answered', count: 20 },
            { kind: 'not-found', reason: 'not-found', count: 1 },
            { kind: 'refused', reason: 'quota', count: 1 },
          ],
          p50Ms: 100,
          p95Ms: 190,
        });
      });

      test('a gap is a question without an answer, footnote or friend, until somebody sees to it', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const cited = [{ n: 1, documentId: 'd', externalId: 'x', chunkId: 'c', title: 't', quote: 'q' }];
        const good = aReceipt(tenant.id, { citations: cited });
        const disliked = aReceipt(tenant.id, { at: now + 1, citations: cited });
        const bare = aReceipt(tenant.id, { at: now + 2 });
        const missing = aReceipt(tenant.id, { at: now + 3, kind: 'not-found', reasonCode: 'not-found' });
        const refused = aReceipt(tenant.id, { at: now + 4, kind: 'refused', reasonCode: 'quota' });
        for (const receipt of [good, disliked, bare, missing, refused]) await state.receipts.put(receipt);
        const verdict = (rating: 'up' | 'down') =>
          state.receipts.addFeedback(tenant.id, disliked.answerId, { rating, user: 'u', at: now });
        const gaps = async () =>
          (await state.receipts.list(tenant.id, { gap: true }, { limit: 9 })).items.map(({ answerId }) => answerId);
        await verdict('down');
        expect(await gaps()).toEqual([missing.answerId, bare.answerId, disliked.answerId]);
        await verdict('up');
        expect(await gaps()).toEqual([missing.answerId, bare.answerId]);
        const mark = { state: 'dismissed', at: now } as const;
        expect(await state.receipts.markGap(other.id, missing.answerId, mark)).toBe(false);
        expect(await state.receipts.markGap(tenant.id, missing.answerId, mark)).toBe(true);
        expect(await state.receipts.markGap(tenant.id, missing.answerId, { ...mark, at: now + 1 })).toBe(false);
        await state.receipts.put(missing);
        expect(await gaps()).toEqual([bare.answerId]);
        expect((await state.receipts.get(tenant.id, missing.answerId))?.gap).toEqual(mark);
        expect(await state.receipts.markGap(tenant.id, missing.answerId, { state: 'told', at: now })).toBe(true);
      });

      test('open questions come newest first, page by page, with why they are open and without those whose words are gone', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const cited = [{ n: 1, documentId: 'd', externalId: 'x', chunkId: 'c', title: 't', quote: 'q' }];
        const bare = aReceipt(tenant.id, { at: now, question: 'bare', condensedQuestion: 'bare, in full' });
        const disliked = aReceipt(tenant.id, { at: now + 1, question: 'disliked', citations: cited });
        const missing = aReceipt(tenant.id, { at: now + 1, question: 'missing', kind: 'not-found' });
        const both = aReceipt(tenant.id, { at: now + 2, question: 'both' });
        const { memberId: _, ...nobodys } = aReceipt(tenant.id, { at: now + 3, question: 'nobody’s' });
        const [early, wordless] = [aReceipt(tenant.id, { at: now - 1 }), aReceipt(tenant.id, { question: '' })];
        const [good, seenTo] = [aReceipt(tenant.id, { citations: cited }), aReceipt(tenant.id)];
        for (const receipt of [
          bare,
          disliked,
          missing,
          both,
          nobodys,
          early,
          wordless,
          good,
          seenTo,
          aReceipt(other.id),
        ])
          await state.receipts.put(receipt);
        for (const { answerId } of [disliked, both])
          await state.receipts.addFeedback(tenant.id, answerId, { rating: 'down', user: 'u', at: now });
        await state.receipts.markGap(tenant.id, seenTo.answerId, { state: 'dismissed', at: now });
        const open = () => everything((cursor) => state.receipts.open(tenant.id, { from: now }, pageAt(cursor, 2)));
        const asWritten = [
          [nobodys.answerId, 'nobody’s', now + 3, 'uncertain', undefined],
          [both.answerId, 'both', now + 2, 'down-voted', 'slack:U1'],
          [missing.answerId, 'missing', now + 1, 'not-found', 'slack:U1'],
          [disliked.answerId, 'disliked', now + 1, 'down-voted', 'slack:U1'],
          [bare.answerId, 'bare, in full', now, 'uncertain', 'slack:U1'],
        ];
        expect(
          (await open()).map(({ answerId, question, at, why, memberId }) => [answerId, question, at, why, memberId]),
        ).toEqual(asWritten);
        await state.maintenance.forgetMember(tenant.id, 'slack:U1', 'forgotten-9');
        expect((await open()).map(({ question }) => question)).toEqual(['nobody’s']);
      });

      test('the channels of a platform’s newest answers are known, each once, and no other tenant’s', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const asked = (channelId: string, at: number, platform: 'slack' | 'teams' = 'slack', tenantId = tenant.id) =>
          state.receipts.put(aReceipt(tenantId, { channelId, at, platform }));
        await asked('C-old', now - 9);
        await asked('C1', now - 3);
        await asked('C2', now - 2);
        await asked('C1', now - 1);
        await asked('19:x', now, 'teams');
        await asked('C9', now, 'slack', other.id);
        await state.receipts.put(aReceipt(tenant.id, { at: now }));
        expect(await state.receipts.channels(tenant.id, 'slack', 3)).toEqual([
          { channelId: 'C1', lastAt: now - 1 },
          { channelId: 'C2', lastAt: now - 2 },
        ]);
        expect(await state.receipts.channels(tenant.id, 'teams', 3)).toEqual([{ channelId: '19:x', lastAt: now }]);
        expect(await state.receipts.channels(tenant.id, 'discord', 3)).toEqual([]);
      });

      test('a person has one verdict, the last, and a repeated write does not lose it', async () => {
        const tenant = await newTenant();
        const receipt = aReceipt(tenant.id);
        await state.receipts.put(receipt);
        expect(
          await state.receipts.addFeedback(tenant.id, receipt.answerId, { rating: 'up', user: 'u', at: now }),
        ).toBe(true);
        expect(
          await state.receipts.addFeedback(tenant.id, receipt.answerId, { rating: 'down', user: 'u', at: now + 1 }),
        ).toBe(true);
        expect(
          await state.receipts.addFeedback(tenant.id, receipt.answerId, { rating: 'up', user: 'w', at: now + 2 }),
        ).toBe(true);
        await state.receipts.put(receipt);
        expect(
          (await state.receipts.get(tenant.id, receipt.answerId))?.feedback.map(({ user, rating }) => [user, rating]),
        ).toEqual([
          ['u', 'down'],
          ['w', 'up'],
        ]);
        expect(await state.receipts.addFeedback('t_other', receipt.answerId, { rating: 'up', at: now })).toBe(false);
      });

      test('a cached answer is found until it expires, also before the sweep', async () => {
        const tenant = await newTenant();
        const receipt = aReceipt(tenant.id);
        await state.answerCache.put(tenant.id, 'k', receipt, now + 10);
        expect(await state.answerCache.get(tenant.id, 'k', now + 9)).toEqual(receipt);
        expect(await state.answerCache.get(tenant.id, 'k', now + 10)).toBeNull();
        expect(await state.answerCache.get('t_other', 'k', now)).toBeNull();
        await state.maintenance.sweep(now + 11);
        expect(await state.answerCache.get(tenant.id, 'k', now + 9)).toBeNull();
      });

      test('receipts and turns go when their tenant keeps them no longer', async () => {
        const tenant = await newTenant({ settings: { retentionDays: 10 } });
        const receipt = aReceipt(tenant.id);
        await state.receipts.put(receipt);
        await state.conversations.append(tenant.id, 'v', 'p', [{ role: 'user', text: 'q', at: now }]);
        await state.maintenance.sweep(now + 10 * day);
        expect(await state.receipts.get(tenant.id, receipt.answerId)).not.toBeNull();
        await state.maintenance.sweep(now + 10 * day + 1);
        expect(await state.receipts.get(tenant.id, receipt.answerId)).toBeNull();
        expect(await state.conversations.exists(tenant.id, 'v')).toBe(false);
      });
    });

    describe('metering', () => {
      const counter = (over: { id?: string; limit?: number } = {}) => ({
        id: 'tenant:t:tokens:2026-11-22',
        limit: 100,
        expiresAt: now + day,
        ...over,
      });
      const reserve = (tenantId: string, reservationId: string, amount: number, at = now, limit = 100) =>
        state.metering.reserve(tenantId, counter({ limit }), reservationId, amount, at, at + 30 * second);
      const read = async (tenantId: string, at = now) =>
        (await state.metering.counters(tenantId, [counter().id], at))[0];

      test('parallel reservations never pass the limit', async () => {
        const tenant = await newTenant();
        const outcomes = await Promise.all(Array.from({ length: 50 }, (_, n) => reserve(tenant.id, `r${n}`, 7)));
        expect(outcomes.filter(({ outcome }) => outcome === 'held')).toHaveLength(14);
        expect(await read(tenant.id)).toEqual({ id: counter().id, used: 0, held: 98 });
        expect(outcomes.find(({ outcome }) => outcome === 'refused')).toMatchObject({ state: { used: 0, held: 98 } });
        expect(await read('t_other')).toMatchObject({ used: 0, held: 0 });
      });

      test('the same reservation holds once and settles once', async () => {
        const tenant = await newTenant();
        await reserve(tenant.id, 'r', 60);
        expect(await reserve(tenant.id, 'r', 60)).toEqual({ outcome: 'held' });
        expect((await read(tenant.id))?.held).toBe(60);
        expect(await state.metering.settle(tenant.id, counter().id, 'r', 40)).toBe(true);
        expect(await state.metering.settle(tenant.id, counter().id, 'r', 40)).toBe(false);
        expect(await reserve(tenant.id, 'r', 60)).toEqual({ outcome: 'held' });
        expect(await read(tenant.id)).toMatchObject({ used: 40, held: 0 });
        await state.metering.release(tenant.id, [counter().id], 'r');
        expect(await read(tenant.id)).toMatchObject({ used: 40, held: 0 });
      });

      test('settles with the lines of the ledger, both once', async () => {
        const tenant = await newTenant();
        const lines = [aLine(tenant.id)];
        const settling = { reservationId: 'r', amounts: [{ counterId: counter().id, actual: 40 }] };
        await reserve(tenant.id, 'r', 60);
        for (let again = 0; again < 2; again += 1) await state.ledger.append(tenant.id, lines, settling);
        expect(await read(tenant.id)).toMatchObject({ used: 40, held: 0 });
        expect(await state.metering.settle(tenant.id, counter().id, 'r', 40)).toBe(false);
        const range = { from: 0, to: Number.MAX_SAFE_INTEGER };
        expect((await state.ledger.list(tenant.id, range, { limit: 10 })).items).toHaveLength(1);
      });

      test('a released or expired hold gives its room back; overshoot is charged', async () => {
        const tenant = await newTenant();
        await reserve(tenant.id, 'a', 100);
        expect(await reserve(tenant.id, 'b', 1)).toMatchObject({ outcome: 'refused' });
        await state.metering.release(tenant.id, [counter().id], 'a');
        expect(await reserve(tenant.id, 'b', 100)).toEqual({ outcome: 'held' });
        expect(await reserve(tenant.id, 'c', 1, now + 29 * second)).toMatchObject({ outcome: 'refused' });
        expect(await reserve(tenant.id, 'c', 100, now + 30 * second)).toEqual({ outcome: 'held' });
        expect(await state.metering.settle(tenant.id, counter().id, 'c', 130)).toBe(true);
        expect(await state.metering.settle(tenant.id, counter().id, 'b', 5)).toBe(true);
        expect(await read(tenant.id, now + 31 * second)).toMatchObject({ used: 135, held: 0 });
      });

      test('only a living hold can be extended', async () => {
        const tenant = await newTenant();
        await reserve(tenant.id, 'a', 100);
        const extend = (until: number, at: number) => state.metering.extend(tenant.id, [counter().id], 'a', until, at);
        expect(await extend(now + 60 * second, now + 20 * second)).toBe(true);
        expect(await reserve(tenant.id, 'b', 1, now + 59 * second)).toMatchObject({ outcome: 'refused' });
        expect(await extend(now + 90 * second, now + 60 * second)).toBe(false);
        expect(await reserve(tenant.id, 'b', 100, now + 61 * second)).toEqual({ outcome: 'held' });
        expect(await state.metering.extend(tenant.id, [counter().id], 'nobody', now + day, now)).toBe(false);
      });

      test('the sweep removes expired holds and keeps what was used', async () => {
        const tenant = await newTenant();
        await reserve(tenant.id, 'a', 10);
        await reserve(tenant.id, 'b', 10);
        await state.metering.settle(tenant.id, counter().id, 'b', 10);
        await state.maintenance.sweep(now + 60 * second);
        expect(await read(tenant.id, now)).toMatchObject({ used: 10, held: 0 });
        expect(await state.metering.settle(tenant.id, counter().id, 'b', 10)).toBe(false);
        expect((await read(tenant.id, now + day))?.used, 'a window that has ended').toBe(0);
      });

      test('limits are a tenant’s own and replaced whole', async () => {
        const tenant = await newTenant();
        const limits = [{ scope: 'member', unit: 'questions', per: 'day', limit: 3 }] as const;
        expect(await state.metering.limits(tenant.id)).toEqual([]);
        await state.metering.putLimits(tenant.id, limits);
        expect(await state.metering.limits(tenant.id)).toEqual(limits);
        expect(await state.metering.limits('t_other')).toEqual([]);
        await state.metering.putLimits(tenant.id, []);
        expect(await state.metering.limits(tenant.id)).toEqual([]);
      });

      test('limits are replaced only while those stand that the caller has seen', async () => {
        const tenant = await newTenant();
        const one = [{ scope: 'member', unit: 'questions', per: 'day', limit: 3, grace: { percent: 10 } }] as const;
        const two = [{ scope: 'tenant', unit: 'money', per: 'month', limit: 5 }] as const;
        const first = await Promise.all([
          state.metering.putLimits(tenant.id, one, []),
          state.metering.putLimits(tenant.id, two, []),
        ]);
        expect(first.toSorted()).toEqual([false, true]);
        const stand = await state.metering.limits(tenant.id);
        expect(await state.metering.putLimits(tenant.id, [], [...one, ...two])).toBe(false);
        expect(await state.metering.limits(tenant.id)).toEqual(stand);
        expect(await state.metering.putLimits(tenant.id, [], stand)).toBe(true);
        expect(await state.metering.putLimits(tenant.id, two, [])).toBe(true);
        expect(await state.metering.limits(tenant.id)).toEqual(two);
      });

      test('what is used is raised to what was used before, and never lowered', async () => {
        const tenant = await newTenant();
        await reserve(tenant.id, 'a', 30);
        await state.metering.raise(tenant.id, counter(), 40);
        await state.metering.raise(tenant.id, counter(), 40);
        expect(await read(tenant.id)).toMatchObject({ used: 40, held: 30 });
        expect(await reserve(tenant.id, 'b', 31)).toMatchObject({ outcome: 'refused' });
        expect(await reserve(tenant.id, 'b', 30)).toEqual({ outcome: 'held' });
        await state.metering.settle(tenant.id, counter().id, 'a', 20);
        await state.metering.raise(tenant.id, counter(), 50);
        expect(await read(tenant.id)).toMatchObject({ used: 60, held: 30 });
        const empty = await newTenant();
        await state.metering.raise(empty.id, counter(), 99);
        expect(await reserve(empty.id, 'c', 2)).toMatchObject({ outcome: 'refused', state: { used: 99 } });
        expect(await read('t_other')).toMatchObject({ used: 0 });
      });

      test('a window begins with its first hit, wherever the clock stands, counts to its limit and begins anew', async () => {
        const key = fresh('ip');
        const start = Math.floor(now / 60_000) * 60_000 + 59_990;
        const hits = await Promise.all(Array.from({ length: 8 }, () => state.metering.hit(key, 5, 60_000, start)));
        expect(hits.filter(({ ok }) => ok)).toHaveLength(5);
        expect(hits.map(({ resetsAt }) => resetsAt)).toEqual(hits.map(() => start + 60_000));
        expect(await state.metering.hit(key, 5, 60_000, start + 59_999)).toMatchObject({ ok: false });
        const anew = await state.metering.hit(key, 1, 60_000, start + 60_000);
        expect(anew).toEqual({ ok: true, resetsAt: start + 120_000 });
        expect(await state.metering.hit(key, 1, 60_000, start + 60_001)).toMatchObject({ ok: false });
      });
    });

    describe('ledger', () => {
      test('a line is written once and sums are exact to the unit', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const lines = [
          aLine(tenant.id, { costNanos: 4_503_599_627_370_495, memberId: 'slack:A' }),
          aLine(tenant.id, { costNanos: 4_503_599_627_370_495, memberId: 'slack:A', at: now + day }),
          aLine(tenant.id, { costNanos: 1, memberId: 'slack:B', at: now + day, model: 'other' }),
        ];
        const question = aLine(tenant.id, {
          kind: 'question',
          promptTokens: 0,
          completionTokens: 0,
          memberId: 'slack:A',
        });
        const { costNanos: _, currency: __, model: ___, ...plainQuestion } = question;
        const { costNanos: _c, currency: _d, ...unpriced } = aLine(tenant.id, { memberId: 'slack:C' });
        await Promise.all([...lines, ...lines].map((line) => state.ledger.append(tenant.id, [line])));
        await state.ledger.append(tenant.id, [plainQuestion, unpriced]);
        await state.ledger.append(other.id, [aLine(other.id)]);
        const usage = (group: UsageGroup, to = now + 2 * day) =>
          state.ledger.usage(tenant.id, { from: now, to }, group);
        expect(await usage('member')).toEqual([
          {
            key: 'slack:A',
            questions: 1,
            promptTokens: 20,
            completionTokens: 4,
            embeddingTokens: 0,
            costNanos: 9_007_199_254_740_990,
            costUnknown: false,
            currency: 'USD',
          },
          {
            key: 'slack:B',
            questions: 0,
            promptTokens: 10,
            completionTokens: 2,
            embeddingTokens: 0,
            costNanos: 1,
            costUnknown: false,
            currency: 'USD',
          },
          {
            key: 'slack:C',
            questions: 0,
            promptTokens: 10,
            completionTokens: 2,
            embeddingTokens: 0,
            costNanos: 0,
            costUnknown: true,
          },
        ]);
        expect((await usage('day')).map((row) => [row.key, row.questions, row.promptTokens])).toEqual([
          ['2026-11-22', 1, 20],
          ['2026-11-23', 0, 20],
        ]);
        expect((await usage('model')).map((row) => row.key)).toEqual(['', 'm', 'other']);
        expect((await usage('platform')).map((row) => row.key)).toEqual(['slack']);
        expect((await usage('channel')).map((row) => row.key)).toEqual(['slack:C1']);
        expect((await usage('source')).map((row) => row.key)).toEqual(['']);
        expect(
          (await usage('day', now + day)).map((row) => row.key),
          'the end is exclusive',
        ).toEqual(['2026-11-22']);
      });

      test('amounts of two currencies are never added up', async () => {
        const tenant = await newTenant();
        await state.ledger.append(tenant.id, [
          aLine(tenant.id, { costNanos: 5 }),
          aLine(tenant.id, { costNanos: 3, currency: 'EUR' }),
          aLine(tenant.id, { costNanos: 4 }),
        ]);
        const rows = await state.ledger.usage(tenant.id, { from: now, to: now + 1 }, 'day');
        expect(rows.map((row) => [row.currency, row.costNanos]).toSorted()).toEqual([
          ['EUR', 3],
          ['USD', 9],
        ]);
      });

      test('what a store sums up by itself equals its lines, over any range, also after somebody was forgotten', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const fields = ['memberId', 'channelId', 'platform', 'model', 'sourceId'] as const;
        const groups: readonly UsageGroup[] = ['member', 'channel', 'platform', 'model', 'source'];
        const month = (n: number) => Date.UTC(2026, 7 + n, 1);
        const times = [month(0), month(1) - 1, month(1), month(1) + 9 * day + 5, month(2), month(2) + day, month(3)];
        const lineOf = (at: number, n: number): LedgerEntry => {
          const {
            costNanos: _,
            currency: __,
            model: ___,
            ...bare
          } = aLine(tenant.id, { at, memberId: `slack:U${n % 3}` });
          if (n % 3 === 0) return { ...bare, kind: 'question', promptTokens: 0, completionTokens: 0 };
          if (n % 3 === 1) return { ...bare, model: 'm', sourceId: `s_${n % 2}`, platform: 'teams' };
          return {
            ...bare,
            model: `m${n % 2}`,
            costNanos: n,
            currency: n % 4 === 0 ? 'EUR' : 'USD',
            channelId: 'slack:C2',
          };
        };
        const lines = times.flatMap((at) => Array.from({ length: 12 }, (_, n) => lineOf(at, n)));
        await state.ledger.append(tenant.id, lines);
        await state.ledger.append(tenant.id, lines);
        await state.ledger.append(other.id, [aLine(other.id, { at: month(1) })]);
        const ranges = [
          [0, Number.MAX_SAFE_INTEGER],
          [month(0), month(3)],
          [month(1), month(2)],
          [month(1) - 1, month(2) + 1],
          [month(1) + 1, month(1) + 10 * day],
          [month(1) + day, month(3) + 5 * day],
          [month(2), month(2) + 3 * day],
          [month(2), month(2) + day],
          [month(3), month(2)],
        ] as const;
        const sameAsLines = async () => {
          for (const [from, to] of ranges) {
            const { items } = await state.ledger.list(tenant.id, { from, to }, { limit: 1_000 });
            for (const [n, field] of fields.entries()) {
              const rows = await state.ledger.usage(tenant.id, { from, to }, groups[n] ?? 'day');
              const told = `${field} from ${from} to ${to}`;
              const keys = new Set(items.map((line) => line[field] ?? ''));
              expect(new Set(rows.map(({ key }) => key)), told).toEqual(keys);
              for (const key of keys) {
                const own = items.filter((line) => (line[field] ?? '') === key);
                const its = rows.filter((row) => row.key === key);
                const sum = <T>(all: readonly T[], of: (one: T) => number) => all.reduce((s, one) => s + of(one), 0);
                expect(
                  [
                    sum(its, ({ questions }) => questions),
                    sum(its, ({ promptTokens }) => promptTokens),
                    sum(its, ({ completionTokens }) => completionTokens),
                    its.some(({ costUnknown }) => costUnknown),
                    ...['EUR', 'USD'].map((currency) =>
                      sum(its, (row) => (row.currency === currency ? row.costNanos : 0)),
                    ),
                  ],
                  `${told}: ${key}`,
                ).toEqual([
                  sum(own, ({ kind }) => (kind === 'question' ? 1 : 0)),
                  sum(own, ({ promptTokens }) => promptTokens),
                  sum(own, ({ completionTokens }) => completionTokens),
                  own.some(({ costNanos, promptTokens }) => costNanos === undefined && promptTokens > 0),
                  ...['EUR', 'USD'].map((currency) =>
                    sum(own, (line) => (line.currency === currency ? (line.costNanos ?? 0) : 0)),
                  ),
                ]);
              }
            }
          }
        };
        await sameAsLines();
        // A store may take what is long past into sums of its own; then lines come that are late, and lines that change.
        await opened.later?.(40 * day);
        await sameAsLines();
        await sameAsLines();
        await state.ledger.append(
          tenant.id,
          times.map((at, n) => lineOf(at, n)),
        );
        await sameAsLines();
        await opened.later?.(2 * day);
        await sameAsLines();
        await state.maintenance.forgetMember(tenant.id, 'slack:U1', 'forgotten-1');
        await sameAsLines();
        await opened.later?.(2 * day);
        await sameAsLines();
        await state.maintenance.forgetMember(tenant.id, 'slack:U2', 'slack:U0');
        await sameAsLines();
      });

      test('days read the same from lines and from sums, whole and in part, however late a line comes', async () => {
        const tenant = await newTenant();
        const first = Date.UTC(2026, 6, 30);
        const write = (n: number) =>
          state.ledger.append(tenant.id, [aLine(tenant.id, { at: first + n * day + 5 * hour, costNanos: n + 1 })]);
        for (let n = 0; n < 5; n += 1) await write(n);
        const costs = async (from: number, to: number) =>
          (await state.ledger.usage(tenant.id, { from, to }, 'day')).map(({ key, costNanos }) => [
            key.slice(5),
            costNanos,
          ]);
        const all = [
          ['07-30', 1],
          ['07-31', 2],
          ['08-01', 3],
          ['08-02', 4],
          ['08-03', 5],
        ];
        for (const _ of ['before', 'after']) {
          expect(await costs(first, first + 9 * day)).toEqual(all);
          expect(await costs(first, first + 9 * day)).toEqual(all);
          expect(await costs(first + day, first + 4 * day)).toEqual(all.slice(1, 4));
          expect(await costs(first + day + 6 * hour, first + 3 * day + 6 * hour)).toEqual(all.slice(2, 4));
          await opened.later?.(3 * day);
        }
        await write(2);
        expect(await costs(first, first + 9 * day)).toEqual(all.map(([key, n], at) => [key, at === 2 ? 6 : n]));
        await opened.later?.(3 * day);
        expect((await costs(first, first + 9 * day)).at(2)).toEqual(['08-01', 6]);
      });

      test('a closed period reads the same, line by line, however often', async () => {
        const tenant = await newTenant();
        const lines = Array.from({ length: 25 }, (_, n) => aLine(tenant.id, { at: now + (n % 3) }));
        await state.ledger.append(tenant.id, lines.toReversed());
        const exported = () =>
          everything((cursor) => state.ledger.list(tenant.id, { from: now, to: now + 3 }, pageAt(cursor, 4)));
        const first = await exported();
        expect(first).toEqual(lines.toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1)));
        await state.ledger.append(tenant.id, lines);
        expect(JSON.stringify(await exported())).toBe(JSON.stringify(first));
        expect((await state.ledger.list(tenant.id, { from: now, to: now + 1 }, { limit: 100 })).items).toHaveLength(9);
        expect((await state.ledger.list('t_other', { from: 0, to: now + day }, { limit: 9 })).items).toEqual([]);
      });
    });

    describe('channels, connections, leases and audit', () => {
      test('rules of a channel are a tenant’s own', async () => {
        const tenant = await newTenant();
        await state.channels.put(tenant.id, 'slack', 'C1', { enabled: false });
        await state.channels.put(tenant.id, 'slack', 'C1', { answerWhen: 'every' });
        expect(await state.channels.get(tenant.id, 'slack', 'C1')).toEqual({ answerWhen: 'every' });
        expect(await state.channels.get(tenant.id, 'discord', 'C1')).toBeNull();
        expect(await state.channels.get('t_other', 'slack', 'C1')).toBeNull();
        expect(await state.channels.list(tenant.id)).toEqual([
          { platform: 'slack', channelId: 'C1', rules: { answerWhen: 'every' } },
        ]);
      });

      test('rules that somebody else has changed meanwhile are not replaced unseen', async () => {
        const tenant = await newTenant();
        const put = (rules: ChannelRules, expected?: ChannelRules) =>
          state.channels.put(tenant.id, 'slack', 'C1', rules, expected);
        const first = await Promise.all([put({ enabled: false }, {}), put({ language: 'de' }, {})]);
        expect(first.toSorted()).toEqual([false, true]);
        const stands = (await state.channels.get(tenant.id, 'slack', 'C1')) ?? {};
        expect(await put({ guests: 'refuse' }, {})).toBe(false);
        expect(await state.channels.get(tenant.id, 'slack', 'C1')).toEqual(stands);
        expect(await put({ guests: 'refuse' }, stands)).toBe(true);
        expect(await put({})).toBe(true);
        expect(await put({ enabled: true }, {})).toBe(true);
      });

      test('a workspace belongs to one tenant, until that is deleted or lets it go', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const workspaceId = fresh('W');
        const of = (tenantId: string): Connection => ({
          id: fresh('n_'),
          tenantId,
          platform: 'slack',
          workspaceId,
          createdAt: now,
        });
        const mine = of(tenant.id);
        expect(await state.connections.create(mine)).toBe('created');
        expect(await state.connections.create(of(other.id))).toBe('taken');
        const contested = fresh('W');
        const rivals = await Promise.all(
          Array.from({ length: 3 }, async () => ({ ...of((await newTenant()).id), workspaceId: contested })),
        );
        const outcomes = await Promise.all(rivals.map((each) => state.connections.create(each)));
        expect(outcomes.toSorted()).toEqual(['created', 'taken', 'taken']);
        expect(await state.connections.byWorkspace('slack', workspaceId)).toEqual(mine);
        expect(await state.connections.byWorkspace('teams', workspaceId)).toBeNull();
        expect(await state.connections.byId(mine.id)).toEqual(mine);
        expect(await state.connections.get(other.id, mine.id)).toBeNull();
        expect(await state.connections.setCredentials(other.id, mine.id, 'x')).toBe(false);
        expect(await state.connections.setCredentials(tenant.id, mine.id, 'sealed')).toBe(true);
        await state.connections.touch(tenant.id, mine.id, { lastEventAt: now });
        expect(await state.connections.list(tenant.id)).toEqual([
          { ...mine, sealedCredentials: 'sealed', lastEventAt: now },
        ]);
        await state.connections.touch(tenant.id, mine.id, { info: { serviceUrl: 'a', bot: 'b' } });
        await state.connections.touch(other.id, mine.id, { info: { serviceUrl: 'theirs' } });
        await Promise.all([
          state.connections.touch(tenant.id, mine.id, { info: { serviceUrl: 'c' } }),
          state.connections.touch(tenant.id, mine.id, { info: { unasked: 'yes' } }),
        ]);
        expect(await state.connections.byId(mine.id)).toEqual({
          ...mine,
          sealedCredentials: 'sealed',
          lastEventAt: now,
          info: { serviceUrl: 'c', bot: 'b', unasked: 'yes' },
        });
        await state.connections.setCredentials(tenant.id, mine.id, null);
        expect((await state.connections.byId(mine.id))?.sealedCredentials).toBeUndefined();
        expect(await state.connections.remove(other.id, mine.id)).toBe(false);
        await state.tenants.markDeleted(tenant.id, now);
        expect(await state.connections.byId(mine.id)).toBeNull();
        expect(await state.connections.byWorkspace('slack', workspaceId)).toBeNull();
        const next = of(other.id);
        expect(await state.connections.create(next)).toBe('created');
        expect(await state.connections.remove(other.id, next.id)).toBe(true);
        expect(await state.connections.list(other.id)).toEqual([]);
      });

      test('those of a platform are found over all living tenants', async () => {
        const [tenant, gone] = [await newTenant(), await newTenant()];
        const ids: string[] = [];
        for (const { id } of [tenant, gone]) {
          for (const platform of ['discord', 'teams'] as const) {
            const connection = { id: fresh('n_'), tenantId: id, platform, workspaceId: fresh('W'), createdAt: now };
            await state.connections.create(connection);
            ids.push(connection.id);
          }
        }
        await state.tenants.markDeleted(gone.id, now);
        const found = (await state.connections.ofPlatform('discord')).map(({ id }) => id);
        expect(ids.filter((id) => found.includes(id))).toEqual([ids[0]]);
      });

      test('a one-time code is taken once and not after its time', async () => {
        const [code, late] = [fresh('code'), fresh('code')];
        await state.connections.offerCode(code, 'slack', 'W1', now + 10);
        await state.connections.offerCode(late, 'slack', 'W1', now + 10);
        const taken = await Promise.all([1, 2, 3].map(() => state.connections.takeCode(code, now + 9)));
        expect(taken.filter((one) => one !== null)).toEqual([{ platform: 'slack', workspaceId: 'W1' }]);
        expect(await state.connections.takeCode(late, now + 10)).toBeNull();
      });

      test('a one-time code that is taken for another platform stays good for its own', async () => {
        const code = fresh('code');
        await state.connections.offerCode(code, 'slack', 'W1', now + 10);
        expect(await state.connections.takeCode(code, now, 'teams')).toBeNull();
        expect(await state.connections.takeCode(code, now, 'slack')).toEqual({ platform: 'slack', workspaceId: 'W1' });
        expect(await state.connections.takeCode(code, now, 'slack')).toBeNull();
      });

      test('an installation is one for each workspace, and nobody’s', async () => {
        const workspaceId = fresh('W');
        const first = { platform: 'slack', workspaceId, sealedCredentials: 'one', installedAt: now } as const;
        const second = { ...first, sealedCredentials: 'two', info: { name: 'Acme.$x' } };
        expect(await state.connections.getInstallation('slack', workspaceId)).toBeNull();
        await state.connections.putInstallation(first);
        await state.connections.putInstallation(second);
        expect(await state.connections.getInstallation('slack', workspaceId)).toEqual(second);
        expect(await state.connections.getInstallation('discord', workspaceId)).toBeNull();
        expect(await state.connections.removeInstallation('discord', workspaceId)).toBe(false);
        expect(await state.connections.removeInstallation('slack', workspaceId)).toBe(true);
        expect(await state.connections.getInstallation('slack', workspaceId)).toBeNull();
      });

      test('a member is one person’s, within one tenant', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const [one, two] = [fresh('p_'), fresh('p_')];
        await state.people.link(tenant.id, 'teams:b', one);
        await state.people.link(tenant.id, 'slack:a', two);
        await state.people.link(tenant.id, 'slack:a', one);
        await state.people.link(other.id, 'slack:a', two);
        expect(await state.people.personOf(tenant.id, 'slack:a')).toBe(one);
        expect(await state.people.personOf(other.id, 'slack:a')).toBe(two);
        expect(await state.people.personOf(other.id, 'teams:b')).toBeNull();
        expect(await state.people.identitiesOf(tenant.id, one)).toEqual(['slack:a', 'teams:b']);
        expect(await state.people.identitiesOf(tenant.id, two)).toEqual([]);
        expect(await state.people.unlink(other.id, 'teams:b')).toBe(false);
        expect(await state.people.unlink(tenant.id, 'teams:b')).toBe(true);
        expect(await state.people.identitiesOf(tenant.id, one)).toEqual(['slack:a']);
        await state.tenants.markDeleted(tenant.id, now);
        await state.tenants.erase(tenant.id);
        expect(await state.people.personOf(tenant.id, 'slack:a')).toBeNull();
        expect(await state.people.personOf(other.id, 'slack:a')).toBe(two);
      });

      test('where a person’s direct messages belong is remembered, changed and forgotten', async () => {
        const { chooseHome, chosenHome } = state.connections;
        const [one, two] = [fresh('person'), fresh('person')];
        expect(await chosenHome('discord', one)).toBeNull();
        await chooseHome('discord', one, 'g1');
        await chooseHome('discord', two, 'g2');
        await chooseHome('discord', one, 'g3');
        expect(await chosenHome('discord', one)).toBe('g3');
        expect(await chosenHome('slack', one)).toBeNull();
        await chooseHome('discord', one, null);
        await chooseHome('discord', one, null);
        expect(await chosenHome('discord', one)).toBeNull();
        expect(await chosenHome('discord', two)).toBe('g2');
      });

      test('a person’s code is taken once, in its tenant and within its time', async () => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const [code, late] = [fresh('code'), fresh('code')];
        await state.people.offerCode(tenant.id, code, 'slack:a', now + 10);
        await state.people.offerCode(tenant.id, late, 'slack:a', now + 10);
        expect(await state.people.takeCode(other.id, code, now)).toBeNull();
        const taken = await Promise.all([1, 2, 3].map(() => state.people.takeCode(tenant.id, code, now + 9)));
        expect(taken.filter((one) => one !== null)).toEqual(['slack:a']);
        expect(await state.people.takeCode(tenant.id, late, now + 10)).toBeNull();
      });

      test('a lease has one holder, and each new holder a higher fence', async () => {
        const key = fresh('lease');
        const taken = (
          await Promise.all(['a', 'b', 'c'].map((owner) => state.leases.acquire(key, owner, now, 1_000)))
        ).filter((lease) => lease !== null);
        expect(taken).toHaveLength(1);
        const lease = taken[0]!;
        expect(await state.leases.renew(lease, now + 900, 1_000)).toBe(true);
        expect(await state.leases.acquire(key, 'z', now + 1_899, 1_000)).toBeNull();
        const next = (await state.leases.acquire(key, 'z', now + 1_900, 1_000))!;
        expect(next.fence).toBeGreaterThan(lease.fence);
        expect(await state.leases.renew(lease, now, 1_000)).toBe(false);
        await state.leases.release(lease);
        expect(await state.leases.acquire(key, 'y', now + 1_901, 1_000)).toBeNull();
        await state.leases.release(next);
        const last = (await state.leases.acquire(key, 'y', now, 1_000))!;
        expect(last.fence).toBeGreaterThan(next.fence);

        expect(last.note).toBeUndefined();
        expect(await state.leases.renew(last, now, 1_000, 'session 7')).toBe(true);
        expect(await state.leases.renew(last, now, 1_000)).toBe(true);
        expect(await state.leases.renew(next, now, 1_000, 'too late')).toBe(false);
        await state.leases.release(last);
        expect((await state.leases.acquire(key, 'x', now, 1_000))?.note).toBe('session 7');
      });

      test('leases are seen by the beginning of their names, until they are released', async () => {
        const prefix = `${fresh('kind')}%_:`;
        const [b, a] = [
          (await state.leases.acquire(`${prefix}b`, 'two', now, 1_000))!,
          (await state.leases.acquire(`${prefix}a`, 'one', now, 2_000))!,
        ];
        await state.leases.acquire(prefix.replace('%', 'x'), 'other', now, 1_000);
        await state.leases.renew(a, now + 10, 2_000, '{"version":"1"}');
        expect(await state.leases.seen(prefix)).toEqual([
          { key: a.key, owner: 'one', leaseUntil: now + 2_010, note: '{"version":"1"}' },
          { key: b.key, owner: 'two', leaseUntil: now + 1_000 },
        ]);
        await state.leases.release(b);
        expect((await state.leases.seen(prefix)).map(({ key }) => key)).toEqual([a.key]);
      });

      test('what a process left goes a day after it ended, and no other lease does', async () => {
        const [gone, alive, named] = [fresh('instance:'), fresh('instance:'), fresh('instances')];
        await state.leases.acquire(gone, 'a', now - 2 * day, 1_000);
        await state.leases.acquire(alive, 'b', now - 2 * day, 2 * day);
        await state.leases.acquire(named, 'c', now - 2 * day, 1_000);
        await state.maintenance.sweep(now);
        const keys = (await state.leases.seen('instance')).map(({ key }) => key);
        expect([keys.includes(gone), keys.includes(alive), keys.includes(named)]).toEqual([false, true, true]);
      });

      test('a cursor that a list did not give out is refused and begins no list anew', async () => {
        const tenant = await newTenant();
        for (let n = 0; n < 3; n++)
          await state.audit.append({
            id: fresh('u_'),
            tenantId: tenant.id,
            at: now + n,
            actor: 'u',
            action: 'key.create',
          });
        const ours = (await state.audit.list(tenant.id, {}, { limit: 1 })).nextCursor ?? '';
        const ofAnother = Buffer.from('["t_1"]').toString('base64url');
        for (const cursor of ['rubbish', '', `${ours}x`, ofAnother, Buffer.from('[null]').toString('base64url')])
          await expect(state.audit.list(tenant.id, {}, { limit: 1, cursor })).rejects.toMatchObject({
            code: 'invalid',
            at: 'cursor',
          });
        expect((await state.audit.list(tenant.id, {}, { limit: 1, cursor: ours })).items).toHaveLength(1);
      });

      test('the audit trail is newest first, the deployment’s apart from a tenant’s', async () => {
        const tenant = await newTenant();
        const entries = Array.from({ length: 3 }, (_, n) => ({
          id: fresh('u_'),
          tenantId: tenant.id,
          at: now + n,
          actor: 'u',
          action: 'key.create',
        }));
        for (const entry of [...entries, entries[0]!]) await state.audit.append(entry);
        const deployment = {
          id: fresh('u_'),
          tenantId: null,
          at: now,
          actor: 'operator',
          action: 'tenant.create',
          subject: tenant.id,
        };
        await state.audit.append(deployment);
        expect(await everything((cursor) => state.audit.list(tenant.id, {}, pageAt(cursor, 2)))).toEqual(
          entries.toReversed(),
        );
        expect((await state.audit.list(null, {}, { limit: 1 })).items).toEqual([deployment]);
      });

      test('the audit trail is searched by actor, action and subject, whatever stands in the words', async () => {
        const tenant = await newTenant();
        const entry = (actor: string, action: string, subject: string) => ({
          id: fresh('u_'),
          tenantId: tenant.id,
          at: now,
          actor,
          action,
          subject,
        });
        const [first, second] = [
          entry('user:ada', 'key.create', 'k_1'),
          entry('user:bob', 'source.delete', 'a "b" (c'),
        ];
        await state.audit.append(first);
        await state.audit.append(second);
        const found = async (q: string) => (await state.audit.list(tenant.id, { q }, { limit: 10 })).items;
        expect(await found('ADA')).toEqual([first]);
        expect(await found('source.del')).toEqual([second]);
        expect(await found('"b" (c')).toEqual([second]);
        expect(await found('.*')).toEqual([]);
        expect(await found('actor')).toEqual([]);
      });
    });

    describe('webhooks and notices', () => {
      /** Of one tenant alone: other tests leave theirs waiting. */
      const claimOf = async (tenantId: string, at: number, except: readonly string[] = []) => {
        const passed: string[] = [...except];
        for (;;) {
          const notice = await state.notices.claim({ now: at, leaseForMs: 1_000, except: passed });
          if (notice === null || notice.tenantId === tenantId) return notice;
          passed.push(`${notice.tenantId} ${notice.receiver}`);
        }
      };

      test('a webhook is a tenant’s own; of two edits of one revision one is told', async () => {
        const tenant = await newTenant();
        const webhook = aWebhook(tenant.id);
        await state.webhooks.create(webhook);
        const second = aWebhook(tenant.id, { createdAt: now + 1 });
        await state.webhooks.create(second);
        expect(await state.webhooks.list(tenant.id)).toEqual([webhook, second]);
        expect(await state.webhooks.get('t_other', webhook.id)).toBeNull();
        expect(await state.webhooks.update('t_other', webhook.id, 0, { name: 'Theirs' })).toBeNull();
        const edits = await Promise.all(
          ['A', 'B'].map((name) => state.webhooks.update(tenant.id, webhook.id, 0, { name })),
        );
        expect(edits.filter((edit) => edit === 'stale')).toHaveLength(1);
        expect((await state.webhooks.get(tenant.id, webhook.id))?.rev).toBe(1);
        expect(await state.webhooks.remove('t_other', webhook.id)).toBe(false);
        expect(await state.webhooks.remove(tenant.id, webhook.id)).toBe(true);
        expect(await state.webhooks.list(tenant.id)).toEqual([second]);
      });

      test('how a webhook fares is no edit: the first failure counts until a success, and going on ends it', async () => {
        const tenant = await newTenant();
        const { id } = aWebhook(tenant.id);
        await state.webhooks.create(aWebhook(tenant.id, { id }));
        expect(await state.webhooks.note(tenant.id, id, now, false)).toMatchObject({ failingSince: now, rev: 0 });
        expect(await state.webhooks.note(tenant.id, id, now + 9, false)).toMatchObject({ failingSince: now });
        expect(await state.webhooks.note(tenant.id, id, now + 20, true)).not.toHaveProperty('failingSince');
        expect(await state.webhooks.get(tenant.id, id)).toMatchObject({ lastDeliveredAt: now + 20 });
        await state.webhooks.note(tenant.id, id, now + 30, false);
        const paused = { at: now + 40, by: 'failures', why: 'It is gone.' } as const;
        expect(await state.webhooks.update(tenant.id, id, 0, { paused })).toMatchObject({
          paused,
          failingSince: now + 30,
        });
        expect(await state.webhooks.update(tenant.id, id, 1, { name: 'Renamed' })).toMatchObject({ paused });
        const resumed = await state.webhooks.update(tenant.id, id, 2, { paused: null });
        expect(resumed).not.toHaveProperty('paused');
        expect(resumed).not.toHaveProperty('failingSince');
        expect(await state.webhooks.note('t_other', id, now, true)).toBeNull();
      });

      test('the same notice is stored once, and claimed by one at a time', async () => {
        const tenant = await newTenant();
        const notice = aNotice(tenant.id);
        const added = await Promise.all(Array.from({ length: 4 }, () => state.notices.add(tenant.id, [notice])));
        expect(added.reduce((sum, count) => sum + count, 0)).toBe(1);
        expect(await claimOf(tenant.id, now - 1)).toBeNull();
        const claims = await Promise.all(Array.from({ length: 4 }, () => claimOf(tenant.id, now)));
        expect(claims.filter((claim) => claim !== null)).toEqual([{ ...notice, attempts: 1, nextAt: now + 1_000 }]);
        expect(await claimOf(tenant.id, now + 1_000)).toMatchObject({ attempts: 2 });
        expect(await state.notices.settle(tenant.id, notice.id, 1, { state: 'delivered' }), 'an older try').toBe(false);
        expect(await state.notices.settle('t_other', notice.id, 2, { state: 'delivered' })).toBe(false);
        const outcome = {
          state: 'waiting',
          nextAt: now + 9_000,
          lastAt: now + 1_000,
          status: 503,
          problem: 'No.',
        } as const;
        expect(await state.notices.settle(tenant.id, notice.id, 2, outcome)).toBe(true);
        expect(await claimOf(tenant.id, now + 8_999)).toBeNull();
        expect(await claimOf(tenant.id, now + 9_000)).toMatchObject({ attempts: 3, body: notice.body, status: 503 });
        await state.notices.settle(tenant.id, notice.id, 3, { state: 'waiting', nextAt: now + 9_000, uncounted: true });
        expect(await claimOf(tenant.id, now + 9_000)).toMatchObject({ attempts: 3 });
        expect(
          await state.notices.settle(tenant.id, notice.id, 3, { state: 'delivered', status: 204, tookMs: 7 }),
        ).toBe(true);
        const kept = await state.notices.get(tenant.id, notice.id);
        expect(kept).toMatchObject({ state: 'delivered', status: 204, tookMs: 7, attempts: 3 });
        expect(kept, 'what was sent is not kept').not.toHaveProperty('body');
        expect(await claimOf(tenant.id, now + day)).toBeNull();
        expect(await state.notices.add(tenant.id, [notice]), 'told once, however late it is repeated').toBe(0);
      });

      test('busy receivers are passed over, and so are deleted tenants', async () => {
        const tenant = await newTenant();
        const slow = aNotice(tenant.id, { receiver: 'wh_slow' });
        const quick = aNotice(tenant.id, { receiver: 'wh_quick', nextAt: now + 1 });
        await state.notices.add(tenant.id, [slow, quick]);
        expect((await claimOf(tenant.id, now + 1, [`${tenant.id} wh_slow`]))?.id).toBe(quick.id);
        await state.tenants.markDeleted(tenant.id, now);
        expect(await claimOf(tenant.id, now + day)).toBeNull();
        await state.tenants.erase(tenant.id);
        expect(await state.notices.get(tenant.id, slow.id)).toBeNull();
      });

      test('the log is paged newest first, goes with its webhook, and after five weeks', async () => {
        const tenant = await newTenant();
        const webhook = aWebhook(tenant.id);
        await state.webhooks.create(webhook);
        const notices = Array.from({ length: 5 }, (_, n) =>
          aNotice(tenant.id, { receiver: webhook.id, createdAt: now + n, state: 'delivered' }),
        );
        const elsewhere = aNotice(tenant.id, { receiver: 'chat', state: 'delivered', createdAt: now + 30 * day });
        await state.notices.add(tenant.id, [...notices, elsewhere]);
        const listed = await everything((cursor) => state.notices.list(tenant.id, webhook.id, pageAt(cursor, 2)));
        expect(listed.map(({ id }) => id)).toEqual(notices.map(({ id }) => id).toReversed());
        expect((await state.notices.list('t_other', webhook.id, { limit: 5 })).items).toEqual([]);
        await state.maintenance.sweep(now + 35 * day + 2);
        expect((await state.notices.list(tenant.id, webhook.id, { limit: 9 })).items).toHaveLength(2);
        await state.webhooks.remove(tenant.id, webhook.id);
        expect((await state.notices.list(tenant.id, webhook.id, { limit: 9 })).items).toEqual([]);
        expect(await state.notices.get(tenant.id, elsewhere.id)).not.toBeNull();
      });
    });

    describe('maintenance', () => {
      test('retention removes what is older than the tenant keeps it, and writes down what it removed', async () => {
        const [strict, other] = [await newTenant({ settings: { retentionDays: 7 } }), await newTenant()];
        for (const tenant of [strict, other]) {
          for (const at of [now, now + 5 * day]) {
            const receipt = aReceipt(tenant.id, { at });
            await state.receipts.put(receipt);
            await state.conversations.append(tenant.id, 'v', receipt.answerId, [
              { role: 'user', text: 'q', at },
              { role: 'assistant', text: 'a', at, answerId: receipt.answerId },
            ]);
          }
        }
        const left = async (tenantId: string) => [
          (await state.receipts.list(tenantId, {}, { limit: 9 })).items.length,
          (await state.conversations.turns(tenantId, 'v', 9)).length,
        ];
        await state.maintenance.sweep(now + 7 * day);
        expect(await left(strict.id)).toEqual([2, 4]);
        const runs = await state.maintenance.retentionRuns(strict.id);
        expect(runs).toEqual([{ day: '2026-11-29', at: now + 7 * day, receipts: 0, turns: 0 }]);
        await state.maintenance.sweep(now + 8 * day);
        await state.maintenance.sweep(now + 8 * day + 1);
        expect(await left(strict.id)).toEqual([1, 2]);
        expect(await left(other.id)).toEqual([2, 4]);
        const [latest] = await state.maintenance.retentionRuns(strict.id);
        expect(latest).toMatchObject({ day: '2026-11-30', at: now + 8 * day, receipts: 1 });
        expect(latest?.turns).toBeGreaterThan(0);
        expect(await state.maintenance.retentionRuns(other.id)).toEqual([]);
      });

      test('a tenant that masks keeps no text of settled events', async () => {
        const tenant = await newTenant({ settings: { masking: { kinds: ['email'] } } });
        const row = anInboxRow(anEvent({ text: 'who is a@b.example?' }));
        await state.inbox.receive(row);
        const lease = (await state.inbox.claimThread({ owner: 'a', now, leaseForMs: 1 }))!;
        await state.inbox.settle(lease, row.id, now, { reason: 'answered', tenantId: tenant.id });
        await state.maintenance.sweep(now + 1);
        expect((await state.inbox.get(row.id))?.event.text).toBe('');
      });

      test('of a forgotten person nothing more is told, and the log does not name them', async () => {
        const tenant = await newTenant();
        const waiting = aNotice(tenant.id, { memberId: 'slack:U1' });
        const told = aNotice(tenant.id, { memberId: 'slack:U1', state: 'delivered' });
        const others = aNotice(tenant.id, { memberId: 'slack:U2' });
        await state.notices.add(tenant.id, [waiting, told, others]);
        await state.maintenance.forgetMember(tenant.id, 'slack:U1', 'forgotten-1');
        expect(await state.notices.get(tenant.id, waiting.id)).toBeNull();
        expect(JSON.stringify(await state.notices.get(tenant.id, told.id))).not.toContain('U1');
        expect(await state.notices.get(tenant.id, others.id)).toEqual(others);
      });

      test('a forgotten person’s words are gone everywhere and the ledger no longer names them', async () => {
        const tenant = await newTenant();
        const receipt = aReceipt(tenant.id, {
          question: 'xyzzy q',
          answer: 'xyzzy a',
          condensedQuestion: 'xyzzy c',
          feedback: [{ rating: 'up', comment: 'xyzzy f', user: 'U1', at: now }],
        });
        const others = aReceipt(tenant.id, {
          memberId: 'slack:U2',
          question: 'plugh',
          feedback: [{ rating: 'up', comment: 'plover', user: 'slack:U2', at: now }],
        });
        for (const one of [receipt, others]) {
          await state.receipts.put(one);
          await state.conversations.append(tenant.id, 'v', one.answerId, [
            { role: 'user', text: one.question, at: now },
            { role: 'assistant', text: one.answer, at: now, answerId: one.answerId },
          ]);
        }
        await state.receipts.addFeedback(tenant.id, others.answerId, {
          rating: 'down',
          comment: 'xyzzy about the answer to somebody else',
          user: 'slack:U1',
          at: now + 1,
        });
        await state.outbox.open(tenant.id, 'o', receipt.answerId, now);
        await state.outbox.finalize(tenant.id, 'o', { markdown: 'xyzzy', receipt, reason: 'answered' });
        await state.outbox.sent(tenant.id, 'o', now);
        const row = anInboxRow(anEvent({ text: 'xyzzy' }));
        await state.inbox.receive(row);
        const lease = (await state.inbox.claimThread({ owner: 'a', now, leaseForMs: 1 }))!;
        await state.inbox.settle(lease, row.id, now, {
          reason: 'answered',
          tenantId: tenant.id,
          answerId: receipt.answerId,
        });
        const lines = [aLine(tenant.id), aLine(tenant.id, { memberId: 'slack:U2' })];
        await state.ledger.append(tenant.id, lines);
        const code = fresh('code');
        await state.people.offerCode(tenant.id, code, 'slack:U1', now + day);
        await state.maintenance.forgetMember('t_other', 'slack:U1', 'forgotten-1');
        expect((await state.receipts.get(tenant.id, receipt.answerId))?.question).toBe('xyzzy q');
        await state.maintenance.forgetMember(tenant.id, 'slack:U1', 'forgotten-1');
        await state.maintenance.forgetMember(tenant.id, 'slack:U1', 'forgotten-1');
        const left = JSON.stringify([
          await state.receipts.get(tenant.id, receipt.answerId),
          await state.receipts.get(tenant.id, others.answerId),
          await state.conversations.turns(tenant.id, 'v', 10),
          await state.outbox.get(tenant.id, 'o'),
          await state.inbox.get(row.id),
          await state.ledger.list(tenant.id, { from: 0, to: now + day }, { limit: 10 }),
        ]);
        expect(left).not.toContain('xyzzy');
        expect(left).not.toContain('U1"');
        expect(left).toContain('plugh');
        expect(await state.people.takeCode(tenant.id, code, now)).toBeNull();
        const verdicts = (await state.receipts.get(tenant.id, others.answerId))?.feedback ?? [];
        expect(verdicts.map(({ rating, comment }) => [rating, comment]).sort()).toEqual([
          ['down', undefined],
          ['up', 'plover'],
        ]);
        expect((await state.receipts.list(tenant.id, { q: 'xyzzy' }, { limit: 5 })).items).toEqual([]);
        expect(await state.inbox.get(row.id)).toMatchObject({ reason: 'answered', answerId: receipt.answerId });
        expect(
          (await state.ledger.usage(tenant.id, { from: 0, to: now + day }, 'member')).map((line) => line.key),
        ).toEqual(['forgotten-1', 'slack:U2']);
      });

      test('what is written of somebody after they were forgotten is forgotten as it is written, and no later question', async () => {
        const tenant = await newTenant();
        const asked = { memberId: 'slack:U1', question: 'xyzzy q', answer: 'xyzzy a', timingsMs: { total: 2_000 } };
        const pair = (answerId: string) => [
          { role: 'user' as const, text: 'xyzzy', at: now },
          { role: 'assistant' as const, text: 'xyzzy', at: now, answerId },
        ];
        await state.maintenance.forgetMember(tenant.id, 'slack:U1', 'forgotten-1', now);

        // Over the API: the receipt, the charge, the receipt with its cost.
        const waited = aReceipt(tenant.id, { ...asked, at: now + 1_500 });
        expect(await state.receipts.put(waited)).toBe(false);
        await state.ledger.append(tenant.id, [aLine(tenant.id, { answerId: waited.answerId, at: now + 1_500 })]);
        expect(await state.receipts.put(waited)).toBe(false);
        // On a platform: with the record of its delivery, or with its end.
        const [finished, closed] = [
          aReceipt(tenant.id, { ...asked, at: now }),
          aReceipt(tenant.id, { ...asked, at: now }),
        ];
        await state.outbox.open(tenant.id, 'o1', finished.answerId, now);
        await state.outbox.finalize(tenant.id, 'o1', { markdown: 'xyzzy', receipt: finished, reason: 'answered' });
        const turns = (receipt: Receipt) => ({
          conversationId: 'v',
          id: receipt.answerId,
          pair: pair(receipt.answerId),
        });
        await state.outbox.sent(tenant.id, 'o1', now, { posted: [], turns: turns(finished) });
        await state.outbox.open(tenant.id, 'o2', closed.answerId, now);
        await state.outbox.sent(tenant.id, 'o2', now, { posted: [], receipt: closed, turns: turns(closed) });

        const left = JSON.stringify([
          await Promise.all([waited, finished, closed].map(({ answerId }) => state.receipts.get(tenant.id, answerId))),
          await state.conversations.turns(tenant.id, 'v', 10),
          await Promise.all(['o1', 'o2'].map((id) => state.outbox.get(tenant.id, id))),
          await state.ledger.list(tenant.id, { from: 0, to: now + day }, { limit: 10 }),
          await state.ledger.usage(tenant.id, { from: 0, to: now + day }, 'member'),
        ]);
        expect(left).not.toContain('xyzzy');
        expect(left).not.toContain('U1"');
        expect(left.match(/"memberId":"forgotten-1"/g)).toHaveLength(4);
        expect((await state.receipts.list(tenant.id, { q: 'xyzzy' }, { limit: 5 })).items).toEqual([]);

        const later = aReceipt(tenant.id, { ...asked, at: now + 60_000 });
        const elsewhere = await newTenant();
        const others = [
          aReceipt(tenant.id, { ...asked, memberId: 'slack:U2', at: now }),
          aReceipt(elsewhere.id, { ...asked, at: now }),
        ];
        for (const kept of [later, ...others]) {
          expect(await state.receipts.put(kept)).toBe(true);
          expect(await state.receipts.get(kept.tenantId, kept.answerId)).toEqual(kept);
        }
        const line = aLine(tenant.id, { answerId: later.answerId, at: now + 60_000 });
        await state.ledger.append(tenant.id, [line]);
        const { items } = await state.ledger.list(tenant.id, { from: now + 60_000, to: now + day }, { limit: 5 });
        expect(items.map(({ memberId }) => memberId)).toEqual(['slack:U1']);
        await state.maintenance.sweep(now + hour);
        expect(await state.receipts.put({ ...waited, at: now })).toBe(true);
      });

      test('a healthy store says so', async () => {
        await expect(state.maintenance.check()).resolves.toBeUndefined();
      });
    });
  });
};
