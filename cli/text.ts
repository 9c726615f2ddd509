import type { Citation, Receipt } from '../core/domain.ts';

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** Words wrapped at `columns`, later lines indented; long words stay whole, fenced code and tables are left alone. */
export const wrap = (text: string, columns: number, indent = ''): string => {
  let fenced = false;
  return text
    .split('\n')
    .flatMap((line) => {
      if (/^\s*(```|~~~)/.test(line)) fenced = !fenced;
      return fenced || line.startsWith('|') || line.length <= columns ? [line] : wrapLine(line, columns);
    })
    .map((line, index) => (index === 0 || line === '' ? line : `${indent}${line}`))
    .join('\n');
};

const wrapLine = (line: string, columns: number): string[] => {
  // What hangs under a list item or a quotation keeps its place.
  const hang = /^(?:\s*(?:[-*+]|\d+[.)]|>)\s+)?/.exec(line)?.[0] ?? '';
  const later = hang.includes('>') ? hang : ' '.repeat(hang.length);
  const lines: string[] = [];
  let current = '';
  for (const word of line.slice(hang.length).split(' ')) {
    const prefix = lines.length === 0 ? hang : later;
    if (current !== '' && prefix.length + current.length + 1 + word.length > columns) {
      lines.push(prefix + current);
      current = word;
    } else current = current === '' ? word : `${current} ${word}`;
  }
  return [...lines, (lines.length === 0 ? hang : later) + current];
};

const renderFootnote = (citation: Citation, columns: number): string => {
  const place = citation.url ?? citation.externalId;
  const page = citation.page === undefined ? '' : `, page ${citation.page}`;
  const head = `[${citation.n}] ${citation.title}${page}${place === citation.title ? '' : ` — ${place}`}`;
  return `${wrap(head, columns, '    ')}\n    ${wrap(`“${oneLine(citation.quote)}”`, columns - 4, '    ')}`;
};

/** An answer with its footnotes, ready to be read in a terminal. */
export const renderAnswer = (receipt: Receipt, columns: number): string => {
  const notes = receipt.citations.map((citation) => renderFootnote(citation, columns));
  return `${[wrap(receipt.answer.trim(), columns), ...(notes.length > 0 ? [notes.join('\n')] : [])].join('\n\n')}\n`;
};

/** Columns padded to their widest cell; numbers to the right. */
export const renderTable = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const isNumber = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^[\d.,]*( \w+)?$|^unknown$/.test(row[column] ?? '')),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return `${[line(head), ...rows.map(line)].join('\n')}\n`;
};
