import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Citation } from '../../../core/domain.ts';
import type { FakeCall } from '../../fakes/teams-service.ts';
import { teamsIds } from '../../fakes/teams-service.ts';
import { type Driver, startDriver } from './driver.ts';

const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 10 });

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

  it('a table stands in fixed width, in the stream only once it is whole', async () => {
    const sink = await driver.open(await driver.ask({ scope: 'personal' }));
    const table = 'Leave:\n\n| year | days |\n| --- | ---: |\n| 2026 | 30 |';
    await sink.update('Leave:\n\n| year |');
    await until(() => expect(sent('typing')).toHaveLength(1));
    expect(sent('typing')[0]?.body.text).toBe('Leave:');
    await sink.finish({ markdown: `${table}\n\nThat is all.`, citations: [] });
    expect(newest().text).toBe('Leave:\n\n```\nyear  days\n----  ----\n2026  30\n```\n\nThat is all.');
    expect(driver.fake.messages()).toHaveLength(1);
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
