import type { IndexRef } from '../../../ports/chunks.ts';
import { isLanguage, type Language } from '../../../text/analyse.ts';
import { cancelled } from './faults.ts';
import { labelOf, type Place } from './placement.ts';
import { both, type Condition, countWhere, handleOf, lengths, type ReadingParts } from './reading.ts';

/**
 * What BM25 needs to know about a whole index, counted by the server and remembered for a short time. Other instances'
 * writes show after that time; our own at once. Chunks of a revision that does not count yet, or no longer, are
 * included: between two steps of a write the numbers are off by that document.
 */
export type Facts = {
  totals(place: Place, signal: AbortSignal): Promise<{ readonly chunks: number; readonly averageLength: number }>;
  /** How many chunks hold any of the variants. */
  frequency(place: Place, variants: readonly string[], signal: AbortSignal): Promise<number>;
  /** The languages that a fair part of the index is written in, commonest first. */
  languages(place: Place, signal: AbortSignal): Promise<readonly Language[]>;
  changed(ref: IndexRef, languages: Iterable<Language>): void;
  forget(ref: IndexRef): void;
};

const rememberForMs = 15_000;
const maxIndexes = 1_000;
const maxTermsPerIndex = 5_000;
const maxLanguages = 4;

type Remembered<T> = { readonly value: Promise<T>; readonly until: number };
type Memory = {
  totals: Remembered<{ chunks: number; averageLength: number }> | undefined;
  languages: Remembered<readonly Language[]> | undefined;
  /** Languages that this process saw being written. */
  readonly written: Set<Language>;
  readonly terms: Map<string, Remembered<number>>;
};

export const createFacts = (parts: ReadingParts): Facts => {
  const memories = new Map<string, Memory>();

  const memoryOf = (ref: IndexRef): Memory => {
    const key = labelOf(ref);
    const memory = memories.get(key) ?? {
      totals: undefined,
      languages: undefined,
      written: new Set(),
      terms: new Map(),
    };
    memories.delete(key);
    memories.set(key, memory);
    for (const oldest of memories.keys()) {
      if (memories.size <= maxIndexes) break;
      memories.delete(oldest);
    }
    return memory;
  };

  /** Not bound to the caller that asked first: others wait on the same promise, and a failure is not remembered. */
  const remember = <T>(
    known: Remembered<T> | undefined,
    ask: () => Promise<T>,
    keep: (fresh: Remembered<T> | undefined) => void,
  ): Promise<T> => {
    const now = parts.clock.now();
    if (known !== undefined && known.until > now) return known.value;
    const value = ask();
    keep({ value, until: now + rememberForMs });
    value.catch(() => keep(undefined));
    return value;
  };

  /** Who asked may go away; the question itself is answered for the others. */
  const withSignal = async <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> => {
    const gone = Promise.withResolvers<never>();
    const leave = (): void => gone.reject(cancelled());
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([promise, gone.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
    }
  };

  const countLanguages = async (place: Place): Promise<readonly Language[]> => {
    const found: { language: Language; count: number }[] = [];
    const { chunks } = await lengths(parts, place);
    // Asks for a chunk in none of the languages found so far, until there is none: cheaper than counting every language.
    for (const seen = new Set<string>(); seen.size < 40; ) {
      const others: Condition = (filter) =>
        [...seen].reduce(
          (all, language) => both(all, filter.byProperty('language').notEqual(language)),
          filter.byProperty('length').greaterOrEqual(0),
        );
      const next = await parts.connection.grpc({ kind: 'query' }, (client, limit) => {
        const collection = handleOf(client, place, parts.consistency);
        return collection.query.fetchObjects(
          { filters: others(collection.filter), limit: 1, returnProperties: ['language'] },
          { abortSignal: limit },
        );
      });
      const language = next.objects[0]?.properties.language;
      if (typeof language !== 'string' || seen.has(language)) break;
      seen.add(language);
      const count = await countWhere(parts, place, (filter) => filter.byProperty('language').equal(language));
      if (isLanguage(language)) found.push({ language, count });
    }
    return found
      .filter(({ count }) => count * 50 >= chunks)
      .sort((a, b) => b.count - a.count || (a.language < b.language ? -1 : 1))
      .map(({ language }) => language)
      .slice(0, maxLanguages);
  };

  return {
    totals: (place, signal) => {
      const memory = memoryOf(place.ref);
      const ask = async () => {
        const { chunks, total } = await lengths(parts, place);
        return { chunks, averageLength: chunks === 0 ? 1 : total / chunks || 1 };
      };
      return withSignal(
        remember(memory.totals, ask, (fresh) => {
          memory.totals = fresh;
        }),
        signal,
      );
    },
    frequency: (place, variants, signal) => {
      const { terms } = memoryOf(place.ref);
      const key = variants.join(' ');
      const keep = (fresh: Remembered<number> | undefined): void => {
        if (fresh === undefined) terms.delete(key);
        else terms.set(key, fresh);
        if (terms.size > maxTermsPerIndex) terms.clear();
      };
      const ask = () => countWhere(parts, place, (filter) => filter.byProperty('terms').containsAny([...variants]));
      return withSignal(remember(terms.get(key), ask, keep), signal);
    },
    languages: (place, signal) => {
      const memory = memoryOf(place.ref);
      return withSignal(
        remember(
          memory.languages,
          () => countLanguages(place),
          (fresh) => {
            memory.languages = fresh;
          },
        ),
        signal,
      );
    },
    changed: (ref, languages) => {
      const memory = memoryOf(ref);
      memory.totals = undefined;
      memory.terms.clear();
      for (const language of languages) {
        if (memory.written.has(language)) continue;
        memory.written.add(language);
        memory.languages = undefined;
      }
    },
    forget: (ref) => void memories.delete(labelOf(ref)),
  };
};
