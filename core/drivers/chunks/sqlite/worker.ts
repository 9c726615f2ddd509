/** The thread that opens the index files. One writes, one searches text, one searches vectors; all run this file. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { AppError, toAppError } from '../../../errors.ts';
import type { IndexProfile, IndexRef } from '../../../ports/chunks.ts';
import { toStoreError } from './failures.ts';
import { indexFile } from './files.ts';
import { createIndexFile, createShelf, metaOf, profileOf, run } from './index-file.ts';
import type { Question, Reply, WorkerSettings } from './protocol.ts';
import { documentChunks, presentDocuments, searchText, searchVector, statsOf } from './read.ts';
import { createVectorCache } from './vector-cache.ts';
import { type IncomingDocument, removeDocuments, replaceDocuments } from './write.ts';

const { dataDir, maxOpenFiles, maxVectorBytes } = workerData as WorkerSettings;
const vectors = createVectorCache(maxVectorBytes);
const shelf = createShelf(dataDir, maxOpenFiles, (index) => vectors.drop(index.path));
const staged = new Map<number, IncomingDocument[]>();

const idleMs = 10 * 60_000;
setInterval(() => vectors.sweep(idleMs), 60_000).unref();

const ensure = (ref: IndexRef, profile: IndexProfile): void => {
  if (!shelf.find(ref)) createIndexFile(indexFile(dataDir, ref), profile);
  const filled = profileOf(metaOf(shelf.get(ref)));
  const same =
    filled.analyser === profile.analyser &&
    filled.embeddingModel === profile.embeddingModel &&
    filled.dimensions === profile.dimensions;
  if (same) return;
  throw new AppError(
    'conflict',
    'This search index was filled with another embedding model or another version of the analyser. Re-index into a new generation.',
  );
};

/** The parts of a big document come apart over several messages; here they become one again. */
const together = (parts: readonly IncomingDocument[]): IncomingDocument[] => {
  const whole = new Map<string, IncomingDocument>();
  for (const part of parts) {
    const before = whole.get(part.documentId);
    whole.set(part.documentId, {
      documentId: part.documentId,
      chunks: before ? [...before.chunks, ...part.chunks] : part.chunks,
      vectors: before ? [...before.vectors, ...part.vectors] : part.vectors,
    });
  }
  return [...whole.values()];
};

const answer = (question: Question): unknown => {
  switch (question.verb) {
    case 'ensure':
      return ensure(question.asked.ref, question.asked.profile) ?? null;
    case 'stage': {
      const { job, documents } = question.asked;
      const parts = staged.get(job) ?? [];
      parts.push(...documents);
      staged.set(job, parts);
      return null;
    }
    case 'unstage':
      staged.delete(question.asked.job);
      return null;
    case 'replace': {
      const { ref, job, documents } = question.asked;
      const parts = [...(staged.get(job) ?? []), ...documents];
      staged.delete(job);
      replaceDocuments(shelf.get(ref), together(parts));
      return null;
    }
    case 'remove': {
      const index = shelf.find(question.asked.ref);
      if (index) removeDocuments(index, question.asked.documentIds);
      return null;
    }
    case 'text': {
      const index = shelf.find(question.asked.ref);
      return index ? searchText(index, question.asked) : { hits: [], terms: [], totalChunks: 0 };
    }
    case 'vector': {
      const index = shelf.find(question.asked.ref);
      return index ? searchVector(index, vectors, question.asked.vector, question.asked) : [];
    }
    case 'document': {
      const index = shelf.find(question.asked.ref);
      return index ? documentChunks(index, question.asked.documentId) : [];
    }
    case 'present': {
      const index = shelf.find(question.asked.ref);
      return index ? presentDocuments(index, question.asked.documentIds) : [];
    }
    case 'profile': {
      const index = shelf.find(question.asked.ref);
      return index ? profileOf(metaOf(index)) : null;
    }
    case 'stats': {
      const index = shelf.find(question.asked.ref);
      return index ? statsOf(index) : { documents: 0, chunks: 0, bytes: 0 };
    }
    case 'copy': {
      mkdirSync(dirname(question.asked.target), { recursive: true });
      const index = shelf.find(question.asked.ref);
      if (index) run(index, 'VACUUM INTO ?', question.asked.target);
      return null;
    }
    case 'forget':
      shelf.forget(question.asked.tenantId, question.asked.generation);
      return null;
    case 'ping':
      return null;
    case 'close':
      shelf.close();
      return null;
  }
};

const replyTo = (question: Question): Reply => {
  try {
    return { id: question.id, answer: answer(question) };
  } catch (error) {
    const told = 'ref' in question.asked ? toStoreError(error, question.asked.ref) : toAppError(error);
    const cause = told.cause ?? error;
    return {
      id: question.id,
      failure: {
        code: told.code,
        message: told.message,
        retryable: told.retryable,
        detail: cause instanceof Error ? cause.message : String(cause),
      },
    };
  }
};

parentPort?.on('message', (question: Question) => parentPort?.postMessage(replyTo(question)));
