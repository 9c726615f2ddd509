/**
 * The one form that every format ends in: canonical Markdown plus its outline, the top-level blocks of the Markdown tree
 * with their offsets. Chunks are slices of `text`, so a quote of a chunk is a quote of the document.
 */
export type Parsed = {
  readonly mediaType: string;
  /** From the content; absent: the caller has a better name than we do. */
  readonly title?: string;
  /** Canonical Markdown. For Markdown and plain text it is what was pushed. */
  readonly text: string;
  /** In order, not overlapping. */
  readonly blocks: readonly Block[];
};

export type Block = {
  readonly start: number;
  readonly end: number;
  /** `hidden` is part of the text but of no chunk: front matter, comments. */
  readonly kind: 'heading' | 'text' | 'code' | 'table' | 'list' | 'hidden';
  /** Headings only: 1 to 6, and the words without their mark-up. */
  readonly depth?: number;
  readonly heading?: string;
  readonly page?: number;
};

/** What the document path refuses to exceed. */
export type ParseLimits = {
  readonly maxBytes: number;
  readonly maxPages: number;
  readonly maxZipEntries: number;
  /** Unpacked, counted while unpacking: an archive's own figures may lie. */
  readonly maxUnpackedBytes: number;
  /** A document that takes longer is given up and its worker replaced. */
  readonly maxMs: number;
  /** Of one worker. From 2 GB on V8 lets a heap grow fourfold between two collections, below hardly by half. */
  readonly maxHeapMb: number;
};

export const defaultParseLimits: ParseLimits = {
  maxBytes: 50 * 1024 * 1024,
  maxPages: 3_000,
  maxZipEntries: 10_000,
  maxUnpackedBytes: 200 * 1024 * 1024,
  maxMs: 20_000,
  maxHeapMb: 2_048,
};

/** A title or heading as people would read it: mark-up gone, white space collapsed, of bounded length. */
export const plainHeading = (markdown: string): string =>
  markdown
    .slice(0, 600)
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/<[^<>]*>/g, '')
    .replace(/`+|\*\*|__|~~/g, '')
    .replace(/(^|\s)[*_](\S[^*_]*)[*_](?=\s|$|[.,;:!?])/g, '$1$2')
    .replace(/\\([!-/:-@[-`{-~])/g, '$1')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 300);

/** Builds canonical Markdown block by block, keeping the offsets. */
export const createOutline = (): {
  add(markdown: string, block: Omit<Block, 'start' | 'end'>): void;
  readonly length: () => number;
  finish(): { readonly text: string; readonly blocks: readonly Block[] };
} => {
  const parts: string[] = [];
  const blocks: Block[] = [];
  let length = 0;
  return {
    add(markdown, block) {
      if (markdown.trim() === '') return;
      if (length > 0) {
        parts.push('\n\n');
        length += 2;
      }
      parts.push(markdown);
      blocks.push({ ...block, start: length, end: length + markdown.length });
      length += markdown.length;
    },
    length: () => length,
    finish: () => ({ text: parts.join(''), blocks }),
  };
};
