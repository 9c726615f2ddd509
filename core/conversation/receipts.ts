import type { Feedback, InboundEvent, ReasonCode, Receipt, Tenant, Turn, WebhookEvent } from '../domain.ts';
import { attachedSourceId, hashOf } from '../ids.ts';
import type { Happening } from '../ports/notices.ts';
import type { LogFields, Runtime } from '../ports/runtime.ts';
import { maskFor } from '../text/mask.ts';

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

/** As the tenant keeps it: without text only numbers, ids and reasons; masked where it wants personal data masked. */
export const asKept = (tenant: Tenant, receipt: Receipt): Receipt =>
  tenant.settings.keepText === false ? withoutText(receipt) : masked(tenant, withoutFiles(receipt));

const masked = (tenant: Tenant, receipt: Receipt): Receipt => {
  const mask = maskFor(tenant.settings.masking);
  if (mask === null) return receipt;
  const { condensedQuestion } = receipt;
  return {
    ...receipt,
    question: mask(receipt.question),
    ...(condensedQuestion === undefined ? {} : { condensedQuestion: mask(condensedQuestion) }),
    answer: mask(receipt.answer),
    citations: receipt.citations.map((each) => ({ ...each, quote: mask(each.quote) })),
    retrieved: receipt.retrieved.map((each) => ({ ...each, text: mask(each.text) })),
  };
};

/** The same for the turns of a conversation, which follow-ups are read with. */
export const turnsAsKept = (tenant: Tenant, turns: readonly Turn[]): readonly Turn[] => {
  const mask = maskFor(tenant.settings.masking);
  return mask === null ? turns : turns.map((turn) => ({ ...turn, text: mask(turn.text) }));
};

/** And for what people say about an answer. */
export const commentAsKept = (tenant: Tenant, comment: string): string =>
  maskFor(tenant.settings.masking)?.(comment) ?? comment;

/** For webhooks: as it is kept, so that nobody outside reads more than what can be read here. Null: nobody is told. */
export const happeningOf = (tenant: Tenant, given: Receipt): Happening | null => {
  const event = eventOf(given);
  if (event === null) return null;
  const receipt = asKept(tenant, given);
  const { answerId, conversationId, platform, channelId, memberId, kind, reasonCode } = receipt;
  return {
    id: answerId,
    tenantId: tenant.id,
    event,
    at: receipt.at,
    ...(memberId === undefined ? {} : { memberId }),
    data: {
      answerId,
      conversationId,
      platform,
      ...(channelId === undefined ? {} : { channelId }),
      ...(memberId === undefined ? {} : { memberId }),
      kind,
      reason: reasonCode,
      cached: receipt.cached,
      citations: receipt.citations.map(({ n, documentId, externalId }) => ({ n, documentId, externalId })),
      usage: receipt.usage,
    },
    text: { question: receipt.question, answer: receipt.answer },
  };
};

/** A verdict by the same person in the same words is the same one, however often it is pressed. */
export const feedbackHappening = (tenant: Tenant, answerId: string, verdict: Feedback): Happening => {
  const { rating, mark, user, comment, at } = verdict;
  return {
    id: hashOf(answerId, user ?? '', rating, mark ?? '', comment ?? ''),
    tenantId: tenant.id,
    event: 'feedback.given',
    at,
    ...(user === undefined ? {} : { memberId: user }),
    data: {
      answerId,
      rating,
      ...(mark === undefined ? {} : { mark }),
      ...(user === undefined ? {} : { memberId: user }),
    },
    ...(comment === undefined || tenant.settings.keepText === false ? {} : { text: { comment } }),
  };
};

const failures: ReadonlySet<ReasonCode> = new Set(['failed', 'model-failed']);

const eventOf = ({ kind, reasonCode }: Receipt): WebhookEvent | null => {
  if (failures.has(reasonCode)) return 'question.failed';
  if (kind === 'answered') return 'question.answered';
  if (kind === 'not-found') return 'question.not_found';
  return reasonCode === 'cancelled' ? null : 'question.refused';
};

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
