import type { Core, Gap, GapQuestion } from '../core.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import { groupAlike, rememberTerms } from './alike.ts';

/** The newest open questions that are looked at; more would not be read by anybody either. */
const questionsRead = 1000;
/** Questions of a few tenants whose lists are open in somebody's window. */
const questionsRemembered = 20_000;

/** Questions that the documents leave open. */
export const createGaps = ({
  state,
  runtime,
}: {
  readonly state: Pick<StateStore, 'receipts'>;
  readonly runtime: Runtime;
}): Core['gaps'] => {
  const termsOf = rememberTerms(questionsRemembered);
  return {
    list: async (tenantId, since) => {
      const { items, nextCursor } = await state.receipts.open(tenantId, { from: since }, { limit: questionsRead });
      // To words that are nothing but blanks there is no answer.
      const open = items.filter(({ question }) => question.trim() !== '');
      // Oldest first, so that a group keeps its name when more people ask.
      const groups = groupAlike(open.reverse(), ({ question }) => question, termsOf).map(gapOf);
      return {
        groups: groups.sort((a, b) => b.asked.length - a.asked.length || b.lastAt - a.lastAt || (a.id < b.id ? -1 : 1)),
        complete: nextCursor === undefined,
      };
    },
    count: async (tenantId, since, most) => {
      const { items, nextCursor } = await state.receipts.open(tenantId, { from: since }, { limit: most });
      return { count: items.length, complete: nextCursor === undefined };
    },
    mark: (tenantId, answerId, mark) =>
      state.receipts.markGap(tenantId, answerId, { state: mark, at: runtime.clock.now() }),
  };
};

const gapOf = (asked: readonly GapQuestion[]): Gap => ({
  id: asked[0]?.answerId ?? '',
  question: asked[0]?.question ?? '',
  asked: asked.toReversed(),
  askers: new Set(asked.map(({ memberId, answerId }) => memberId ?? answerId)).size,
  lastAt: asked.at(-1)?.at ?? 0,
});
