import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Citation } from '../../../core/domain.ts';
import type { FakeCall } from '../../fakes/teams-service.ts';
import { teamsIds } from '../../fakes/teams-service.ts';
import { until } from '../../until.ts';
import { type Driver, startDriver } from './driver.ts';

/** What leaves the process, byte for byte: the SDK drops what it does not know. */
let driver: Driver;
beforeEach(async () => {
  driver = await startDriver();
});
afterEach(() => driver.close());

const cite = (n: number, more: Partial<Citation> = {}): Citation => ({
  n,
  documentId: `d_${n}`,
  externalId: `${n}.md`,
  chunkId: `c_${n}`,
  title: `Handbook ${n}`,
  url: `https://docs.example/leave?v=${n}#days`,
  quote: `Everybody has ${n} days.`,
  ...more,
});
const sent = (type: string): readonly FakeCall[] =>
  driver.fake.calls.filter(
    ({ method, path, body }) => method === 'POST' && path.endsWith('/activities') && body.type === type,
  );
const newest = (): Readonly<Record<string, unknown>> => driver.fake.messages().at(-1)?.activity ?? {};

describe('on the wire', () => {
  it('a stream: an informative line, growing text with a growing number, the final message', async () => {
    const sink = await driver.open(await driver.ask({ scope: 'personal' }));
    await sink.status('Reading the documents …');
    await sink.update('Thirty');
    await until(() => expect(sent('typing')).toHaveLength(2));
    await sink.update('Thirty days of');
    await until(() => expect(sent('typing')).toHaveLength(3));
    await sink.finish({ markdown: 'Thirty days of leave. [1]', citations: [cite(1)] });
    const [first, second, third] = sent('typing').map(({ body }) => body);
    expect(first).toMatchObject({
      text: 'Reading the documents …',
      entities: [{ type: 'streaminfo', streamType: 'informative', streamSequence: 1 }],
      channelData: { streamType: 'informative', streamSequence: 1 },
    });
    const streamId = driver.fake.messages()[0]?.id;
    expect(second).toMatchObject({
      text: 'Thirty',
      entities: [{ type: 'streaminfo', streamType: 'streaming', streamSequence: 2, streamId }],
    });
    expect(third).toMatchObject({
      text: 'Thirty days of',
      entities: [{ type: 'streaminfo', streamType: 'streaming', streamSequence: 3, streamId }],
    });
    const final = sent('message')[0]?.body;
    expect(final?.entities).toEqual([
      { type: 'streaminfo', streamType: 'final', streamId },
      expect.objectContaining({ type: 'https://schema.org/Message', additionalType: ['AIGeneratedContent'] }),
    ]);
    expect(driver.fake.messages()).toHaveLength(1);
  });

  it('the AI label and native citations with name, address and at most 160 characters of the quote', async () => {
    const sink = await driver.open(await driver.ask());
    const long = `${'word '.repeat(60)}end`;
    await sink.finish({
      markdown: 'Thirty days. [1] More. [2]',
      citations: [cite(1), cite(2, { title: 'T'.repeat(120), page: 7, quote: long, url: 'javascript:alert(1)' })],
    });
    const { entities, textFormat, text } = newest() as {
      entities: Record<string, unknown>[];
      textFormat: string;
      text: string;
    };
    expect(textFormat).toBe('markdown');
    expect(text).toBe('Thirty days. [1] More. [2]');
    expect(entities).toHaveLength(1);
    expect(entities[0]).toMatchObject({
      type: 'https://schema.org/Message',
      '@type': 'Message',
      '@context': 'https://schema.org',
      additionalType: ['AIGeneratedContent'],
    });
    const [one, two] = (entities[0]?.citation ?? []) as { position: number; appearance: Record<string, string> }[];
    expect(one).toEqual({
      '@type': 'Claim',
      position: 1,
      appearance: {
        '@type': 'DigitalDocument',
        name: 'Handbook 1',
        url: 'https://docs.example/leave?v=1#days',
        abstract: 'Everybody has 1 days.',
      },
    });
    expect(two?.appearance.url).toBeUndefined();
    expect(two?.appearance.name).toHaveLength(80);
    expect(two?.appearance.name?.endsWith('…, p. 7')).toBe(true);
    expect(two?.appearance.abstract?.length).toBeLessThanOrEqual(160);
  });

  it('a mention with the id that Teams knows, and the words that stand for it', async () => {
    const event = await driver.ask();
    await driver.platform.say?.(
      { workspaceId: event.workspaceId, channelId: event.channelId, threadId: event.threadId },
      { id: 's_1', markdown: 'Somebody needs you. <at>Everybody</at>', people: [teamsIds.askerObject, 'nobody'] },
      AbortSignal.timeout(5000),
    );
    expect(newest()).toMatchObject({
      text: '<at>Ada Asker</at> Somebody needs you. <\u200bat>Everybody<\u200b/at>',
      entities: [{ type: 'mention', text: '<at>Ada Asker</at>', mentioned: { id: teamsIds.asker, name: 'Ada Asker' } }],
    });
  });

  it('thumbs with a form of ours, and buttons that name their answer', async () => {
    const sink = await driver.open(await driver.ask());
    await sink.finish({
      markdown: 'Thirty.',
      citations: [],
      feedbackId: 'a_0123456789',
      offers: ['thumbs', 'solved', 'human'],
    });
    expect(newest()).toMatchObject({
      channelData: { feedbackLoop: { type: 'custom' } },
      attachments: [
        {
          contentType: 'application/vnd.microsoft.card.adaptive',
          content: {
            type: 'AdaptiveCard',
            actions: [
              {
                type: 'Action.Execute',
                verb: 'footnote.solved',
                data: { footnote: 'solved', answerId: 'a_0123456789' },
              },
              { type: 'Action.Execute', verb: 'footnote.human', data: { footnote: 'human', answerId: 'a_0123456789' } },
            ],
          },
        },
      ],
    });
  });

  it('more citations than Teams takes are a list below', async () => {
    const citations = Array.from({ length: 21 }, (_, index) => cite(index + 1));
    await (await driver.open(await driver.ask())).finish({
      markdown: `All. ${citations.map(({ n }) => `[${n}]`).join('')}`,
      citations,
    });
    const { entities, text } = newest() as { entities: Record<string, unknown>[]; text: string };
    expect(entities[0]?.citation).toBeUndefined();
    expect(text).toContain('[21] [Handbook 21](https://docs.example/leave?v=21#days)');
  });

  it('each message of a long answer has the citations that its text names', async () => {
    const sink = await driver.open(await driver.ask());
    const filler = 'and so on '.repeat(2100);
    await sink.finish({ markdown: `First. [1]\n\n${filler}\n\nLast. [2]`, citations: [cite(1), cite(2)] });
    const positions = driver.fake
      .messages()
      .map(({ activity }) =>
        (activity.entities as { citation?: { position: number }[] }[])[0]?.citation?.map(({ position }) => position),
      );
    expect(positions[0]).toEqual([1]);
    expect(positions.at(-1)).toEqual([2]);
  });

  describe('tables', () => {
    const table = 'Leave:\n\n| year | days |\n| --- | ---: |\n| 2026 | **30** [2] |';
    type Block = { readonly text: string };
    type Card = {
      readonly version: string;
      readonly fallbackText: string;
      readonly msteams: unknown;
      readonly actions?: readonly { readonly verb: string }[];
      readonly body: readonly (Block & {
        readonly type: string;
        readonly columns: readonly unknown[];
        readonly rows: readonly { readonly cells: readonly { readonly items: readonly Block[] }[] }[];
      })[];
    };
    const cardOf = (activity: Readonly<Record<string, unknown>>): Card | undefined =>
      (activity.attachments as readonly { readonly content: Card }[] | undefined)?.[0]?.content;

    it('a table is one of a card under the text, which cites it, in the stream only once it is whole', async () => {
      const sink = await driver.open(await driver.ask({ scope: 'personal' }));
      await sink.update('Leave:\n\n| year |');
      await until(() => expect(sent('typing')).toHaveLength(1));
      expect(sent('typing')[0]?.body.text).toBe('Leave:');
      await sink.update(`${table}\n\nThat is`);
      await until(() => expect(sent('typing')).toHaveLength(2));
      expect(sent('typing')[1]?.body.text).toBe('Leave:\n\n**Table 1 ↓** [2]\n\nThat is');
      await sink.finish({ markdown: `${table}\n\nThat is all. [1]`, citations: [cite(1), cite(2)] });
      expect(newest().text).toBe('Leave:\n\n**Table 1 ↓** [2]\n\nThat is all. [1]');
      expect(driver.fake.messages()).toHaveLength(1);
      const { entities } = newest() as { entities: { citation?: { position: number }[] }[] };
      expect(entities.at(-1)?.citation?.map(({ position }) => position)).toEqual([1, 2]);
      const card = cardOf(newest());
      expect(card).toMatchObject({
        type: 'AdaptiveCard',
        version: '1.5',
        msteams: { width: 'Full' },
        fallbackText: 'Table 1\nyear · days\n2026 · **30** [2]',
        body: [
          { type: 'TextBlock', text: 'Table 1' },
          {
            type: 'Table',
            firstRowAsHeaders: true,
            columns: [{ width: 1 }, { width: 1, horizontalCellContentAlignment: 'right' }],
            fallback: { type: 'TextBlock', text: 'year · days\n2026 · **30** [2]' },
          },
        ],
      });
      const cells = card?.body[1]?.rows.map((row) => row.cells.map(({ items }) => items[0]?.text));
      expect(cells).toEqual([
        ['year', 'days'],
        ['2026', '**30** [2]'],
      ]);
    });

    it('tables and the buttons of an answer share its card', async () => {
      const sink = await driver.open(await driver.ask());
      await sink.finish({
        markdown: table,
        citations: [],
        feedbackId: 'a_0123456789',
        offers: ['thumbs', 'solved'],
      });
      expect(newest().attachments).toHaveLength(1);
      expect(cardOf(newest())?.body).toHaveLength(2);
      expect(cardOf(newest())?.actions?.map(({ verb }) => verb)).toEqual(['footnote.solved']);
    });

    it('each message of a long answer has the tables that its text names', async () => {
      const sink = await driver.open(await driver.ask());
      await sink.finish({ markdown: `${table}\n\n${'and so on '.repeat(2100)}\n\n${table}`, citations: [] });
      const messages = driver.fake.messages().map(({ activity }) => activity);
      expect(messages.length).toBeGreaterThan(1);
      for (const activity of messages) {
        const titles = cardOf(activity)?.body.flatMap(({ type, text }) => (type === 'TextBlock' ? [text] : [])) ?? [];
        expect(titles).toEqual([...String(activity.text).matchAll(/Table \d/g)].map(([title]) => title));
      }
      expect(messages.map(cardOf).filter((card) => card !== undefined)).toHaveLength(2);
    });

    it.each([
      ['too wide for a card', `| ${'a | '.repeat(9)}\n| ${'- | '.repeat(9)}\n| ${'1 | '.repeat(9)}`],
      ['too long for a card', `| a | b |\n| - | - |\n${'| one | two |\n'.repeat(200)}`],
    ])('what is %s stands in fixed width', async (_, wide) => {
      const sink = await driver.open(await driver.ask());
      await sink.finish({ markdown: `${wide}\n\n${table}`, citations: [] });
      expect(String(newest().text)).toMatch(/^```\na {2,}/);
      // The next one is small enough.
      expect(cardOf(newest())?.body).toHaveLength(2);
    });

    it.each(['channel', 'personal'] as const)(
      'a card that Teams refuses in a %s is fixed width in the text',
      async (scope) => {
        const sink = await driver.open(await driver.ask({ scope }));
        driver.fake.fault(({ body }) => JSON.stringify(body).includes('"Table"'), { status: 400, code: 'BadSyntax' });
        if (scope === 'personal') {
          await sink.update(`${table}\n\nThat is`);
          await until(() => expect(sent('typing')).toHaveLength(1));
          driver.fake.fault(({ body }) => JSON.stringify(body).includes('"Table"'), { status: 400, code: 'BadSyntax' });
        }
        await sink.finish({ markdown: `${table}\n\nThat is all.`, citations: [cite(2)] });
        expect(newest().text).toBe('Leave:\n\n```\nyear  days\n----  ------\n2026  30 [2]\n```\n\nThat is all.');
        expect(newest().attachments).toBeUndefined();
        expect(JSON.stringify(newest().entities)).toContain('Handbook 2');
        expect(driver.fake.messages()).toHaveLength(1);
      },
    );
  });

  it('text that is replaced while it is streamed ends in one message with the right words', async () => {
    const sink = await driver.open(await driver.ask({ scope: 'personal' }));
    await sink.update('Thirty days, perhaps');
    await until(() => expect(sent('typing')).toHaveLength(1));
    await sink.finish({ markdown: 'Thirty-one days.', citations: [] });
    expect(driver.fake.messages()).toHaveLength(1);
    expect(newest().text).toBe('Thirty-one days.');
  });

  it('every call carries the token of the app, asked for once', async () => {
    await (await driver.open(await driver.ask())).finish({ markdown: 'One.', citations: [] });
    await (await driver.open(await driver.ask())).finish({ markdown: 'Two.', citations: [] });
    const connector = driver.fake.calls.filter(({ path }) => path.startsWith('/v3/'));
    expect(connector.length).toBeGreaterThan(1);
    expect(connector.every(({ authorization }) => authorization === 'Bearer token-for-teams')).toBe(true);
    expect(driver.fake.calls.filter(({ path }) => path.endsWith('/token'))).toHaveLength(1);
  });
});
