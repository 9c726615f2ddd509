import { getDocumentProxy } from 'unpdf';
import { createOutline, type Parsed, type ParseLimits, plainHeading } from './outline.ts';
import { type Line, layOut, type Page } from './pdf-layout.ts';
import { refusals } from './refusal.ts';

/** A PDF with a text layer: lines by position, headings by size of type, pages kept. */
export const parsePdf = async (bytes: Uint8Array, limits: ParseLimits): Promise<Parsed> => {
  const pdf = await open(bytes);
  try {
    if (pdf.numPages > limits.maxPages) throw refusals.pages(pdf.numPages, limits.maxPages);
    const pages: Page[] = [];
    for (let number = 1; number <= pdf.numPages; number++) pages.push(await readPage(pdf, number));
    if (!pages.some((page) => page.lines.some((line) => /[\p{L}\p{N}]/u.test(line.text)))) throw refusals.scanned();
    const outline = createOutline();
    for (const block of layOut(pages)) {
      if (block.depth === undefined) outline.add(block.text, { kind: 'text', page: block.page });
      else
        outline.add(`${'#'.repeat(block.depth)} ${block.text}`, {
          kind: 'heading',
          depth: block.depth,
          heading: plainHeading(block.text),
          page: block.page,
        });
    }
    const { text, blocks } = outline.finish();
    const title = (await ownTitle(pdf)) ?? blocks.find((block) => block.kind === 'heading')?.heading;
    return { mediaType: 'application/pdf', text, blocks, ...(title === undefined ? {} : { title }) };
  } finally {
    await pdf.loadingTask.destroy();
  }
};

type Pdf = Awaited<ReturnType<typeof getDocumentProxy>>;

const open = async (bytes: Uint8Array): Promise<Pdf> => {
  try {
    // Nothing is drawn, so no font is needed; and no font, picture or map is ever fetched. The reader takes the buffer
    // away, hence a copy.
    return await getDocumentProxy(bytes.slice(), { useSystemFonts: false, disableFontFace: true, verbosity: 0 });
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    throw name === 'PasswordException' ? refusals.encrypted() : refusals.damaged('PDF');
  }
};

const readPage = async (pdf: Pdf, number: number): Promise<Page> => {
  let content: Awaited<ReturnType<Awaited<ReturnType<Pdf['getPage']>>['getTextContent']>>;
  try {
    const page = await pdf.getPage(number);
    content = await page.getTextContent();
    page.cleanup();
  } catch {
    // One broken page does not cost the others.
    return { number, lines: [] };
  }
  const lines: Line[] = [];
  let open: { text: string; x: number; y: number; size: number; right: number } | null = null;
  const close = (): void => {
    const text = open?.text.replace(/\s+/g, ' ').trim() ?? '';
    if (open !== null && text !== '') lines.push({ text, x: open.x, y: open.y, size: open.size });
    open = null;
  };
  for (const item of content.items) {
    if (!('str' in item)) continue;
    const [, , skew = 0, scale = 0, x = 0, y = 0] = item.transform as readonly number[];
    const size = Math.hypot(skew, scale);
    const current = open as { text: string; x: number; y: number; size: number; right: number } | null;
    if (current !== null && Math.abs(current.y - y) > Math.max(current.size, size) * 0.5 && item.str.trim() !== '')
      close();
    if (open === null) {
      if (item.str !== '') open = { text: item.str, x, y, size, right: x + item.width };
    } else {
      const line = open as { text: string; x: number; y: number; size: number; right: number };
      const gap = x - line.right;
      line.text +=
        (gap > size * 0.2 && item.str !== '' && !/\s$/.test(line.text) && !item.str.startsWith(' ') ? ' ' : '') +
        item.str;
      line.right = x + item.width;
      if (item.str.trim() !== '') line.size = Math.max(line.size, size);
    }
    if (item.hasEOL) close();
  }
  close();
  return { number, lines };
};

const ownTitle = async (pdf: Pdf): Promise<string | undefined> => {
  const metadata = await pdf.getMetadata().catch(() => null);
  const title = (metadata?.info as { Title?: unknown } | undefined)?.Title;
  const plain = typeof title === 'string' ? plainHeading(title.toWellFormed()) : '';
  // Word processors leave their file name there.
  return plain === '' || /^(?:untitled|microsoft word|.*\.(?:docx?|pdf|indd|tex))/i.test(plain) ? undefined : plain;
};
