import type { IndexRef } from '../../../ports/chunks.ts';
import { isLanguage, type Language } from '../../../text/analyse.ts';
import { cancelled } from './faults.ts';
import { labelOf, type Place } from './placement.ts';
import { both, type Condition, countWhere, handleOf, lengths, type ReadingParts } from './reading.ts';

/**
 * What BM25 needs to know about a whole index, counted by the server and remembered. Our own writes show at once, other
 * instances' within 15 seconds: then chunks and their length in all are counted anew. As long as those two are as they were,
 * words and languages are not counted again: a question has several, and for each the server (1.39) reads every object
 * that holds it, though only their number is asked for. Chunks of a revision that does not count yet, or no longer, are
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
/** Of words and languages in an index that seems to rest: its documents may have been replaced by ones of the same length. */
const restForMs = 10 * 60_000;
const maxIndexes = 1_000;
const maxTermsPerIndex = 5_000;
const maxLanguages = 4;

type Remembered<T> = { readonly value: Promise<T>; readonly askedAt: number; readonly until: number };
type Totals = { readonly chunks: number; readonly averageLength: number };
type Memory = {
  totals: Remembered<Totals> | undefined;
  /** What was counted last: while it stays, so does the rest. */
  size: string;
  languages: Remembered<readonly Language[]> | undefined;
  /** Languages that this process saw being written. */
  readonly written: Set<Language>;
  readonly terms: Map<string, Remembered<number>>;
};

/** The index is not what it was. Its languages are, most likely: they are counted as rarely as its size. */
const forgetCounts = (memory: Memory): void => {
  memory.terms.clear();
  const { languages } = memory;
  if (languages !== undefined) memory.languages = { ...languages, until: languages.askedAt + rememberForMs };
};

export const createFacts = (parts: ReadingParts): Facts => {
  const memories = new Map<string, Memory>();

  const memoryOf = (ref: IndexRef): Memory => {
    const key = labelOf(ref);
    const memory = memories.get(key) ?? {
      totals: undefined,
      size: '',
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
    forMs: number,
    ask: () => Promise<T>,
    keep: (fresh: Remembered<T> | undefined) => void,
  ): Promise<T> => {
    const now = parts.clock.now();
    if (known !== undefined && known.until > now) return known.value;
    const value = ask();
    keep({ value, askedAt: now, until: now + forMs });
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

  const countLanguages = async (place: Place, chunks: number): Promise<readonly Language[]> => {
    const found: { language: Language; count: number }[] = [];
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

  const totalsOf = (place: Place): Promise<Totals> => {
    const memory = memoryOf(place.ref);
    const ask = async (): Promise<Totals> => {
      const { chunks, total } = await lengths(parts, place);
      const size = `${chunks} ${total}`;
      if (size !== memory.size) forgetCounts(memory);
      memory.size = size;
      return { chunks, averageLength: chunks === 0 ? 1 : total / chunks || 1 };
    };
    return remember(memory.totals, rememberForMs, ask, (fresh) => {
      memory.totals = fresh;
    });
  };

  return {
    totals: (place, signal) => withSignal(totalsOf(place), signal),
    frequency: async (place, variants, signal) => {
      const key = variants.join(' ');
      await withSignal(totalsOf(place), signal);
      const { terms } = memoryOf(place.ref);
      const keep = (fresh: Remembered<number> | undefined): void => {
        if (fresh === undefined) terms.delete(key);
        else terms.set(key, fresh);
        if (terms.size > maxTermsPerIndex) terms.clear();
      };
      const ask = () => countWhere(parts, place, (filter) => filter.byProperty('terms').containsAny([...variants]));
      return withSignal(remember(terms.get(key), restForMs, ask, keep), signal);
    },
    languages: async (place, signal) => {
      const { chunks } = await withSignal(totalsOf(place), signal);
      const memory = memoryOf(place.ref);
      const ask = () => countLanguages(place, chunks);
      return withSignal(
        remember(memory.languages, restForMs, ask, (fresh) => {
          memory.languages = fresh;
        }),
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
