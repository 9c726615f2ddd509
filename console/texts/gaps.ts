/** What the pages of open questions say. */
export const gaps = {
  title: 'Gaps',
  lead: 'Questions that the documents leave open, alike ones together. Write an answer, and the next one who asks gets it.',
  days: (days: number) => `Last ${days} days`,
  period: 'Period',
  emptyTitle: 'No open questions',
  emptyText:
    'What is not found, is answered without a footnote or did not help somebody stands here, ready to be answered.',
  incomplete: 'There were more than can be looked at; these are the newest.',
  asked: (times: number) => (times === 1 ? 'Asked once' : `Asked ${times} times`),
  askers: (people: number) => (people === 1 ? 'by 1 person' : `by ${people} people`),
  last: 'last',
  whys: { 'not-found': 'Not found', uncertain: 'Without a footnote', 'down-voted': 'Did not help' },
  back: 'All gaps',
  questions: 'How it was asked',
  write: 'Write an answer',
  question: 'Question',
  questionHint: 'Becomes the title of a document in the source "Written answers".',
  answer: 'Answer',
  answerHint: 'Markdown. Whoever asks next reads it, with a footnote to this document.',
  save: 'Save and ask again',
  dismiss: 'Needs no answer',
  source: 'Written answers',
  writtenTitle: 'The answer is written',
  document: 'The document',
  again: 'The question, asked again',
  stillOpen: 'It was not found yet. Say it in the words of those who asked, and save it once more.',
  tell: 'Tell those who asked',
  tellLead: (people: number) =>
    people === 1
      ? '1 person who asked can be reached, and was not told yet.'
      : `${people} people who asked can be reached, and were not told yet.`,
  nobody: 'Nobody is left to be told: those who asked did so here or through the API, or they know already.',
  message: (question: string) => `You asked: “${question}” There is an answer now, so please ask me once more.`,
} as const;
