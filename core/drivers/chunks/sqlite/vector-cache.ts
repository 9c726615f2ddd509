import { type IndexFile, statement } from './index-file.ts';
import { instantiateScan, laneStep } from './scan-kernel.ts';

const page = 65_536;
/** Page 0 of the memory: the query as int16, then the results of one slab. */
const resultsAt = 32_768;

const slabBytes = page;
const growBy = 64;

/** The vectors of one index in memory, spread over slabs. Position p lies in slab p / perSlab. */
export type Matrix = {
  readonly inode: number;
  readonly dimensions: number;
  readonly stride: number;
  readonly perSlab: number;
  readonly slabs: number[];
  /** Row in the file, and what an int8 unit is worth, per position. */
  rows: Int32Array;
  scales: Float32Array;
  count: number;
  /** The highest row looked at, with a vector or not. */
  highestRow: number;
  usedAt: number;
};

export type VectorCache = {
  /** Approximate similarities of every position, valid until the next call. The query may have any length. */
  scores(
    index: IndexFile,
    dimensions: number,
    query: Float32Array,
  ): { readonly matrix: Matrix; readonly scores: Float32Array };
  drop(path: string): void;
  /** Frees what was not used for `forMs`. */
  sweep(forMs: number): void;
  readonly bytes: number;
};

/**
 * Quantised vectors of the indexes in use, in one WebAssembly memory cut into slabs of 64 KiB. One memory, because each
 * reserves gigabytes of address space; slabs, because neighbours grow and go at different times. Past `maxBytes` the
 * least recently used index goes; an index larger than that alone is still held whole, since there is no other way to
 * search it at speed.
 */
export const createVectorCache = (maxBytes: number): VectorCache => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const scan = instantiateScan(memory);
  const matrices = new Map<string, Matrix>();
  const free: number[] = [];
  let taken = 0;
  let scores = new Float32Array(0);

  const drop = (path: string): void => {
    const matrix = matrices.get(path);
    if (!matrix) return;
    matrices.delete(path);
    free.push(...matrix.slabs);
    taken -= matrix.slabs.length;
  };

  const takeSlab = (keep: string): number => {
    while ((taken + 1) * slabBytes > maxBytes) {
      const oldest = [...matrices].filter(([path]) => path !== keep).sort((a, b) => a[1].usedAt - b[1].usedAt)[0];
      if (!oldest) break;
      drop(oldest[0]);
    }
    if (free.length === 0) {
      const first = memory.grow(growBy);
      for (let at = growBy - 1; at >= 0; at--) free.push((first + at) * page);
    }
    taken += 1;
    return free.pop() ?? 0;
  };

  const append = (path: string, matrix: Matrix, row: number, data: Uint8Array): void => {
    if (data.byteLength !== 4 + matrix.dimensions) return;
    if (matrix.count === matrix.rows.length) {
      const room = Math.max(64, matrix.count * 2);
      matrix.rows = grown(matrix.rows, new Int32Array(room));
      matrix.scales = grown(matrix.scales, new Float32Array(room));
    }
    const within = matrix.count % matrix.perSlab;
    if (within === 0) matrix.slabs.push(takeSlab(path));
    const at = (matrix.slabs.at(-1) ?? 0) + within * matrix.stride;
    const target = new Uint8Array(memory.buffer, at, matrix.stride);
    target.set(data.subarray(4));
    target.fill(0, matrix.dimensions);
    matrix.rows[matrix.count] = row;
    matrix.scales[matrix.count] = new DataView(data.buffer, data.byteOffset, 4).getFloat32(0, true);
    matrix.count += 1;
  };

  const load = (index: IndexFile, dimensions: number): Matrix => {
    let matrix = matrices.get(index.path);
    if (matrix && (matrix.inode !== index.inode || matrix.dimensions !== dimensions)) {
      drop(index.path);
      matrix = undefined;
    }
    if (!matrix) {
      const stride = Math.ceil(dimensions / laneStep) * laneStep;
      matrix = {
        inode: index.inode,
        dimensions,
        stride,
        perSlab: Math.floor(slabBytes / stride),
        slabs: [],
        rows: new Int32Array(0),
        scales: new Float32Array(0),
        count: 0,
        highestRow: 0,
        usedAt: 0,
      };
      matrices.set(index.path, matrix);
    }
    matrix.usedAt = performance.now();
    for (const found of statement(index, 'SELECT row, data FROM quantised WHERE row > ? ORDER BY row').iterate(
      matrix.highestRow,
    )) {
      const data = found.data;
      if (data instanceof Uint8Array) append(index.path, matrix, Number(found.row), data);
      matrix.highestRow = Number(found.row);
    }
    return matrix;
  };

  return {
    drop,
    scores: (index, dimensions, query) => {
      const matrix = load(index, dimensions);
      if (scores.length < matrix.count) scores = new Float32Array(Math.max(1_024, matrix.rows.length));
      writeQuery(memory, query, matrix.stride);
      const results = new Int32Array(memory.buffer, resultsAt, matrix.perSlab);
      for (let slab = 0; slab * matrix.perSlab < matrix.count; slab++) {
        const from = slab * matrix.perSlab;
        const rows = Math.min(matrix.perSlab, matrix.count - from);
        scan(matrix.slabs[slab] ?? 0, rows, matrix.stride, 0, resultsAt);
        for (let at = 0; at < rows; at++) scores[from + at] = (results[at] ?? 0) * (matrix.scales[from + at] ?? 0);
      }
      return { matrix, scores };
    },
    sweep: (forMs) => {
      for (const [path, matrix] of [...matrices]) if (performance.now() - matrix.usedAt > forMs) drop(path);
    },
    get bytes() {
      return taken * slabBytes;
    },
  };
};

const grown = <T extends Int32Array | Float32Array>(from: T, into: T): T => {
  into.set(from);
  return into;
};

/** The query at 11 bits or as many as keep an int32 sum from overflowing, whatever the row. */
const writeQuery = (memory: WebAssembly.Memory, query: Float32Array, stride: number): void => {
  const target = new Int16Array(memory.buffer, 0, stride).fill(0);
  const largest = query.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest === 0) return;
  const unit = Math.min(2_047, Math.floor(0x7fffffff / (127 * stride))) / largest;
  for (let at = 0; at < query.length; at++) target[at] = Math.round((query[at] ?? 0) * unit);
};

/** One int8 per dimension with a scale of the vector's own: real embeddings have a few dimensions that stand far out. */
export const quantise = (vector: Float32Array): Uint8Array => {
  const data = new Uint8Array(4 + vector.length);
  const largest = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = largest / 127;
  new DataView(data.buffer).setFloat32(0, scale, true);
  const values = new Int8Array(data.buffer, 4);
  if (scale > 0) for (let at = 0; at < vector.length; at++) values[at] = Math.round((vector[at] ?? 0) / scale);
  return data;
};
