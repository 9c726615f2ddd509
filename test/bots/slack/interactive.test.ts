import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Connection } from '../../../core/domain.ts';
import { AppError } from '../../../core/errors.ts';
import { createSlackSender, type FakeMessage } from '../../fakes/slack-api.ts';
import { createFakeWorkspaces } from '../../fakes/workspaces.ts';
import { until } from '../../until.ts';
import { createWorld, demoTenant, reasonsOf, type World } from './world.ts';

type Button = { readonly action_id: string; readonly value: string };

const buttonsOf = (message: Pick<FakeMessage, 'blocks'> | undefined): readonly Button[] =>
  (message?.blocks ?? []).flatMap((block) => (Array.isArray(block.elements) ? (block.elements as Button[]) : []));

describe('commands, buttons and shortcuts in Slack, over real sockets', () => {
  let world: World;
  beforeEach(async () => {
    world = await createWorld();
  });
  afterEach(() => world.close());
  const responseUrl = () => world.fake.responseUrl({ channel: 'C0GENERAL', user: 'U0ASKER' });
  const mention = (ts: string, text = 'leave?') =>
    world.payloads.appMention({ text: `<@${world.fake.botUserId}> ${text}`, ts });

  it('/ask is acknowledged with a sign of life and answered in the channel with its question', async () => {
    const bot = await world.instance();
    const command = world.payloads.command('/ask', 'how many days of leave?', { responseUrl: responseUrl() });
    const response = await bot.sender.send(command, { form: 'command' });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ response_type: 'ephemeral' });
    // The message that holds the question stands before the question is asked.
    await until(() =>
      expect(world.answering.asked.map(({ question }) => question)).toEqual(['how many days of leave?']),
    );
    await until(() => expect(world.fake.answers()).toHaveLength(1));
  });

  it('/ask --private is answered to the asker alone', async () => {
    const bot = await world.instance();
    for (const text of ['--private leave?', 'private: leave?', '—private leave?'])
      await bot.sender.send(world.payloads.command('/ask', text, { responseUrl: responseUrl() }), { form: 'command' });
    await until(() => expect(world.fake.ephemerals).toHaveLength(3));
    expect(world.fake.answers()).toEqual([]);
    expect(world.answering.asked.map(({ question }) => question)).toEqual(['leave?', 'leave?', 'leave?']);
  });

  it('a command that is replayed within its five minutes is answered once', async () => {
    const bot = await world.instance();
    const command = world.payloads.command('/ask', 'leave?');
    for (let again = 0; again < 5; again += 1)
      expect((await bot.sender.send(command, { form: 'command' })).status).toBe(200);
    await until(() => expect(world.fake.answers()).toHaveLength(1));
    expect(world.answering.asked).toHaveLength(1);
  });

  it('a command in somebody’s direct conversation is answered by its response address', async () => {
    const bot = await world.instance();
    const url = world.fake.responseUrl({ channel: 'D0OTHERS', user: 'U0ASKER' });
    const command = world.payloads.command('/ask', 'leave?', { channel: 'D0OTHERS', responseUrl: url });
    await bot.sender.send(command, { form: 'command' });
    await until(() => expect(world.fake.ephemerals).toMatchObject([{ channel: 'D0OTHERS' }]));
    expect(world.fake.answers()).toEqual([]);
  });

  it.each([
    ['/footnote', 'help'],
    ['/footnote', 'whatever'],
    ['/ask', ''],
  ])('%s %s tells how to ask', async (name, text) => {
    const bot = await world.instance();
    const command = world.payloads.command(name, text, { responseUrl: responseUrl() });
    await bot.sender.send(command, { form: 'command' });
    await until(() => expect(world.fake.ephemerals).toHaveLength(1));
    expect(JSON.stringify(world.fake.ephemerals)).toContain('Ask me a question');
    expect(world.answering.asked).toEqual([]);
  });

  it('commands come over Socket Mode too, with the same words in the acknowledgement', async () => {
    await world.instance({ slack: { appToken: 'xapp-fake' } });
    const payload = world.payloads.command('/ask', 'leave?');
    expect(await world.fake.sendOverSocket({ type: 'slash_commands', payload })).toBe(true);
    await until(() => expect(world.fake.answers()).toHaveLength(1));
  });

  it('"Ask about this" answers the message for whoever pressed', async () => {
    const bot = await world.instance();
    const shortcut = world.payloads.shortcut(
      { text: 'Is leave <https://a.example|paid>?', ts: world.fake.nextTs() },
      { responseUrl: responseUrl() },
    );
    await bot.sender.send(shortcut, { form: true });
    await until(() => expect(world.fake.ephemerals).toHaveLength(1));
    expect(world.answering.asked[0]?.question).toBe('Is leave [paid](https://a.example)?');
    expect(world.fake.answers()).toEqual([]);
  });

  it('a thumbs down is stored at once and asks for its reason; the reason joins it', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    await bot.sender.send(mention(ts));
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['answered']));
    const answerId = world.answering.asked[0]?.answerId ?? '';
    const click = world.payloads.click(answerId, 'down', { ts: world.fake.answers()[0]?.ts ?? '', thread: ts });
    const feedback = async () => (await world.state.receipts.get(demoTenant.id, answerId))?.feedback;
    await bot.sender.send(click, { form: true });
    await until(async () => expect(await feedback()).toMatchObject([{ rating: 'down' }]));
    await until(() => expect(world.fake.views).toHaveLength(1));
    // Sent again, it opens nothing: the trigger is spent.
    await bot.sender.send(click, { form: true });
    const { view } = world.fake.views[0] ?? { view: {} };
    expect((await bot.sender.send(world.payloads.submit(view, 'It is out of date.'), { form: true })).status).toBe(200);
    await until(async () =>
      expect(await feedback()).toMatchObject([{ rating: 'down', comment: 'It is out of date.' }]),
    );
    expect(world.fake.views).toHaveLength(1);
  });

  it('a form that was tampered with, or of another workspace, is no feedback', async () => {
    const bot = await world.instance();
    const about = { team: 'T0OTHER', channel: 'C1', ts: '1.000001', thread: '1.000001', answerId: 'a_0123456789' };
    for (const metadata of ['', '{}', 'null', JSON.stringify(about), JSON.stringify({ ...about, answerId: '$ne' })]) {
      const view = { callback_id: 'footnote_reason', private_metadata: metadata };
      expect((await bot.sender.send(world.payloads.submit(view, 'x'), { form: true })).status).toBe(200);
    }
    expect(bot.runtime.counted('events_total', { reason: 'unsupported' })).toBe(5);
  });

  it('stop stops the model call, and the answer ends where it stood', async () => {
    const bot = await world.instance({ slack: { settings: { stopAfterMs: 10 } } });
    const stopped = Promise.withResolvers<void>();
    // The model path ends with what is written when it is told to stop.
    world.answering.next(async (_request, hooks) => {
      hooks.update?.('Thirty');
      hooks.stop?.addEventListener('abort', () => stopped.resolve(), { once: true });
      await stopped.promise;
      return { answer: 'Thirty', citations: [], reasonCode: 'cancelled' };
    });
    const ts = world.fake.nextTs();
    await bot.sender.send(mention(ts));
    const findStop = () =>
      world.fake.answers().find((message) => buttonsOf(message).some(({ action_id: id }) => id === 'footnote_stop'));
    await until(() => expect(findStop()).toBeDefined());
    const [button] = buttonsOf(findStop());
    const press = world.payloads.press('footnote_stop', button?.value ?? '', { ts: findStop()?.ts ?? '', thread: ts });
    await bot.sender.send(press, { form: true });
    await stopped.promise;
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['cancelled']));
    await until(() => expect(findStop()).toBeUndefined());
    expect(world.fake.answers()).toHaveLength(1);
  });

  it('a private answer is posted to the channel by its button', async () => {
    const bot = await world.instance();
    world.rules.current = { replies: 'private' };
    const ts = world.fake.nextTs();
    await bot.sender.send(mention(ts));
    await until(() => expect(world.fake.ephemerals).toHaveLength(1));
    const publish = buttonsOf(world.fake.ephemerals[0]).find(({ action_id: id }) => id === 'footnote_publish');
    expect(publish).toBeDefined();
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['answered']));
    const on = { ts: world.fake.nextTs(), ephemeral: true, responseUrl: responseUrl() };
    await bot.sender.send(world.payloads.press('footnote_publish', publish?.value ?? '', on), { form: true });
    await until(() => expect(world.fake.answers()).toHaveLength(1));
    expect(world.fake.answers()[0]?.thread_ts).toBe(ts);
  });

  it('a thread that hangs from a message of ours needs no mention', async () => {
    const bot = await world.instance();
    const root = world.fake.nextTs();
    const ts = world.fake.nextTs();
    await bot.sender.send(
      world.payloads.message({ text: 'leave?', ts, thread: root, more: { parent_user_id: world.fake.botUserId } }),
    );
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['answered']));
  });

  it('says hello once where it was invited, and not where somebody else was', async () => {
    const bot = await world.instance();
    const joined = (user: string) =>
      world.payloads.envelope({ type: 'member_joined_channel', user, channel: 'C0NEW', event_ts: world.fake.nextTs() });
    await bot.sender.send(joined('U0SOMEBODY'));
    await bot.sender.send(joined(world.fake.botUserId));
    await bot.sender.send(joined(world.fake.botUserId));
    await until(() => expect(world.fake.answers()).toHaveLength(1));
    expect(world.fake.answers()[0]).toMatchObject({ channel: 'C0NEW', text: expect.stringContaining('/ask') });
  });

  it('suggests a question where a conversation with it is opened, once a day', async () => {
    const bot = await world.instance();
    const opened = () =>
      world.payloads.envelope({
        type: 'app_home_opened',
        user: 'U0ASKER',
        channel: 'D0DIRECT',
        tab: 'messages',
        event_ts: world.fake.nextTs(),
      });
    await bot.sender.send(opened());
    await bot.sender.send(opened());
    await bot.sender.send(world.payloads.envelope({ type: 'assistant_thread_started', event_ts: world.fake.nextTs() }));
    await until(() => expect(world.fake.callsOf('assistant.threads.setSuggestedPrompts')).toHaveLength(1));
    expect(world.fake.callsOf('assistant.threads.setSuggestedPrompts')[0]?.args.thread_ts).toBeUndefined();
  });

  it('a guest is known as one before anything is said', async () => {
    const bot = await world.instance();
    world.rules.current = { guests: 'refuse' };
    world.fake.users.set('U0ASKER', { is_restricted: true });
    const ts = world.fake.nextTs();
    await bot.sender.send(mention(ts));
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['not-allowed']));
    expect(world.answering.asked).toEqual([]);
  });

  it('people of another organisation in a shared channel are outsiders by the event itself', async () => {
    const bot = await world.instance();
    world.rules.current = { guests: 'refuse' };
    const ts = world.fake.nextTs();
    const event = mention(ts);
    const shared = { ...event, is_ext_shared_channel: true, event: { ...event.event, user_team: 'T0OTHERS' } };
    await bot.sender.send(shared);
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['not-allowed']));
    expect(world.fake.callsOf('users.info')).toEqual([]);
  });

  it('nothing of this is acknowledged when it could not be stored, and no form is opened', async () => {
    const bot = await world.instance({
      state: (state) => {
        const refuse = async () => {
          throw new AppError('store-unavailable', 'The store is down.', { retryable: true });
        };
        return { ...state, inbox: { ...state.inbox, receive: refuse, receiveAndClaim: refuse } };
      },
    });
    const click = world.payloads.click('a_0123456789abcdef', 'down', { ts: '1.000001', thread: '1.000001' });
    expect((await bot.sender.send(click, { form: true })).status).toBe(503);
    expect((await bot.sender.send(world.payloads.command('/ask', 'x'), { form: 'command' })).status).toBe(503);
    expect(world.fake.views).toEqual([]);
  });

  it('a tenant’s own secret speaks for its own workspace in commands, buttons, shortcuts and forms too', async () => {
    const connection: Connection = {
      id: 'k_1',
      tenantId: demoTenant.id,
      platform: 'slack',
      workspaceId: world.fake.teamId,
      createdAt: 0,
    };
    const workspaces = createFakeWorkspaces();
    workspaces.connect(connection, { signingSecret: 'own-secret', botToken: 'xoxb-fake' });
    const bot = await world.instance({ slack: { connections: workspaces } });
    const url = `${bot.address}/slack/events/k_1`;
    const own = createSlackSender({ url, signingSecret: 'own-secret', now: () => Date.now() });
    const { payloads } = world;
    const foreign = { id: 'T0OTHER' };
    const view = { callback_id: 'footnote_reason', private_metadata: '{}' };
    for (const [payload, form] of [
      [{ ...payloads.command('/ask', 'x'), team_id: 'T0OTHER' }, 'command'],
      [{ ...payloads.press('footnote_stop', 'm_1', { ts: '1.000001' }), team: foreign }, true],
      [{ ...payloads.shortcut({ text: 'x', ts: '1.000001' }), team: foreign }, true],
      [{ ...payloads.submit(view, 'x'), team: foreign }, true],
      // Two tales at once: whatever is read, it must be the same for the check and for the event.
      [{ ...payloads.command('/ask', 'x'), team_id: 'T0OTHER', type: 'event_callback' }, 'command'],
    ] as const)
      expect((await own.send(payload, { form })).status).toBe(401);
    expect((await own.send(payloads.command('/ask', 'leave?'), { form: 'command' })).status).toBe(200);
    await until(() => expect(world.fake.answers()).toHaveLength(1));
  });
});
