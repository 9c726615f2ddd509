import type { Chunk, EmbeddedChunk } from '../../../domain.ts';
import { AppError } from '../../../errors.ts';
import type { DocumentChunks, IndexRef } from '../../../ports/chunks.ts';
import { analyse, guessLanguage, type Language } from '../../../text/analyse.ts';
import { chunkObjectIdOf, markerIdOf } from './names.ts';
import type { Place } from './placement.ts';

/**
 * A document is its chunks, each with the revision it was written under, and one marker that names the revision which
 * counts. Chunks whose revision is not the marker's do not exist for any reader.
 */
export type Marker = {
  readonly rev: number;
  /** When the marker was sent, by the writer's clock. */
  readonly since: number;
  readonly chunks: number;
};

/** An object as the REST batch takes it. */
export type StoredObject = {
  readonly class: string;
  readonly id: string;
  readonly tenant?: string;
  readonly properties: Readonly<Record<string, string | number | boolean>>;
  readonly vectors?: { readonly default: readonly number[] };
};

/** What a chunk is besides title and text, which stand by themselves for people who look into the collection. */
type Payload = Omit<Chunk, 'title' | 'text'>;

export const markerObject = (place: Place, documentId: string, marker: Marker): StoredObject => ({
  class: place.collection,
  id: markerIdOf(place.ref, documentId),
  ...(place.tenant === undefined ? {} : { tenant: place.tenant }),
  // No `terms` and no vector: a marker is in no search and in no statistics.
  properties: { marker: true, markerOf: documentId, rev: marker.rev, since: marker.since, chunks: marker.chunks },
});

/** One guess for a document, from its beginning: a chunk that is a table or a code block tells nothing by itself. */
export const languageOfDocument = ({ chunks }: DocumentChunks): Language => {
  const first = chunks[0];
  return guessLanguage(
    first ? [first.title, ...chunks.slice(0, 6).map((chunk) => chunk.text.slice(0, 1_000))].join('\n') : '',
  );
};

/** Plain numbers: the server's JSON knows nothing else, and the client takes a typed array for a map of named vectors. */
const vectorOf = ({ vector }: EmbeddedChunk, dimensions: number | null): number[] | undefined => {
  if (vector === undefined) return undefined;
  if (vector.length !== dimensions) throw wrongDimensions(dimensions, vector.length);
  const plain = Array.from(vector);
  if (!plain.every(Number.isFinite)) throw new AppError('invalid', 'A vector holds a value that is no number.');
  // A vector that points nowhere has no angle to anything.
  return plain.some((value) => value !== 0) ? plain : undefined;
};

export const wrongDimensions = (have: number | null, given: number): AppError =>
  new AppError(
    'conflict',
    `This search index takes vectors of ${have ?? 'no'} dimensions, not of ${given}. Re-index it with the embedding model that is configured now.`,
  );

/** Throws before anything is written when a vector does not fit. */
export const checkVectors = (place: Place, document: DocumentChunks): void => {
  for (const chunk of document.chunks) vectorOf(chunk, place.profile.dimensions);
};

/** One chunk's object; analysing is the costly part, so callers make these one by one and let the event loop breathe. */
export const chunkObject = (
  place: Place,
  chunk: EmbeddedChunk,
  at: { documentId: string; language: Language; rev: number; position: number },
): StoredObject => {
  const { vector: _, title, text, ...payload } = chunk;
  const terms = [title, chunk.headingPath.join('\n'), text].flatMap((part) => analyse(part, at.language));
  const vector = vectorOf(chunk, place.profile.dimensions);
  return {
    class: place.collection,
    id: chunkObjectIdOf(place.ref, at.documentId, at.rev, at.position),
    ...(place.tenant === undefined ? {} : { tenant: place.tenant }),
    properties: {
      documentId: at.documentId,
      sourceId: chunk.sourceId,
      language: at.language,
      rev: at.rev,
      length: terms.length,
      terms: terms.join(' '),
      chunkId: chunk.id,
      title,
      text,
      payload: JSON.stringify(payload satisfies Payload),
    },
    ...(vector === undefined ? {} : { vectors: { default: vector } }),
  };
};

type Stored = Readonly<Record<string, unknown>>;

export const contentProperties = ['title', 'text', 'payload'] as const;

export const chunkOf = (stored: Stored): Chunk => {
  const { title, text, payload } = stored;
  if (typeof title !== 'string' || typeof text !== 'string' || typeof payload !== 'string') throw damaged();
  return { ...(JSON.parse(payload) as Payload), title, text };
};

export const markerOf = (stored: Stored): Marker => {
  const { rev, since, chunks } = stored;
  if (typeof rev !== 'number' || typeof since !== 'number' || typeof chunks !== 'number') throw damaged();
  return { rev, since, chunks };
};

const damaged = (): AppError =>
  new AppError(
    'store-unavailable',
    'A search index in Weaviate holds an object that is not as we write them. Re-index the tenant; its documents are not lost.',
  );

/** Ids of all chunk objects of a document's revision. */
export const chunkObjectIds = (ref: IndexRef, documentId: string, { rev, chunks }: Marker): string[] =>
  Array.from({ length: chunks }, (_, position) => chunkObjectIdOf(ref, documentId, rev, position));
