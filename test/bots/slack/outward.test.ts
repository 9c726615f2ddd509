import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { normalise } from '../../../bots/slack/normalise.ts';
import { paced } from '../../../bots/slack/pace.ts';
import { createSlack } from '../../../bots/slack/slack.ts';
import type { Connection, InboundEvent } from '../../../core/domain.ts';
import { systemClock } from '../../../core/observe/system.ts';
import type { Delivery, Platform } from '../../../core/ports/platform.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { type FakeSlack, slackPayloads, startFakeSlack } from '../../fakes/slack-api.ts';
import { createFakeWorkspaces, type FakeWorkspaces } from '../../fakes/workspaces.ts';

const answerId = 'a_0123456789abcdef';
const within = AbortSignal.timeout(120_000);

describe('Slack, beside hearing and answering', () => {
  let fake: FakeSlack;
  let workspaces: FakeWorkspaces;
  let slack: Platform;
  let payloads: ReturnType<typeof slackPayloads>;
  const runtime = { ...createTestRuntime(), clock: systemClock };
  const connection: Connection = {
    id: 'x_1',
    tenantId: 't_000000000000000000000001',
    platform: 'slack',
    workspaceId: 'T0FAKE',
    createdAt: 0,
    lastEventAt: Date.now(),
  };

  beforeEach(async () => {
    fake = await startFakeSlack();
    payloads = slackPayloads(fake.teamId, fake.botUserId);
    workspaces = createFakeWorkspaces();
    workspaces.connect(connection, { botToken: 'xoxb-fake', signingSecret: 's' });
    slack = createSlack({
      apiUrl: fake.url,
      connections: workspaces,
      runtime,
      settings: {
        appendMs: 1,
        editMs: 1,
        statusAfterMs: 0,
        firstAfterMs: 0,
        stopAfterMs: 1,
        postMs: 0,
        timeoutMs: 2000,
      },
    });
  });
  afterEach(() => fake.close());

  const heard = (payload: unknown): InboundEvent => {
    const result = normalise(payload, { receivedAt: Date.now(), botUserId: () => fake.botUserId });
    if (result.kind !== 'event') throw new Error(JSON.stringify(result));
    return result.event;
  };
  const mention = (more: { readonly thread?: string; readonly more?: Readonly<Record<string, unknown>> } = {}) =>
    heard(payloads.appMention({ text: `<@${fake.botUserId}> leave?`, ts: fake.nextTs(), ...more }));
  const delivery = (more: Partial<Delivery> = {}): Delivery => ({
    id: 'm_one',
    postedIds: [],
    uncertain: false,
    posted: async () => undefined,
    ...more,
  });

  describe('private answers', () => {
    it('a command is answered by its response address, where the bot is no member too', async () => {
      const responseUrl = fake.responseUrl({ channel: 'C0SECRET', user: 'U0ASKER' });
      const event = heard(payloads.command('/ask', '--private leave?', { channel: 'C0SECRET', responseUrl }));
      const sink = await slack.openAnswer(event, delivery(), within, { private: true });
      await sink.finish({ markdown: 'Thirty days.', citations: [] });
      expect(fake.ephemerals).toMatchObject([{ channel: 'C0SECRET', user: 'U0ASKER', by: 'response' }]);
      expect(fake.callsOf('chat.postEphemeral')).toEqual([]);
    });

    it('after five replies, or when its address has expired, the channel is used', async () => {
      const responseUrl = fake.responseUrl({ channel: 'C0GENERAL', user: 'U0ASKER' });
      const event = heard(payloads.command('/ask', '--private leave?', { responseUrl }));
      const sink = await slack.openAnswer(event, delivery(), within, { private: true });
      await sink.finish({ markdown: 'word '.repeat(14_000), citations: [] });
      expect(fake.ephemerals.map(({ by }) => by)).toEqual([...Array<string>(5).fill('response'), 'api', 'api']);
      const late = { ...event, handle: { ...event.handle, respond: { url: responseUrl, until: Date.now() - 1 } } };
      await slack.whisper?.(late, 'Late.', within);
      expect(fake.ephemerals.at(-1)).toMatchObject({ by: 'api', text: 'Late.' });
    });

    it('a response address that is not Slack’s is not posted to', async () => {
      for (const responseUrl of [
        'https://hooks.slack.com.evil.example/commands/1',
        'https://user@hooks.slack.com/commands/1',
        'http://hooks.slack.com/commands/1',
        'https://hooks.slack.com:8443/commands/1',
        'http://169.254.169.254/latest/meta-data',
      ]) {
        await slack.whisper?.(heard(payloads.command('/footnote', 'help', { responseUrl })), 'Words.', within);
      }
      expect(fake.callsOf('response_url')).toEqual([]);
      expect(fake.ephemerals).toHaveLength(5);
    });

    it('below a fresh question it stands in the channel, because a thread without replies shows nothing', async () => {
      await slack.whisper?.(mention(), 'Fresh.', within);
      await slack.whisper?.(mention({ thread: '1790000000.000001' }), 'In a thread.', within);
      expect(fake.ephemerals.map((each) => each.thread_ts)).toEqual([undefined, '1790000000.000001']);
    });

    it('comes as a direct message, with its question, where the person cannot be shown it, without a button that would not know the channel', async () => {
      fake.absent.add('U0ASKER');
      const ids: string[] = [];
      const sink = await slack.openAnswer(mention(), delivery({ posted: async (id) => void ids.push(id) }), within, {
        private: true,
      });
      await sink.finish({
        markdown: 'Thirty days.',
        citations: [],
        feedbackId: answerId,
        offers: ['thumbs', 'publish'],
      });
      const [message] = fake.answers();
      expect(message?.channel).toBe('D0U0ASKER');
      expect(JSON.stringify(message?.blocks)).toContain('> leave?');
      expect(JSON.stringify(message?.blocks)).not.toContain('footnote_publish');
      expect(ids).toEqual([`D0U0ASKER/${message?.ts}`]);
      await slack.retract?.(mention(), [...ids, 'ephemeral/r1'], within);
      expect(fake.answers()).toEqual([]);
    });

    it('what was recorded before a crash is not whispered again', async () => {
      const event = mention();
      const again = delivery({ uncertain: true, postedIds: ['ephemeral/1.1'] });
      const sink = await slack.openAnswer(event, again, within, { private: true });
      await sink.finish({ markdown: 'Thirty days.', citations: [] });
      expect(fake.ephemerals).toEqual([]);
    });

    it('a public answer from before the channel became private goes', async () => {
      const event = mention();
      const ids: string[] = [];
      const first = await slack.openAnswer(event, delivery({ posted: async (id) => void ids.push(id) }), within);
      await first.finish({ markdown: 'Old.', citations: [] });
      const sink = await slack.openAnswer(event, delivery({ id: 'm_two', postedIds: ids }), within, { private: true });
      await sink.finish({ markdown: 'New.', citations: [] });
      expect(fake.answers()).toEqual([]);
      expect(fake.ephemerals).toHaveLength(1);
    });

    it('a workspace that nobody connected yet can be told how to by the response address alone', async () => {
      const responseUrl = fake.responseUrl({ channel: 'C0GENERAL', user: 'U0ASKER' });
      const event = heard({ ...payloads.command('/footnote', 'connect', { responseUrl }), team_id: 'T0NEW' });
      await slack.whisper?.(event, 'Your code.', within);
      expect(fake.ephemerals).toMatchObject([{ text: 'Your code.', by: 'response' }]);
    });
  });

  describe('public answers', () => {
    it('a command’s answer shows the question that nobody else saw', async () => {
      const sink = await slack.openAnswer(heard(payloads.command('/ask', 'leave? <!channel>')), delivery(), within);
      await sink.status('Reading …');
      await sink.update('Thirty');
      await sink.finish({ markdown: 'Thirty days.', citations: [] });
      const [message] = fake.answers();
      expect(fake.answers()).toHaveLength(1);
      expect(JSON.stringify(message?.blocks)).toContain('> leave? @channel');
      expect(message?.thread_ts).toBeUndefined();
    });

    it('a command where the bot is no member is answered to the asker, with the reason', async () => {
      fake.vanish('channel');
      const responseUrl = fake.responseUrl({ channel: 'C0GENERAL', user: 'U0ASKER' });
      const event = heard(payloads.command('/ask', 'leave?', { responseUrl }));
      const sink = await slack.openAnswer(event, delivery(), within, { stoppable: true });
      await sink.update('Thirty');
      await sink.finish({ markdown: 'Thirty days.', citations: [] });
      expect(fake.answers()).toEqual([]);
      expect(fake.ephemerals).toHaveLength(1);
      expect(JSON.stringify(fake.ephemerals)).toContain('no member of this channel');
    });

    it('every post and edit asks for no previews', async () => {
      const sink = await slack.openAnswer(mention(), delivery(), within);
      await sink.finish({ markdown: 'https://docs.example/a', citations: [] });
      await slack.say?.({ workspaceId: 'T0FAKE', channelId: 'C1' }, { id: 's', markdown: 'https://a.example' }, within);
      for (const { args } of [...fake.callsOf('chat.postMessage'), ...fake.callsOf('chat.update')])
        expect([String(args.unfurl_links), String(args.unfurl_media)]).toEqual(['false', 'false']);
    });

    it('an answer full of quotation marks is split before Slack calls its blocks too long', async () => {
      const sink = await slack.openAnswer(mention(), delivery(), within);
      await sink.finish({ markdown: `${'"a"\n'.repeat(2800)}`, citations: [] });
      expect(fake.answers().length).toBeGreaterThan(1);
      expect(fake.callsOf('chat.postMessage').length).toBe(fake.answers().length);
    });

    it('a stop button that an earlier attempt left is taken down', async () => {
      const event = mention();
      const dying = new AbortController();
      const first = await slack.openAnswer(event, delivery(), dying.signal, { stoppable: true });
      const buttoned = fake.nextCall('chat.postMessage');
      await first.update('Thirty');
      await buttoned;
      dying.abort(new Error('killed'));
      await fake.nextCall('chat.delete');
      const second = await slack.openAnswer(event, delivery({ uncertain: true }), within);
      await second.finish({ markdown: 'Thirty days.', citations: [] });
      expect(fake.answers()).toHaveLength(1);
    });
  });

  describe('what came before', () => {
    it('is read once, oldest first, with its beginning, and only before the question', async () => {
      const root = fake.nextTs();
      const say = async (text: string) =>
        slack.say?.(
          { workspaceId: 'T0FAKE', channelId: 'C0GENERAL', threadId: root },
          { id: text, markdown: text },
          within,
        );
      for (const text of ['one', 'two', 'three', 'four']) await say(text);
      const event = mention({ thread: root });
      await say('after');
      const before = await slack.earlier?.(event, 3, within);
      expect(before?.map(({ text }) => text)).toEqual(['one', 'three', 'four']);
      expect(before?.[0]?.author.isSelf).toBe(true);
      expect(fake.callsOf('conversations.replies')).toHaveLength(1);
    });

    it('is not asked for where a question opens its thread', async () => {
      expect(await slack.earlier?.(mention(), 10, within)).toEqual([]);
      expect(fake.callsOf('conversations.replies')).toEqual([]);
    });

    it.each([
      { kind: 'rate-limit', retryAfter: 60 },
      { kind: 'error', error: 'missing_scope' },
      { kind: 'error', error: 'thread_not_found' },
    ] as const)('is done without when Slack says %o', async (fault) => {
      fake.fault('conversations.replies', fault);
      expect(await slack.earlier?.(mention({ thread: '1790000000.000001' }), 10, within)).toEqual([]);
    });
  });

  describe('files', () => {
    const file = (more: Readonly<Record<string, unknown>> = {}) => ({
      name: 'plan.txt',
      mediaType: 'text/plain',
      url: fake.fileUrl('plan.txt'),
      ...more,
    });
    const fetchFile = (attachment: ReturnType<typeof file>, maxBytes = 1000) =>
      slack.download?.(mention(), attachment, maxBytes, within);

    it('are fetched with the bot’s token', async () => {
      fake.files.set('plan.txt', { bytes: Buffer.from('Thirty days.'), mediaType: 'text/plain' });
      expect(Buffer.from((await fetchFile(file())) ?? []).toString()).toBe('Thirty days.');
    });

    it('an HTML file is a file, Slack’s sign-in page is a missing permission', async () => {
      fake.files.set('plan.txt', { bytes: Buffer.from('<p>Plan</p>'), mediaType: 'text/html' });
      expect(await fetchFile(file({ mediaType: 'text/html' }))).toHaveLength(11);
      fake.scopes.delete('files:read');
      await expect(fetchFile(file())).rejects.toMatchObject({ code: 'platform-failed', at: 'missing_scope' });
      await expect(fetchFile(file({ mediaType: 'text/html' }))).rejects.toMatchObject({ at: 'missing_scope' });
    });

    it('end at the limit', async () => {
      fake.files.set('plan.txt', { bytes: Buffer.alloc(2000, 'a'), mediaType: 'text/plain' });
      await expect(fetchFile(file())).rejects.toMatchObject({ code: 'too-large' });
      await expect(fetchFile(file({ bytes: 5000 }))).rejects.toMatchObject({ code: 'too-large' });
    });

    it.each([
      'https://evil.example/files-pri/T1-F1/x',
      'https://files.slack.com.evil.example/x',
      'https://files.slack.com@evil.example/x',
      'http://files.slack.com/x',
      'file:///etc/passwd',
    ])('the token goes to nobody else: %s', async (url) => {
      await expect(fetchFile(file({ url }))).rejects.toMatchObject({ code: 'platform-failed', at: 'foreign-address' });
    });
  });

  describe('people', () => {
    it('members, guests and outsiders are told apart, and asked about once', async () => {
      fake.users.set('U0GUEST', { is_restricted: true }).set('U0SINGLE', { is_ultra_restricted: true });
      fake.users.set('U0STRANGER', { is_stranger: true });
      const standingOf = (user: string) =>
        slack.standing?.(heard(payloads.message({ text: 'x', ts: fake.nextTs(), user })), within);
      expect(await Promise.all(['U0ASKER', 'U0GUEST', 'U0SINGLE', 'U0STRANGER'].map(standingOf))).toEqual([
        'member',
        'guest',
        'guest',
        'outsider',
      ]);
      await standingOf('U0GUEST');
      expect(fake.callsOf('users.info')).toHaveLength(4);
    });

    it('nobody is guessed about: null without the permission, a failure when Slack cannot be asked', async () => {
      fake.fault('users.info', { kind: 'status', status: 500 }, 4);
      await expect(slack.standing?.(mention(), within)).rejects.toMatchObject({
        code: 'platform-failed',
        retryable: true,
      });
      fake.scopes.delete('users:read');
      expect(await slack.standing?.(mention(), within)).toBeNull();
    });

    it('an address is a confirmed one of this workspace, where Slack gives it at all', async () => {
      fake.users
        .set('U0ADA', { email: 'ada@example.com', is_email_confirmed: true })
        .set('U0NEW', { email: 'new@example.com' })
        .set('U0STRANGER', { email: 'eve@example.com', is_email_confirmed: true, is_stranger: true });
      const addressOf = (user: string) =>
        slack.address?.(heard(payloads.message({ text: 'link', ts: fake.nextTs(), user })), within);
      expect(await Promise.all(['U0ADA', 'U0NEW', 'U0STRANGER', 'U0NONE'].map(addressOf))).toEqual([
        'ada@example.com',
        null,
        null,
        null,
      ]);
      fake.scopes.delete('users:read.email');
      fake.users.set('U0BEN', { email: 'ben@example.com', is_email_confirmed: true });
      expect(await addressOf('U0BEN')).toBeNull();
    });

    it('administrators, owners and whoever made the channel may manage it; a guest who made it may not', async () => {
      fake.users
        .set('U0ADMIN', { is_admin: true })
        .set('U0OWNER', { is_owner: true })
        .set('U0GUEST', { is_restricted: true });
      const may = (user: string, channel: string) =>
        slack.mayManage?.(heard(payloads.command('/footnote', 'settings', { user, channel })), within);
      fake.creators.set('C1', 'U0MAKER').set('C2', 'U0GUEST');
      expect(await may('U0ADMIN', 'C1')).toBe(true);
      expect(await may('U0OWNER', 'C1')).toBe(true);
      expect(await may('U0MAKER', 'C1')).toBe(true);
      expect(await may('U0ASKER', 'C1')).toBe(false);
      expect(await may('U0GUEST', 'C2')).toBe(false);
    });

    it('a workspace is its administrators’, not whoever’s made a channel in it', async () => {
      fake.users.set('U0ADMIN', { is_admin: true });
      fake.creators.set('C1', 'U0MAKER');
      const may = (user: string) =>
        slack.mayManage?.(
          heard(payloads.command('/footnote', 'connect', { user, channel: 'C1' })),
          within,
          'workspace',
        );
      expect([await may('U0ADMIN'), await may('U0MAKER')]).toEqual([true, false]);
    });

    it('a channel that another organisation reads is known as one, and taken for one where Slack does not say', async () => {
      fake.sharedChannels.add('C0SHARED');
      const isShared = (channel: string) =>
        slack.isShared?.(heard(payloads.command('/ask', 'leave?', { channel })), within);
      expect([await isShared('C0GENERAL'), await isShared('C0SHARED'), await isShared('C0SHARED')]).toEqual([
        false,
        true,
        true,
      ]);
      expect(fake.callsOf('conversations.info')).toHaveLength(2);
      fake.fault('conversations.info', { kind: 'error', error: 'missing_scope' });
      expect(await isShared('C0UNKNOWN')).toBe(true);
      // Where we are no member nobody but the asker is told anything; the moment we are invited it is asked anew.
      fake.fault('conversations.info', { kind: 'error', error: 'channel_not_found' });
      fake.sharedChannels.add('C0CLOSED');
      expect([await isShared('C0CLOSED'), await isShared('C0CLOSED')]).toEqual([false, true]);
    });
  });

  it('a permanent link is Slack’s own; what cannot be linked has none', async () => {
    const event = mention();
    const ts =
      (await slack.say?.({ workspaceId: 'T0FAKE', channelId: 'C0GENERAL' }, { id: 's', markdown: 'x' }, within)) ?? '';
    expect(await slack.permalink?.(event, ts, within)).toContain(ts);
    expect(await slack.permalink?.(event, '1.000001', within)).toBeNull();
    expect(await slack.permalink?.(event, 'ephemeral/r1', within)).toBeNull();
  });

  it('a token that was revoked is told to the check-up', async () => {
    fake.fault('chat.postMessage', { kind: 'error', error: 'token_revoked' });
    const sink = await slack.openAnswer(mention(), delivery(), within);
    await expect(sink.finish({ markdown: 'x', citations: [] })).rejects.toMatchObject({ retryable: false });
    expect(workspaces.failures).toEqual([expect.stringContaining('Install the app again')]);
  });

  it('names of the workspace and of channels; what may not be seen has none', async () => {
    expect(await slack.names?.(connection, ['C0GENERAL'], within)).toEqual({
      workspace: 'Fake Inc',
      channels: { C0GENERAL: 'general' },
    });
    fake.fault('conversations.info', { kind: 'error', error: 'channel_not_found' });
    expect(await slack.names?.(connection, ['C0SECRET'], within)).toMatchObject({ channels: {} });
    fake.users.set('U0ADA', { name: 'ada', profile: { display_name: 'Ada L.', real_name: 'Ada Lovelace' } });
    fake.users.set('U0BOB', { name: 'bob', profile: { display_name: '', real_name: 'Bob Builder' } });
    fake.users.set('U0CLEO', { name: 'cleo' });
    expect((await slack.names?.(connection, [], within, ['U0ADA', 'U0BOB', 'U0CLEO']))?.people).toEqual({
      U0ADA: 'Ada L.',
      U0BOB: 'Bob Builder',
      U0CLEO: 'cleo',
    });
    fake.scopes.delete('users:read');
    expect((await slack.names?.(connection, [], within, ['U0ADA']))?.people).toEqual({});
  });

  it('check-up: green when all is granted; red lines say what is lost', async () => {
    fake.scopes.add('mpim:history');
    const green = await slack.checkUp(connection, within);
    expect(green.filter(({ ok }) => !ok)).toEqual([]);
    fake.scopes.delete('files:read');
    const { lastEventAt: _, ...silent } = connection;
    const red = (await slack.checkUp({ ...silent, workspaceId: 'T0FAKE' }, within)).filter(({ ok }) => !ok);
    expect(red.map(({ item }) => item)).toEqual(['last event', 'files:read']);
    expect(red[1]?.advice).toContain('cannot read files');
    fake.fault('auth.test', { kind: 'error', error: 'invalid_auth' });
    expect((await slack.checkUp(connection, within))[0]).toMatchObject({ item: 'token', ok: false });
  });
});

describe('pace', () => {
  it('a silent channel takes a burst, then one message a second; another channel does not wait', async () => {
    const runtime = createTestRuntime();
    const { clock } = runtime;
    const sent: string[] = [];
    const start = clock.now();
    const api = paced(
      {
        call: async (method, args) => {
          sent.push(`${String(args.channel)}+${clock.now() - start}:${method}`);
          return { ok: true, data: {} };
        },
      },
      runtime,
      { postMs: 1000, burst: 2 },
    );
    const posts = ['A', 'A', 'A', 'A', 'B'].map((channel) => api.call('chat.postMessage', { channel }));
    await clock.advance(0);
    await api.call('chat.update', { channel: 'A' });
    await clock.advance(5000);
    await Promise.all(posts);
    expect(sent).toEqual([
      'A+0:chat.postMessage',
      'A+0:chat.postMessage',
      'B+0:chat.postMessage',
      'A+0:chat.update',
      'A+1000:chat.postMessage',
      'A+2000:chat.postMessage',
    ]);
    expect(runtime.measured('platform_wait_seconds', { platform: 'slack' })).toEqual([1, 2]);
  });
});
