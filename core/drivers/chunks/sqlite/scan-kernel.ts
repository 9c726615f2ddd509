/**
 * The inner loop of the vector search: int8 rows against an int16 query, in WebAssembly SIMD assembled here. It needs no
 * toolchain and no native add-on, and is limited by memory bandwidth, not by arithmetic.
 */

const op = {
  block: 0x02,
  loop: 0x03,
  end: 0x0b,
  brIf: 0x0d,
  getLocal: 0x20,
  setLocal: 0x21,
  teeLocal: 0x22,
  i32Store: 0x36,
  i32Const: 0x41,
  i32LtU: 0x49,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  simd: 0xfd,
} as const;
const simd = { load: 0x00, load8x8s: 0x01, const: 0x0c, extractLane: 0x1b, i32x4Add: 0xae, i32x4Dot: 0xba } as const;
const i32 = 0x7f;
const v128 = 0x7b;
const noValue = 0x40;

const unsigned = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
};
/** Small non-negative constants only: a set bit 6 would be read as the sign. */
const constant = (value: number): number[] => [
  op.i32Const,
  ...(value < 64 ? [value] : [(value & 0x7f) | 0x80, value >>> 7]),
];
const vector = (code: number, ...rest: number[]): number[] => [op.simd, ...unsigned(code), ...rest];
const get = (local: number): number[] => [op.getLocal, local];
const set = (local: number): number[] => [op.setLocal, local];
const section = (id: number, bytes: readonly number[]): number[] => [id, ...unsigned(bytes.length), ...bytes];
const name = (text: string): number[] => [text.length, ...new TextEncoder().encode(text)];

/** Elements per turn of the inner loop; rows are padded to a multiple of it. */
export const laneStep = 32;

// Parameters, then locals.
const [row, rows, stride, query, out, at, against, rowEnd, sumA, sumB] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/** sum += dot(8 sign-extended bytes at `at + offset`, 8 int16 at `against + 2 × offset`) */
const multiplyAdd = (sum: number, offset: number): number[] => [
  ...get(sum),
  ...get(at),
  ...vector(simd.load8x8s, 0, offset),
  ...get(against),
  ...vector(simd.load, 0, offset * 2),
  ...vector(simd.i32x4Dot),
  ...vector(simd.i32x4Add),
  ...set(sum),
];
const zero = (sum: number): number[] => [...vector(simd.const, ...new Array<number>(16).fill(0)), ...set(sum)];
const lane = (index: number): number[] => [...get(sumA), ...vector(simd.extractLane, index)];
const advance = (local: number, by: number): number[] => [...get(local), ...constant(by), op.i32Add, ...set(local)];

const body: number[] = [
  op.loop,
  noValue,
  ...zero(sumA),
  ...zero(sumB),
  ...get(row),
  ...set(at),
  ...get(query),
  ...set(against),
  ...get(row),
  ...get(stride),
  op.i32Add,
  ...set(rowEnd),
  op.loop,
  noValue,
  ...multiplyAdd(sumA, 0),
  ...multiplyAdd(sumB, 8),
  ...multiplyAdd(sumA, 16),
  ...multiplyAdd(sumB, 24),
  ...advance(against, laneStep * 2),
  ...advance(at, laneStep),
  ...get(at),
  ...get(rowEnd),
  op.i32LtU,
  op.brIf,
  0,
  op.end,
  ...get(sumA),
  ...get(sumB),
  ...vector(simd.i32x4Add),
  ...set(sumA),
  ...get(out),
  ...lane(0),
  ...lane(1),
  op.i32Add,
  ...lane(2),
  op.i32Add,
  ...lane(3),
  op.i32Add,
  op.i32Store,
  2,
  0,
  ...advance(out, 4),
  ...get(rowEnd),
  ...set(row),
  ...get(rows),
  ...constant(1),
  op.i32Sub,
  op.teeLocal,
  rows,
  op.brIf,
  0,
  op.end,
  op.end,
];

const assemble = (): Uint8Array<ArrayBuffer> => {
  const locals = [2, 3, i32, 2, v128];
  const code = [...locals, ...body];
  return new Uint8Array([
    0x00,
    0x61,
    0x73,
    0x6d,
    0x01,
    0x00,
    0x00,
    0x00,
    ...section(1, [1, 0x60, 5, i32, i32, i32, i32, i32, 0]),
    ...section(2, [1, ...name('env'), ...name('memory'), 0x02, 0x00, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name('scan'), 0x00, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
};

/** Writes one int32 dot product per row to `out`. Addresses are byte offsets in the memory; `rows` ≥ 1. */
export type Scan = (row: number, rows: number, stride: number, query: number, out: number) => void;

export const instantiateScan = (memory: WebAssembly.Memory): Scan => {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(assemble()), { env: { memory } });
  return instance.exports.scan as Scan;
};
