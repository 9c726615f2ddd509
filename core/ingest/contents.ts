import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { AppError } from '../errors.ts';
import { hashOf } from '../ids.ts';
import type { StoredDocument } from '../ports/state.ts';
import type { Parsed } from './parse/outline.ts';

/** A document after reading: all that chunks are cut from, so that an index can be built again without its source. */
export type Contents = Omit<Parsed, 'title'> & { readonly title: string; readonly url?: string };

/** One record of every store takes this (MongoDB: 16 MB). What is larger is carried from index to index instead. */
const maxPackedBytes = 12 * 1024 * 1024;
/** More than any document that was packed: parsing bounds a text to 200 MiB, its outline comes on top. */
const maxUnpackedBytes = 512 * 1024 * 1024;
const level = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Empty when it is too large to be kept. Takes its time on large texts: for worker threads. */
export const packContents = (contents: Contents): Uint8Array<ArrayBuffer> => {
  const packed = zstdCompressSync(JSON.stringify(contents), level);
  // A copy of its own: a Buffer may be a view of a pool that others use.
  return packed.byteLength > maxPackedBytes ? new Uint8Array() : new Uint8Array(packed);
};

/** Throws AppError `unreadable-document`. For worker threads. */
export const unpackContents = (data: Uint8Array): Contents => {
  try {
    return JSON.parse(zstdDecompressSync(data, { maxOutputLength: maxUnpackedBytes }).toString('utf8')) as Contents;
  } catch (cause) {
    throw new AppError('unreadable-document', 'The kept text of the document is damaged. Push or sync it again.', {
      cause,
    });
  }
};

/** Which version of a document this is: bytes and what they were read with. */
export const stampOf = (row: Pick<StoredDocument, 'contentHash' | 'fingerprint'>): string =>
  hashOf(row.contentHash, row.fingerprint).slice(0, 32);
