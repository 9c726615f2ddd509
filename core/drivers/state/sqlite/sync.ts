import type { StateStore } from '../../../ports/state.ts';
import type { Refusal } from './faults.ts';
import type { SyncMaintenance } from './maintenance.ts';
import type { PackedCalls } from './wire.ts';

/** A long verb's way to say: I did a bounded part, commit it, let others run, then call me again. */
export const unfinished = Symbol('unfinished');
export type Unfinished = typeof unfinished;

type SyncVerb<Verb> = Verb extends (...args: infer Args) => Promise<infer Result>
  ? (...args: Args) => Result | Unfinished
  : never;

/** The same verbs without promises: what runs inside the worker, over one connection. */
export type SyncGroup<Group> = { readonly [Verb in keyof Group]: SyncVerb<Group[Verb]> };

type GroupName = Exclude<keyof StateStore, 'name' | 'examine'>;

/** The port as the worker implements it; copying and closing are the main thread's. */
export type SyncStore = {
  readonly [Group in GroupName]: Group extends 'maintenance' ? SyncMaintenance : SyncGroup<StateStore[Group]>;
};

/**
 * `write` and `read` go through the one writer, which groups them into commits. A `lease` is a write that only matters
 * while its holder lives, or that is made anew: it survives the death of every process, but need not survive a power cut,
 * which ends all holders, so it does not wait for the disk; the next write that does takes it along. A `report` may take long and runs beside the writer on a connection of its
 * own, so that no page of a console delays an acknowledgement.
 */
export type VerbKind = 'read' | 'write' | 'lease' | 'report';

/** Every verb of the port; the proxy is generated from this list, and the compiler insists that it is complete. */
export const verbs = {
  tenants: {
    create: 'write',
    get: 'read',
    bySlug: 'read',
    list: 'read',
    figures: 'report',
    update: 'write',
    bumpContentRevision: 'write',
    switchGeneration: 'write',
    markDeleted: 'write',
    erase: 'write',
    deleted: 'read',
    generations: 'read',
    addGeneration: 'write',
    updateGeneration: 'write',
    removeGeneration: 'write',
    generationsDue: 'read',
  },
  keys: { create: 'write', byHash: 'read', list: 'read', revoke: 'write', touch: 'lease' },
  members: { put: 'write', ofUser: 'read', ofTenant: 'read', remove: 'write', operators: 'read' },
  sources: {
    create: 'write',
    get: 'read',
    list: 'read',
    update: 'write',
    remove: 'write',
    due: 'read',
    reschedule: 'write',
    saveCursor: 'write',
    markSynced: 'write',
  },
  documents: {
    standing: 'read',
    write: 'write',
    get: 'read',
    getMany: 'read',
    list: 'read',
    remove: 'write',
    markSeen: 'write',
    unseen: 'read',
    count: 'read',
    contents: 'read',
    markBuilt: 'write',
    builtOf: 'read',
    built: 'read',
    removeBuilt: 'write',
  },
  jobs: {
    enqueue: 'write',
    get: 'read',
    list: 'read',
    claim: 'lease',
    heartbeat: 'lease',
    finish: 'write',
    release: 'lease',
    all: 'report',
    depth: 'report',
    cancel: 'write',
  },
  inbox: {
    receive: 'write',
    receiveAndClaim: 'write',
    claimThread: 'lease',
    heartbeatThread: 'lease',
    // Whoever is handed a row is about to say something, and the count of its attempts has to outlive a power cut.
    pending: 'write',
    settle: 'write',
    settleAndNext: 'write',
    releaseThread: 'lease',
    byMessage: 'read',
    get: 'read',
    depth: 'read',
  },
  outbox: {
    // What is lost of it at a power cut, the count of the row's attempts tells; what follows it syncs it.
    open: 'lease',
    posted: 'write',
    // The same: the row still tells that something may have been said, and the charge before it is on the disk.
    finalize: 'lease',
    sent: 'write',
    stop: 'lease',
    get: 'read',
    byPostedId: 'read',
  },
  conversations: { append: 'write', turns: 'read', exists: 'read', removePair: 'write' },
  receipts: {
    put: 'write',
    get: 'read',
    list: 'report',
    open: 'report',
    channels: 'report',
    tally: 'report',
    addFeedback: 'write',
    markGap: 'write',
  },
  answerCache: { get: 'read', put: 'lease' },
  metering: {
    reserve: 'lease',
    extend: 'lease',
    settle: 'write',
    release: 'lease',
    counters: 'read',
    limits: 'read',
    putLimits: 'write',
    raise: 'write',
    hit: 'lease',
  },
  ledger: { append: 'write', list: 'report', usage: 'report' },
  channels: { get: 'read', put: 'write', list: 'read' },
  connections: {
    create: 'write',
    get: 'read',
    byId: 'read',
    byWorkspace: 'read',
    list: 'read',
    ofPlatform: 'report',
    setCredentials: 'write',
    remove: 'write',
    touch: 'lease',
    offerCode: 'write',
    takeCode: 'write',
    putInstallation: 'write',
    getInstallation: 'read',
    removeInstallation: 'write',
    chooseHome: 'write',
    chosenHome: 'read',
  },
  people: {
    personOf: 'read',
    link: 'write',
    unlink: 'write',
    identitiesOf: 'read',
    offerCode: 'write',
    takeCode: 'write',
  },
  leases: { acquire: 'lease', renew: 'lease', release: 'lease', seen: 'read' },
  audit: { append: 'write', list: 'report' },
  webhooks: { create: 'write', get: 'read', list: 'read', update: 'write', note: 'lease', remove: 'write' },
  notices: { add: 'write', claim: 'lease', settle: 'write', get: 'read', list: 'read' },
  maintenance: {
    sweep: 'write',
    indexReceipts: 'write',
    retentionRuns: 'read',
    forgetMember: 'write',
    check: 'write',
  },
} as const satisfies { readonly [Group in keyof SyncStore]: Readonly<Record<keyof SyncStore[Group], VerbKind>> };

/** A verb call on its way to the worker. `until` is wall-clock: nobody waits for the answer after it. */
export type Call = {
  readonly id: number;
  readonly group: string;
  readonly verb: string;
  readonly args: readonly unknown[];
  readonly until: number;
};
export type Reply =
  | { readonly id: number; readonly value: unknown }
  | {
      readonly id: number;
      readonly problem: string;
      readonly detail: string;
      readonly retryable: boolean;
      readonly refusal?: Refusal;
    };

export type ToWorker = { readonly calls: PackedCalls } | { readonly close: true };
export type FromWorker =
  | { readonly ready: true }
  | { readonly refused: string; readonly code: 'config' | 'store-unavailable'; readonly detail: string }
  | { readonly replies: readonly Reply[] };

/** Whether a call waits for nothing but the processor: it goes before those that wait for the disk. */
export const isLight = (call: Pick<Call, 'group' | 'verb'>): boolean => {
  const kind = kindOf(call);
  return kind === 'read' || kind === 'lease';
};

/** Undefined: no verb of the port. */
export const kindOf = ({ group, verb }: Pick<Call, 'group' | 'verb'>): VerbKind | undefined =>
  (verbs as Readonly<Record<string, Readonly<Record<string, VerbKind>>>>)[group]?.[verb];

export type WorkerSettings = { readonly file: string; readonly readOnly: boolean };
