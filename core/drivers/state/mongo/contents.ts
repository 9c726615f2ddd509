import type { Binary } from 'mongodb';
import type { BuiltDocument, DocumentContents, DocumentStore } from '../../../ports/state.ts';
import { type BuiltDoc, type Collections, type ContentsDoc, keyOf } from './collections.ts';
import { chunksOf, pageOf, replaceAll, within } from './queries.ts';

type ContentVerbs = 'contents' | 'markBuilt' | 'builtOf' | 'built' | 'removeBuilt';

/** Contents are large; so many go in one command, which the driver splits again at 48 MB. */
const contentsAtOnce = 16;

const bytesOf = (data: Binary | Uint8Array): Uint8Array => {
  const bytes = data instanceof Uint8Array ? data : (data.value() as Uint8Array);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
};

const builtFrom = ({ documentId, generation, stamp, chunks }: BuiltDoc): BuiltDocument => ({
  documentId,
  generation,
  stamp,
  chunks,
});

export const putContents = async (
  { contents }: Collections,
  tenantId: string,
  list: readonly DocumentContents[],
): Promise<void> => {
  for (const chunk of chunksOf(list, contentsAtOnce)) {
    await replaceAll<ContentsDoc>(
      contents,
      chunk.map(({ documentId, stamp, data }) => ({
        _id: keyOf(tenantId, documentId),
        tenantId,
        documentId,
        stamp,
        data,
      })),
    );
  }
};

/** The documents' texts, and what a re-index has made of them. */
export const contentVerbs = ({ contents, built }: Collections): Pick<DocumentStore, ContentVerbs> => ({
  contents: async (tenantId, documentIds) => {
    const found: DocumentContents[] = [];
    for (const chunk of chunksOf(documentIds, contentsAtOnce)) {
      const docs = await contents.find({ _id: { $in: chunk.map((id) => keyOf(tenantId, id)) } }, within).toArray();
      found.push(...docs.map(({ documentId, stamp, data }) => ({ documentId, stamp, data: bytesOf(data) })));
    }
    return found;
  },
  markBuilt: async (tenantId, list) => {
    for (const chunk of chunksOf(list)) {
      await replaceAll<BuiltDoc>(
        built,
        chunk.map((one) => ({
          _id: keyOf(tenantId, one.documentId),
          tenantId,
          documentId: one.documentId,
          generation: one.generation,
          stamp: one.stamp,
          chunks: one.chunks,
        })),
      );
    }
  },
  builtOf: async (tenantId, documentIds) => {
    const found: BuiltDocument[] = [];
    for (const chunk of chunksOf(documentIds))
      found.push(
        ...(await built.find({ _id: { $in: chunk.map((id) => keyOf(tenantId, id)) } }, within).toArray()).map(
          builtFrom,
        ),
      );
    return found;
  },
  built: (tenantId, generation, page) =>
    pageOf(
      page,
      'name',
      (after, limit) =>
        built
          .find({ tenantId, generation, documentId: { $gt: String(after?.[0] ?? '') } }, within)
          .sort({ documentId: 1 })
          .limit(limit)
          .toArray(),
      (doc) => [doc.documentId],
      builtFrom,
    ),
  removeBuilt: async (tenantId, documentIds) => {
    for (const chunk of chunksOf(documentIds))
      await built.deleteMany({ _id: { $in: chunk.map((id) => keyOf(tenantId, id)) } });
  },
});
