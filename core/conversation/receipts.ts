import type { InboundEvent, ReasonCode, Receipt, Tenant } from '../domain.ts';
import { attachedSourceId } from '../ids.ts';
import type { LogFields, Runtime } from '../ports/runtime.ts';

/** Outcomes that are one honest sentence instead of an answer. */
const sentences: ReadonlySet<ReasonCode> = new Set([
  'empty',
  'too-long',
  'not-allowed',
  'no-sources',
  'model-failed',
  'failed',
  'cancelled',
]);
/** An answer that was stopped halfway is still an answer. */
export const isSentence = ({ kind, reasonCode }: Pick<Receipt, 'kind' | 'reasonCode'>): boolean =>
  kind === 'refused' && sentences.has(reasonCode);

/** Receipt of a question that ended in a sentence of ours: no model wrote it, nothing was charged. */
export const sentenceReceipt = (parts: {
  readonly tenant: Tenant;
  readonly event: InboundEvent;
  readonly answerId: string;
  readonly conversationId: string;
  readonly reason: ReasonCode;
  readonly sentence: string;
  readonly traceId: string;
  readonly at: number;
}): Receipt => ({
  answerId: parts.answerId,
  conversationId: parts.conversationId,
  answer: parts.sentence,
  kind: 'refused',
  reason: parts.reason,
  citations: [],
  retrieved: [],
  usage: { promptTokens: 0, completionTokens: 0, embeddingTokens: 0 },
  timingsMs: {},
  tenantId: parts.tenant.id,
  at: parts.at,
  question: parts.event.text,
  platform: parts.event.platform,
  workspaceId: parts.event.workspaceId,
  channelId: parts.event.channelId,
  threadId: parts.event.threadId,
  messageId: parts.event.messageId,
  memberId: memberIdOf(parts.event),
  reasonCode: parts.reason,
  inPrompt: [],
  model: 'none',
  promptVersion: 'none',
  generation: parts.tenant.activeGeneration,
  contentRevision: parts.tenant.contentRevision,
  cached: false,
  quotaBuckets: [],
  traceId: parts.traceId,
  feedback: [],
});

export const memberIdOf = (event: InboundEvent): string => `${event.platform}:${event.author.id}`;

/** What a tenant that keeps no text keeps: numbers, ids and reasons. */
export const asKept = (tenant: Tenant, receipt: Receipt): Receipt =>
  tenant.settings.keepText === false ? withoutText(receipt) : withoutFiles(receipt);

/** A person's own file was read for one question, and is kept nowhere. */
const withoutFiles = (receipt: Receipt): Receipt => {
  const files = new Set(
    receipt.retrieved.filter(({ sourceId }) => sourceId === attachedSourceId).map(({ documentId }) => documentId),
  );
  if (files.size === 0) return receipt;
  return {
    ...receipt,
    citations: receipt.citations.map((each) => (files.has(each.documentId) ? { ...each, quote: '' } : each)),
    retrieved: receipt.retrieved.map((each) => (files.has(each.documentId) ? { ...each, text: '' } : each)),
  };
};

export const withoutText = (receipt: Receipt): Receipt => {
  const { condensedQuestion: _condensed, ...rest } = receipt;
  return {
    ...rest,
    question: '',
    answer: '',
    citations: receipt.citations.map((citation) => ({ ...citation, quote: '' })),
    retrieved: receipt.retrieved.map((passage) => ({ ...passage, text: '' })),
  };
};

/** What the log tells of an answer: ids, counts and times; words only where the operator switched them on. */
export const logFieldsOf = (receipt: Receipt, { logText }: Runtime): LogFields => ({
  traceId: receipt.traceId,
  answerId: receipt.answerId,
  documentIds: [...new Set(receipt.retrieved.map((passage) => passage.documentId))],
  citedIds: [...new Set(receipt.citations.map((citation) => citation.documentId))],
  model: receipt.model,
  promptTokens: receipt.usage.promptTokens,
  completionTokens: receipt.usage.completionTokens,
  embeddingTokens: receipt.usage.embeddingTokens,
  cached: receipt.cached,
  ...Object.fromEntries(Object.entries(receipt.timingsMs).map(([step, ms]) => [`${step}Ms`, Math.round(ms)])),
  ...(logText === true ? { question: receipt.question, answer: receipt.answer } : {}),
});
