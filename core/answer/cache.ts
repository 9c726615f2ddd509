import type { Receipt, Tenant } from '../domain.ts';
import { hashOf } from '../ids.ts';
import { retrievalKey } from './chosen.ts';

export type CacheKeyParts = {
  readonly tenant: Tenant;
  /** As understood: condensed, or with the subject that a follow-up leans on. */
  readonly meaning: string;
  /** What was said before and stands in the prompt: an answer that read it is for this conversation alone. */
  readonly history: readonly string[];
  readonly sourceIds: readonly string[] | undefined;
  readonly instructions: string | undefined;
  readonly language: string | undefined;
  readonly chatModel: string;
  readonly embeddingModel: string;
  readonly promptVersion: string;
};

/** Everything that an answer depends on. The same question over other documents, settings or for another audience is another one. */
export const cacheKeyOf = (parts: CacheKeyParts): string =>
  hashOf(
    'answer',
    parts.tenant.id,
    String(parts.tenant.activeGeneration),
    String(parts.tenant.contentRevision),
    parts.tenant.name,
    parts.tenant.settings.instructions ?? '',
    parts.tenant.settings.language ?? '',
    retrievalKey(parts.tenant.settings.retrieval),
    parts.sourceIds === undefined ? 'all' : `only ${[...new Set(parts.sourceIds)].sort().join(' ')}`,
    parts.instructions ?? '',
    parts.language ?? '',
    parts.chatModel,
    parts.embeddingModel,
    parts.promptVersion,
    normaliseQuestion(parts.meaning),
    ...parts.history,
  );

/** Case, spacing and closing punctuation do not make another question; everything else does. */
export const normaliseQuestion = (question: string): string =>
  question
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\s+/gu, ' ')
    .trim()
    .replace(/[\s?!.¿¡。？！]+$/u, '');

/** What is kept of an answer: nothing that leads back to who asked it, where, or in which words. */
export const forCache = (receipt: Receipt): Receipt => {
  const {
    memberId: _member,
    channelId: _channel,
    workspaceId: _workspace,
    threadId: _thread,
    messageId: _message,
    condensedQuestion: _condensed,
    ...rest
  } = receipt;
  return { ...rest, conversationId: '', question: '', traceId: '', feedback: [], quotaBuckets: [] };
};

/**
 * Identical questions at once: one is worked on, the others wait for it and then look into the cache. Within one process;
 * two instances may both ask the model, which costs money and harms nothing.
 */
export type Flights = {
  /** Resolves with a function that ends the flight, or null after somebody else's flight has landed: look again. */
  board(key: string, signal: AbortSignal): Promise<(() => void) | null>;
};

export const createFlights = (): Flights => {
  const underway = new Map<string, Promise<void>>();
  return {
    board: async (key, signal) => {
      const other = underway.get(key);
      if (other === undefined) {
        const landed = Promise.withResolvers<void>();
        underway.set(key, landed.promise);
        return () => {
          underway.delete(key);
          landed.resolve();
        };
      }
      const gone = Promise.withResolvers<void>();
      const leave = (): void => gone.resolve();
      signal.addEventListener('abort', leave, { once: true });
      await Promise.race([other, gone.promise]);
      signal.removeEventListener('abort', leave);
      return null;
    },
  };
};
