/** From lines with places and sizes to paragraphs and headings. */

export type Line = { readonly text: string; readonly x: number; readonly y: number; readonly size: number };
export type Page = { readonly number: number; readonly lines: readonly Line[] };
export type LaidOut = { readonly text: string; readonly page: number; readonly depth?: number };

export const layOut = (pages: readonly Page[]): readonly LaidOut[] => {
  const blocks = layOutWithout(pages, repeatedLines(pages));
  // Forms and slides may consist of nothing but repetition: then it is their text.
  return blocks.length > 0 ? blocks : layOutWithout(pages, null);
};

/** `furniture`: what to leave out at the edges of pages; null keeps everything. */
const layOutWithout = (pages: readonly Page[], furniture: ReadonlySet<string> | null): readonly LaidOut[] => {
  const body = bodySize(pages);
  const depths = headingDepths(pages, body);
  const blocks: LaidOut[] = [];
  for (const page of pages) {
    let open: { lines: string[]; depth: number | undefined } | null = null;
    let last: Line | null = null;
    for (const [index, line] of page.lines.entries()) {
      if (furniture !== null && isEdge(index, page) && (furniture.has(shapeOf(line)) || isPageNumber(line.text)))
        continue;
      const depth = isHeadingLike(line) ? depths.get(rounded(line.size)) : undefined;
      if (open !== null && (last === null || depth !== open.depth || startsParagraph(last, line, depth))) {
        blocks.push(closed(open, page.number));
        open = null;
      }
      open ??= { lines: [], depth };
      open.lines.push(line.text);
      last = line;
    }
    if (open !== null) blocks.push(closed(open, page.number));
  }
  return blocks;
};

const closed = (
  open: { readonly lines: readonly string[]; readonly depth: number | undefined },
  page: number,
): LaidOut => {
  const text = joinLines(open.lines);
  return open.depth === undefined ? { text, page } : { text, page, depth: open.depth };
};

/** A word cut at the line's end is put together again; scripts that use no spaces get none. */
export const joinLines = (lines: readonly string[]): string => {
  let text = '';
  for (const line of lines) {
    if (text === '') text = line;
    else if (/\p{Ll}[-\u00ad\u2010]$/u.test(text) && /^\p{Ll}/u.test(line)) text = text.slice(0, -1) + line;
    else if (
      /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}、。]$/u.test(text) &&
      /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}「]/u.test(line)
    )
      text += line;
    else if (isListItem(line)) text += `\n${line}`;
    else text += ` ${line}`;
  }
  return text;
};

const isListItem = (line: string): boolean => /^(?:[•‣▪●◦–-]|\d{1,3}[.)])\s/.test(line);

const startsParagraph = (last: Line, line: Line, depth: number | undefined): boolean => {
  const drop = last.y - line.y;
  // Upwards: the next column.
  if (drop < -line.size) return true;
  return drop > Math.max(last.size, line.size) * (depth === undefined ? 1.75 : 2.2);
};

const rounded = (size: number): number => Math.round(size * 2) / 2;

const isHeadingLike = (line: Line): boolean => line.text.length <= 200 && /\p{L}/u.test(line.text);

/** The size that most characters are set in. */
const bodySize = (pages: readonly Page[]): number => {
  const weight = new Map<number, number>();
  for (const page of pages)
    for (const line of page.lines)
      weight.set(rounded(line.size), (weight.get(rounded(line.size)) ?? 0) + line.text.length);
  return [...weight].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0]?.[0] ?? 0;
};

/** The sizes clearly above the body's, largest first, are the levels; more than four levels are noise. */
const headingDepths = (pages: readonly Page[], body: number): ReadonlyMap<number, number> => {
  const sizes = new Set<number>();
  for (const page of pages)
    for (const line of page.lines) if (line.size > body * 1.12 && isHeadingLike(line)) sizes.add(rounded(line.size));
  return new Map([...sizes].sort((a, b) => b - a).map((size, index) => [size, Math.min(index + 1, 4)]));
};

/** Of a page with few lines (a slide) only the outermost can be furniture. */
const isEdge = (index: number, page: Page): boolean => {
  const depth = page.lines.length > 6 ? 2 : 1;
  return index < depth || index >= page.lines.length - depth;
};

const shapeOf = (line: Line): string => `${Math.round(line.y / 4)}|${line.text.replace(/\d+/g, '#')}`;

const isPageNumber = (text: string): boolean =>
  /^(?:page|seite|página)?\s*[-–]?\s*\d{1,4}(?:\s*(?:\/|of|von|de)\s*\d{1,4})?\s*[-–]?$/i.test(text);

/** Running heads and feet: the same words (numbers aside) at the same height on most pages. */
const repeatedLines = (pages: readonly Page[]): ReadonlySet<string> => {
  if (pages.length < 3) return new Set();
  const seen = new Map<string, number>();
  for (const page of pages) {
    const edges = page.lines.filter((_line, index) => isEdge(index, page));
    for (const shape of new Set(edges.map(shapeOf))) seen.set(shape, (seen.get(shape) ?? 0) + 1);
  }
  return new Set([...seen].filter(([, count]) => count >= Math.max(3, pages.length * 0.6)).map(([shape]) => shape));
};
