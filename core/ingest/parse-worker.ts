import { parentPort, workerData } from 'node:worker_threads';
import { AppError } from '../errors.ts';
import { chunkDocument } from './chunk.ts';
import { type Contents, packContents, unpackContents } from './contents.ts';
import type { ParseLimits } from './parse/outline.ts';
import { parseDocument } from './parse/parse.ts';
import type { ParseJob, ParseReply } from './parse-pool.ts';

/** No document leads to a request: a reader that tried would fail here, and nothing in a worker needs the network. */
const noNetwork = (): never => {
  throw new Error('The document path makes no requests.');
};
globalThis.fetch = noNetwork;
for (const name of ['XMLHttpRequest', 'WebSocket', 'EventSource'] as const) Reflect.deleteProperty(globalThis, name);

const { limits } = workerData as { readonly limits: ParseLimits };

/** From the file's name when neither the pusher nor the content gives a title; `kitchen/README.md` is "kitchen README". */
const titleFromId = (externalId: string): string => {
  const parts = externalId.split('/');
  const name = parts.at(-1)?.replace(/\.[a-z0-9]{1,8}$/i, '') || externalId;
  const folder = parts.at(-2);
  return folder !== undefined && /^(?:readme|index|changelog|license)$/i.test(name) ? `${folder} ${name}` : name;
};

const read = async (job: ParseJob): Promise<Contents> => {
  if (job.kept === true && typeof job.content !== 'string') return unpackContents(job.content);
  const parsed = await parseDocument(
    job.content,
    job.mediaType === undefined ? {} : { mediaType: job.mediaType },
    limits,
  );
  return {
    ...parsed,
    title: job.title ?? parsed.title ?? titleFromId(job.externalId),
    ...(job.url === undefined ? {} : { url: job.url }),
  };
};

const work = async (job: ParseJob): Promise<ParseReply> => {
  try {
    const contents = await read(job);
    const { title, url, mediaType } = contents;
    const { documentId, sourceId, externalId } = job;
    const chunks = chunkDocument(contents, {
      documentId,
      sourceId,
      externalId,
      title,
      ...(url === undefined ? {} : { url }),
    });
    const kept = job.kept === true ? new Uint8Array() : packContents(contents);
    return { id: job.id, ok: true, title, mediaType, chunks, contents: kept };
  } catch (error) {
    const problem = error instanceof AppError ? error.message : 'The document cannot be read.';
    return { id: job.id, ok: false, problem };
  }
};

/** A reader that fails in a callback of its own fails its document, not the worker; the time limit ends the wait. */
process.on('unhandledRejection', () => undefined);

parentPort?.on('message', (job: ParseJob) => {
  void work(job).then((reply) => parentPort?.postMessage(reply, reply.ok ? [reply.contents.buffer] : []));
});
