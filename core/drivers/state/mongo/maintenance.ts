import type { UpdateFilter } from 'mongodb';
import type { InboundEvent } from '../../../domain.ts';
import type { MaintenanceStore } from '../../../ports/state.ts';
import { withoutText } from '../forgotten.ts';
import { day, inboxFor, jobsFor, noticesFor, outboxFor, runEvery, runsKept, textFor } from '../retention.ts';
import { type Collections, type InboxDoc, keyOf, type ReceiptDoc } from './collections.ts';
import { forgottenFields, personKey, sidesOf } from './conversations.ts';
import { markForgotten } from './forgotten.ts';
import type { LedgerSums } from './ledger-sums.ts';
import { counterExpiry, tidyCounter } from './metering.ts';
import { change, chunksOf, removeSome, stepRows, trim, twice, within } from './queries.ts';
import type { Threads } from './threads.ts';

/** Steps of one kind in one sweep; what is left waits for the next, half a minute later. */
const maxSteps = 200;

type Step = () => Promise<boolean>;

/** Repeats a step while it says that there may be more. */
const drain = async (step: Step): Promise<void> => {
  for (let round = 0; round < maxSteps; round += 1) if (!(await step())) return;
};

export const maintenanceVerbs = (
  collections: Collections,
  threads: Threads,
  sums: LedgerSums,
): Pick<MaintenanceStore, 'sweep' | 'forgetMember' | 'retentionRuns' | 'check'> => ({
  sweep: (now) => sweep(collections, threads, now),
  forgetMember: (tenantId, memberId, pseudonym, now) =>
    forgetMember({ ...collections, sums }, tenantId, memberId, pseudonym, now),
  retentionRuns: async (tenantId) =>
    (await collections.runs.find({ tenantId }, within).sort({ day: -1 }).limit(runsKept).toArray()).map(
      ({ day, at, receipts, turns }) => ({ day, at, receipts, turns }),
    ),
  // A real write, waiting for the majority: a full disk and a lost majority answer reads as if nothing were wrong.
  check: async () => {
    await twice(() => collections.meta.updateOne({ _id: 'health' }, { $inc: { checks: 1 } }, { upsert: true }));
  },
});

const sweep = async (collections: Collections, threads: Threads, now: number): Promise<void> => {
  const { settlements, counters, windows, answerCache, codes, personCodes, inbox, outbox, jobs, leases } = collections;
  await tidyCounters(collections, now);
  const steps: readonly Step[] = [
    () => trim(settlements, { expiresAt: { $lte: now } }),
    () => trim(counters, { expiresAt: { $lte: counterExpiry(now) } }),
    () => trim(windows, { expiresAt: { $lte: now } }),
    () => trim(answerCache, { expiresAt: { $lte: now } }),
    () => trim(codes, { expiresAt: { $lte: now } }),
    () => trim(personCodes, { expiresAt: { $lte: now } }),
    () => trim(collections.forgotten, { expiresAt: { $lte: now } }),
    () => stripInbox(collections, { settledAt: { $lte: now - textFor } }),
    () => trim(inbox, { state: 'settled', settledAt: { $lte: now - inboxFor } }),
    () =>
      trim(collections.threads, {
        waiting: false,
        servedAt: { $lte: now - inboxFor },
        leaseUntil: { $lte: now - inboxFor },
      }),
    () =>
      change(outbox, { state: 'sent', final: { $ne: null }, sentAt: { $lte: now - textFor } }, () => ({
        $set: { final: null },
      })),
    () => trim(outbox, { openedAt: { $lte: now - outboxFor } }),
    () => trim(collections.notices, { createdAt: { $lte: now - noticesFor } }),
    () => trim(jobs, { state: { $in: ['done', 'failed'] }, finishedAt: { $lte: now - jobsFor } }),
    () => trim(leases, { _id: { $gte: 'instance:', $lt: 'instance;' }, leaseUntil: { $lte: now - day } }),
  ];
  for (const step of steps) await drain(step);
  await keepNoText(collections);
  await retain(collections, now);
  await threads.repair(now, maxSteps * stepRows);
};

/** Page by page through the counters that have holds or marks. */
const tidyCounters = async (collections: Collections, now: number): Promise<void> => {
  let after = '';
  await drain(async () => {
    const docs = await collections.counters
      .find({ busy: 1, _id: { $gt: after } }, within)
      .sort({ _id: 1 })
      .limit(stepRows)
      .toArray();
    for (const doc of docs) await tidyCounter(collections, doc, now);
    after = docs.at(-1)?._id ?? after;
    return docs.length === stepRows;
  });
};

const strippedOf = ({ event }: Pick<InboxDoc, 'event'>, authorId?: string): string =>
  JSON.stringify(withoutText(JSON.parse(event) as InboundEvent, authorId));

const stripInbox = ({ inbox }: Collections, where: object): Promise<boolean> =>
  change(inbox, { state: 'settled', stripped: false, ...where }, (row) => ({
    $set: { event: strippedOf(row), stripped: true },
  }));

/** Tenants that keep no text at all. */
const keepNoText = async (collections: Collections): Promise<void> => {
  const strict = await collections.tenants
    .find({ keepText: false }, within)
    .project<{ _id: string }>({ _id: 1 })
    .toArray();
  for (const ids of chunksOf(strict.map((doc) => doc._id)))
    await drain(() => stripInbox(collections, { tenantId: { $in: [...ids] } }));
};

/** Receipts and conversations older than their tenant keeps them. */
const retain = async (collections: Collections, now: number): Promise<void> => {
  const { tenants, receipts, turns } = collections;
  const strict = await tenants
    .find({ retentionDays: { $gt: 0 }, deletedAt: null }, within)
    .project<{ _id: string; retentionDays: number }>({ retentionDays: 1 })
    .toArray();
  for (const { _id, retentionDays } of strict) {
    const old = { tenantId: _id, at: { $lt: now - retentionDays * day } };
    const gone = { receipts: 0, turns: 0 };
    await drain(async () => {
      const count = await removeSome(receipts, old);
      gone.receipts += count;
      return count === stepRows;
    });
    await drain(async () => {
      const count = await removeSome(turns, old);
      gone.turns += count;
      return count === stepRows;
    });
    await noteRun(collections, _id, now, gone);
  }
};

/** For the people of the tenant: that it ran, and what went. */
const noteRun = async (
  { runs }: Collections,
  tenantId: string,
  now: number,
  gone: { readonly receipts: number; readonly turns: number },
): Promise<void> => {
  const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
  const _id = keyOf(tenantId, dayOf(now));
  if (gone.receipts + gone.turns === 0) {
    const last = await runs.findOne({ _id }, within);
    if (last !== null && now - last.at < runEvery) return;
  }
  await twice(() =>
    runs.updateOne(
      { _id },
      { $setOnInsert: { tenantId, day: dayOf(now) }, $set: { at: now }, $inc: gone },
      { upsert: true },
    ),
  );
  await runs.deleteMany({ tenantId, day: { $lt: dayOf(now - runsKept * day) } });
};

/**
 * The receipts come last: through them everything else of the person is found, so that a call that broke off anywhere is
 * simply made again. Steps here have no bound but the verb's own time, for half a forgetting is none.
 */
const forgetMember = async (
  collections: Collections & { readonly sums: LedgerSums },
  tenantId: string,
  memberId: string,
  pseudonym: string,
  now?: number,
): Promise<void> => {
  if (memberId === pseudonym) return;
  if (now !== undefined) await markForgotten(collections, tenantId, memberId, { pseudonym, at: now });
  const { outbox, personCodes, ledger, sums } = collections;
  const mine = { tenantId, memberId };
  // A delivery under way is given up rather than sent to somebody who asked to be forgotten.
  while (
    await change(outbox, mine, (row) => ({
      $set: { final: null, state: 'sent' as const, sentAt: row.sentAt ?? row.openedAt, memberId: null },
    }))
  );
  await forgetTurns(collections, mine);
  while (await forgetInbox(collections, tenantId, memberId, pseudonym));
  while (await trim(personCodes, mine));
  // What was not told yet stays untold; the lines of the log say whose words they were no more.
  while (await trim(collections.notices, { ...mine, state: 'waiting' }));
  while (await change(collections.notices, mine, () => ({ $set: { memberId: null } })));
  await sums.aroundChange(tenantId);
  while (await change(ledger, mine, () => ({ $set: { memberId: pseudonym } })));
  await sums.aroundChange(tenantId);
  await forgetVerdicts(collections, tenantId, memberId, pseudonym);
  while (await change(collections.receipts, mine, (row) => ({ $set: forgottenFields(row, pseudonym) })));
};

/** Receipts that are looked through at once for somebody's verdicts. */
const lookedThrough = 2_000;

/**
 * What the person said about answers to others: the verdict stays, the words and the name go. No index looks through a map,
 * so the tenant's receipts are looked through in the order of their ids, in steps that each end long before their time.
 */
const forgetVerdicts = async (
  { receipts }: Collections,
  tenantId: string,
  memberId: string,
  pseudonym: string,
): Promise<void> => {
  const [person, nobody] = [personKey(memberId), personKey(pseudonym)];
  const theirs = `feedback.${person}`;
  let after = keyOf(tenantId, '');
  // Ids begin with the tenant and a bar; the brace is the sign after it.
  const end = `${keyOf(tenantId)}}`;
  for (;;) {
    const page = await receipts
      .find({ _id: { $gt: after, $lt: end } }, within)
      .project<{ _id: string; feedback?: ReceiptDoc['feedback'] }>({ [theirs]: 1 })
      .sort({ _id: 1 })
      .limit(lookedThrough)
      .toArray();
    const judged = page.filter(({ feedback }) => feedback?.[person] !== undefined).map(({ _id }) => _id);
    for (const ids of chunksOf(judged))
      await change(receipts, { _id: { $in: [...ids] }, [theirs]: { $exists: true } }, (row) => {
        const { comment: _, user: __, ...verdict } = row.feedback[person] ?? { rating: 'up', at: row.at };
        const { [person]: _mine, ...others } = row.feedback;
        return {
          $unset: { [theirs]: '' },
          $set: { [`feedback.${nobody}`]: verdict, ...sidesOf({ ...others, [nobody]: verdict }) },
        } as UpdateFilter<ReceiptDoc>;
      });
    const last = page.at(-1);
    if (last === undefined || page.length < lookedThrough) return;
    after = last._id;
  }
};

/** Turns are found through the receipts, whose member is about to be changed. */
const forgetTurns = async (
  { receipts, turns }: Collections,
  mine: { readonly tenantId: string; readonly memberId: string },
): Promise<void> => {
  let after = '';
  for (;;) {
    const page = await receipts
      .find({ ...mine, answerId: { $gt: after } }, within)
      .project<{ answerId: string }>({ answerId: 1 })
      .sort({ answerId: 1 })
      .limit(stepRows)
      .toArray();
    const last = page.at(-1);
    if (last === undefined) return;
    await turns.deleteMany({ tenantId: mine.tenantId, answerId: { $in: page.map((doc) => doc.answerId) } });
    after = last.answerId;
  }
};

/** A member id is `platform:userId`; an inbox row knows the two apart. */
const forgetInbox = (
  { inbox }: Collections,
  tenantId: string,
  memberId: string,
  pseudonym: string,
): Promise<boolean> => {
  const split = memberId.indexOf(':');
  return change(
    inbox,
    { tenantId, authorId: memberId.slice(split + 1), platform: memberId.slice(0, Math.max(0, split)) },
    (row) => ({ $set: { event: strippedOf(row, pseudonym), authorId: pseudonym, stripped: true } }),
  );
};
