import type { Call } from './sync.ts';

/**
 * Verbs on the way of every question. What they are given is plain JSON, and one text for all that is on its way costs both
 * threads a third of what copying the objects does.
 */
const plain: ReadonlySet<string> = new Set([
  'inbox.receive',
  'inbox.receiveAndClaim',
  'inbox.claimThread',
  'inbox.heartbeatThread',
  'inbox.pending',
  'inbox.settle',
  'inbox.settleAndNext',
  'inbox.releaseThread',
  'outbox.open',
  'outbox.posted',
  'outbox.finalize',
  'outbox.sent',
  'conversations.turns',
  'people.personOf',
  'answerCache.get',
  'answerCache.put',
  'metering.limits',
  'metering.counters',
  'metering.reserve',
  'metering.settle',
  'metering.release',
  'ledger.append',
]);

/** A text where all of them are plain, else as they are. */
export type PackedCalls = string | readonly Call[];

/** A text would make null of an argument that was left out: those at the end are left out in it as well. */
const withoutRest = (call: Call): Call =>
  call.args.length > 0 && call.args.at(-1) === undefined
    ? { ...call, args: call.args.slice(0, call.args.findLastIndex((arg) => arg !== undefined) + 1) }
    : call;

export const packCalls = (calls: readonly Call[]): PackedCalls =>
  calls.every(({ group, verb }) => plain.has(`${group}.${verb}`)) ? JSON.stringify(calls.map(withoutRest)) : calls;

export const unpackCalls = (packed: PackedCalls): readonly Call[] =>
  typeof packed === 'string' ? (JSON.parse(packed) as readonly Call[]) : packed;
