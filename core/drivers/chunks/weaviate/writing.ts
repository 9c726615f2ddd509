import type { TenantId } from '../../../domain.ts';
import { AppError } from '../../../errors.ts';
import type { DocumentChunks } from '../../../ports/chunks.ts';
import type { Log } from '../../../ports/runtime.ts';
import type { Language } from '../../../text/analyse.ts';
import type { Facts } from './facts.ts';
import { faultError, faultOfText } from './faults.ts';
import { markerIdOf } from './names.ts';
import {
  checkVectors,
  chunkObject,
  languageOfDocument,
  type Marker,
  markerObject,
  type StoredObject,
} from './objects.ts';
import { labelOf, type Place } from './placement.ts';
import { both, type Condition, handleOf, type ReadingParts, readMarkers, slices } from './reading.ts';
import { namesIn } from './schema.ts';

export type WritingParts = ReadingParts & { readonly facts: Facts; readonly log: Log };

/**
 * Weaviate has no transactions, so a document changes in one step of ours:
 *
 *   1. its new chunks go in under a revision of their own, which no reader takes notice of yet
 *   2. its marker is written: one object, and with it the new revision counts and the old one does not
 *   3. the chunks of earlier revisions are deleted
 *
 * A crash after 1 or 2 leaves chunks that nobody sees; the next write of the document deletes them. Two writers of one
 * document at the same time are kept apart by the lease on the document's source; should one outlive its lease all the
 * same, the marker never goes back to an earlier revision.
 */
export type Writing = {
  replace(place: Place, documents: readonly DocumentChunks[], signal: AbortSignal): Promise<void>;
  remove(place: Place, documentIds: readonly string[], signal: AbortSignal): Promise<void>;
};

/** Bounds of one request. A JSON of this size is read and written without holding the event loop for long. */
const objectsPerBatch = 32;
const numbersPerBatch = 32 * 512;
const batchesAtOnce = 4;
/** Documents and chunks of one step; a crash loses at most the work of one. */
const documentsPerStep = 200;
const chunksPerStep = 2_000;
const objectTries = 3;
/** Deletes come back for more until nothing matches; this many times 10,000 objects is past any document. */
const maxDeleteRounds = 1_000;

export const createWriting = (parts: WritingParts): Writing => {
  const { connection, clock, facts, log } = parts;
  let lastRevision = 0;
  const flips = new Map<TenantId, Promise<unknown>>();

  /** Later than every revision that counts now, whatever the clocks of two hosts say, and never the same twice. */
  const nextRevision = (markers: Iterable<Marker>): number => {
    let revision = Math.max(lastRevision + 1, clock.now() * 1_000);
    for (const { rev } of markers) revision = Math.max(revision, rev + 1);
    lastRevision = revision;
    return revision;
  };

  /** One step after the other within this process and tenant: between looking at markers and writing them nobody else does. */
  const inTurn = async <T>(place: Place, work: () => Promise<T>): Promise<T> => {
    const key = labelOf(place.ref);
    const before = flips.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const quiet = mine.catch(() => undefined);
    flips.set(key, quiet);
    try {
      return await mine;
    } finally {
      if (flips.get(key) === quiet) flips.delete(key);
    }
  };

  /**
   * Trap: with AUTOSCHEMA_ENABLED, its default, the server makes a collection of its own choosing out of a batch for one that
   * was dropped a moment ago. So we look before each step; whatever still slips through is refused by ensureIndex and swept with the tenant.
   */
  const mustExist = async (place: Place, signal: AbortSignal): Promise<void> => {
    const path =
      place.tenant === undefined
        ? `/schema/${place.collection}`
        : `/schema/${place.collection}/tenants/${place.tenant}`;
    if ((await connection.look(path, signal)) === undefined) throw faultError('no-index', connection.at, undefined);
  };

  /** Weaviate answers 200 for a batch of which some objects failed, so each one is looked at, and tried again by itself. */
  const insert = async (objects: readonly StoredObject[], signal: AbortSignal): Promise<void> => {
    let rest = objects;
    let problem = '';
    for (let tries = 1; tries <= objectTries && rest.length > 0; tries += 1) {
      if (tries > 1) await clock.sleep(100 * 2 ** tries, signal);
      const path = `/batch/objects?consistency_level=${parts.consistency}`;
      const { body } = await connection.rest({ kind: 'write', signal }, 'POST', path, { objects: rest });
      const failed = failuresIn(body, rest);
      problem = failed[0]?.problem ?? '';
      rest = failed.map(({ object }) => object);
      if (rest.length > 0)
        log.warn('weaviate_objects_failed', { objects: rest.length, tries, detail: problem.slice(0, 300) });
      if (/dimension/i.test(problem)) break;
    }
    if (rest.length > 0) throw objectError(problem, connection);
  };

  const insertAll = async (batches: Iterable<StoredObject[]>, signal: AbortSignal): Promise<void> => {
    const next = batches[Symbol.iterator]();
    let failed = false;
    const worker = async (): Promise<void> => {
      for (;;) {
        // Making a batch is work for the processor; others get their turn in between.
        await new Promise<void>((resolve) => setImmediate(resolve));
        const turn = failed ? undefined : next.next();
        if (turn === undefined || turn.done === true) return;
        try {
          await insert(turn.value, signal);
        } catch (error) {
          failed = true;
          throw error;
        }
      }
    };
    const done = await Promise.allSettled(Array.from({ length: batchesAtOnce }, worker));
    for (const each of done) if (each.status === 'rejected') throw each.reason;
  };

  /** At most 10,000 objects go in one call, though `matches` counts all; so it is called until nothing matches. */
  const deleteWhere = async (place: Place, where: Condition, signal: AbortSignal): Promise<void> => {
    for (let round = 0, stuck = 0; round < maxDeleteRounds; round += 1) {
      const answer = await connection.grpc({ kind: 'write', signal }, (client) => {
        const collection = handleOf(client, place, parts.consistency);
        return collection.data.deleteMany(where(collection.filter));
      });
      if (answer.matches === 0 || (answer.failed === 0 && answer.successful >= answer.matches)) return;
      stuck = answer.successful === 0 ? stuck + 1 : 0;
      if (stuck >= objectTries) break;
      if (stuck > 0) await clock.sleep(100 * 2 ** stuck, signal);
    }
    if (await isReadOnly(place, signal)) throw faultError('read-only', connection.at, undefined);
    throw new AppError(
      'store-unavailable',
      `Weaviate at ${connection.at.url} does not delete what it should. Its log says why.`,
      { retryable: true },
    );
  };

  /** A delete only counts what it could not do; its verbose form, which should tell why, fails on such a shard (1.39). */
  const isReadOnly = async (place: Place, signal: AbortSignal): Promise<boolean> => {
    const path = `/schema/${place.collection}/shards${place.tenant === undefined ? '' : `?tenant=${place.tenant}`}`;
    const { body } = await connection.rest({ kind: 'query', signal }, 'GET', path, undefined, [404, 422]);
    return namesIn(body, 'status').includes('READONLY');
  };

  const deleteBefore = (
    place: Place,
    documentIds: readonly string[],
    rev: number,
    signal: AbortSignal,
  ): Promise<void> =>
    deleteWhere(
      place,
      (filter) =>
        both(filter.byProperty('documentId').containsAny([...documentIds]), filter.byProperty('rev').lessThan(rev)),
      signal,
    );

  const deleteMarkers = (place: Place, documentIds: readonly string[], signal: AbortSignal): Promise<void> =>
    deleteWhere(
      place,
      (filter) => filter.byId().containsAny(documentIds.map((id) => markerIdOf(place.ref, id))),
      signal,
    );

  const replaceStep = async (
    place: Place,
    documents: readonly DocumentChunks[],
    signal: AbortSignal,
  ): Promise<void> => {
    const ids = documents.map(({ documentId }) => documentId);
    await mustExist(place, signal);
    const before = await readMarkers(parts, place, ids, signal);
    const rev = nextRevision(before.values());
    const languages = new Set<Language>();
    try {
      await insertAll(batchesOf(place, documents, rev, languages), signal);
      const overtaken = await inTurn(place, async () => {
        const now = await readMarkers(parts, place, ids, signal);
        const late = new Set(ids.filter((id) => (now.get(id)?.rev ?? 0) > rev));
        const since = clock.now();
        const markers = documents
          .filter(({ documentId, chunks }) => chunks.length > 0 && !late.has(documentId))
          .map(({ documentId, chunks }) => markerObject(place, documentId, { rev, since, chunks: chunks.length }));
        for (const some of slices(markers, objectsPerBatch * 4)) await insert(some, signal);
        const emptied = documents.filter(
          ({ documentId, chunks }) => chunks.length === 0 && now.has(documentId) && !late.has(documentId),
        );
        if (emptied.length > 0)
          await deleteMarkers(
            place,
            emptied.map(({ documentId }) => documentId),
            signal,
          );
        return late;
      });
      const current = ids.filter((id) => !overtaken.has(id));
      if (current.length > 0) await deleteBefore(place, current, rev, signal);
      // Somebody wrote these after us: ours never counted, and must not lie about.
      if (overtaken.size > 0) {
        await deleteWhere(
          place,
          (filter) =>
            both(filter.byProperty('documentId').containsAny([...overtaken]), filter.byProperty('rev').equal(rev)),
          signal,
        );
      }
    } finally {
      facts.changed(place.ref, languages);
    }
  };

  return {
    replace: async (place, documents, signal) => {
      // A document given twice counts with its last version. Nothing is written when any vector does not fit.
      const latest = [...new Map(documents.map((document) => [document.documentId, document])).values()];
      for (const document of latest) checkVectors(place, document);
      for (const step of stepsOf(latest)) await replaceStep(place, step, signal);
    },
    remove: async (place, documentIds, signal) => {
      for (const ids of slices([...new Set(documentIds)], documentsPerStep)) {
        try {
          const markers = await inTurn(place, async () => {
            const now = await readMarkers(parts, place, ids, signal);
            // The marker first: with it the whole document is gone from every search.
            await deleteMarkers(place, ids, signal);
            return now;
          });
          await deleteBefore(place, ids, nextRevision(markers.values()), signal);
        } finally {
          facts.changed(place.ref, []);
        }
      }
    },
  };
};

// ── cutting work into pieces ────────────────────────────────────────────────────────────────────────────────────────

function* stepsOf(documents: readonly DocumentChunks[]): Generator<DocumentChunks[]> {
  let step: DocumentChunks[] = [];
  let chunks = 0;
  for (const document of documents) {
    if (step.length > 0 && (step.length >= documentsPerStep || chunks + document.chunks.length > chunksPerStep)) {
      yield step;
      step = [];
      chunks = 0;
    }
    step.push(document);
    chunks += document.chunks.length;
  }
  if (step.length > 0) yield step;
}

function* batchesOf(
  place: Place,
  documents: readonly DocumentChunks[],
  rev: number,
  languages: Set<Language>,
): Generator<StoredObject[]> {
  const size = Math.max(1, Math.min(objectsPerBatch, Math.floor(numbersPerBatch / (place.profile.dimensions ?? 1))));
  let batch: StoredObject[] = [];
  for (const document of documents) {
    const language = languageOfDocument(document);
    if (document.chunks.length > 0) languages.add(language);
    for (const [position, chunk] of document.chunks.entries()) {
      batch.push(chunkObject(place, chunk, { documentId: document.documentId, language, rev, position }));
      if (batch.length >= size) {
        yield batch;
        batch = [];
      }
    }
  }
  if (batch.length > 0) yield batch;
}

// ── what the server says of each object ─────────────────────────────────────────────────────────────────────────────

type BatchAnswer = {
  readonly id?: string;
  readonly result?: {
    readonly status?: string;
    readonly errors?: { readonly error?: readonly { readonly message?: string }[] };
  };
};

const failuresIn = (body: unknown, sent: readonly StoredObject[]): { object: StoredObject; problem: string }[] => {
  const answers = new Map((Array.isArray(body) ? (body as BatchAnswer[]) : []).map((answer) => [answer.id, answer]));
  return sent.flatMap((object) => {
    const result = answers.get(object.id)?.result;
    // An object that the answer does not speak of is as good as failed.
    if (result?.status === 'SUCCESS') return [];
    return [{ object, problem: result?.errors?.error?.[0]?.message ?? 'no answer for this object' }];
  });
};

/** What the server says of one object, where we know its words. */
const knownProblem = (problem: string, at: ReadingParts['connection']['at']): AppError | undefined => {
  const fault = faultOfText(problem);
  return fault === 'dimensions' || fault === 'read-only' || fault === 'full'
    ? faultError(fault, at, undefined)
    : undefined;
};

const objectError = (problem: string, { at }: ReadingParts['connection']): AppError =>
  knownProblem(problem, at) ??
  new AppError(
    'store-unavailable',
    `Weaviate at ${at.url} refused some passages of a document. Its log and ours say why.`,
    { retryable: true },
  );
