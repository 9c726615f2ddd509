import type { Core, ReceiptFilter } from '../core/core.ts';
import type { Receipt } from '../core/domain.ts';
import { csvLine } from '../core/text/csv.ts';

/** Answers as they leave: what is not there is null. */

const renderAnswer = (receipt: Receipt) => ({
  answerId: receipt.answerId,
  at: new Date(receipt.at).toISOString(),
  outcome: receipt.kind,
  reason: receipt.reasonCode,
  platform: receipt.platform,
  workspaceId: receipt.workspaceId ?? null,
  channelId: receipt.channelId ?? null,
  memberId: receipt.memberId ?? null,
  question: receipt.question,
  answer: receipt.answer,
  citations: receipt.citations.map(({ n, title, url, quote }) => ({ n, title, url: url ?? null, quote })),
  model: receipt.model,
  promptTokens: receipt.usage.promptTokens,
  completionTokens: receipt.usage.completionTokens,
  embeddingTokens: receipt.usage.embeddingTokens,
  cost: receipt.usage.cost ?? null,
  totalMs: receipt.timingsMs.total ?? null,
  feedback: receipt.feedback.map(({ rating, mark, comment, user, at }) => ({
    rating,
    mark: mark ?? null,
    comment: comment ?? null,
    user: user ?? null,
    at: new Date(at).toISOString(),
  })),
});

const columns = [
  ...['answerId', 'at', 'outcome', 'reason', 'platform', 'workspaceId', 'channelId', 'memberId', 'question', 'answer'],
  ...['citations', 'model', 'promptTokens', 'completionTokens', 'embeddingTokens', 'cost', 'currency', 'totalMs'],
  ...['up', 'down', 'marks', 'comments'],
];

const answerCsvLine = (receipt: Receipt): string => {
  const { citations, cost, totalMs, feedback, ...line } = renderAnswer(receipt);
  const votes = (rating: 'up' | 'down'): number => feedback.filter((one) => one.rating === rating).length;
  return csvLine([
    line.answerId,
    line.at,
    line.outcome,
    line.reason,
    line.platform,
    line.workspaceId ?? '',
    line.channelId ?? '',
    line.memberId ?? '',
    line.question,
    line.answer,
    citations.map(({ n, title, url }) => `[${n}] ${title}${url === null ? '' : ` ${url}`}`).join('\n'),
    line.model,
    line.promptTokens,
    line.completionTokens,
    line.embeddingTokens,
    cost?.amount ?? '',
    cost?.currency ?? '',
    totalMs ?? '',
    votes('up'),
    votes('down'),
    feedback.flatMap(({ mark }) => (mark === null ? [] : [mark])).join(' '),
    feedback.flatMap(({ comment }) => (comment === null ? [] : [comment])).join('\n'),
  ]);
};

const answersPerPage = 200;

/** All answers that pass the filter, newest first, page by page, so that a year of them needs no more memory than a day. */
export async function* answersText(
  core: Core,
  tenantId: string,
  filter: ReceiptFilter,
  format: 'csv' | 'ndjson',
): AsyncGenerator<string> {
  if (format === 'csv') yield csvLine(columns);
  let cursor: string | undefined;
  do {
    const page = await core.answers.list(tenantId, filter, {
      limit: answersPerPage,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const receipt of page.items)
      yield format === 'csv' ? answerCsvLine(receipt) : `${JSON.stringify(renderAnswer(receipt))}\n`;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}
