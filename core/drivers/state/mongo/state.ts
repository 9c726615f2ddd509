import { randomUUID } from 'node:crypto';
import type { Db, MongoClient } from 'mongodb';
import type { Clock, Log } from '../../../ports/runtime.ts';
import type { StateStore } from '../../../ports/state.ts';
import { inboxFor } from '../retention.ts';
import { backupInto } from './backup.ts';
import { type Collections, collectionsIn } from './collections.ts';
import { connect, createClient, databaseOf, defaultLimits, type MongoLimits } from './connect.ts';
import { auditVerbs, channelVerbs, connectionVerbs, leaseVerbs } from './connections.ts';
import { answerCacheVerbs, conversationVerbs, receiptVerbs } from './conversations.ts';
import { examineMongo } from './examine.ts';
import { unavailableFrom } from './faults.ts';
import { guarded } from './guard.ts';
import { inboxVerbs } from './inbox.ts';
import { jobVerbs } from './jobs.ts';
import { ledgerVerbs } from './ledger.ts';
import { createLedgerSums } from './ledger-sums.ts';
import { maintenanceVerbs } from './maintenance.ts';
import { meteringVerbs } from './metering.ts';
import { noticeVerbs, webhookVerbs } from './notices.ts';
import { outboxVerbs } from './outbox.ts';
import { peopleVerbs } from './people.ts';
import { refuseHalfRestored } from './restore.ts';
import { prepareSchema } from './schema.ts';
import { createServerClock, type ServerClock } from './server-clock.ts';
import { documentVerbs, sourceVerbs } from './sources.ts';
import { keyVerbs, memberVerbs, tenantVerbs } from './tenants.ts';
import { createThreads } from './threads.ts';

export type MongoStateOptions = {
  /** The database is the URI's path, `footnote` without one. */
  readonly uri: string;
  /** Shown in the server's logs. */
  readonly appName?: string;
  readonly log: Log;
  readonly clock: Clock;
  /** Longest waits and the size of the pool; see `defaultLimits`. */
  readonly limits?: Partial<MongoLimits>;
  /** TTL indexes as a second net behind the sweep (default true); tests with a clock of their own turn them off. */
  readonly ttlIndexes?: boolean;
  /** Reckon in the server's time (default true); tests with a clock of their own turn it off as well. */
  readonly serverTime?: boolean;
};

/** The state store, and what else there is where it is MongoDB. */
export type MongoState = StateStore & {
  /** For what is kept beside the state (users and sessions), over the same connections and limits. */
  readonly database: Db;
  /** Hand this one to whoever calls the verbs. */
  readonly serverClock: Clock;
};

/**
 * The state store of several machines: MongoDB 4.4 or newer, every verb one conditional change of one document or safe to
 * repeat, every write confirmed by the majority's journal. Throws AppError `config` (URI, server version, a database that
 * a newer Footnote has changed) or `store-unavailable` (unreachable, credentials, an index that cannot be made).
 */
export const openMongoState = async (options: MongoStateOptions): Promise<MongoState> => {
  const { log } = options;
  const limits: MongoLimits = { ...defaultLimits, ...options.limits };
  const client = createClient(options.uri, options.appName ?? 'footnote', limits);
  const database = databaseOf(options.uri);
  const collections = collectionsIn(client.db(database));
  let clock: ServerClock | undefined;
  try {
    await connect(client, database, log);
    await refuseHalfRestored(client.db(database));
    clock = await createServerClock({
      client,
      database,
      clock: options.clock,
      log,
      follow: options.serverTime ?? true,
    });
    await prepareSchema({
      database: client.db(database),
      collections,
      clock,
      log,
      owner: randomUUID(),
      ttl: options.ttlIndexes ?? true,
    });
  } catch (error) {
    clock?.close();
    await client.close().catch(() => undefined);
    throw unavailableFrom(error);
  }
  return storeOver({ client, collections, database, limits, log, clock });
};

type Parts = {
  readonly client: MongoClient;
  readonly collections: Collections;
  readonly database: string;
  readonly limits: MongoLimits;
  readonly log: Log;
  readonly clock: ServerClock;
};

const storeOver = ({ client, collections, database, limits, log, clock }: Parts): MongoState => {
  const tenants = tenantVerbs(collections);
  const sources = sourceVerbs(collections);
  const threads = createThreads(collections);
  const sums = createLedgerSums(collections, clock);
  const conversations = conversationVerbs(collections);
  const receipts = receiptVerbs(collections);
  const outbox = outboxVerbs(collections, { receipts, conversations });
  const metering = meteringVerbs(collections, clock);
  const { drained, ...inbox } = inboxVerbs({ collections, outbox, threads, log, keptForMs: inboxFor });
  return {
    name: 'mongodb',
    database: client.db(database),
    examine: () => examineMongo({ client, collections, database, clock }),
    serverClock: clock,
    tenants: guarded(tenants, limits),
    keys: guarded(keyVerbs(collections), limits),
    members: guarded(memberVerbs(collections), limits),
    sources: guarded(sources, limits),
    documents: guarded(documentVerbs(collections, { tenants, sources }), limits),
    jobs: guarded(jobVerbs(collections), limits),
    inbox: guarded(inbox, limits),
    outbox: guarded(outbox, limits),
    conversations: guarded(conversations, limits),
    receipts: guarded(receipts, limits),
    answerCache: guarded(answerCacheVerbs(collections), limits),
    metering: guarded(metering, limits),
    ledger: guarded(ledgerVerbs(collections, sums, metering), limits),
    channels: guarded(channelVerbs(collections), limits),
    connections: guarded(connectionVerbs(collections), limits),
    people: guarded(peopleVerbs(collections), limits),
    leases: guarded(leaseVerbs(collections), limits),
    audit: guarded(auditVerbs(collections), limits),
    webhooks: guarded(webhookVerbs(collections), limits),
    notices: guarded(noticeVerbs(collections), limits),
    maintenance: guarded(
      {
        ...maintenanceVerbs(collections, threads, sums),
        backup: (folder: string) => backupInto(client.db(database), folder, clock.now),
        close: async () => {
          clock.close();
          await drained();
          await client.close();
        },
      },
      limits,
    ),
  };
};
