import { crc32, deflateSync } from 'node:zlib';

type Colour = readonly [red: number, green: number, blue: number, alpha: number];
type Point = readonly [x: number, y: number];
/** A line of the mark with round ends, on its grid of 32. */
type Stroke = { readonly points: readonly Point[]; readonly width: number; readonly colour: Colour };

const ground: Colour = [0x23, 0x40, 0x7a, 255];
const white: Colour = [255, 255, 255, 255];
const gold: Colour = [0xff, 0xc4, 0x6b, 255];
const nothing: Colour = [0, 0, 0, 0];

/** Our mark, the same lines as console/assets/mark.svg: three lines of text, and the number of a footnote. */
const mark = (lines: Colour, number: Colour): readonly Stroke[] => [
  {
    points: [
      [8, 9.5],
      [17, 9.5],
    ],
    width: 2.4,
    colour: lines,
  },
  {
    points: [
      [8, 15],
      [20, 15],
    ],
    width: 2.4,
    colour: lines,
  },
  {
    points: [
      [8, 20.5],
      [14, 20.5],
    ],
    width: 2.4,
    colour: lines,
  },
  {
    points: [
      [22, 7.8],
      [24.3, 6],
      [24.3, 14],
    ],
    width: 2.2,
    colour: number,
  },
];

/** 192 × 192, the ground to its edges: Teams cuts the corners itself, and keeps the mark within its safe middle. */
export const colourIcon = (): Buffer => png(192, draw(192, mark(white, gold), ground, 0.78));

/** 32 × 32, white on nothing, as Teams wants it. */
export const outlineIcon = (): Buffer => png(32, draw(32, mark(white, white), nothing, 1.25));

/** Points on a side of the grid by which each pixel is measured. */
const samples = 4;

/** The strokes about the middle of the square, `scale` times as large as their grid would be. */
const draw = (size: number, strokes: readonly Stroke[], under: Colour, scale: number): Uint8Array => {
  const pixels = new Uint8Array(size * size * 4);
  const unit = 32 / size / scale;
  // The middle of what is drawn, not of the grid.
  const [middleX, middleY] = [16.2, 13.6];
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const sum = [0, 0, 0, 0];
      for (let sample = 0; sample < samples * samples; sample += 1) {
        const px = middleX + (x + ((sample % samples) + 0.5) / samples - size / 2) * unit;
        const py = middleY + (y + (Math.floor(sample / samples) + 0.5) / samples - size / 2) * unit;
        const [red, green, blue, alpha] = colourAt([px, py], strokes, under);
        // Weighed by their alpha, or edges on nothing would be dark.
        sum[0] = (sum[0] ?? 0) + red * alpha;
        sum[1] = (sum[1] ?? 0) + green * alpha;
        sum[2] = (sum[2] ?? 0) + blue * alpha;
        sum[3] = (sum[3] ?? 0) + alpha;
      }
      const [red = 0, green = 0, blue = 0, alpha = 0] = sum;
      const weight = alpha === 0 ? 1 : alpha;
      const colour = [red / weight, green / weight, blue / weight, alpha / (samples * samples)];
      pixels.set(colour.map(Math.round), (y * size + x) * 4);
    }
  }
  return pixels;
};

const colourAt = (at: Point, strokes: readonly Stroke[], under: Colour): Colour =>
  strokes.find((stroke) => isOn(at, stroke))?.colour ?? under;

const isOn = (at: Point, { points, width }: Stroke): boolean =>
  points.some((point, index) => {
    const next = points[index + 1];
    return next !== undefined && distance(at, point, next) <= width / 2;
  });

/** From a point to a line between two others. */
const distance = ([x, y]: Point, [ax, ay]: Point, [bx, by]: Point): number => {
  const [dx, dy] = [bx - ax, by - ay];
  const along = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
};

/** A PNG of 8 bits a channel with alpha, without filters. */
const png = (size: number, pixels: Uint8Array): Buffer => {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 6, 0, 0, 0], 8);
  const rows = Buffer.concat(
    Array.from({ length: size }, (_, row) =>
      Buffer.concat([Buffer.from([0]), pixels.subarray(row * size * 4, (row + 1) * size * 4)]),
    ),
  );
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
};

const chunk = (type: string, body: Buffer): Buffer => {
  const named = Buffer.concat([Buffer.from(type, 'ascii'), body]);
  const framed = Buffer.alloc(8 + named.length);
  framed.writeUInt32BE(body.length, 0);
  framed.set(named, 4);
  framed.writeUInt32BE(crc32(named), 4 + named.length);
  return framed;
};
