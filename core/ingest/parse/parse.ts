import { AppError } from '../../errors.ts';
import { detect, type Hints } from './detect.ts';
import { outlineByLines } from './lines.ts';
import type { Parsed, ParseLimits } from './outline.ts';
import { refusals } from './refusal.ts';

/** Part of every fingerprint: a higher number makes every document be read again. */
export const parserVersion = 'p1';

/**
 * Bytes or text of any kind as canonical Markdown with its outline. Throws only AppError `unreadable-document`. Runs
 * in a worker: it may take long, and it may take much. Readers are loaded when the first document of their kind comes.
 */
export const parseDocument = async (
  content: string | Uint8Array,
  hints: Hints,
  limits: ParseLimits,
): Promise<Parsed> => {
  if (content.length > limits.maxBytes) throw refusals.tooLarge(limits.maxBytes);
  try {
    const found = await detect(content, hints, limits);
    switch (found.kind) {
      case 'pdf':
        return await (await import('./pdf.ts')).parsePdf(found.bytes, limits);
      case 'docx':
        return await (await import('./docx.ts')).parseDocx(found.bytes);
      case 'html':
        return (await import('./html.ts')).parseHtml(found.text);
      case 'markdown':
        return (await import('./markdown.ts')).parseMarkdown(found.text);
      case 'plain':
        return { mediaType: 'text/plain', text: found.text, blocks: outlineByLines(found.text, false) };
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    // The readers' own errors may quote the document: they stay here.
    throw new AppError('unreadable-document', 'The document is damaged or too deeply nested and cannot be read.', {
      cause: error,
    });
  }
};
