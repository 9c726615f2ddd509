import { describe, expect, it } from 'vitest';
import { type Examined, examine } from './world.ts';

type Message = Examined['slack']['messages'][number];

const answer = (delivery: string, more: Partial<Message> = {}): Message => ({
  ts: `9.${delivery}`,
  channel: 'C1',
  thread_ts: '1.1',
  user: 'U0BOT',
  text: '41 metres',
  blocks: [],
  metadata: { event_type: 'footnote_answer', event_payload: { delivery, part: 0, of: 1, sealed: true } },
  streaming: false,
  edits: 0,
  ...more,
});

const passage = (version: number, chunkId = 'c1', externalId = 'gizmo') => ({
  externalId,
  chunkId,
  text: `release${version}mark of gizmo`,
});

type Books = {
  readonly messages: readonly Message[];
  readonly receipts: number;
  /** So many of the receipts are of questions that ended in a sentence of ours. */
  readonly sentences: number;
  readonly charged: number;
  readonly used: number;
  readonly listed: readonly string[];
  readonly passages: readonly ReturnType<typeof passage>[];
};
const sound: Books = {
  messages: [answer('a')],
  receipts: 1,
  sentences: 0,
  charged: 1,
  used: 1,
  listed: ['gizmo'],
  passages: [passage(2)],
};

const problemsOf = (change: Partial<Books>): Promise<string[]> => {
  const books = { ...sound, ...change };
  const pages: Record<string, unknown> = {
    answers: {
      answers: Array.from({ length: books.receipts }, (_, at) => ({
        kind: at < books.sentences ? 'refused' : 'answered',
      })),
    },
    usage: { rows: [{ questions: books.charged }] },
    quotas: { limits: [{ used: books.used }] },
    documents: { documents: books.listed.map((externalId) => ({ externalId })) },
  };
  return examine({
    tenant: 'tenants/acme',
    threads: [{ channel: 'C1', root: '1.1', questions: 1 }],
    documents: new Map([['gizmo', 2]]),
    leaflets: new Map(),
    slack: { messages: books.messages },
    api: {
      get: async (path) => pages[path.split('/')[2]?.split('?')[0] ?? ''],
      post: async () => ({ passages: books.passages }),
    },
  });
};

describe('the examination after a killing', () => {
  it('finds nothing in sound books', async () => {
    expect(await problemsOf({})).toEqual([]);
  });

  const unsealed = { event_type: 'footnote_answer', event_payload: { delivery: 'a', part: 0, of: 1, sealed: false } };
  it.each<[string, Partial<Books>]>([
    ['a lost answer', { messages: [] }],
    ['a second answer', { messages: [answer('a'), answer('b')] }],
    ['the same answer posted twice', { messages: [answer('a'), answer('a')] }],
    ['a stream that was never closed', { messages: [answer('a', { streaming: true })] }],
    ['an answer that was never sealed', { messages: [answer('a', { metadata: unsealed })] }],
    ['an abandoned stream beside the answer', { messages: [answer('a'), answer('b', { streaming: true })] }],
    ['a lost receipt', { receipts: 0 }],
    ['a second receipt', { receipts: 2 }],
    ['a second charge', { charged: 2 }],
    ['an answer without a charge', { charged: 0, used: 0 }],
    ['a question that was not answered', { sentences: 1, charged: 0, used: 0 }],
    ['a question that was not answered and yet charged', { sentences: 1 }],
    ['a charge without a count against the limit', { used: 0 }],
    ['a document that is not listed', { listed: [] }],
    ['a document that is listed twice', { listed: ['gizmo', 'gizmo'] }],
    ['a document that cannot be found', { passages: [] }],
    ['a document of another version', { passages: [passage(1)] }],
    ['half a document of one version and half of another', { passages: [passage(1, 'c1'), passage(2, 'c2')] }],
    ['a chunk that is found twice', { passages: [passage(2), passage(2)] }],
    ['a document that is found under two ids', { passages: [passage(2), passage(2, 'c2', 'other')] }],
  ])('finds %s', async (_what, change) => {
    expect(await problemsOf(change)).not.toEqual([]);
  });
});
