import mammoth from 'mammoth';
import { AppError } from '../../errors.ts';
import { outlineOfHtml } from './html.ts';
import type { Parsed } from './outline.ts';
import { refusals } from './refusal.ts';

/** Mammoth knows headings by style but takes the title for a paragraph. */
const styleMap = ["p[style-name='Title'] => h1:fresh", "p[style-name='Subtitle'] => p:fresh"];

const mediaType = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';

/** A Word file, already looked through by `inspectZip`. Linked files are never opened, pictures never read. */
export const parseDocx = async (bytes: Uint8Array): Promise<Parsed> => {
  const html = await mammoth
    .convertToHtml(
      { buffer: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) },
      {
        styleMap,
        externalFileAccess: false,
        convertImage: mammoth.images.imgElement(async () => ({ src: '' })),
      },
    )
    .then((result) => result.value)
    .catch((error: unknown) => {
      if (error instanceof AppError) throw error;
      throw refusals.damaged('Word file');
    });
  if (html.trim() === '') throw refusals.noText();
  return outlineOfHtml(html, mediaType);
};
