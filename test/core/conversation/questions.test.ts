import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AnswerRequest } from '../../../core/answer/answering.ts';
import type { Attachment, InboundEvent } from '../../../core/domain.ts';
import { AppError } from '../../../core/errors.ts';
import { attachedSourceId } from '../../../core/ids.ts';
import type { Earlier } from '../../../core/ports/platform.ts';
import { createFakePlatform, createWorld, type World, type WorldOptions } from './world.ts';

let world: World;
const begin = async (options: WorldOptions = {}): Promise<void> => {
  await world?.close();
  world = await createWorld(options);
};
beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

const asked = (): AnswerRequest => {
  const last = world.answering.asked.at(-1);
  if (last === undefined) throw new Error('nothing was asked');
  return last;
};

describe('files with a question', () => {
  const files: Readonly<Record<string, string>> = { 'a.txt': 'Leave is 40 days.', 'x.zip': '\0' };
  const downloads: (readonly [string, number])[] = [];
  beforeEach(async () => {
    downloads.length = 0;
    await begin({
      platform: {
        download: async (_event, { name }, maxBytes) => {
          downloads.push([name, maxBytes]);
          const text = files[name];
          if (text === undefined) throw new AppError('platform-failed', 'The file is gone.');
          return new TextEncoder().encode(text);
        },
      },
    });
  });
  const withFiles = (...attachments: Attachment[]) => world.hear({ attachments });

  it('are read for this question, within bounds', async () => {
    await withFiles({ name: 'a.txt', mediaType: 'text/plain' });
    expect(asked().attached).toMatchObject([{ title: 'a.txt', text: 'Leave is 40 days.', sourceId: attachedSourceId }]);
    expect(downloads).toEqual([['a.txt', 10 * 1024 * 1024]]);
    expect(world.platform.shown[0]?.text).not.toContain('could not read');
  });

  it('that cannot be read are named with the reason, each of them', async () => {
    await withFiles(
      { name: 'x.zip' },
      { name: '<@U1> gone*.txt' },
      { name: 'huge.pdf', bytes: 11 * 1024 * 1024 },
      { name: 'a.txt' },
    );
    const text = world.platform.shown[0]?.text ?? '';
    expect(text).toContain('_I could not read x.zip: This kind of file cannot be read._');
    expect(text).toContain('_I could not read U1 gone .txt: The file is gone._');
    expect(text).toContain('_I could not read huge.pdf: It is larger than 10 MB._');
    expect(text).not.toContain('a.txt');
    expect(downloads.map(([name]) => name)).not.toContain('huge.pdf');
    expect(asked().attached).toHaveLength(1);
  });

  it('more than five are not read, and said so', async () => {
    await withFiles(...Array.from({ length: 7 }, () => ({ name: 'a.txt' })));
    expect(downloads).toHaveLength(5);
    expect(world.platform.shown[0]?.text.match(/at most 5 files/g)).toHaveLength(2);
  });

  it('are kept nowhere: the receipt has their names and none of their words', async () => {
    world.answering.next(async (request) => ({ retrieved: request.attached, citations: [] }));
    const row = await withFiles({ name: 'a.txt' });
    const receipt = await world.receipt(row);
    expect(receipt?.retrieved).toMatchObject([{ title: 'a.txt', text: '' }]);
  });

  it('without a platform that can get them they are named', async () => {
    const { download: _, ...without } = createFakePlatform();
    await begin({ platform: { ...without, download: undefined } as never });
    await withFiles({ name: 'a.txt' });
    expect(world.platform.shown[0]?.text).toContain('I could not read a.txt: I cannot get files from here.');
  });

  it('alone are no question', async () => {
    expect((await world.hear({ text: '', attachments: [{ name: 'a.txt' }] })).reason).toBe('empty');
    expect(downloads).toEqual([]);
  });
});

describe('called into a thread', () => {
  const reads: number[] = [];
  const said = (text: string, over: Partial<Earlier> = {}): Earlier => ({
    messageId: `e${text.length}`,
    author: { id: 'U9', isBot: false, isSelf: false, name: 'Zoe' },
    text,
    at: 1,
    ...over,
  });
  let before: Earlier[] = [];
  beforeEach(async () => {
    reads.length = 0;
    before = [said('The printer on floor two is broken.'), said('It says PC LOAD LETTER.')];
    await begin({
      platform: {
        earlier: async (_event, limit) => {
          reads.push(limit);
          return before;
        },
      },
    });
  });

  it('what came before is read once, and understood without names', async () => {
    await world.hear({ threadId: 'T1', text: 'What can we do about it?' });
    expect(asked().turns).toMatchObject([{ role: 'user' }]);
    expect(asked().turns[0]?.text).toContain('- The printer on floor two is broken.\n- It says PC LOAD LETTER.');
    expect(asked().turns[0]?.text).toContain('not a request');
    expect(asked().turns[0]?.text).not.toContain('Zoe');
    await world.hear({ threadId: 'T1', text: 'And who repairs it?' });
    expect(asked().turns.map(({ role }) => role)).toEqual(['user', 'user', 'assistant']);
    expect(asked().turns[0]?.text).toContain('printer');
    expect(reads).toEqual([30]);
  });

  it('bots, empty words and the question itself are left out', async () => {
    before = [
      said('noise', { author: { id: 'B', isBot: true, isSelf: false } }),
      said(' '),
      said('me', { messageId: 'msg-self' }),
    ];
    await world.hear({ threadId: 'T1', messageId: 'msg-self' });
    expect(asked().turns).toEqual([]);
  });

  it('a long talk is cut to its newest part', async () => {
    before = Array.from({ length: 30 }, (_, n) => said(`${n} ${'word '.repeat(60)}`));
    await world.hear({ threadId: 'T1' });
    const turns = asked().turns;
    expect(turns.length).toBeLessThanOrEqual(4);
    for (const turn of turns) expect(turn.text.length).toBeLessThanOrEqual(700);
    expect(turns.at(-1)?.text).toContain('29 word');
    expect(turns[0]?.text).not.toContain('- 0 word');
  });

  it('a thread whose question was refused is not read again and again', async () => {
    for (let n = 0; n < 4; n += 1) {
      world.answering.next(async () => ({ kind: 'refused', reasonCode: 'quota', answer: 'Enough.' }));
      await world.hear({ threadId: 'T1' });
    }
    expect(reads).toEqual([30, 30]);
  });

  it('a platform that cannot tell is no reason not to answer', async () => {
    await begin({
      platform: {
        earlier: async () => {
          throw new AppError('platform-failed', 'No permission.');
        },
      },
    });
    expect((await world.hear()).reason).toBe('answered');
  });

  it('direct messages and private answers are not looked around in', async () => {
    await world.hear({ scope: 'dm', addressed: 'dm' });
    world.rules.channel = { replies: 'private' };
    await world.hear();
    expect(reads).toEqual([]);
  });
});

describe('one person on several platforms', () => {
  const dm = (id: string, over: Partial<InboundEvent> = {}): Partial<InboundEvent> => ({
    scope: 'dm',
    addressed: 'dm',
    channelId: `D${id}`,
    threadId: `D${id}`,
    author: { id, isBot: false, isSelf: false },
    ...over,
  });

  it('shares the history of direct messages, and nothing else', async () => {
    for (const member of ['slack:U1', 'slack:U2']) await world.state.people.link(world.tenant.id, member, 'p_1');
    await world.hear(dm('U1', { text: 'What is the leave policy?' }));
    await world.hear(dm('U2', { text: 'And for interns?' }));
    expect(asked().turns.map(({ text }) => text)[0]).toBe('What is the leave policy?');
    expect(asked().person).toEqual({ id: 'p_1', memberIds: ['slack:U1', 'slack:U2'] });
    await world.hear(dm('U3', { text: 'And for me?' }));
    expect(asked().turns).toEqual([]);
    expect(asked().person).toBeUndefined();
    await world.hear({ threadId: 'T1' });
    expect(asked().turns).toEqual([]);
  });

  it('a deleted question goes from the shared history too', async () => {
    for (const member of ['slack:U1', 'slack:U2']) await world.state.people.link(world.tenant.id, member, 'p_1');
    const row = await world.hear(dm('U1'));
    await world.hear(
      dm('U1', { kind: 'delete', messageId: row.event.messageId, targetMessageId: row.event.messageId }),
    );
    await world.hear(dm('U2'));
    expect(asked().turns).toEqual([]);
  });
});

describe('after an outage of the platform', () => {
  it('a late answer begins with an apology', async () => {
    await world.hear({ receivedAt: Date.now() - 11 * 60_000 });
    expect(world.platform.shown[0]?.text).toMatch(/^_Sorry that this took so long/);
    expect(world.platform.shown[0]?.text).toContain('Leave is 30 days.');
  });

  it('after hours one apology takes the answer’s place, and no model is asked', async () => {
    const row = await world.hear({ receivedAt: Date.now() - 7 * 3_600_000 });
    expect(row.reason).toBe('failed');
    expect(world.platform.shown).toHaveLength(1);
    expect(world.platform.shown[0]?.text).toContain('could not get through for hours');
    expect(world.answering.asked).toEqual([]);
    expect(await world.receipt(row)).toMatchObject({ kind: 'refused', reasonCode: 'failed' });
  });

  it('a question outlives many tries while the platform is down', async () => {
    const fake = createFakePlatform();
    let down = 14;
    await begin({
      platform: {
        openAnswer: async (...args) => {
          down -= 1;
          if (down >= 0) throw new AppError('platform-failed', 'Down.', { retryable: true, retryAfterMs: 1 });
          return fake.openAnswer(...args);
        },
      },
    });
    const row = await world.hear({ receivedAt: Date.now() - 9 * 60_000 });
    expect(row.reason).toBe('answered');
    expect(fake.shown).toHaveLength(1);
    expect(fake.shown[0]?.text).toContain('Leave is 30 days.');
  });
});
