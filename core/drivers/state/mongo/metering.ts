import type { QuotaLimit } from '../../../domain.ts';
import { hashOf } from '../../../ids.ts';
import type { Clock } from '../../../ports/runtime.ts';
import type { Counter, CounterState, MeteringStore } from '../../../ports/state.ts';
import { hour, marksFor } from '../retention.ts';
import { type Collections, type CounterDoc, keyOf } from './collections.ts';
import { inserted, parsed, twice, within } from './queries.ts';

/** Rounds of look and conditional change; each lost round means that somebody else got on with the same reservation. */
const maxRounds = 50;

export const reservationKey = (reservationId: string): string => `r${hashOf(reservationId).slice(0, 24)}`;

const stateOf = (id: string, doc: CounterDoc | null, now: number): CounterState => ({
  id,
  used: doc !== null && doc.expiresAt > now ? doc.used : 0,
  // A hold that ran out no longer counts, whether or not it was swept.
  held: Object.values(doc?.holds ?? {}).reduce((sum, hold) => sum + (hold.u > now ? hold.a : 0), 0),
});

/** Marks that have left their counter's document. */
export const settlementId = (tenantId: string, counterId: string, key: string): string =>
  keyOf(tenantId, counterId, key);

/** Takes a hold out exactly as it was read, with its amount. */
export const dropHold = async (
  { counters }: Collections,
  _id: string,
  key: string,
  hold: { readonly a: number; readonly u: number },
): Promise<boolean> =>
  (
    await counters.updateOne(
      { _id, [`holds.${key}.a`]: hold.a, [`holds.${key}.u`]: hold.u },
      { $unset: { [`holds.${key}`]: '' }, $inc: { taken: -hold.a } },
    )
  ).matchedCount === 1;

export const meteringVerbs = (collections: Collections, clock: Clock): MeteringStore => {
  const { counters, settlements, limits, windows } = collections;

  const isSettled = async (tenantId: string, counterId: string, key: string, doc: CounterDoc | null) =>
    doc?.settled[key] !== undefined ||
    (await settlements.findOne({ _id: settlementId(tenantId, counterId, key) }, within)) !== null;

  /**
   * The one conditional step: room enough, and neither held nor settled. What was used, what is held and who holds it
   * stand in one document, so any number of instances may try at once, and the same reservation counts once however
   * often a broken connection makes somebody repeat it.
   */
  const hold = async (_id: string, counter: Counter, key: string, amount: number, until: number): Promise<boolean> => {
    const { matchedCount } = await counters.updateOne(
      {
        _id,
        taken: { $lte: counter.limit - amount },
        [`holds.${key}`]: { $exists: false },
        [`settled.${key}`]: { $exists: false },
      },
      {
        $set: { [`holds.${key}`]: { a: amount, u: until } },
        $inc: { taken: amount },
        $max: { expiresAt: counter.expiresAt, expireAt: new Date(counter.expiresAt + marksFor), busy: 1 },
      },
    );
    return matchedCount === 1;
  };

  /** Refused, unless it was settled before. */
  const refused = async (tenantId: string, counter: Counter, key: string, doc: CounterDoc | null, now: number) =>
    (await isSettled(tenantId, counter.id, key, doc))
      ? ({ outcome: 'held' } as const)
      : ({ outcome: 'refused', state: stateOf(counter.id, doc, now) } as const);

  /** Takes out holds that ran out before `now`; true when there was one. */
  const prune = async (doc: CounterDoc, now: number): Promise<boolean> => {
    const over = Object.entries(doc.holds).filter(([, one]) => one.u <= now);
    await Promise.all(over.slice(0, 50).map(([key, one]) => dropHold(collections, doc._id, key, one)));
    return over.length > 0;
  };

  const newCounter = (tenantId: string, id: string, expiresAt: number): CounterDoc => ({
    _id: keyOf(tenantId, id),
    tenantId,
    id,
    used: 0,
    taken: 0,
    holds: {},
    settled: {},
    expiresAt,
    busy: 1,
    expireAt: new Date(expiresAt + marksFor),
  });

  return {
    reserve: async (tenantId, counter, reservationId, amount, now, holdUntil) => {
      const key = reservationKey(reservationId);
      const _id = keyOf(tenantId, counter.id);
      // A reservation whose mark has left the document is held anew here; settling then finds the mark, and drops the hold.
      for (let round = 0; round < maxRounds; round += 1) {
        if (await hold(_id, counter, key, amount, holdUntil)) return { outcome: 'held' };
        const doc = await counters.findOne({ _id }, within);
        if (doc === null) {
          if (amount > counter.limit) return refused(tenantId, counter, key, null, now);
          const fresh = newCounter(tenantId, counter.id, counter.expiresAt);
          const first = { ...fresh, taken: amount, holds: { [key]: { a: amount, u: holdUntil } } };
          if (await inserted(() => counters.insertOne(first))) return { outcome: 'held' };
          continue;
        }
        if (doc.settled[key] !== undefined) return { outcome: 'held' };
        const own = doc.holds[key];
        if (own !== undefined && own.u > now) {
          const { matchedCount } = await counters.updateOne(
            { _id, [`holds.${key}.u`]: { $gt: now } },
            { $max: { [`holds.${key}.u`]: holdUntil } },
          );
          if (matchedCount === 1) return { outcome: 'held' };
          continue;
        }
        if (await prune(doc, now)) continue;
        if (doc.taken > counter.limit - amount) return refused(tenantId, counter, key, doc, now);
        // There was no room a moment ago and there is now.
      }
      throw new Error('a reservation changed under every look');
    },
    extend: async (tenantId, counterIds, reservationId, holdUntil, now) => {
      const path = `holds.${reservationKey(reservationId)}.u`;
      const extended = await Promise.all(
        counterIds.map((counterId) =>
          counters.updateOne(
            { _id: keyOf(tenantId, counterId), [path]: { $gt: now } },
            { $max: { [path]: holdUntil } },
          ),
        ),
      );
      return extended.every(({ matchedCount }) => matchedCount === 1);
    },
    settle: async (tenantId, counterId, reservationId, actual) => {
      const key = reservationKey(reservationId);
      const _id = keyOf(tenantId, counterId);
      const now = clock.now();
      const startedAt = performance.now();
      for (let round = 0; round < maxRounds; round += 1) {
        const doc = await counters.findOne({ _id }, within);
        const own = doc?.holds[key];
        if (await isSettled(tenantId, counterId, key, doc)) {
          if (own !== undefined) await dropHold(collections, _id, key, own);
          return false;
        }
        // Between looking and writing a mark may move to `settlements`, but never within this time: see `moveMarks`.
        if (performance.now() - startedAt > settleWithinMs) break;
        // Used is used: a hold that ran out, or a counter that was swept, does not make the charge go away.
        if (doc === null) {
          const fresh = newCounter(tenantId, counterId, now);
          const charged = { ...fresh, used: actual, taken: actual, settled: { [key]: now } };
          if (await inserted(() => counters.insertOne(charged))) return true;
          continue;
        }
        const { matchedCount } = await counters.updateOne(
          {
            _id,
            [`settled.${key}`]: { $exists: false },
            ...(own === undefined ? { [`holds.${key}`]: { $exists: false } } : { [`holds.${key}.a`]: own.a }),
          },
          {
            $set: { [`settled.${key}`]: now, busy: 1 },
            $inc: { used: actual, taken: actual - (own?.a ?? 0) },
            ...(own === undefined ? {} : { $unset: { [`holds.${key}`]: '' } }),
          },
        );
        if (matchedCount === 1) return true;
      }
      throw new Error('a settlement changed under every look');
    },
    release: async (tenantId, counterIds, reservationId) => {
      const key = reservationKey(reservationId);
      await Promise.all(
        counterIds.map(async (counterId) => {
          const _id = keyOf(tenantId, counterId);
          for (let round = 0; round < maxRounds; round += 1) {
            const own = (await counters.findOne({ _id }, within))?.holds[key];
            if (own === undefined || (await dropHold(collections, _id, key, own))) return;
          }
        }),
      );
    },
    counters: async (tenantId, ids, now) => {
      const docs = await counters.find({ _id: { $in: ids.map((id) => keyOf(tenantId, id)) } }, within).toArray();
      const byId = new Map(docs.map((doc) => [doc.id, doc]));
      return ids.map((id) => stateOf(id, byId.get(id) ?? null, now));
    },
    limits: async (tenantId) => {
      const doc = await limits.findOne({ _id: tenantId }, within);
      return doc === null ? [] : parsed<readonly QuotaLimit[]>(doc.record);
    },
    putLimits: async (tenantId, list, expected) => {
      const record = JSON.stringify(list);
      if (expected === undefined) {
        await twice(() => limits.replaceOne({ _id: tenantId }, { tenantId, record }, { upsert: true }));
        return true;
      }
      // Compared as the text that it is kept as: reading and writing it again changes nothing.
      const before = JSON.stringify(expected);
      const { matchedCount } = await limits.updateOne({ _id: tenantId, record: before }, { $set: { record } });
      if (matchedCount === 1) return true;
      return expected.length === 0 && inserted(() => limits.insertOne({ _id: tenantId, tenantId, record }));
    },
    raise: async (tenantId, { id, expiresAt }, atLeast) => {
      const _id = keyOf(tenantId, id);
      for (let round = 0; round < maxRounds; round += 1) {
        const doc = await counters.findOne({ _id }, within);
        if (doc === null) {
          const fresh = newCounter(tenantId, id, expiresAt);
          if (await inserted(() => counters.insertOne({ ...fresh, used: atLeast, taken: atLeast }))) return;
          continue;
        }
        const more = Math.max(0, atLeast - doc.used);
        // What is used and what is taken grow together, so only from what was read.
        const { matchedCount } = await counters.updateOne(
          { _id, used: doc.used },
          { $inc: { used: more, taken: more }, $max: { expiresAt, expireAt: new Date(expiresAt + marksFor) } },
        );
        if (matchedCount === 1) return;
      }
      throw new Error('a counter changed under every look');
    },
    hit: async (key, limit, windowMs, now) => {
      const _id = keyOf(key);
      // Two that find no window at once both begin one; the second finds the first's when it tries again.
      const doc = await twice(
        async () =>
          (await windows.findOneAndUpdate(
            { _id, expiresAt: { $gt: now } },
            { $inc: { hits: 1 } },
            { returnDocument: 'after' },
          )) ??
          (await windows.findOneAndUpdate(
            { _id, expiresAt: { $lte: now } },
            { $set: { hits: 1, expiresAt: now + windowMs, expireAt: new Date(now + windowMs) } },
            { upsert: true, returnDocument: 'after' },
          )),
      );
      return { ok: (doc?.hits ?? 0) <= limit, resetsAt: doc?.expiresAt ?? now + windowMs };
    },
  };
};

/** A settlement that has looked must write within this time, or look again. */
const settleWithinMs = 60_000;
/** After this a mark is copied out of its counter's document. */
const copyAfterMs = 60_000;
/** And only this long after the copy it leaves the document; far above `settleWithinMs` and a write's longest wait. */
const leaveAfterMs = 10 * 60_000;

/**
 * Keeps counters small: copies older marks into documents of their own, and takes out those whose copy has stood for a
 * while. In two steps at two times, so that whoever looks in both places sees the mark in one of them. A
 * counter that has neither holds nor marks any more is looked at no longer.
 */
export const tidyCounter = async (collections: Collections, doc: CounterDoc, now: number): Promise<void> => {
  const { counters, settlements } = collections;
  for (const [key, hold] of Object.entries(doc.holds)) {
    if (hold.u <= now) await dropHold(collections, doc._id, key, hold);
  }
  const old = Object.entries(doc.settled).filter(([, at]) => at <= now - copyAfterMs);
  const ids = old.map(([key]) => settlementId(doc.tenantId, doc.id, key));
  const copies = new Map(
    (ids.length === 0 ? [] : await settlements.find({ _id: { $in: ids } }, within).toArray()).map((copy) => [
      copy._id,
      copy,
    ]),
  );
  const expiresAt = Math.max(doc.expiresAt, now) + marksFor;
  for (const [key] of old) {
    const _id = settlementId(doc.tenantId, doc.id, key);
    const copy = copies.get(_id);
    if (copy === undefined) {
      await inserted(() =>
        settlements.insertOne({ _id, tenantId: doc.tenantId, movedAt: now, expiresAt, expireAt: new Date(expiresAt) }),
      );
    } else if (copy.movedAt <= now - leaveAfterMs) {
      await counters.updateOne({ _id: doc._id }, { $unset: { [`settled.${key}`]: '' } });
    }
  }
  // Equality with the empty document: whoever adds a hold or a mark in between sets `busy` anew.
  await counters.updateOne({ _id: doc._id, holds: {}, settled: {} }, { $set: { busy: 0 } });
};

/** Windows that ended two days ago; `hour` keeps a late settlement's own counter for its repeat. */
export const counterExpiry = (now: number): number => now - marksFor - hour;
