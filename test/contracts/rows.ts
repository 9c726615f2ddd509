import type { InboundEvent, Job, LedgerEntry, Notice, Receipt, Source, Tenant, Webhook } from '../../core/domain.ts';
import { inboxIdOf } from '../../core/ids.ts';
import type { InboxRow, StoredDocument } from '../../core/ports/state.ts';
import { testStart as now } from '../fakes/clock.ts';

/** Plain records for tests of and with a state store; every call makes new ids. */

export const noCounts = { seen: 0, upserted: 0, unchanged: 0, removed: 0, failed: 0 };

let serial = 0;
export const fresh = (prefix: string): string => {
  serial += 1;
  return `${prefix}${serial.toString().padStart(6, '0')}`;
};

export const aTenant = (over: Partial<Tenant> = {}): Tenant => {
  const id = fresh('t_');
  return {
    id,
    slug: `slug-${id}`,
    name: 'Acme',
    createdAt: now,
    settings: {},
    activeGeneration: 0,
    contentRevision: 0,
    rev: 0,
    ...over,
  };
};

export const aSource = (tenantId: string, over: Partial<Source> = {}): Source => ({
  id: fresh('s_'),
  tenantId,
  kind: 'push',
  name: 'Handbook',
  settings: {},
  createdAt: now,
  rev: 0,
  ...over,
});

export const aDocument = (tenantId: string, sourceId: string, over: Partial<StoredDocument> = {}): StoredDocument => ({
  id: fresh('d_'),
  tenantId,
  sourceId,
  externalId: fresh('x'),
  title: 'Leave',
  mediaType: 'text/markdown',
  contentHash: 'h',
  fingerprint: 'f',
  bytes: 1,
  chunkCount: 1,
  updatedAt: now,
  ...over,
});

export const aJob = (tenantId: string, over: Partial<Job> = {}): Job => ({
  id: fresh('j_'),
  tenantId,
  kind: 'sync',
  state: 'queued',
  counts: noCounts,
  errors: [],
  createdAt: now,
  attempts: 0,
  ...over,
});

export const anEvent = (over: Partial<InboundEvent> = {}): InboundEvent => {
  const messageId = fresh('msg');
  return {
    platform: 'slack',
    workspaceId: 'W1',
    channelId: 'C1',
    threadId: 'T1',
    messageId,
    dedupeKeys: [`slack:W1:${messageId}`],
    orderKey: messageId,
    kind: 'message',
    scope: 'channel',
    addressed: 'mention',
    author: { id: 'U1', isBot: false, isSelf: false, name: 'Ada' },
    text: 'How many days of leave?',
    attachments: [{ name: 'a.txt' }],
    receivedAt: now,
    handle: { ts: '1' },
    ...over,
  };
};

export const anInboxRow = (event: InboundEvent, threadKey = fresh('thread'), receivedAt = now): InboxRow => ({
  id: inboxIdOf(event.dedupeKeys[0] ?? ''),
  threadKey,
  event,
  state: 'ready',
  attempts: 0,
  receivedAt,
});

export const aReceipt = (tenantId: string, over: Partial<Receipt> = {}): Receipt => ({
  tenantId,
  answerId: fresh('a_'),
  conversationId: 'v_1',
  answer: 'Thirty days [1].',
  kind: 'answered',
  citations: [],
  retrieved: [],
  usage: { promptTokens: 1, completionTokens: 1, embeddingTokens: 0 },
  timingsMs: {},
  at: now,
  question: 'How many days of leave?',
  platform: 'slack',
  memberId: 'slack:U1',
  reasonCode: 'answered',
  inPrompt: [],
  model: 'm',
  promptVersion: '1',
  generation: 0,
  contentRevision: 0,
  cached: false,
  quotaBuckets: [],
  traceId: 'x',
  feedback: [],
  ...over,
});

export const aLine = (tenantId: string, over: Partial<LedgerEntry> = {}): LedgerEntry => ({
  id: fresh('l_'),
  tenantId,
  at: now,
  kind: 'chat',
  model: 'm',
  promptTokens: 10,
  completionTokens: 2,
  embeddingTokens: 0,
  costNanos: 7,
  currency: 'USD',
  platform: 'slack',
  channelId: 'slack:C1',
  memberId: 'slack:U1',
  ...over,
});

export const aWebhook = (tenantId: string, over: Partial<Webhook> = {}): Webhook => ({
  id: fresh('wh_'),
  tenantId,
  name: 'Tickets',
  url: 'https://hooks.example/footnote',
  events: ['question.not_found'],
  text: false,
  sealedSecret: 'sealed',
  createdAt: now,
  rev: 0,
  ...over,
});

export const aNotice = (tenantId: string, over: Partial<Notice> = {}): Notice => ({
  id: fresh('msg_'),
  tenantId,
  receiver: 'wh_1',
  event: 'question.not_found',
  body: '{"type":"question.not_found"}',
  state: 'waiting',
  attempts: 0,
  createdAt: now,
  nextAt: now,
  ...over,
});
