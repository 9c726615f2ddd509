import { inflateRawSync } from 'node:zlib';
import type { ParseLimits } from './outline.ts';
import { refusals } from './refusal.ts';

type Entry = {
  readonly name: string;
  readonly method: number;
  readonly packed: number;
  readonly unpacked: number;
  readonly offset: number;
};

/** An archive that has been looked through: every part we are going to read really unpacks within the limits. */
export type Archive = { readonly names: ReadonlySet<string> };

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;
const maxRatio = 1_000;

/**
 * Reads the archive's table of contents and unpacks the parts that `wanted` names against a budget, throwing the result
 * away. The reader behind (jszip) believes the sizes an archive claims, and memory outside the heap is not limited by
 * the worker's resource limits, so a lying archive must be found out before it is opened.
 */
export const inspectZip = (bytes: Uint8Array, limits: ParseLimits, wanted: (name: string) => boolean): Archive => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = readEntries(bytes, view, limits);
  let budget = limits.maxUnpackedBytes;
  for (const entry of entries) {
    if (entry.unpacked > limits.maxUnpackedBytes) throw refusals.unpackedTooLarge(limits.maxUnpackedBytes);
    if (!wanted(entry.name)) continue;
    budget -= unpackedLength(bytes, view, entry, budget, limits);
  }
  return { names: new Set(entries.map((entry) => entry.name)) };
};

const readEntries = (bytes: Uint8Array, view: DataView, limits: ParseLimits): readonly Entry[] => {
  const end = findEnd(view);
  const count = view.getUint16(end + 10, true);
  if (count > limits.maxZipEntries) throw refusals.unpackedTooLarge(limits.maxUnpackedBytes);
  const entries: Entry[] = [];
  let at = view.getUint32(end + 16, true);
  let claimed = 0;
  for (let index = 0; index < count; index++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== entrySignature) throw refusals.damaged('archive');
    if ((view.getUint16(at + 8, true) & 1) === 1) throw refusals.encrypted();
    const nameLength = view.getUint16(at + 28, true);
    const entry: Entry = {
      name: Buffer.from(
        bytes.buffer,
        bytes.byteOffset + at + 46,
        Math.min(nameLength, bytes.length - at - 46),
      ).toString('utf8'),
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      unpacked: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    };
    entries.push(entry);
    claimed += entry.unpacked;
    if (claimed > limits.maxUnpackedBytes) throw refusals.unpackedTooLarge(limits.maxUnpackedBytes);
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
};

const findEnd = (view: DataView): number => {
  for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 65_557); at--) {
    if (view.getUint32(at, true) === endSignature) return at;
  }
  throw refusals.damaged('archive');
};

const unpackedLength = (
  bytes: Uint8Array,
  view: DataView,
  entry: Entry,
  budget: number,
  limits: ParseLimits,
): number => {
  if (entry.offset + 30 > bytes.length || view.getUint32(entry.offset, true) !== localSignature)
    throw refusals.damaged('archive');
  const start = entry.offset + 30 + view.getUint16(entry.offset + 26, true) + view.getUint16(entry.offset + 28, true);
  const packed = bytes.subarray(start, start + entry.packed);
  if (entry.method === 0) return packed.length;
  if (entry.method !== 8) throw refusals.damaged('archive');
  const most = Math.max(1, Math.min(budget, Math.max(packed.length * maxRatio, 1024 * 1024)));
  try {
    return inflateRawSync(packed, { maxOutputLength: most }).length;
  } catch (error) {
    const tooLarge = error instanceof RangeError || (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE';
    throw tooLarge ? refusals.unpackedTooLarge(limits.maxUnpackedBytes) : refusals.damaged('archive');
  }
};
