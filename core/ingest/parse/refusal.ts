import { AppError } from '../../errors.ts';

/** The sentences of the document path: each names what is wrong with the document and what would help. */
export const refusals = {
  empty: () => refuse('The document is empty.'),
  noText: () => refuse('The document holds no text.'),
  encrypted: () => refuse('The document is encrypted. Save it without a password and try again.'),
  damaged: (what: string) => refuse(`The ${what} is damaged and cannot be read.`),
  scanned: () => refuse('The PDF holds no text, only pictures of pages. Run it through text recognition (OCR) first.'),
  pages: (pages: number, limit: number) => refuse(`The document has ${pages} pages; the limit is ${limit}. Split it.`),
  tooLarge: (limit: number) => refuse(`The document is larger than ${megabytes(limit)}. Split it.`),
  unpackedTooLarge: (limit: number) =>
    refuse(`The document unpacks to more than ${megabytes(limit)} or into too many parts, so it was not opened.`),
  tooSlow: (ms: number) => refuse(`Reading the document took longer than ${Math.round(ms / 1_000)} seconds.`),
  tooMuchMemory: () => refuse('Reading the document takes too much memory.'),
  unknownType: (what: string) =>
    refuse(`The document is ${what}, which cannot be read. Markdown, HTML, plain text, PDF and Word (DOCX) can.`),
} as const;

const refuse = (sentence: string): AppError => new AppError('unreadable-document', sentence);

const megabytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MB`;
