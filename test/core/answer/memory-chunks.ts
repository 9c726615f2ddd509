import type { Chunk, EmbeddedChunk, TenantId } from '../../../core/domain.ts';
import type { ChunkStore, TextHit } from '../../../core/ports/chunks.ts';
import { analyse } from '../../../core/text/analyse.ts';

/** A chunk store in memory, for one tenant and generation at a time: plain BM25 (k1 0.9, b 0.4) over our analyser. */
export const createMemoryChunks = (chunks: readonly EmbeddedChunk[]): ChunkStore => {
  const docs = chunks.map((chunk) => {
    const counts = new Map<string, number>();
    const terms = analyse(`${chunk.title}\n${chunk.headingPath.join('\n')}\n${chunk.text}`);
    for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
    return { chunk, counts, length: terms.length };
  });
  const average = docs.reduce((sum, doc) => sum + doc.length, 0) / Math.max(1, docs.length);
  const frequency = new Map<string, number>();
  for (const { counts } of docs) for (const term of counts.keys()) frequency.set(term, (frequency.get(term) ?? 0) + 1);
  const allowed = (chunk: Chunk, sourceIds?: readonly string[]): boolean =>
    sourceIds === undefined || sourceIds.includes(chunk.sourceId);

  return {
    name: 'memory',
    ensureIndex: async () => undefined,
    dropTenant: async () => undefined,
    dropGeneration: async () => undefined,
    generations: async () => [1],
    profileOf: async () => null,
    replaceDocuments: async () => undefined,
    removeDocuments: async () => undefined,
    searchText: async (_ref, query, { limit, sourceIds }) => {
      const terms = [...new Set(analyse(query))].map((term) => ({ term, documentFrequency: frequency.get(term) ?? 0 }));
      const idf = terms.map(({ documentFrequency }) =>
        Math.log(1 + (docs.length - documentFrequency + 0.5) / (documentFrequency + 0.5)),
      );
      const hits: TextHit[] = [];
      for (const { chunk, counts, length } of docs) {
        if (!allowed(chunk, sourceIds)) continue;
        const matched = terms.flatMap(({ term }, index) => (counts.has(term) ? [index] : []));
        if (matched.length === 0) continue;
        const score = matched.reduce((sum, index) => {
          const tf = counts.get(terms[index]?.term ?? '') ?? 0;
          return sum + ((idf[index] ?? 0) * tf * 1.9) / (tf + 0.9 * (0.6 + (0.4 * length) / average));
        }, 0);
        hits.push({ chunk, score, matched });
      }
      hits.sort((a, b) => b.score - a.score || (a.chunk.id < b.chunk.id ? -1 : 1));
      return { hits: hits.slice(0, limit), terms, totalChunks: docs.length };
    },
    searchVector: async (_ref, vector, { limit, sourceIds }) =>
      chunks
        .filter((chunk) => allowed(chunk, sourceIds) && chunk.vector !== undefined)
        .map((chunk) => ({
          chunk,
          score: (chunk.vector ?? vector).reduce((sum, value, index) => sum + value * (vector[index] ?? 0), 0),
        }))
        .sort((a, b) => b.score - a.score)
        .slice(0, limit),
    documentChunks: async (_ref, documentId) =>
      chunks.filter((chunk) => chunk.documentId === documentId).sort((a, b) => a.ordinal - b.ordinal),
    presentDocuments: async (_ref, ids) => ids.filter((id) => chunks.some((chunk) => chunk.documentId === id)),
    stats: async () => ({
      documents: new Set(chunks.map((chunk) => chunk.documentId)).size,
      chunks: chunks.length,
      bytes: 0,
    }),
    backup: async () => undefined,
    check: async () => undefined,
    close: async () => undefined,
  };
};

/** A document's chunks, one for each text. */
export const chunksOf = (
  title: string,
  texts: readonly (string | { readonly heading: string; readonly text: string })[],
  options: { readonly sourceId?: string; readonly url?: string; readonly vectors?: readonly Float32Array[] } = {},
): readonly EmbeddedChunk[] =>
  texts.map((entry, ordinal) => {
    const { heading, text } = typeof entry === 'string' ? { heading: '', text: entry } : entry;
    const slug = title.toLowerCase().replace(/\W+/g, '-');
    const vector = options.vectors?.[ordinal];
    return {
      id: `c_${slug}_${ordinal}`,
      documentId: `d_${slug}`,
      sourceId: options.sourceId ?? 's_1',
      externalId: slug,
      ordinal,
      title,
      headingPath: heading === '' ? [] : [heading],
      text,
      start: 0,
      end: text.length,
      tokens: Math.ceil(text.length / 4),
      ...(options.url === undefined ? {} : { url: options.url }),
      ...(vector === undefined ? {} : { vector }),
    };
  });

export const anyTenantId: TenantId = 't_000000000000000000000001';
