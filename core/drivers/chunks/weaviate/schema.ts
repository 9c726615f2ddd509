import { AppError } from '../../../errors.ts';
import type { IndexProfile } from '../../../ports/chunks.ts';
import { profileInOrder } from './names.ts';

/** Another layout of the objects below; such a collection has to be built again. */
const format = 1;

/** Lucene's BM25, as in the embedded store. Both are always given: with one missing the server would take 0 for it. */
export const bm25 = { k1: 1.2, b: 0.75 } as const;

export type IndexSettings = {
  readonly replicas: number;
  /** Width of the search while building; fixed at creation. */
  readonly efConstruction: number;
  /** Edges per node; fixed at creation. */
  readonly maxConnections: number;
  /** Width of the search while searching. */
  readonly ef: number;
  /**
   * Chunks above which an index is quantised to 8 bits (rotational: a quarter of the memory, no training). It cannot be undone.
   * 0: from the start.
   */
  readonly quantizeAbove: number;
};

export const defaultSettings: IndexSettings = {
  replicas: 1,
  efConstruction: 128,
  maxConnections: 32,
  // 128 found 97 % of the ten nearest of 6,000 chunks, 256 found 99 %, 512 all of them, for a few milliseconds more.
  ef: 512,
  quantizeAbove: 50_000,
};

/** What filled a collection stands in its description: schema is Raft, so it is there as soon as the collection is. */
export type Inscription = { readonly footnote: number; readonly profile: IndexProfile };

const inscribe = (profile: IndexProfile): string =>
  JSON.stringify({ footnote: format, profile: profileInOrder(profile) } satisfies Inscription);

type Property = {
  readonly name: string;
  readonly dataType: readonly [string];
  readonly indexFilterable: boolean;
  readonly indexSearchable: boolean;
  readonly indexRangeFilters: false;
  readonly tokenization?: string;
};

/** `field`: ids are compared whole. Only what a filter needs is indexed: every index is a set of files and memory per tenant. */
const text = (name: string, indexFilterable: boolean): Property => ({
  name,
  dataType: ['text'],
  indexFilterable,
  indexSearchable: false,
  indexRangeFilters: false,
  tokenization: 'field',
});
const number = (name: string, indexFilterable: boolean): Property => ({
  name,
  dataType: ['int'],
  indexFilterable,
  indexSearchable: false,
  indexRangeFilters: false,
});

/** `id`, `_id`, `_additional` and some endings are reserved by the server, hence `chunkId`. */
export const properties: readonly Property[] = [
  text('documentId', true),
  text('sourceId', true),
  text('language', true),
  number('rev', true),
  number('length', true),
  // Terms as our analyser made them, so that both stores rank alike; white space keeps them as they are, CJK pairs too.
  {
    name: 'terms',
    dataType: ['text'],
    indexFilterable: true,
    indexSearchable: true,
    indexRangeFilters: false,
    tokenization: 'whitespace',
  },
  text('chunkId', false),
  text('title', false),
  text('text', false),
  text('payload', false),
  // Of markers only.
  { name: 'marker', dataType: ['boolean'], indexFilterable: true, indexSearchable: false, indexRangeFilters: false },
  text('markerOf', false),
  number('since', false),
  number('chunks', false),
];

/** The whole class as the REST API takes it; nothing is left to a server's defaults, which an operator may have changed. */
export const classOf = (
  name: string,
  profile: IndexProfile,
  settings: IndexSettings,
  multiTenant: boolean,
): Record<string, unknown> => ({
  class: name,
  description: inscribe(profile),
  properties,
  vectorConfig: {
    default: {
      vectorizer: { none: {} },
      vectorIndexType: 'hnsw',
      vectorIndexConfig: {
        // Without an embedding model there is nothing to index.
        skip: profile.dimensions === null,
        distance: 'cosine',
        efConstruction: settings.efConstruction,
        maxConnections: settings.maxConnections,
        ef: settings.ef,
        filterStrategy: 'acorn',
        ...(settings.quantizeAbove === 0 ? { rq: eightBits } : { skipDefaultQuantization: true }),
      },
    },
  },
  invertedIndexConfig: {
    bm25,
    // The server's own default is English; our analyser has already taken stop words out, by language.
    stopwords: { preset: 'none' },
    indexTimestamps: false,
    indexNullState: false,
    indexPropertyLength: false,
  },
  // One shard: the default is one per node, each with its own files and statistics.
  shardingConfig: multiTenant ? undefined : { desiredCount: 1 },
  replicationConfig: { factor: settings.replicas },
  multiTenancyConfig: { enabled: multiTenant, autoTenantCreation: false, autoTenantActivation: multiTenant },
});

const eightBits = { enabled: true, bits: 8 } as const;

const vectorConfigPath = ['vectorConfig', 'default', 'vectorIndexConfig'] as const;

/** The class with its vectors quantised, or nothing when they already are. */
export const quantised = (found: unknown): Record<string, unknown> | undefined => {
  if (at(found, ...vectorConfigPath, 'rq', 'enabled') === true) return undefined;
  const copy = structuredClone(found) as Record<string, unknown>;
  const config = at(copy, ...vectorConfigPath);
  if (typeof config !== 'object' || config === null) return undefined;
  Object.assign(config, { rq: { ...(at(config, 'rq') as object | undefined), ...eightBits } });
  return copy;
};

// ── what stands in the server ───────────────────────────────────────────────────────────────────────────────────────

const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[key] : undefined),
    value,
  );

const inscriptionOf = (found: unknown): Inscription | undefined => {
  const description = at(found, 'description');
  if (typeof description !== 'string' || !description.startsWith('{')) return undefined;
  try {
    const parsed = JSON.parse(description) as Partial<Inscription>;
    return parsed.footnote === format && parsed.profile ? { footnote: format, profile: parsed.profile } : undefined;
  } catch {
    return undefined;
  }
};

/** The first setting in which a collection differs from what we would have made; mutable ones are not looked at. */
const differenceOf = (found: unknown, multiTenant: boolean): string | undefined => {
  if (inscriptionOf(found) === undefined) return 'description';
  const have = at(found, 'properties');
  for (const want of properties) {
    const own = Array.isArray(have) ? have.find((property: unknown) => at(property, 'name') === want.name) : undefined;
    const same =
      at(own, 'dataType', '0') === want.dataType[0] &&
      at(own, 'indexFilterable') === want.indexFilterable &&
      at(own, 'indexSearchable') === want.indexSearchable &&
      (want.tokenization === undefined || at(own, 'tokenization') === want.tokenization);
    if (!same) return `property ${want.name}`;
  }
  if (at(found, ...vectorConfigPath, 'distance') !== 'cosine') return 'distance';
  if (at(found, 'vectorConfig', 'default', 'vectorIndexType') !== 'hnsw') return 'vector index';
  if (at(found, 'invertedIndexConfig', 'stopwords', 'preset') !== 'none') return 'stop words';
  if (
    at(found, 'invertedIndexConfig', 'bm25', 'k1') !== bm25.k1 ||
    at(found, 'invertedIndexConfig', 'bm25', 'b') !== bm25.b
  )
    return 'BM25';
  if ((at(found, 'multiTenancyConfig', 'enabled') === true) !== multiTenant) return 'multi-tenancy';
  if (!multiTenant && at(found, 'shardingConfig', 'desiredCount') !== 1) return 'number of shards';
  return undefined;
};

/** The profile that a collection was made with; a collection that is not as we make them is refused. */
export const profileOf = (name: string, found: unknown, multiTenant: boolean): IndexProfile => {
  const difference = differenceOf(found, multiTenant);
  const inscription = inscriptionOf(found);
  if (difference === undefined && inscription !== undefined) return inscription.profile;
  throw new AppError(
    'conflict',
    `The Weaviate collection ${name} exists, but was not made by this version of Footnote (it differs in: ${difference}). Remove it and re-index the tenant.`,
  );
};

export const sameProfile = (a: IndexProfile, b: IndexProfile): boolean => inscribe(a) === inscribe(b);

export const otherProfile = (label: string): AppError =>
  new AppError(
    'conflict',
    `The search index of ${label} was made with another analyser or embedding model. Re-index the tenant; until then keep the earlier settings.`,
  );

/** Names of all collections, ours and others'. */
export const classNames = (schema: unknown): string[] => {
  const classes = at(schema, 'classes');
  if (!Array.isArray(classes)) return [];
  return classes.map((each: unknown) => at(each, 'class')).filter((name): name is string => typeof name === 'string');
};

export const namesIn = (list: unknown, key = 'name'): string[] =>
  Array.isArray(list)
    ? list.map((each: unknown) => at(each, key)).filter((name): name is string => typeof name === 'string')
    : [];
