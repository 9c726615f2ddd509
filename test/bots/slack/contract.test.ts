import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { describe, expect, it } from 'vitest';
import { createSlack } from '../../../bots/slack/slack.ts';
import type { InboundEvent } from '../../../core/domain.ts';
import { systemClock } from '../../../core/observe/system.ts';
import type { Offer } from '../../../core/ports/platform.ts';
import { type Gesture, type GestureOptions, type PlatformRig, platformContract } from '../../contracts/platform.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import {
  createSlackSender,
  type FakeMessage,
  type FakeSlack,
  signatureHeaders,
  slackPayloads,
  startFakeSlack,
} from '../../fakes/slack-api.ts';

const signingSecret = 'the-secret';

/** The words of a block; buttons and the like have none that could notify anybody. */
const wordsIn = (block: Readonly<Record<string, unknown>>): string =>
  typeof block.text === 'string'
    ? block.text
    : String((block.text as { readonly text?: unknown } | undefined)?.text ?? '');

const shownText = (message: Pick<FakeMessage, 'blocks' | 'text'>): string => {
  const markdown = message.blocks.filter((block) => block.type === 'markdown').map((block) => String(block.text));
  return markdown.length > 0 ? markdown.join('\n') : message.text;
};

type Blocks = FakeMessage['blocks'];

const elementsOf = (blocks: Blocks): readonly Readonly<Record<string, unknown>>[] =>
  blocks.flatMap((block) => (Array.isArray(block.elements) ? block.elements : []));

const offersIn = (blocks: Blocks): readonly Offer[] => {
  const names = elementsOf(blocks).map((element) => /^footnote_([a-z]+)/.exec(String(element.action_id))?.[1] ?? '');
  return [...new Set(names.map((name) => (name === 'feedback' ? 'thumbs' : (name as Offer))))];
};

const isStopButton = (message: FakeMessage): boolean =>
  elementsOf(message.blocks).some((element) => element.action_id === 'footnote_stop');

/** A conversation that the bot opened with a person. */
const isOpened = (message: FakeMessage): boolean => message.channel.startsWith('D0U');

/** Whoever a text notifies, as Slack reads it: entities count wherever they stand unescaped. */
const pingedBy = (text: string): readonly string[] =>
  [...text.matchAll(/<(?:@([UW][A-Z0-9]+)|!(?:channel|here|everyone|subteam))/g)].map(
    ([, user]) => user ?? 'everybody',
  );

const startRig = async (prepare: (fake: FakeSlack) => void): Promise<PlatformRig> => {
  const fake = await startFakeSlack();
  prepare(fake);
  const heard: InboundEvent[] = [];
  let refusing = false;
  const runtime = { ...createTestRuntime(), clock: systemClock };
  const platform = createSlack({
    signingSecret,
    botToken: 'xoxb-fake',
    apiUrl: fake.url,
    runtime,
    settings: { appendMs: 1, editMs: 1, statusAfterMs: 0, firstAfterMs: 0, stopAfterMs: 1, postMs: 0 },
  });
  await platform.start(async (event) => {
    if (refusing) throw new Error('the store is down');
    heard.push(event);
    return { outcome: 'stored' };
  });
  const fetchRoutes = platform.routes?.fetch ?? (() => new Response(null, { status: 404 }));
  const server = serve({ fetch: fetchRoutes, port: 0, hostname: '127.0.0.1' }) as Server;
  await new Promise<void>((resolve) => (server.listening ? resolve() : server.once('listening', () => resolve())));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/slack/events`;
  const sender = createSlackSender({ url, signingSecret, now: () => Date.now() });
  const payloads = slackPayloads(fake.teamId, fake.botUserId);
  const stamps = new Map<string, string>();
  const tsOf = (id: string | undefined): string => {
    const ts = stamps.get(id ?? '') ?? fake.nextTs();
    if (id !== undefined) stamps.set(id, ts);
    return ts;
  };
  const mention = (text: string, ts: string) => payloads.appMention({ text: `<@${fake.botUserId}> ${text}`, ts });
  const send = async (payload: unknown, form?: boolean | 'command'): Promise<boolean> =>
    (await sender.send(payload, form === undefined ? {} : { form })).status === 200;
  const respondTo = () => fake.responseUrl({ channel: 'C0GENERAL', user: 'U0ASKER' });
  const press = (name: string, value: string) =>
    send(payloads.press(`footnote_${name}`, value, { ts: fake.nextTs(), thread: fake.nextTs() }), true);
  const rate = (rating: 'up' | 'down', { answerId = '' }: GestureOptions = {}) =>
    send(payloads.click(answerId, rating, { ts: fake.nextTs(), thread: fake.nextTs() }), true);
  const gestures: Readonly<Record<Gesture, (options?: GestureOptions) => Promise<boolean>>> = {
    command: ({ text = '' } = {}) => send(payloads.command('/ask', text, { responseUrl: respondTo() }), 'command'),
    'private-command': ({ text = '' } = {}) =>
      send(payloads.command('/ask', `--private ${text}`, { responseUrl: respondTo() }), 'command'),
    'help-command': () => send(payloads.command('/footnote', 'help', { responseUrl: respondTo() }), 'command'),
    'about-message': ({ text = '' } = {}) =>
      send(payloads.shortcut({ text, ts: fake.nextTs() }, { responseUrl: respondTo() }), true),
    edit: ({ id, text = '' } = {}) => send(payloads.edit({ text, ts: tsOf(id) }, 'before', fake.nextTs())),
    delete: ({ id } = {}) => send(payloads.remove({ ts: tsOf(id) }, fake.nextTs())),
    attachment: () =>
      send(
        payloads.message({
          text: '',
          ts: fake.nextTs(),
          channel: 'D0DIRECT',
          channelType: 'im',
          more: { subtype: 'file_share', files: [{ id: 'F1', name: 'plan.txt', mimetype: 'text/plain', size: 4 }] },
        }),
      ),
    stop: ({ deliveryId = '' } = {}) => press('stop', deliveryId),
    publish: ({ answerId = '' } = {}) => press('publish', answerId),
    solved: ({ answerId = '' } = {}) => press('solved', answerId),
    human: ({ answerId = '' } = {}) => press('human', answerId),
    'thumbs-up': (options) => rate('up', options),
    'thumbs-down': (options) => rate('down', options),
    reason: async (options = {}) => {
      const opened = fake.nextCall('views.open');
      await rate('down', options);
      const { view } = (await opened).args;
      return send(payloads.submit(view as Readonly<Record<string, unknown>>, options.text ?? ''), true);
    },
  };
  const visible = () => fake.answers().filter((message) => !isOpened(message) && !isStopButton(message));
  return {
    platform,
    heard,
    gestures,
    whispered: () => [...fake.ephemerals, ...fake.answers().filter(isOpened)].map(shownText),
    offered: () => offersIn((fake.ephemerals.at(-1) ?? visible().at(-1))?.blocks ?? []),
    setAside: () => runtime.counted('events_total', { platform: 'slack', reason: 'unsupported' }),
    titles: () =>
      fake
        .answers()
        .flatMap(({ blocks }) => elementsOf(blocks))
        .filter(({ type }) => type === 'button')
        .map(({ text }) => String((text as { readonly text?: unknown }).text))
        .filter((title) => title !== '👍' && title !== '👎'),
    stopStands: () => fake.answers().some(isStopButton),
    pinged: () => {
      const statuses = fake.callsOf('assistant.threads.setStatus').map((call) => String(call.args.status));
      const texts = fake.answers().flatMap((message) => [message.text, ...message.blocks.map(wordsIn)]);
      return [...new Set([...texts, ...statuses].flatMap(pingedBy))];
    },
    vanish: fake.vanish,
    refuse: () => {
      refusing = true;
    },
    deliver: async (what, options = {}) => {
      const ts = tsOf(options.id);
      const text = options.text ?? 'a question?';
      const payload = {
        mention: () => mention(text, ts),
        direct: () => payloads.message({ text, ts, channel: 'D0DIRECT', channelType: 'im' }),
        own: () => payloads.message({ text, ts, user: fake.botUserId, more: { bot_id: 'B0BOT' } }),
        bot: () => payloads.message({ text, ts, user: 'U0OTHERBOT', more: { bot_id: 'B0OTHER' } }),
        unknown: () => payloads.envelope({ type: 'emoji_changed', event_ts: ts }),
        mangled: () => ({ type: 'event_callback', event: { type: 'message', channel: 7, ts: 'yesterday' } }),
      }[what]();
      return (await sender.send(payload)).status === 200;
    },
    forge: async (how) => {
      const body = JSON.stringify(mention('hello?', fake.nextTs()));
      const now = Math.floor(Date.now() / 1000);
      const headers = {
        unsigned: {},
        wrong: signatureHeaders('another-secret', body, now),
        stale: signatureHeaders(signingSecret, body, now - 301),
        future: signatureHeaders(signingSecret, body, now + 302),
      }[how];
      return (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body }))
        .ok;
    },
    shown: () => visible().map(shownText),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await platform.stop();
      await fake.close();
    },
  };
};

platformContract({ name: 'slack, streaming', start: () => startRig(() => undefined) });
platformContract({
  name: 'slack, without its streaming methods',
  start: () =>
    startRig((fake) =>
      ['chat.startStream', 'chat.appendStream', 'chat.stopStream', 'assistant.threads.setStatus'].forEach(
        (method) => void fake.unknownMethods.add(method),
      ),
    ),
});
platformContract({
  name: 'slack, without its markdown block',
  start: () => startRig((fake) => fake.refuseMarkdownBlocks()),
});

describe('the fake itself', () => {
  it('refuses what Slack refuses', async () => {
    const fake = await startFakeSlack();
    const call = async (method: string, args: Record<string, string>, token = 'xoxb-fake') => {
      const response = await fetch(`${fake.url}${method}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body: new URLSearchParams(args),
      });
      return (await response.json()) as { readonly ok: boolean; readonly error?: string };
    };
    expect(await call('chat.postMessage', { channel: 'C', text: 'x' }, 'xoxb-other')).toMatchObject({
      ok: false,
      error: 'invalid_auth',
    });
    expect(await call('chat.startStream', { channel: 'C', thread_ts: '1.1' })).toMatchObject({
      error: 'missing_recipient_team_id',
    });
    expect(await call('chat.appendStream', { channel: 'C', ts: '1.1', markdown_text: 'x' })).toMatchObject({
      error: 'message_not_in_streaming_state',
    });
    expect(
      await call('chat.postMessage', {
        channel: 'C',
        text: 'x',
        blocks: JSON.stringify([{ type: 'markdown', text: 'x'.repeat(12_001) }]),
      }),
    ).toMatchObject({ error: 'msg_blocks_too_long' });
    expect(await call('chat.dance', {})).toMatchObject({ error: 'unknown_method' });
    await fake.close();
  });
});
