import { type Collection, Filters, type FilterValue, type WeaviateClient } from 'weaviate-client';
import type { Clock } from '../../../ports/runtime.ts';
import type { Connection } from './connection.ts';
import { markerIdOf } from './names.ts';
import { type Marker, markerOf } from './objects.ts';
import type { Place } from './placement.ts';

export type Consistency = 'ONE' | 'QUORUM' | 'ALL';

export type ReadingParts = {
  readonly connection: Connection;
  readonly consistency: Consistency;
  readonly clock: Clock;
};

/** An object of ours as it comes back: its properties by name. */
export type Found = {
  readonly id: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly score: number;
  readonly distance: number;
};

/** A handle is only made from a client that has connected, see connection.ts. */
export const handleOf = (client: WeaviateClient, place: Place, consistency: Consistency): Collection => {
  const collection = client.collections.use(place.collection).withConsistency(consistency);
  return place.tenant === undefined ? collection : collection.withTenant(place.tenant);
};

/** The most that the server gives or deletes in one call (QUERY_MAXIMUM_RESULTS). */
export const serverMaximum = 10_000;

const idsPerCall = 500;

export const slices = <T>(all: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size));

/**
 * Objects by id, in no order; what is not there is left out. Ids are known beforehand, so nothing is ever scanned: the
 * client's iterator asks for 100 objects for each one that it gives.
 */
export const fetchByIds = async (
  parts: ReadingParts,
  place: Place,
  ids: readonly string[],
  returnProperties: readonly string[],
  signal?: AbortSignal,
): Promise<Found[]> => {
  const found: Found[] = [];
  for (const some of slices(ids, idsPerCall)) {
    const answer = await parts.connection.grpc({ kind: 'query', signal }, (client, limit) => {
      const collection = handleOf(client, place, parts.consistency);
      const options = {
        filters: collection.filter.byId().containsAny(some),
        limit: some.length,
        returnProperties: [...returnProperties],
      };
      return collection.query.fetchObjects(options, { abortSignal: limit });
    });
    for (const { uuid, properties } of answer.objects) found.push({ id: uuid, properties, score: 0, distance: 0 });
  }
  return found;
};

/** The markers of these documents; a document without one is not in the index. */
export const readMarkers = async (
  parts: ReadingParts,
  place: Place,
  documentIds: Iterable<string>,
  signal?: AbortSignal,
): Promise<Map<string, Marker>> => {
  const documents = new Map([...documentIds].map((id) => [markerIdOf(place.ref, id), id]));
  const markers = new Map<string, Marker>();
  for (const { id, properties } of await fetchByIds(
    parts,
    place,
    [...documents.keys()],
    ['rev', 'since', 'chunks'],
    signal,
  )) {
    const documentId = documents.get(id);
    if (documentId !== undefined) markers.set(documentId, markerOf(properties));
  }
  return markers;
};

export type Condition = (filter: Collection['filter']) => FilterValue;

export const both = (a: FilterValue, b: FilterValue): FilterValue => Filters.and(a, b);

export const countWhere = async (
  parts: ReadingParts,
  place: Place,
  where: Condition,
  signal?: AbortSignal,
): Promise<number> => {
  const answer = await parts.connection.grpc({ kind: 'query', signal }, (client) => {
    const collection = handleOf(client, place, parts.consistency);
    return collection.aggregate.overAll({ filters: where(collection.filter) });
  });
  return answer.totalCount;
};

/** Number and mean length of all chunks, in terms. Markers have no length and so do not count. */
export const lengths = async (
  parts: ReadingParts,
  place: Place,
  signal?: AbortSignal,
): Promise<{ chunks: number; total: number }> => {
  const answer = await parts.connection.grpc({ kind: 'query', signal }, (client) => {
    const collection = handleOf(client, place, parts.consistency);
    return collection.aggregate.overAll({
      returnMetrics: collection.metrics.aggregate('length').integer(['count', 'sum']),
    });
  });
  const length = (answer.properties as Record<string, { count?: number; sum?: number }>).length;
  return { chunks: length?.count ?? 0, total: length?.sum ?? 0 };
};
