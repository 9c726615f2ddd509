import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { describe, expect, it } from 'vitest';
import { createSlack } from '../../../bots/slack/slack.ts';
import type { InboundEvent } from '../../../core/domain.ts';
import { systemClock } from '../../../core/observe/system.ts';
import { type PlatformRig, platformContract } from '../../contracts/platform.ts';
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

const shownText = (message: FakeMessage): string => {
  const markdown = message.blocks.filter((block) => block.type === 'markdown').map((block) => String(block.text));
  return markdown.length > 0 ? markdown.join('\n') : message.text;
};

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
    settings: { appendMs: 1, editMs: 1, statusAfterMs: 0, firstAfterMs: 0 },
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
  return {
    platform,
    heard,
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
    shown: () => fake.answers().map(shownText),
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
