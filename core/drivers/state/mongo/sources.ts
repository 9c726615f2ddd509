import type { Collection } from 'mongodb';
import type { Source } from '../../../domain.ts';
import type { DocumentStore, SourceStore, Standing, StoredDocument, TenantStore } from '../../../ports/state.ts';
import { type Collections, type DocumentDoc, keyOf, type SourceDoc } from './collections.ts';
import { contentVerbs, putContents } from './contents.ts';
import { isOnlyDuplicates } from './faults.ts';
import { chunksOf, pageOf, parsed, present, replaceAll, rowLimit, within } from './queries.ts';
import { deadTenants } from './tenants.ts';

const sourceOf = ({ _id, settings, ...doc }: SourceDoc): Source =>
  present<Source>({ id: _id, ...doc, settings: parsed<Source['settings']>(settings) } as Source);

export const sourceVerbs = (collections: Collections): SourceStore => {
  const { sources } = collections;
  const get = async (tenantId: string, sourceId: string): Promise<Source | null> => {
    const doc = await sources.findOne({ _id: sourceId, tenantId }, within);
    return doc === null ? null : sourceOf(doc);
  };
  /** The running of a source is no edit: its revision stays, or a person's form would go stale under their hands. */
  const note = async (tenantId: string, sourceId: string, patch: Partial<SourceDoc>): Promise<void> => {
    await sources.updateOne({ _id: sourceId, tenantId }, { $set: patch });
  };
  return {
    create: async (source) => {
      await sources.insertOne({
        _id: source.id,
        tenantId: source.tenantId,
        kind: source.kind,
        name: source.name,
        audience: source.audience ?? null,
        settings: JSON.stringify(source.settings),
        schedule: source.schedule ?? null,
        nextRunAt: source.nextRunAt ?? null,
        cursor: source.cursor ?? null,
        createdAt: source.createdAt,
        lastSyncedAt: source.lastSyncedAt ?? null,
        rev: source.rev,
      });
    },
    get,
    list: async (tenantId) =>
      (await sources.find({ tenantId }, within).sort({ createdAt: 1, _id: 1 }).toArray()).map(sourceOf),
    update: async (tenantId, sourceId, rev, { settings, ...patch }) => {
      const doc = await sources.findOneAndUpdate(
        { _id: sourceId, tenantId, rev },
        { $set: { ...patch, ...(settings === undefined ? {} : { settings: JSON.stringify(settings) }), rev: rev + 1 } },
        { returnDocument: 'after' },
      );
      if (doc !== null) return sourceOf(doc);
      return (await get(tenantId, sourceId)) === null ? null : 'stale';
    },
    remove: async (tenantId, sourceId) => (await sources.deleteOne({ _id: sourceId, tenantId })).deletedCount === 1,
    due: async (now, limit) =>
      (
        await sources
          .find({ nextRunAt: { $lte: now }, tenantId: { $nin: await deadTenants(collections) } }, within)
          .sort({ nextRunAt: 1, _id: 1 })
          .limit(rowLimit(limit))
          .toArray()
      ).map(sourceOf),
    reschedule: async (tenantId, sourceId, from, to) =>
      (await sources.updateOne({ _id: sourceId, tenantId, nextRunAt: from }, { $set: { nextRunAt: to } }))
        .matchedCount === 1,
    saveCursor: (tenantId, sourceId, cursor) => note(tenantId, sourceId, { cursor }),
    markSynced: (tenantId, sourceId, now) => note(tenantId, sourceId, { lastSyncedAt: now }),
  };
};

/** The revision is what it is compared by: an older version that writes a row again keeps that of the record, and drops this one. */
const documentOf = (doc: DocumentDoc): StoredDocument => {
  const { rev: _, ...document } = parsed<StoredDocument>(doc.record);
  return {
    ...document,
    ...(doc.rev === undefined ? {} : { rev: doc.rev }),
    ...(doc.seenIn === null ? {} : { seenIn: doc.seenIn }),
  };
};

const fieldsOf = (tenantId: string, { seenIn, ...document }: StoredDocument): Omit<DocumentDoc, '_id'> => ({
  tenantId,
  id: document.id,
  sourceId: document.sourceId,
  seenIn: seenIn ?? null,
  bytes: document.bytes,
  chunks: document.chunkCount,
  ...(document.rev === undefined ? {} : { rev: document.rev }),
  record: JSON.stringify({ ...document, tenantId }),
});

/** A row that carries no revision, or no row. */
const noRev = { $exists: false } as const;

/**
 * Each in the place of the row that has the expected revision. Returns the ids of those whose row has another: asked for
 * only when the counts say that there are some, for a bulk does not tell which of its writes met nothing.
 */
const replaceExpected = async (
  documents: Collection<DocumentDoc>,
  docs: readonly DocumentDoc[],
  expected: (id: string) => string | null,
): Promise<readonly string[]> => {
  if (docs.length === 0) return [];
  const each = docs.map(({ _id, ...replacement }) => {
    const rev = expected(replacement.id);
    // Where there is a row that has one, the upsert meets it by its id and fails as a duplicate.
    const filter = { _id, rev: rev ?? noRev };
    return { replaceOne: { filter, replacement, upsert: rev === null } };
  });
  try {
    const { matchedCount, upsertedCount } = await documents.bulkWrite(each, { ordered: false });
    if (matchedCount + upsertedCount === docs.length) return [];
  } catch (error) {
    if (!isOnlyDuplicates(error)) throw error;
  }
  const found = await documents.find({ _id: { $in: docs.map(({ _id }) => _id) } }, within).toArray();
  const revs = new Map(found.map(({ id, rev }) => [id, rev]));
  return docs.filter(({ id, rev }) => revs.get(id) !== rev).map(({ id }) => id);
};

export const documentVerbs = (
  collections: Collections,
  { tenants, sources }: { readonly tenants: TenantStore; readonly sources: SourceStore },
): DocumentStore => {
  const { documents, contents } = collections;
  const keysOf = (tenantId: string, ids: readonly string[]): string[] => ids.map((id) => keyOf(tenantId, id));
  const standing = async (tenantId: string, sourceId: string): Promise<Standing> => {
    const [tenant, source, generations] = await Promise.all([
      tenants.get(tenantId),
      sources.get(tenantId, sourceId),
      tenants.generations(tenantId),
    ]);
    return { tenant, hasSource: source !== null, generations };
  };
  return {
    standing,
    write: async (tenantId, sourceId, { rows, contents: texts, expected }) => {
      await putContents(collections, tenantId, texts);
      if (texts.length > 0) await tenants.bumpContentRevision(tenantId);
      const stale: string[] = [];
      for (const chunk of chunksOf(rows)) {
        const docs = chunk.map((one) => ({ _id: keyOf(tenantId, one.id), ...fieldsOf(tenantId, one) }));
        const free = docs.filter(({ id }) => expected?.has(id) !== true);
        const bound = docs.filter(({ id }) => expected?.has(id) === true);
        await replaceAll<DocumentDoc>(documents, free);
        stale.push(...(await replaceExpected(documents, bound, (id) => expected?.get(id) ?? null)));
      }
      return { ...(await standing(tenantId, sourceId)), stale };
    },
    get: async (tenantId, documentId) => {
      const doc = await documents.findOne({ _id: keyOf(tenantId, documentId) }, within);
      return doc === null ? null : documentOf(doc);
    },
    getMany: async (tenantId, documentIds) => {
      const found: DocumentDoc[] = [];
      for (const chunk of chunksOf(keysOf(tenantId, documentIds)))
        found.push(...(await documents.find({ _id: { $in: [...chunk] } }, within).toArray()));
      return found.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(documentOf);
    },
    list: (tenantId, { sourceId }, page) =>
      pageOf(
        page,
        'name',
        (after, limit) =>
          documents
            .find(
              {
                tenantId,
                ...(sourceId === undefined ? {} : { sourceId }),
                id: { $gt: String(after?.[0] ?? '') },
              },
              within,
            )
            .sort({ id: 1 })
            .limit(limit)
            .toArray(),
        (doc) => [doc.id],
        documentOf,
      ),
    remove: async (tenantId, documentIds, expected) => {
      let removed = 0;
      for (const ids of chunksOf(documentIds)) {
        await contents.deleteMany({ _id: { $in: keysOf(tenantId, ids) } });
        const free = ids.filter((id) => expected?.has(id) !== true);
        if (free.length > 0)
          removed += (await documents.deleteMany({ _id: { $in: keysOf(tenantId, free) } })).deletedCount;
        const bound = ids.flatMap((id) => {
          const rev = expected?.get(id);
          return rev === undefined ? [] : [{ deleteOne: { filter: { _id: keyOf(tenantId, id), rev: rev ?? noRev } } }];
        });
        if (bound.length > 0) removed += (await documents.bulkWrite(bound, { ordered: false })).deletedCount;
      }
      return removed;
    },
    markSeen: async (tenantId, documentIds, runId) => {
      for (const chunk of chunksOf(keysOf(tenantId, documentIds)))
        await documents.updateMany({ _id: { $in: [...chunk] } }, { $set: { seenIn: runId } });
    },
    unseen: async (tenantId, sourceId, runId, limit) =>
      (
        await documents
          .find({ tenantId, sourceId, seenIn: { $ne: runId } }, within)
          .project<{ id: string }>({ id: 1 })
          .sort({ id: 1 })
          .limit(rowLimit(limit))
          .toArray()
      ).map((doc) => doc.id),
    count: (tenantId, sourceId) =>
      documents.countDocuments({ tenantId, ...(sourceId === undefined ? {} : { sourceId }) }, within),
    ...contentVerbs(collections),
  };
};
