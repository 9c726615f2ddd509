import type { RetrievalSettings, Tenant } from '../domain.ts';
import type { ChatModel } from '../ports/model.ts';
import type { AnsweringParts, AnswerSettings } from './answering.ts';

/** What a tenant has chosen of what the deployment offers. */

/** Bounds of a tenant's settings: outside of them answers get slow, dear or empty. */
export const retrievalBounds = {
  passages: { least: 3, most: 20 },
  meaning: { least: 0.1, most: 0.9 },
} as const;

/** Log odds that the relevance floor is moved by. */
const floorShifts = { open: -1.5, balanced: 0, strict: 1.5 } as const;

/** The tenant's model in the place of the deployment's own, if it is one of those offered. */
export const withChosenModel = (parts: AnsweringParts, { settings }: Tenant): AnsweringParts => {
  const { chat } = parts;
  const name = settings.chatModel;
  if (chat === null || name === undefined || name === chat.name || chat.others?.includes(name) !== true) return parts;
  const chosen: ChatModel = {
    name,
    stream: (request, options) => chat.stream({ ...request, model: name }, options),
  };
  return { ...parts, chat: chosen };
};

/** The settings of an answer, with the tenant's wishes brought within the bounds. */
export const withChosenRetrieval = (settings: AnswerSettings, { settings: { retrieval } }: Tenant): AnswerSettings =>
  retrieval === undefined
    ? settings
    : {
        ...settings,
        passages: within(retrieval.passages, retrievalBounds.passages) ?? settings.passages,
        meaning: within(retrieval.meaning, retrievalBounds.meaning) ?? settings.meaning,
        floorShift: floorShifts[retrieval.floor ?? 'balanced'],
      };

const within = (
  wish: number | undefined,
  { least, most }: { readonly least: number; readonly most: number },
): number | undefined => (wish === undefined ? undefined : Math.min(most, Math.max(least, wish)));

/** Equal texts: the same passages for the same question. */
export const retrievalKey = ({ passages, floor, meaning }: RetrievalSettings = {}): string =>
  JSON.stringify([passages ?? null, floor ?? null, meaning ?? null]);
