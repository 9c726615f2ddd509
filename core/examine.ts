import { toAppError } from './errors.ts';
import type { ChunkStore } from './ports/chunks.ts';
import type { Finding } from './ports/finding.ts';
import type { Embedder } from './ports/model.ts';
import type { StateStore } from './ports/state.ts';

type Parts = { readonly state: StateStore; readonly chunks: ChunkStore; readonly embedder: Embedder | null };

const tenantsLookedAt = 100;

/** What a look at the stores and the embedding endpoint finds; each failure is a finding of its own. */
export const examineStores = async (parts: Parts, signal: AbortSignal): Promise<readonly Finding[]> => {
  const { state, chunks } = parts;
  const groups = await Promise.all([
    within('State', async () => (await state.examine?.(signal)) ?? [plain('State', state.name)]),
    within('Passages', async () => (await chunks.examine?.(signal)) ?? [plain('Passages', chunks.name)]),
    within('Embeddings', () => examineEmbeddings(parts, signal)),
  ]);
  return groups.flat();
};

const plain = (item: string, name: string): Finding => ({ item, ok: true, says: `${name}, in DATA_DIR` });

const within = async (item: string, look: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> => {
  try {
    return await look();
  } catch (error) {
    return [{ item, ok: false, says: toAppError(error).message }];
  }
};

/** One real call, and its dimensions beside those that the tenants' indexes were made for. */
const examineEmbeddings = async (
  { state, chunks, embedder }: Parts,
  signal: AbortSignal,
): Promise<readonly Finding[]> => {
  if (embedder === null) return [];
  const { items } = await state.tenants.list({ limit: tenantsLookedAt });
  const tenantId = items[0]?.id;
  if (tenantId === undefined) return [];
  const { vectors } = await embedder.embed(['footnote'], 'document', { signal, tenantId });
  const dimensions = vectors[0]?.length ?? 0;
  const others: string[] = [];
  for (const { id, slug, activeGeneration: generation } of items) {
    const profile = await chunks.profileOf({ tenantId: id, generation }, signal);
    const isOurs = profile?.embeddingModel === embedder.name;
    if (isOurs && profile.dimensions !== null && profile.dimensions !== dimensions)
      others.push(`${slug} has ${profile.dimensions}; run: footnote reindex --tenant ${slug}`);
  }
  const says = `${embedder.name} answers with ${dimensions} dimensions`;
  return [
    {
      item: 'Embeddings',
      ok: others.length === 0,
      says: others.length === 0 ? says : [`${says}, but the index of`, ...others].join('\n'),
    },
  ];
};
