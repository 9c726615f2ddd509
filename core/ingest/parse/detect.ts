import { fileTypeFromBuffer } from 'file-type';
import { decodeText } from './charset.ts';
import type { ParseLimits } from './outline.ts';
import { refusals } from './refusal.ts';
import { inspectZip } from './zip.ts';

/** What the content says it is; a name or a declared type only breaks ties between kinds of text. */
export type Detected =
  | { readonly kind: 'pdf' | 'docx'; readonly bytes: Uint8Array }
  | { readonly kind: 'html' | 'markdown' | 'plain'; readonly text: string };

export type Hints = { readonly mediaType?: string };

/** Throws AppError `unreadable-document` for everything that we cannot read, naming what it is. */
export const detect = async (content: string | Uint8Array, hints: Hints, limits: ParseLimits): Promise<Detected> => {
  if (typeof content === 'string') return ofText(content, hints);
  if (content.length === 0) throw refusals.empty();
  if (startsWith(content, '%PDF-')) return { kind: 'pdf', bytes: content };
  if (startsWith(content, 'PK\x03\x04')) return ofZip(content, limits);
  if (startsWith(content, '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1')) throw ofCompoundFile(content);
  if (startsWith(content, '{\\rtf')) throw refusals.unknownType('a rich text file (RTF)');
  const text = decodeText(content);
  if (text !== null) return ofText(text, hints);
  // Readers of PDF forgive up to a kilobyte of rubbish before the header, and such files exist.
  if (Buffer.from(content.buffer, content.byteOffset, Math.min(content.length, 1_024)).includes('%PDF-')) {
    return { kind: 'pdf', bytes: content };
  }
  // Asked last and only about what is no text: it takes a note that begins with "BM" for a bitmap.
  const found = await fileTypeFromBuffer(content.subarray(0, 65_536)).catch(() => undefined);
  throw refusals.unknownType(found === undefined ? 'of an unknown type' : `a file of type ${found.mime}`);
};

const startsWith = (bytes: Uint8Array, magic: string): boolean => {
  for (let index = 0; index < magic.length; index++) if (bytes[index] !== magic.charCodeAt(index)) return false;
  return true;
};

/** Word text, styles, numbering, notes and relations; pictures and embedded objects are never opened. */
const isRead = (name: string): boolean =>
  /^(?:word\/|_rels\/|\[Content_Types\]|docProps\/)/.test(name) && /\.(?:xml|rels)$/.test(name);

const ofZip = (bytes: Uint8Array, limits: ParseLimits): Detected => {
  const { names } = inspectZip(bytes, limits, isRead);
  for (const name of names) if (/^word\/document\d*\.xml$/.test(name)) return { kind: 'docx', bytes };
  if (names.has('xl/workbook.xml')) throw refusals.unknownType('an Excel workbook');
  if (names.has('ppt/presentation.xml')) throw refusals.unknownType('a PowerPoint presentation');
  if (names.has('META-INF/container.xml')) throw refusals.unknownType('an EPUB book');
  if (names.has('content.xml')) throw refusals.unknownType('an OpenDocument file');
  throw refusals.unknownType('a zip archive');
};

/** The container of old Office files, and of new ones under a password. */
const ofCompoundFile = (bytes: Uint8Array): Error => {
  const sealed = Buffer.from('EncryptedPackage', 'utf16le');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(sealed)
    ? refusals.encrypted()
    : refusals.unknownType('an old Office file (from before 2007)');
};

const ofText = (raw: string, hints: Hints): Detected => {
  const text = canonicalText(raw);
  if (text.trim() === '') throw refusals.empty();
  const head = text.slice(0, 8_192);
  if (isHtml(head, hints)) return { kind: 'html', text };
  return { kind: isMarkdown(head, hints) ? 'markdown' : 'plain', text };
};

/** Keeps every offset: a byte order mark goes, NUL and lone surrogates become the replacement character. */
const canonicalText = (raw: string): string =>
  (raw.startsWith('\ufeff') ? raw.slice(1) : raw).replaceAll('\0', '\ufffd').toWellFormed();

/** A Markdown file may well begin with `<div align="center">`; only a whole page is taken for HTML unasked. */
const isHtml = (head: string, hints: Hints): boolean => {
  const body = head.replace(/^(?:\s|<!--[\s\S]*?-->|<\?xml[^>]*>)*/, '');
  if (/^<(?:!doctype\s+html|html|head|body)[\s>]/i.test(body)) return true;
  return hints.mediaType !== undefined && /html/i.test(hints.mediaType) && /<[a-z][^>]*>/i.test(body);
};

const isMarkdown = (head: string, hints: Hints): boolean => {
  if (hints.mediaType !== undefined && /markdown/i.test(hints.mediaType)) return true;
  return /^(?:#{1,6}[ \t]\S|```|~~~|[-*+][ \t]\S|\d{1,9}[.)][ \t]\S|>[ \t]?\S|\|.*\||(?:={3,}|-{3,})[ \t]*$)|\]\([^)\s]+\)/m.test(
    head,
  );
};
