import type { Core, Gap, GapQuestion } from '../core.ts';
import type { Receipt } from '../domain.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import { groupAlike } from './alike.ts';

/** The newest open questions that are looked at; more would not be read by anybody either. */
const questionsRead = 2000;
const perPage = 500;

/** Questions that the documents leave open. */
export const createGaps = ({
  state,
  runtime,
}: {
  readonly state: Pick<StateStore, 'receipts'>;
  readonly runtime: Runtime;
}): Core['gaps'] => ({
  list: async (tenantId, since) => {
    const open: GapQuestion[] = [];
    let cursor: string | undefined;
    do {
      const page = await state.receipts.list(
        tenantId,
        { gap: true, from: since },
        { limit: perPage, ...(cursor === undefined ? {} : { cursor }) },
      );
      // A forgotten person's words are gone, and so are those of a tenant that keeps none: nothing to be answered.
      open.push(...page.items.filter(({ question }) => question.trim() !== '').map(questionOf));
      cursor = page.nextCursor;
    } while (cursor !== undefined && open.length < questionsRead);
    // Oldest first, so that a group keeps its name when more people ask.
    const groups = groupAlike(open.reverse(), ({ question }) => question).map(gapOf);
    return {
      groups: groups.sort((a, b) => b.asked.length - a.asked.length || b.lastAt - a.lastAt || (a.id < b.id ? -1 : 1)),
      complete: cursor === undefined,
    };
  },
  mark: (tenantId, answerId, mark) =>
    state.receipts.markGap(tenantId, answerId, { state: mark, at: runtime.clock.now() }),
});

const questionOf = (receipt: Receipt): GapQuestion => ({
  answerId: receipt.answerId,
  question: receipt.condensedQuestion ?? receipt.question,
  at: receipt.at,
  why:
    receipt.kind === 'not-found'
      ? 'not-found'
      : receipt.feedback.some(({ rating }) => rating === 'down')
        ? 'down-voted'
        : 'uncertain',
  ...(receipt.memberId === undefined ? {} : { memberId: receipt.memberId }),
});

const gapOf = (asked: readonly GapQuestion[]): Gap => ({
  id: asked[0]?.answerId ?? '',
  question: asked[0]?.question ?? '',
  asked: asked.toReversed(),
  askers: new Set(asked.map(({ memberId, answerId }) => memberId ?? answerId)).size,
  lastAt: asked.at(-1)?.at ?? 0,
});
