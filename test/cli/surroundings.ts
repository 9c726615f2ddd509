import { Readable } from 'node:stream';
import { run } from '../../cli/main.ts';
import type { Door } from '../../cli/verb.ts';
import { parseConfig } from '../../core/config.ts';
import type { Core, DocumentInput, GenerationView } from '../../core/core.ts';
import type { Document, Job, Receipt, Source, Tenant } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';

export const demo: Tenant = {
  id: 't_0123456789abcdef01234567',
  slug: 'demo',
  name: 'Demo',
  createdAt: 0,
  settings: {},
  activeGeneration: 1,
  contentRevision: 1,
  rev: 1,
};

export const receiptOf = (question: string, conversationId: string): Receipt => ({
  answerId: 'a_1',
  conversationId,
  answer: `You asked “${question}” [1].`,
  kind: 'answered',
  citations: [
    {
      n: 1,
      documentId: 'd_1',
      externalId: 'travel.md',
      chunkId: 'c_1',
      title: 'Travel policy',
      quote: 'Trains\n  first',
    },
  ],
  retrieved: [
    {
      documentId: 'd_1',
      externalId: 'travel.md',
      chunkId: 'c_1',
      sourceId: 's_1',
      title: 'Travel policy',
      headingPath: ['Trains'],
      text: 'Trains first',
      score: 1.5,
    },
  ],
  usage: { promptTokens: 0, completionTokens: 0, embeddingTokens: 0 },
  timingsMs: {},
  tenantId: demo.id,
  at: 0,
  question,
  platform: 'api',
  reasonCode: 'answered',
  inPrompt: ['c_1'],
  model: 'extractive',
  promptVersion: '1',
  generation: 1,
  contentRevision: 1,
  cached: false,
  quotaBuckets: [],
  traceId: 'trace',
  feedback: [],
});

export const generationOf = (
  number: number,
  state: GenerationView['state'],
  over: Partial<GenerationView> = {},
): GenerationView => ({
  number,
  state,
  profile: { analyser: 'a1', chunker: 'c1', embeddingModel: null },
  createdAt: 0,
  fits: true,
  held: false,
  ...over,
});

type Stored = { readonly sourceId: string; readonly input: DocumentInput };

/** A core that keeps documents in a map: enough to see what the command line asks of the real one. */
export const createFakeCore = () => {
  const sources: Source[] = [];
  const documents = new Map<string, Stored>();
  const asked: { question: string; conversationId: string | undefined }[] = [];
  let isClosed = false;
  let isReindexing = false;
  const reindexed: string[] = [];
  const generations: GenerationView[] = [generationOf(1, 'previous'), generationOf(2, 'live')];
  const job: Job = {
    id: 'j_1',
    tenantId: demo.id,
    kind: 'reindex',
    state: 'queued',
    counts: { seen: 0, upserted: 0, unchanged: 0, removed: 0, failed: 0 },
    errors: [],
    createdAt: 0,
    attempts: 0,
  };
  const core = {
    ask: async (_tenantId: string, input: { question: string; conversationId?: string }) => {
      asked.push({ question: input.question, conversationId: input.conversationId });
      if (input.question === 'break') throw new AppError('model-failed', 'The model did not answer.');
      return receiptOf(input.question, input.conversationId ?? `v_${asked.length}`);
    },
    tenants: {
      bySlug: async (slug: string) => (slug === 'demo' ? demo : null),
      create: async ({ slug, name }: { slug: string; name: string }) => {
        if (slug === 'demo') throw new AppError('conflict', 'The slug demo is taken.');
        return { ...demo, slug, name };
      },
      list: async () => ({ items: [demo] }),
    },
    keys: { create: async () => ({ id: 'k_1', key: 'fn_secret' }) },
    audit: async () => {},
    sources: {
      list: async () => sources,
      create: async (tenantId: string, input: { kind: string; name: string }) => {
        const source: Source = {
          id: `s_${sources.length + 1}`,
          tenantId,
          settings: {},
          createdAt: 0,
          rev: 1,
          ...input,
        };
        sources.push(source);
        return source;
      },
    },
    documents: {
      putBatch: async (_tenantId: string, sourceId: string, inputs: readonly DocumentInput[]) => {
        const result = { upserted: 0, unchanged: 0, failed: [] as { id: string; problem: string }[] };
        for (const input of inputs) {
          const before = documents.get(input.externalId);
          if (String(input.content) === '')
            result.failed.push({ id: input.externalId, problem: 'The document is empty.' });
          else if (before !== undefined && String(before.input.content) === String(input.content))
            result.unchanged += 1;
          else {
            documents.set(input.externalId, { sourceId, input });
            result.upserted += 1;
          }
        }
        return result;
      },
      list: async () => ({ items: [...documents.keys()].map((externalId) => ({ externalId }) as Document) }),
      remove: async (_tenantId: string, _sourceId: string, externalId: string) => documents.delete(externalId),
    },
    reindex: {
      start: async () => {
        if (isReindexing) throw new AppError('conflict', 'A re-index of this tenant is under way (job j_1).');
        reindexed.push('start');
        return job;
      },
      activate: async (_tenantId: string, generation: number) => {
        reindexed.push(`activate ${generation}`);
        return job;
      },
      generations: async () => generations,
      condition: async () => 'whole',
      workHere: () => {},
    },
    examine: async () => [],
    jobs: {
      watch: async function* () {
        yield { ...job, state: 'running' };
        yield { ...job, state: 'done', counts: { ...job.counts, seen: 3, upserted: 3 } };
      },
    },
    drain: async () => {},
    usage: {
      report: async () => [
        {
          key: '=cmd()',
          questions: 3,
          promptTokens: 10,
          completionTokens: 5,
          embeddingTokens: 0,
          costNanos: 1_234_500_000,
          costUnknown: false,
        },
        {
          key: 'mystery',
          questions: 1,
          promptTokens: 1,
          completionTokens: 1,
          embeddingTokens: 0,
          costNanos: 0,
          costUnknown: true,
        },
      ],
    },
    problems: async () => [] as string[],
    modes: { chatModel: null, embeddingModel: null },
    close: async () => {
      isClosed = true;
    },
  };
  return {
    core: core as unknown as Core,
    sources,
    documents,
    asked,
    isClosed: () => isClosed,
    reindexed,
    generations,
    setReindexing: (is: boolean) => {
      isReindexing = is;
    },
  };
};

type Options = {
  readonly core?: Core;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly isTerminal?: boolean;
  readonly backup?: Door['backup'];
  readonly fillDemo?: Door['fillDemo'];
  /** A verb that needs no stores: asking for them fails. */
  readonly storeless?: true;
};

/** Runs one command line as a person would, and tells what was printed. */
export const footnote = async (line: readonly string[], options: Options = {}) => {
  const env = options.env ?? {};
  let out = '';
  let err = '';
  const code = await run(line, {
    terminal: {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      isTerminal: options.isTerminal ?? false,
      columns: 80,
      input: Readable.from([options.input ?? '']),
      signal: new AbortController().signal,
    },
    env,
    openDoor: async () => {
      if (options.storeless) throw new Error(`footnote ${line[0]} needs no stores`);
      return {
        core: options.core ?? createFakeCore().core,
        config: parseConfig(env),
        backup: options.backup ?? (async () => {}),
        signInUrl: async (guest) =>
          `http://localhost:3000/console/sign-in/${guest === undefined ? 'token' : JSON.stringify(guest)}`,
        fillDemo: options.fillDemo ?? (async () => {}),
      };
    },
  });
  return { code, out, err };
};
