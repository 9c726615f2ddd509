import type { Hit } from '../../../domain.ts';
import type { SearchOptions, TextHit, TextSearch } from '../../../ports/chunks.ts';
import { analyseQuery, type QueryWord } from '../../../text/analyse.ts';
import type { Facts } from './facts.ts';
import { chunkOf, contentProperties, type Marker, wrongDimensions } from './objects.ts';
import type { Place } from './placement.ts';
import { type Found, handleOf, type ReadingParts, readMarkers, serverMaximum } from './reading.ts';
import { bm25 } from './schema.ts';

export type SearchingParts = ReadingParts & { readonly facts: Facts };

const maxLimit = 1_000;
const limitOf = (limit: number): number => Math.max(0, Math.min(maxLimit, Math.floor(limit)));

const identity = ['documentId', 'rev', 'chunkId'] as const;

// ── whole documents only ────────────────────────────────────────────────────────────────────────────────────────────

/**
 * A document whose marker was written this long ago had all its chunks in the index before any search of now began. It
 * bridges the clocks of two hosts and the time a marker may be on its way.
 */
const settledAfterMs = 60_000;
const maxRounds = 6;

/** Descending by what the server ranked by. */
type Rank = (found: Found) => number;

/**
 * Asks the server, then drops every hit whose revision is not the one that its document's marker names. A search that ran
 * while a document changed could have seen some of its new chunks and not others; so a hit counts only when the
 * marker was the same before the search began as after it, or is old. Otherwise the search runs again, knowing the
 * markers now: never half a document, at the price of a second search for documents that changed within the last minute.
 */
const wholeDocuments = async (
  parts: ReadingParts,
  place: Place,
  options: { readonly limit: number; readonly signal: AbortSignal; readonly rank: Rank },
  ask: (limit: number) => Promise<readonly Found[]>,
): Promise<Found[]> => {
  const { limit, signal, rank } = options;
  let known: ReadonlyMap<string, Marker> = new Map();
  // Some more than wanted, so that ties at the end and a few dropped hits need no second round.
  let wanted = Math.min(serverMaximum, limit + 10 + (limit >> 2));
  for (let round = 1; ; round += 1) {
    const startedAt = parts.clock.now();
    const found = await ask(wanted);
    const documents = new Set(found.map(documentOf));
    const markers = await readMarkers(parts, place, documents, signal);
    const isSettled = (documentId: string): boolean => {
      const marker = markers.get(documentId);
      return (
        marker === undefined || marker.rev === known.get(documentId)?.rev || marker.since + settledAfterMs < startedAt
      );
    };
    const last = round === maxRounds;
    const unsettled = [...documents].filter((id) => !isSettled(id));
    const valid = found.filter(
      (each) =>
        markers.get(documentOf(each))?.rev === each.properties.rev && !(last && unsettled.includes(documentOf(each))),
    );
    const complete = found.length < wanted || wanted >= serverMaximum || isBeyondTies(valid, found, limit, rank);
    if (last || (complete && unsettled.length === 0)) return valid;
    known = markers;
    if (!complete) wanted = Math.min(serverMaximum, wanted * 2);
  }
};

const documentOf = ({ properties }: Found): string => String(properties.documentId);

/** Enough hits, and what the server did not give ranks below all of them: no tie is cut by chance. */
const isBeyondTies = (valid: readonly Found[], found: readonly Found[], limit: number, rank: Rank): boolean => {
  const lastWanted = valid[limit - 1];
  const lastGiven = found.at(-1);
  return lastWanted !== undefined && lastGiven !== undefined && rank(lastGiven) < rank(lastWanted);
};

const byScore = (a: Hit, b: Hit): number =>
  b.score - a.score || (a.chunk.id < b.chunk.id ? -1 : a.chunk.id > b.chunk.id ? 1 : 0);

// ── keywords ────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The server finds the candidates by its own BM25 over our terms; the scores are ours. Its statistics are approximate
 * (they count replaced objects until compaction) and know nothing of variants that stand for one word, and with ours
 * both stores give the same scores for the same chunks.
 */
export const searchText = async (
  parts: SearchingParts,
  place: Place,
  query: string,
  { limit, sourceIds, signal }: SearchOptions,
): Promise<TextSearch> => {
  const { facts } = parts;
  const words = analyseQuery(query, await facts.languages(place, signal));
  const most = limitOf(limit);
  const nothing = most === 0 || words.length === 0 || sourceIds?.length === 0;
  // Side by side: the server ranks by statistics of its own, ours are only needed for the scores.
  const [totals, frequencies, found] = await Promise.all([
    facts.totals(place, signal),
    Promise.all(words.map(({ variants }) => facts.frequency(place, variants, signal))),
    nothing ? [] : findByWords(parts, place, words, { limit: most, sourceIds, signal }),
  ]);
  const terms = words.map(({ variants }, at) => ({ term: variants[0] ?? '', documentFrequency: frequencies[at] ?? 0 }));
  const hits = found.map((each) => scoreOf(each, words, frequencies, totals));
  return { hits: hits.sort(byScore).slice(0, most), terms, totalChunks: totals.chunks };
};

type Wanted = {
  readonly limit: number;
  readonly sourceIds: readonly string[] | undefined;
  readonly signal: AbortSignal;
};

const findByWords = (
  parts: SearchingParts,
  place: Place,
  words: readonly QueryWord[],
  { limit, sourceIds, signal }: Wanted,
): Promise<Found[]> => {
  const keywords = [...new Set(words.flatMap(({ variants }) => variants))].join(' ');
  return wholeDocuments(parts, place, { limit, signal, rank: ({ score }) => score }, async (wanted) => {
    const answer = await parts.connection.grpc({ kind: 'query', signal }, (client, stop) => {
      const collection = handleOf(client, place, parts.consistency);
      return collection.query.bm25(
        keywords,
        {
          limit: wanted,
          queryProperties: ['terms'],
          operator: { operator: 'Or', minimumMatch: 1 },
          returnMetadata: ['score'],
          returnProperties: [...identity, ...contentProperties, 'terms', 'length'],
          ...(sourceIds === undefined
            ? {}
            : { filters: collection.filter.byProperty('sourceId').containsAny([...new Set(sourceIds)]) }),
        },
        { abortSignal: stop },
      );
    });
    return answer.objects.map(({ uuid, properties, metadata }) => ({
      id: uuid,
      properties,
      score: metadata?.score ?? 0,
      distance: 0,
    }));
  });
};

type Totals = { readonly chunks: number; readonly averageLength: number };

/** Lucene's BM25; variants of a word count as one term, and a word that the question repeats counts as often. */
const scoreOf = (
  { properties }: Found,
  words: readonly QueryWord[],
  frequencies: readonly number[],
  totals: Totals,
): TextHit => {
  const occurrences = new Map<string, number>();
  for (const term of String(properties.terms).split(' ')) occurrences.set(term, (occurrences.get(term) ?? 0) + 1);
  const length = Number(properties.length);
  const saturation = bm25.k1 * (1 - bm25.b + (bm25.b * length) / totals.averageLength);
  const matched: number[] = [];
  let score = 0;
  words.forEach(({ variants, count }, at) => {
    const times = variants.reduce((sum, variant) => sum + (occurrences.get(variant) ?? 0), 0);
    if (times === 0) return;
    matched.push(at);
    // Counted at another moment than searched: never more chunks with the word than chunks.
    const frequency = Math.min(frequencies[at] ?? 0, totals.chunks);
    const weight = count * Math.log(1 + (totals.chunks - frequency + 0.5) / (frequency + 0.5)) * (bm25.k1 + 1);
    score += (weight * times) / (times + saturation);
  });
  return { chunk: chunkOf(properties), score, matched };
};

// ── vectors ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export const searchVector = async (
  parts: SearchingParts,
  place: Place,
  vector: Float32Array,
  { limit, sourceIds, signal }: SearchOptions,
): Promise<readonly Hit[]> => {
  const { dimensions } = place.profile;
  if (dimensions === null) return [];
  if (vector.length !== dimensions) throw wrongDimensions(dimensions, vector.length);
  const most = limitOf(limit);
  // A plain array: the client takes a typed one for a map of named vectors.
  const plain = Array.from(vector);
  if (most === 0 || sourceIds?.length === 0 || plain.every((value) => value === 0)) return [];
  const found = await wholeDocuments(
    parts,
    place,
    { limit: most, signal, rank: ({ distance }) => -distance },
    async (wanted) => {
      const answer = await parts.connection.grpc({ kind: 'query', signal }, (client, stop) => {
        const collection = handleOf(client, place, parts.consistency);
        return collection.query.nearVector(
          plain,
          {
            limit: wanted,
            returnMetadata: ['distance'],
            returnProperties: [...identity, ...contentProperties],
            ...(sourceIds === undefined
              ? {}
              : { filters: collection.filter.byProperty('sourceId').containsAny([...new Set(sourceIds)]) }),
          },
          { abortSignal: stop },
        );
      });
      return answer.objects.map(({ uuid, properties, metadata }) => ({
        id: uuid,
        properties,
        score: 0,
        distance: metadata?.distance ?? 2,
      }));
    },
  );
  // The server's cosine distance is 1 − cosine.
  const hits = found.map(({ properties, distance }) => ({ chunk: chunkOf(properties), score: 1 - distance }));
  return hits.sort(byScore).slice(0, most);
};
