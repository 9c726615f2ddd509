import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TenantId } from '../../../domain.ts';
import { AppError, isAppError, toAppError } from '../../../errors.ts';
import type { ChunkStore, IndexRef, TextSearch } from '../../../ports/chunks.ts';
import type { Finding } from '../../../ports/finding.ts';
import type { Clock, Log } from '../../../ports/runtime.ts';
import { type Connection, connect, defaultTimeouts, type Timeouts } from './connection.ts';
import { createFacts } from './facts.ts';
import { cancelled, faultError } from './faults.ts';
import { createNames } from './names.ts';
import { chunkObjectIds, chunkOf, contentProperties } from './objects.ts';
import { collectionPlacement, labelOf, nativePlacement, type Place } from './placement.ts';
import { type Consistency, countWhere, fetchByIds, lengths, type ReadingParts, readMarkers } from './reading.ts';
import { defaultSettings, type IndexSettings, otherProfile, sameProfile } from './schema.ts';
import { searchText, searchVector } from './searching.ts';
import { createWriting } from './writing.ts';

export type WeaviateChunksOptions = {
  /** REST address, such as http://weaviate:8080. */
  readonly url: string;
  /** Default: the host of `url`, port 50051. */
  readonly grpcUrl?: string | undefined;
  readonly apiKey?: string | undefined;
  /** Part of every name in Weaviate: several deployments may share one server. Up to 24 letters, digits and .-_ */
  readonly deploymentId: string;
  /** A collection per tenant and generation, or Weaviate's own tenants inside shared collections. */
  readonly tenancy: 'collection' | 'native';
  /** Copies of each index; fixed when an index is created. */
  readonly replicas: number;
  /** Of reads and writes (default: QUORUM when there are replicas). */
  readonly consistency?: Consistency | undefined;
  /** A further tenant is refused. */
  readonly maxTenants: number;
  readonly index?: Partial<Omit<IndexSettings, 'replicas'>>;
  readonly timeouts?: Partial<Timeouts>;
  readonly clock: Clock;
  readonly log: Log;
};

/** A chunk store with what only Weaviate has. */
export type WeaviateChunks = ChunkStore &
  Required<Pick<ChunkStore, 'pointAlias' | 'profileOf' | 'examine'>> & { readonly serverVersion: string };

/** How long we believe that an index is where it was, with the profile it had; a vanished one is noticed at once. */
const placeKeptMs = 30_000;

/** Connects and checks; throws AppError `config` or `store-unavailable` with a sentence that says what to do. */
export const openWeaviateChunks = async (options: WeaviateChunksOptions): Promise<WeaviateChunks> => {
  const { clock, log, tenancy, maxTenants } = options;
  const names = createNames(options.deploymentId);
  const timeouts = { ...defaultTimeouts, ...options.timeouts };
  const settings = { ...defaultSettings, ...options.index, replicas: options.replicas };
  const consistency = options.consistency ?? (options.replicas > 1 ? 'QUORUM' : 'ONE');
  const connection = await connect({ ...options, timeouts });
  const placement = (tenancy === 'native' ? nativePlacement : collectionPlacement)({
    connection,
    names,
    settings,
    maxTenants,
    clock,
  });
  const reading: ReadingParts = { connection, consistency, clock };
  const facts = createFacts(reading);
  const writing = createWriting({ ...reading, facts, log });
  const places = new Map<string, { readonly place: Place; readonly until: number }>();

  const keep = (place: Place): Place => {
    if (places.size > 10_000) places.clear();
    places.set(labelOf(place.ref), { place, until: clock.now() + placeKeptMs });
    return place;
  };
  const forget = (ref: IndexRef): void => {
    places.delete(labelOf(ref));
    facts.forget(ref);
  };

  /** Runs `work` at the place of the index; an index that is not there, or vanishes meanwhile, is `not-found`. */
  const at = async <T>(
    ref: IndexRef,
    signal: AbortSignal | undefined,
    work: (place: Place) => Promise<T>,
  ): Promise<T> => {
    if (signal?.aborted) throw cancelled(signal.reason);
    const known = places.get(labelOf(ref));
    const place = known !== undefined && known.until > clock.now() ? known.place : await placement.find(ref, signal);
    if (place === undefined) throw absentIndex(ref);
    if (place !== known?.place) keep(place);
    try {
      return await work(place);
    } catch (error) {
      if (isAppError(error) && error.code === 'not-found') {
        forget(ref);
        if ((await placement.find(ref, signal)) === undefined) throw absentIndex(ref);
        // It is there: the server has only just started and does not know it yet, or it was made anew this moment.
        throw faultError('busy', connection.at, undefined);
      }
      throw error;
    }
  };

  /** An index that is not there is read as an empty one: a tenant has none before its first document. */
  const readAt = <T>(
    ref: IndexRef,
    signal: AbortSignal | undefined,
    nothing: T,
    work: (place: Place) => Promise<T>,
  ): Promise<T> =>
    at(ref, signal, work).catch((error: unknown) => {
      if (isAppError(error) && error.code === 'not-found') return nothing;
      throw error;
    });

  /** Looked at once in a while, and never a reason for a write to fail: the index works as well without. */
  const sinceLook = new Map<string, number>();
  const quantizeWhenLarge = async (place: Place, written: number, signal: AbortSignal): Promise<void> => {
    if (place.profile.dimensions === null || settings.quantizeAbove === 0) return;
    const key = labelOf(place.ref);
    const before = sinceLook.get(key) ?? 0;
    sinceLook.set(key, before + written);
    if (before + written < Math.min(chunksBetweenLooks, settings.quantizeAbove)) return;
    sinceLook.set(key, 0);
    try {
      if ((await facts.totals(place, signal)).chunks > settings.quantizeAbove)
        await placement.quantize(place.ref, signal);
    } catch (error) {
      log.warn('weaviate_not_quantised', { code: toAppError(error).code });
    }
  };

  const dropGeneration = async (ref: IndexRef): Promise<void> => {
    forget(ref);
    await placement.drop(ref);
    forget(ref);
  };
  const generations = async (tenantId: TenantId): Promise<number[]> => {
    names.alias(tenantId); // refuses what cannot be a tenant's id
    const refs = await placement.list();
    return refs
      .filter((ref) => ref.tenantId === tenantId)
      .map((ref) => ref.generation)
      .sort((a, b) => a - b);
  };

  return {
    name: 'weaviate',
    serverVersion: connection.version,
    ensureIndex: async (ref, profile) => {
      const found = (await placement.find(ref)) ?? (await placement.create(ref, profile));
      if (!sameProfile(found.profile, profile)) throw otherProfile(labelOf(ref));
      keep(found);
    },
    dropTenant: async (tenantId) => {
      for (const generation of await generations(tenantId)) await dropGeneration({ tenantId, generation });
    },
    dropGeneration,
    generations,
    replaceDocuments: (ref, documents, signal) =>
      at(ref, signal, async (place) => {
        await writing.replace(place, documents, signal);
        const written = documents.reduce((sum, { chunks }) => sum + chunks.length, 0);
        await quantizeWhenLarge(place, written, signal);
      }),
    removeDocuments: (ref, documentIds, signal) =>
      readAt(ref, signal, undefined, (place) => writing.remove(place, documentIds, signal)),
    searchText: (ref, query, search) =>
      readAt(ref, search.signal, emptyText, (place) => searchText({ ...reading, facts }, place, query, search)),
    searchVector: (ref, vector, search) =>
      readAt(ref, search.signal, [], (place) => searchVector({ ...reading, facts }, place, vector, search)),
    documentChunks: (ref, documentId, signal) =>
      readAt(ref, signal, [], (place) => documentChunks(reading, place, documentId, signal)),
    presentDocuments: (ref, documentIds, signal) =>
      readAt(ref, signal, [], async (place) => {
        const markers = await readMarkers(reading, place, new Set(documentIds), signal);
        return documentIds.filter((id) => markers.has(id));
      }),
    stats: (ref) =>
      readAt(ref, undefined, { documents: 0, chunks: 0, bytes: 0 }, async (place) => {
        const [documents, { chunks, total }] = await Promise.all([
          countWhere(reading, place, (filter) => filter.byProperty('marker').equal(true)),
          lengths(reading, place),
        ]);
        // An estimate: Weaviate tells no sizes. A term is about six bytes and stands in the text, the terms and two indexes.
        return {
          documents,
          chunks,
          bytes: Math.round(total * 24 + chunks * ((place.profile.dimensions ?? 0) * 4 + 1_000)),
        };
      }),
    /** Derived data: what is written down is which indexes there were. A restore makes them again from the documents. */
    backup: async (folder, signal) => {
      if (signal.aborted) throw cancelled(signal.reason);
      await mkdir(folder, { recursive: true });
      const indexes = [...(await placement.list())].sort((a, b) => (labelOf(a) < labelOf(b) ? -1 : 1));
      const manifest = {
        store: 'weaviate',
        serverVersion: connection.version,
        deploymentId: options.deploymentId,
        tenancy,
        indexes,
      };
      await writeFile(join(folder, 'weaviate-chunks.json'), `${JSON.stringify(manifest, null, 2)}\n`, { signal });
    },
    profileOf: async (ref, signal) => (await placement.find(ref, signal))?.profile ?? null,
    examine: async (signal) => {
      const server = `${connection.version} at ${connection.at.url}, gRPC ${connection.at.grpc}`;
      const findings: Finding[] = [{ item: 'Weaviate', ok: true, says: server }];
      try {
        await checkUp(connection, names.prefix, signal);
      } catch (error) {
        return [{ item: 'Weaviate', ok: false, says: `${server}\n${toAppError(error).message}` }];
      }
      const held = new Set((await placement.list()).map((ref) => ref.tenantId)).size;
      findings.push({
        item: 'Weaviate tenants',
        ok: true,
        ...(held < maxTenants ? {} : { warns: true }),
        says: `${held} of ${maxTenants} have an index${held < maxTenants ? '' : '; a further one is refused: raise WEAVIATE_MAX_TENANTS if the memory of the server allows it'}`,
      });
      const left = await placement.leftovers(signal);
      if (left.length > 0) findings.push(leftBehind(left, connection.at.url));
      return findings;
    },
    check: (signal) => checkUp(connection, names.prefix, signal),
    pointAlias: (ref, signal) => at(ref, signal, (place) => placement.pointAlias(place.ref, signal)),
    close: () => connection.close(),
  };
};

const chunksBetweenLooks = 5_000;
const namedAtMost = 20;

/** Deleting is for a person: whoever only tries the other tenancy may want to go back to what is there. */
const leftBehind = (collections: readonly string[], url: string): Finding => {
  const named = [...collections].sort().slice(0, namedAtMost);
  const more = collections.length - named.length;
  return {
    item: 'Weaviate leftovers',
    ok: true,
    warns: true,
    says: [
      'collections of this deployment from before WEAVIATE_TENANCY was changed; they hold passages that nothing reads, also of tenants removed since.',
      `Once every index is filled, delete each: curl -X DELETE ${url}/v1/schema/<name> (with the API key as a bearer token)`,
      ...named,
      ...(more > 0 ? [`and ${more} more`] : []),
    ].join('\n'),
  };
};

const emptyText: TextSearch = { hits: [], terms: [], totalChunks: 0 };

const absentIndex = (ref: IndexRef): AppError =>
  new AppError('not-found', `There is no search index for ${labelOf(ref)}.`);

const documentChunks = async (reading: ReadingParts, place: Place, documentId: string, signal: AbortSignal) => {
  // By id rather than by a filter: no limit of 10,000 and no order to ask for. A document that changes meanwhile is read again.
  for (let tries = 1; ; tries += 1) {
    const marker = (await readMarkers(reading, place, [documentId], signal)).get(documentId);
    if (marker === undefined) return [];
    const ids = chunkObjectIds(place.ref, documentId, marker);
    const positions = new Map(ids.map((id, position) => [id, position]));
    const found = await fetchByIds(reading, place, ids, contentProperties, signal);
    if (found.length === ids.length) {
      return found
        .map(({ id, properties }) => ({ chunk: chunkOf(properties), position: positions.get(id) ?? 0 }))
        .sort((a, b) => a.chunk.ordinal - b.chunk.ordinal || a.position - b.position)
        .map(({ chunk }) => chunk);
    }
    if (tries === 5) {
      throw new AppError(
        'store-unavailable',
        'Some passages of that document are missing from Weaviate. Sync its source again.',
        { retryable: true },
      );
    }
  }
};

/** `ready` says nothing about gRPC, so a call goes there too: asking for a collection that cannot exist is answered if it works. */
const checkUp = async (connection: Connection, prefix: string, signal: AbortSignal): Promise<void> => {
  await connection.rest({ kind: 'query', signal }, 'GET', '/.well-known/ready');
  try {
    await connection.grpc({ kind: 'query', signal }, (client, stop) =>
      client.collections.use(`${prefix}Check`).query.fetchObjects({ limit: 1 }, { abortSignal: stop }),
    );
  } catch (error) {
    if (!isAppError(error) || error.code !== 'not-found') throw error;
  }
};
