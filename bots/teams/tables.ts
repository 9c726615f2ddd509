import { fenceTables, type TableCells } from '../markdown.ts';
import type { OutgoingActivity } from './connector/connector.ts';

/**
 * A table of an answer as Teams shows it: Teams' text messages have none, so that it stands in the card under the text,
 * and the text has a line for it in its place.
 */
export type CardTable = {
  /** The line in the text, exactly; no other table's line is part of it. */
  readonly line: string;
  readonly elements: readonly OutgoingActivity[];
  /** Its words for a client that cannot show cards of this version. */
  readonly words: string;
};

/** In characters of JSON over all tables of an answer: with the text and the citations it stays below what Teams takes. */
const maxJson = 12_000;
/** Wider tables are cut off on a phone; in fixed width they can be scrolled. */
const maxColumns = 8;

/**
 * Canonical Markdown with a line in place of each table, and the tables. What would be too much for a card is fenced, as
 * all of them are with `asText`. The same beginning gives the same lines, so that an answer may grow.
 */
export const takeTables = (
  markdown: string,
  asText = false,
): { readonly text: string; readonly tables: readonly CardTable[] } => {
  const tables: CardTable[] = [];
  let left = asText ? 0 : maxJson;
  const text = fenceTables(markdown, (cells) => {
    if (cells.align.length > maxColumns || cells.rows.length < 2) return null;
    const table = cardTable(cells, tables.length + 1);
    const size = JSON.stringify(table.elements).length;
    if (size > left) return null;
    left -= size;
    tables.push(table);
    return table.line;
  });
  return { text, tables };
};

const cardTable = (cells: TableCells, n: number): CardTable => {
  const title = `Table ${n}`;
  // What a cell rests on is cited where Teams has citations: in the text.
  const marks = [...new Set(cells.rows.flat().flatMap((cell) => cell.match(/\[\d+\](?!\()/g) ?? []))];
  const words = cells.rows.map((row) => row.join(' · ')).join('\n');
  return {
    line: [`**${title} ↓**`, ...marks].join(' '),
    words: `${title}\n${words}`,
    elements: [textBlock(title, { weight: 'Bolder', spacing: 'Medium' }), tableElement(cells, words)],
  };
};

/** https://adaptivecards.microsoft.com/?topic=Table */
const tableElement = ({ rows, align }: TableCells, words: string): OutgoingActivity => ({
  type: 'Table',
  firstRowAsHeaders: true,
  showGridLines: true,
  columns: align.map((side, column) => ({
    width: widthOf(rows.map((row) => row[column] ?? '')),
    ...(side === null ? {} : { horizontalCellContentAlignment: side }),
  })),
  rows: rows.map((row, index) => ({
    type: 'TableRow',
    cells: align.map((_, column) => ({
      type: 'TableCell',
      items: [textBlock(row[column] ?? '', index === 0 ? { weight: 'Bolder' } : {})],
    })),
  })),
  fallback: textBlock(words),
});

/** Shares of the card: a column of sentences gets more than one of numbers, and none gets next to nothing. */
const widthOf = (cells: readonly string[]): number =>
  Math.min(4, Math.max(1, Math.ceil(Math.max(...cells.map(({ length }) => length)) / 12)));

const textBlock = (text: string, more: OutgoingActivity = {}): OutgoingActivity => ({
  type: 'TextBlock',
  text: inCell(text),
  wrap: true,
  ...more,
});

/** “1. March” is a date and not the beginning of a list; a cell without words is still one. */
const inCell = (text: string): string =>
  text === '' ? ' ' : text.replace(/^(?=(?:[-*+]|\d+\.)\s)/gm, '\u200b').replace(/<(?=[a-z/!?])/gi, '<\u200b');

/** What a card needs around tables: all the width there is, and words for who cannot see it. */
export const withTables = (card: OutgoingActivity, tables: readonly CardTable[]): OutgoingActivity =>
  tables.length === 0
    ? card
    : {
        ...card,
        version: '1.5',
        msteams: { width: 'Full' },
        fallbackText: tables.map(({ words }) => words).join('\n\n'),
        body: tables.flatMap(({ elements }) => elements),
      };
