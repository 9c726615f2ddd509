import { auditVerbs, channelVerbs, connectionVerbs, leaseVerbs } from './connections.ts';
import { answerCacheVerbs, conversationVerbs, receiptVerbs } from './conversations.ts';
import { inboxVerbs } from './inbox.ts';
import { jobVerbs } from './jobs.ts';
import { maintenanceVerbs } from './maintenance.ts';
import { ledgerVerbs, meteringVerbs } from './metering.ts';
import { noticeVerbs, webhookVerbs } from './notices.ts';
import { outboxVerbs } from './outbox.ts';
import { peopleVerbs } from './people.ts';
import { documentVerbs, sourceVerbs } from './sources.ts';
import type { Sql } from './sql.ts';
import type { SyncStore } from './sync.ts';
import { keyVerbs, memberVerbs, tenantVerbs } from './tenants.ts';

/** Every verb over one connection. Nothing here begins or commits: the batch around it does. */
export const createSyncStore = (sql: Sql): SyncStore => {
  const conversations = conversationVerbs(sql);
  const { putFinal, ...receipts } = receiptVerbs(sql);
  const outbox = outboxVerbs(sql, { receipts: { put: receipts.put, putFinal }, conversations });
  const metering = meteringVerbs(sql);
  return {
    tenants: tenantVerbs(sql),
    keys: keyVerbs(sql),
    members: memberVerbs(sql),
    sources: sourceVerbs(sql),
    documents: documentVerbs(sql),
    jobs: jobVerbs(sql),
    inbox: inboxVerbs(sql, outbox),
    outbox,
    conversations,
    receipts,
    answerCache: answerCacheVerbs(sql),
    metering,
    ledger: ledgerVerbs(sql, metering),
    channels: channelVerbs(sql),
    connections: connectionVerbs(sql),
    people: peopleVerbs(sql),
    leases: leaseVerbs(sql),
    audit: auditVerbs(sql),
    webhooks: webhookVerbs(sql),
    notices: noticeVerbs(sql),
    maintenance: maintenanceVerbs(sql),
  };
};
