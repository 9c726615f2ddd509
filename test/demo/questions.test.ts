import { readdirSync, readFileSync } from 'node:fs';
import mammoth from 'mammoth';
import { extractText, getDocumentProxy } from 'unpdf';
import { describe, expect, it } from 'vitest';

type Question = {
  readonly question: string;
  readonly document: string;
  readonly phrase: string;
  readonly after?: string;
};
const folder = new URL('../../demo/', import.meta.url);
const { answered, followUps, unanswered } = JSON.parse(readFileSync(new URL('questions.json', folder), 'utf8')) as {
  answered: Question[];
  followUps: Question[];
  unanswered: { question: string; kind: string }[];
};

/** What a person would read, roughly: enough to see whether a phrase stands in the document. */
const textOf = async (name: string): Promise<string> => {
  const bytes = readFileSync(new URL(name, folder));
  const text = name.endsWith('.pdf')
    ? (await extractText(await getDocumentProxy(new Uint8Array(bytes)), { mergePages: true })).text
    : name.endsWith('.docx')
      ? (await mammoth.extractRawText({ buffer: bytes })).value
      : bytes.toString('utf8').replace(/<[^>]+>/g, ' ');
  return text.replace(/[*`]/g, '').replace(/\s+/g, ' ');
};

describe('questions about the demo documents', () => {
  it('each name a document that contains the phrase', async () => {
    const missing: string[] = [];
    for (const { question, document, phrase } of [...answered, ...followUps]) {
      if (!(await textOf(document)).includes(phrase)) missing.push(`${document} lacks “${phrase}” (${question})`);
    }
    expect(missing).toEqual([]);
  });

  it('cover every document, with follow-ups that continue an answered question', () => {
    const documents = readdirSync(folder).filter((name) => name !== 'questions.json');
    expect([...new Set(answered.map(({ document }) => document))].sort()).toEqual(documents.sort());
    for (const { after } of followUps) expect(answered.map(({ question }) => question)).toContain(after);
    expect(unanswered.length).toBeGreaterThanOrEqual(25);
  });
});
