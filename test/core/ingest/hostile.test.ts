import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../../core/errors.ts';
import { defaultParseLimits } from '../../../core/ingest/parse/outline.ts';
import { createParsePool, type ParsePool } from '../../../core/ingest/parse-pool.ts';
import { makeDocx, makePdf, makeZip } from './make-documents.ts';

let pool: ParsePool;
let canary: Server;
let address = '';
let visits = 0;
beforeAll(async () => {
  pool = createParsePool(defaultParseLimits, 2);
  canary = createServer((_request, response) => {
    visits++;
    response.end('caught');
  });
  await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(canary.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await pool.end();
  await new Promise((resolve) => canary.close(resolve));
});

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const read = async (content: string | Uint8Array, mediaType?: string): Promise<string> => {
  try {
    const parsed = await pool.parse(
      { documentId: 'd', sourceId: 's', externalId: 'x', content, ...(mediaType === undefined ? {} : { mediaType }) },
      new AbortController().signal,
    );
    for (const chunk of parsed.chunks) expect(chunk.tokens).toBeLessThanOrEqual(530);
    return parsed.chunks.map((chunk) => chunk.text).join('\n');
  } catch (error) {
    if (error instanceof AppError && error.code === 'unreadable-document') return `refused: ${error.message}`;
    throw error;
  }
};

/** A part that says it is small and unpacks to hundreds of megabytes. */
const bomb = (claimed: number): Uint8Array =>
  makeZip([
    { name: '[Content_Types].xml', data: Buffer.from('<Types/>') },
    { name: 'word/document.xml', data: deflateRawSync(Buffer.alloc(400 * 1024 * 1024)), method: 8, claimed },
  ]);

describe('a hostile document ends in text or in a typed refusal', () => {
  const refused: readonly (readonly [string, () => string | Uint8Array, RegExp])[] = [
    ['an empty file', () => new Uint8Array(0), /empty/],
    ['white space alone', () => ' \n\t ', /empty/],
    ['a broken PDF', () => bytes('%PDF-1.7\nrubbish'), /PDF is damaged/],
    ['a cut PDF', () => makePdf(['one page']).slice(0, 200), /damaged|no text/],
    ['a PDF without text', () => makePdf(['']), /OCR/],
    ['a broken archive', () => bytes(`PK\x03\x04${'x'.repeat(500)}`), /damaged/],
    ['an archive of something else', () => makeZip([{ name: 'a.txt', data: Buffer.from('hi') }]), /zip archive/],
    ['a workbook called a document', () => makeZip([{ name: 'xl/workbook.xml', data: Buffer.from('<x/>') }]), /Excel/],
    [
      'an encrypted archive',
      () => makeZip([{ name: 'word/document.xml', data: Buffer.from('<x/>'), flags: 1 }]),
      /encrypted/,
    ],
    [
      'an encrypted Office file',
      () => Buffer.concat([bytes('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'), Buffer.from('EncryptedPackage', 'utf16le')]),
      /encrypted/,
    ],
    ['a bomb that admits its size', () => bomb(400 * 1024 * 1024), /unpacks/],
    ['a bomb that lies about its size', () => bomb(100), /unpacks/],
    [
      'an archive of too many parts',
      () => makeZip(Array.from({ length: 10_001 }, (_, n) => ({ name: `word/${n}.xml`, data: Buffer.alloc(0) }))),
      /too many parts/,
    ],
    [
      'a picture named like a text',
      () => bytes(`\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR${'\x00'.repeat(100)}`),
      /image\/png/,
    ],
    ['a program', () => bytes(`\x7fELF\x02\x01\x01${'\x00'.repeat(600)}`), /cannot be read/],
    ['a Word file without words', () => makeDocx(''), /no text/],
    [
      'a Word file of broken XML',
      () =>
        makeZip([
          { name: '[Content_Types].xml', data: Buffer.from('<Types') },
          { name: 'word/document.xml', data: Buffer.from('<w:doc') },
        ]),
      /damaged/,
    ],
  ];
  it.each(refused)('%s is refused with its reason', async (_name, make, reason) => {
    const outcome = await read(make());
    expect(outcome).toMatch(/^refused: /);
    expect(outcome).toMatch(reason);
  });

  const survived: readonly (readonly [string, () => string | Uint8Array, string])[] = [
    ['a line of ten megabytes without a space', () => `start${'a'.repeat(10_000_000)}`, 'start'],
    ['a million Japanese characters without a break', () => `はじめ${'語'.repeat(1_000_000)}`, 'はじめ'],
    ['NUL bytes', () => 'before\0after', 'before\ufffdafter'],
    ['invalid UTF-8', () => new Uint8Array([...bytes('caf'), 0xe9, ...bytes(' au lait')]), 'café au lait'],
    ['UTF-16 with a mark', () => Buffer.from('\ufeffhello there', 'utf16le'), 'hello there'],
    [
      'Shift_JIS',
      () =>
        new Uint8Array(
          Array.from({ length: 20 }, () => [
            0x93, 0xfa, 0x96, 0x7b, 0x8c, 0xea, 0x82, 0xcc, 0x95, 0xb6, 0x8f, 0x91, 0x82, 0xc5, 0x82, 0xb7, 0x81, 0x42,
          ]).flat(),
        ),
      '日本語',
    ],
    ['right-to-left text', () => '# שלום\n\nמרחבא بالعالم', 'שלום'],
    ['a hundred thousand nested quotes', () => `${'>'.repeat(100_000)} deep`, 'deep'],
    [
      'lists nested three thousand deep',
      () => Array.from({ length: 3_000 }, (_, n) => `${' '.repeat(n * 2)}- item${n}`).join('\n'),
      'item2999',
    ],
    ['a hundred thousand open brackets', () => `# words\n\n${'['.repeat(100_000)} end`, 'words'],
    ['a hundred thousand nested elements', () => `<html><body>${'<div>'.repeat(100_000)}deep words`, 'deep words'],
    ['a page that is one unclosed comment', () => '<html><body><p>seen</p><!-- never closed', 'seen'],
    ['half a surrogate pair', () => 'half \ud83d of it', 'half \ufffd of it'],
    ['a note that begins like a bitmap', () => bytes('BMW keys are in the drawer'), 'BMW keys'],
    ['a PDF named like a text', () => makePdf(['The valve is under the sink.']), 'valve'],
  ];
  it.each(survived)('%s is read', async (_name, make, words) => {
    expect(await read(make())).toContain(words);
  });

  it('a page that is declared to be Markdown is still a page', async () => {
    expect(
      await read(
        '<!doctype html><html><body><script>evil()</script><p hidden>secret</p><p>The words of the page.</p></body></html>',
        'text/markdown',
      ),
    ).toBe('The words of the page.');
  });

  it('leads to no request, whatever it links', async () => {
    const markup = `<img src="${address}/a.png"><link rel="stylesheet" href="${address}/b.css"><script src="${address}/c.js"></script><iframe src="${address}/d"></iframe><p>words of the page</p>`;
    expect(
      await read(`<!doctype html><html><head><base href="${address}"></head><body>${markup}</body></html>`),
    ).toContain('words');
    expect(await read(`# words\n\n![x](${address}/e.png)`)).toContain('words');
    expect(await read(makeDocx('words', `${address}/f.png`))).toContain('words');
    expect(visits).toBe(0);
  });

  it('gives up a document above its time and goes on with the next', async () => {
    const hurried = createParsePool({ ...defaultParseLimits, maxMs: 700 }, 1);
    const parse = (content: string) =>
      hurried.parse({ documentId: 'd', sourceId: 's', externalId: 'x', content }, new AbortController().signal);
    const slow = parse(`<html><body>${'<p>a <b>b</b> c</p>'.repeat(20_000)}`);
    await expect(slow).rejects.toMatchObject({
      code: 'unreadable-document',
      message: expect.stringContaining('longer than'),
    });
    await hurried.end();
    expect(await read('the next one')).toBe('the next one');
  });

  it('gives up a document above its memory and goes on with the next', async () => {
    const narrow = createParsePool({ ...defaultParseLimits, maxHeapMb: 48, maxMs: 100_000 }, 1);
    const parse = (content: string) =>
      narrow.parse({ documentId: 'd', sourceId: 's', externalId: 'x', content }, new AbortController().signal);
    await expect(parse(`<html><body>${'<p>a <b>b</b> c</p>'.repeat(19_000)}`)).rejects.toMatchObject({
      code: 'unreadable-document',
      message: expect.stringContaining('memory'),
    });
    await narrow.end();
  }, 120_000);
});

describe('formats', () => {
  it('a PDF keeps its pages and loses its running heads', async () => {
    const pages = Array.from(
      { length: 4 },
      (_, n) => `Company Handbook\nChapter text number ${n} about boilers and pumps.\nPage ${n + 1}`,
    );
    const parsed = await pool.parse(
      { documentId: 'd', sourceId: 's', externalId: 'x.pdf', content: makePdf(pages) },
      new AbortController().signal,
    );
    const text = parsed.chunks.map((chunk) => chunk.text).join('\n');
    expect(text).toContain('Chapter text number 3');
    expect(text).not.toContain('Company Handbook');
    expect(parsed.chunks[0]?.page).toBe(1);
  });

  it('a Word file gives its title, headings and words', async () => {
    const parsed = await pool.parse(
      { documentId: 'd', sourceId: 's', externalId: 'x.docx', content: makeDocx('Close the valve first.') },
      new AbortController().signal,
    );
    expect(parsed.title).toBe('Boiler manual');
    expect(parsed.chunks[0]?.text).toContain('Close the valve first.');
  });
});
