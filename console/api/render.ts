import type { GenerationView } from '../../core/core.ts';
import type {
  ApiKey,
  Citation,
  Connection,
  Document,
  Job,
  Passage,
  Receipt,
  Source,
  Tenant,
} from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';

/** Domain -> API: explicit fields only, so that a new field inside never gets out by itself. */

export const iso = (at: number): string => new Date(at).toISOString();
export const isoOrNull = (at: number | undefined): string | null => (at === undefined ? null : iso(at));

/** The fields that are there; JSON has no `undefined`. */
const present = <T extends object>(fields: T): Partial<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;

export const renderTenant = ({ id, slug, name, createdAt, settings, rev }: Tenant) => ({
  id,
  slug,
  name,
  createdAt: iso(createdAt),
  settings,
  rev: String(rev),
});

export const renderKey = ({ id, name, scopes, createdAt, lastUsedAt }: ApiKey) => ({
  id,
  name,
  scopes,
  createdAt: iso(createdAt),
  ...(lastUsedAt === undefined ? {} : { lastUsedAt: iso(lastUsedAt) }),
});

export const renderSource = (source: Source) => ({
  id: source.id,
  kind: source.kind,
  name: source.name,
  settings: source.settings,
  schedule: source.schedule ?? null,
  audience: source.audience ?? 'members',
  createdAt: iso(source.createdAt),
  lastSyncedAt: isoOrNull(source.lastSyncedAt),
  nextRunAt: isoOrNull(source.nextRunAt),
  rev: String(source.rev),
});

export const renderGeneration = (generation: GenerationView) => ({
  number: generation.number,
  state: generation.state,
  ...generation.profile,
  createdAt: iso(generation.createdAt),
  fits: generation.fits,
  held: generation.held,
  jobId: generation.jobId ?? null,
  goneAt: isoOrNull(generation.sweepAt),
});

export const renderJob = (job: Job) => ({
  id: job.id,
  kind: job.kind,
  ...present({ sourceId: job.sourceId }),
  state: job.state,
  counts: job.counts,
  errors: job.errors,
  createdAt: iso(job.createdAt),
  startedAt: isoOrNull(job.startedAt),
  finishedAt: isoOrNull(job.finishedAt),
  attempts: job.attempts,
});

export const renderDocument = (document: Document) => ({
  id: document.id,
  externalId: document.externalId,
  sourceId: document.sourceId,
  title: document.title,
  ...present({ url: document.url, metadata: document.metadata, problem: document.problem }),
  mediaType: document.mediaType,
  bytes: document.bytes,
  chunks: document.chunkCount,
  updatedAt: iso(document.updatedAt),
});

export const renderPassage = (passage: Passage) => ({
  documentId: passage.documentId,
  externalId: passage.externalId,
  chunkId: passage.chunkId,
  sourceId: passage.sourceId,
  title: passage.title,
  headingPath: passage.headingPath,
  ...present({ url: passage.url, page: passage.page }),
  text: passage.text,
  score: passage.score,
});

export const renderCitation = (citation: Citation) => ({
  n: citation.n,
  documentId: citation.documentId,
  externalId: citation.externalId,
  chunkId: citation.chunkId,
  title: citation.title,
  ...present({ url: citation.url, page: citation.page }),
  quote: citation.quote,
});

export const renderAnswer = (receipt: Receipt) => ({
  answerId: receipt.answerId,
  conversationId: receipt.conversationId,
  answer: receipt.answer,
  kind: receipt.kind,
  ...present({ reason: receipt.reason, retryAt: receipt.retryAt === undefined ? undefined : iso(receipt.retryAt) }),
  citations: receipt.citations.map(renderCitation),
  retrieved: receipt.retrieved.map(renderPassage),
  usage: receipt.usage,
  timingsMs: receipt.timingsMs,
});

export const renderReceipt = (receipt: Receipt) => ({
  ...renderAnswer(receipt),
  at: iso(receipt.at),
  question: receipt.question,
  platform: receipt.platform,
  ...present({
    condensedQuestion: receipt.condensedQuestion,
    workspaceId: receipt.workspaceId,
    channelId: receipt.channelId,
    threadId: receipt.threadId,
    messageId: receipt.messageId,
    memberId: receipt.memberId,
  }),
  reasonCode: receipt.reasonCode,
  inPrompt: receipt.inPrompt,
  model: receipt.model,
  promptVersion: receipt.promptVersion,
  generation: receipt.generation,
  contentRevision: receipt.contentRevision,
  cached: receipt.cached,
  quotaBuckets: receipt.quotaBuckets,
  traceId: receipt.traceId,
  feedback: receipt.feedback.map(({ at, ...feedback }) => ({ ...feedback, at: iso(at) })),
});

/** A `rev` as it comes back: what is no number of ours is never the one that stands. */
export const revOf = (seen: string | undefined): number | undefined =>
  seen === undefined ? undefined : /^\d{1,15}$/.test(seen) ? Number(seen) : -1;

/** The later of two who change the same thing is told. */
export const changedMeanwhile = (what: string): AppError =>
  new AppError(
    'conflict',
    `${what} were changed by somebody else meanwhile. Read them again, and repeat the change with the \`rev\` that they have now.`,
  );

/** Credentials never leave, not even sealed. */
export const renderConnection = (connection: Connection) => ({
  id: connection.id,
  platform: connection.platform,
  workspaceId: connection.workspaceId,
  ownCredentials: connection.sealedCredentials !== undefined,
  createdAt: iso(connection.createdAt),
  lastEventAt: isoOrNull(connection.lastEventAt),
  lastError: connection.lastError ?? null,
  lastErrorAt: isoOrNull(connection.lastErrorAt),
});

/** `Server-Timing: search_text;dur=1.2, …`; names are our own step names, made safe all the same. */
export const serverTiming = (timingsMs: Readonly<Record<string, number>>): string =>
  Object.entries(timingsMs)
    .map(([step, ms]) => `${step.replace(/[^\w-]/g, '_')};dur=${Math.max(0, ms).toFixed(1)}`)
    .join(', ');

/** The value, or "not found" in words that are the same for a foreign id and for an unknown one. */
export const found = <T>(value: T | null, what: string): T => {
  if (value === null) throw new AppError('not-found', `There is no such ${what}.`);
  return value;
};
