import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../../core/errors.ts';
import { type MessageShape, signatureHeaders } from '../../fakes/slack-api.ts';
import { until } from '../../until.ts';
import { createWorld, reasonsOf, signingSecret, type World } from './world.ts';

describe('a question in Slack, over real sockets', () => {
  let world: World;
  beforeEach(async () => {
    world = await createWorld();
  });
  afterEach(() => world.close());

  it('a signed mention ends in one threaded, footnoted answer with thumbs', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    const response = await bot.sender.send(
      world.payloads.appMention({ text: `<@${world.fake.botUserId}> how many days of leave?`, ts }),
    );
    expect(response.status).toBe(200);
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['answered']));
    const [answer, ...others] = world.fake.answers();
    expect(others).toEqual([]);
    expect(answer?.thread_ts).toBe(ts);
    const shown = JSON.stringify(answer?.blocks);
    expect(shown).toContain('Leave is 30 days. [1] (asked: how many days of leave?)');
    expect(shown).toContain('[1] [Handbook](https://docs.example/handbook#leave)');
    expect(shown).toContain('feedback_buttons');
    expect(world.fake.callsOf('chat.postMessage')[0]?.args).toMatchObject({
      unfurl_links: 'false',
      unfurl_media: 'false',
    });
    const receipts = await world.state.receipts.list('t_000000000000000000000001', {}, { limit: 10 });
    expect(receipts.items).toHaveLength(1);
  });

  it('delivered five times and shuffled with both kinds is still one answer and one charge', async () => {
    const one = await world.instance();
    const two = await world.instance();
    const ts = world.fake.nextTs();
    const shape = { text: `<@${world.fake.botUserId}> how many days of leave?`, ts };
    const plain = world.payloads.message(shape);
    const mention = world.payloads.appMention(shape);
    const deliveries = [plain, mention, mention, plain, plain, mention, mention, plain, plain, mention];
    const statuses = await Promise.all(
      deliveries.map((payload, index) =>
        (index % 2 === 0 ? one : two).sender.send(payload, index < 2 ? {} : { retry: index % 3 }),
      ),
    );
    expect(statuses.every((response) => response.status === 200)).toBe(true);
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['answered']));
    expect(world.fake.answers()).toHaveLength(1);
    expect(world.answering.asked).toHaveLength(1);
    expect(world.answering.charged.size).toBe(1);
  });

  const tenantId = 't_000000000000000000000001';
  const settled = (ts: string, reasons: readonly string[], channel?: string) =>
    until(async () => expect(await reasonsOf(world, ts, channel)).toEqual(reasons));
  const mention = (text: string, ts: string, more: Partial<MessageShape> = {}) =>
    world.payloads.appMention({ text: `<@${world.fake.botUserId}> ${text}`, ts, ...more });
  const shown = () =>
    world.fake.answers().map((message) => (message.blocks.length > 0 ? JSON.stringify(message.blocks) : message.text));

  it('a follow-up in the thread needs no new mention, talk between people gets no answer', async () => {
    const bot = await world.instance();
    const [first, between, followUp, elsewhere] = [
      world.fake.nextTs(),
      world.fake.nextTs(),
      world.fake.nextTs(),
      world.fake.nextTs(),
    ];
    await bot.sender.send(mention('leave?', first));
    await settled(first, ['answered']);
    await bot.sender.send(
      world.payloads.message({ text: '<@U0COLLEAGUE> did you see this?', ts: between, thread: first }),
    );
    await bot.sender.send(world.payloads.message({ text: 'and in the first year?', ts: followUp, thread: first }));
    await bot.sender.send(world.payloads.message({ text: 'and in the first year?', ts: elsewhere }));
    await settled(between, ['not-addressed']);
    await settled(followUp, ['answered']);
    await settled(elsewhere, ['not-addressed']);
    expect(world.answering.asked.map((request) => request.question)).toEqual(['leave?', 'and in the first year?']);
    expect(world.answering.asked[1]?.turns).toHaveLength(2);
    expect(world.fake.answers(first)).toHaveLength(2);
  });

  it('a direct message is answered at the top level, and in its thread when it has one', async () => {
    const bot = await world.instance();
    const [top, inThread] = [world.fake.nextTs(), world.fake.nextTs()];
    const direct = { channel: 'D0DIRECT', channelType: 'im' as const };
    await bot.sender.send(world.payloads.message({ text: 'leave?', ts: top, ...direct }));
    await settled(top, ['answered'], 'D0DIRECT');
    expect(world.fake.answers()[0]?.thread_ts).toBeUndefined();
    await bot.sender.send(world.payloads.message({ text: 'again?', ts: inThread, thread: top, ...direct }));
    await settled(inThread, ['answered'], 'D0DIRECT');
    expect(world.fake.answers()[1]?.thread_ts).toBe(top);
  });

  it('an answer that is written slowly is streamed and sealed once', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    world.answering.next(async (_request, hooks) => {
      hooks.update?.('Leave is');
      await world.fake.nextCall('chat.startStream');
      hooks.update?.('Leave is 30 days.');
      await world.fake.nextCall('chat.appendStream');
    });
    await bot.sender.send(mention('leave?', ts));
    await settled(ts, ['answered']);
    const [answer] = world.fake.answers(ts);
    expect(world.fake.answers(ts)).toHaveLength(1);
    expect(answer).toMatchObject({ streaming: false, edits: 0, metadata: { event_type: 'footnote_answer' } });
    expect(answer?.text).toContain('Leave is 30 days. [1] (asked: leave?)');
    expect(answer?.text).toContain('(https://docs.example/handbook#leave)');
    expect(JSON.stringify(answer?.blocks)).toContain('feedback_buttons');
    expect(world.fake.callsOf('chat.startStream')[0]?.args).toMatchObject({
      recipient_user_id: 'U0ASKER',
      recipient_team_id: world.fake.teamId,
    });
  });

  it('an edited question is answered again in place, an edit before the answer is the question', async () => {
    const bot = await world.instance();
    const [answered, pending] = [world.fake.nextTs(), world.fake.nextTs()];
    await bot.sender.send(mention('leave?', answered));
    await settled(answered, ['answered']);
    await bot.sender.send(
      world.payloads.edit(
        { text: `<@${world.fake.botUserId}> parental leave?`, ts: answered },
        'leave?',
        world.fake.nextTs(),
      ),
    );
    await settled(answered, ['answered', 'answered']);
    expect(world.fake.answers(answered)).toHaveLength(1);
    expect(shown()[0]).toContain('parental leave?');
    const turns = await world.state.conversations.turns(tenantId, world.answering.asked[0]?.conversationId ?? '', 20);
    expect(turns.map((turn) => turn.text)).toEqual(['parental leave?', expect.stringContaining('parental leave?')]);
    // The edit overtakes its message: Slack promises no order.
    await bot.sender.send(
      world.payloads.edit(
        { text: `<@${world.fake.botUserId}> second words?`, ts: pending },
        'first words?',
        world.fake.nextTs(),
      ),
    );
    await bot.sender.send(mention('first words?', pending));
    await until(async () => expect((await reasonsOf(world, pending)).toSorted()).toEqual(['answered', 'superseded']));
    expect(world.answering.asked.at(-1)?.question).toBe('second words?');
    expect(world.fake.answers(pending)).toHaveLength(1);
  });

  it('a link preview is no edit', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    await bot.sender.send(mention('leave?', ts));
    await settled(ts, ['answered']);
    await bot.sender.send(world.payloads.edit({ text: 'leave?', ts }, 'leave?', world.fake.nextTs()));
    await bot.sender.send(mention('next?', world.fake.nextTs()));
    await until(() => expect(world.fake.answers()).toHaveLength(2));
    expect(await reasonsOf(world, ts)).toEqual(['answered']);
  });

  it.each(['deleted', 'left as a tombstone'] as const)(
    "a question's answer goes with the question: %s",
    async (how) => {
      const bot = await world.instance();
      const ts = world.fake.nextTs();
      await bot.sender.send(mention('leave?', ts));
      await settled(ts, ['answered']);
      const at = world.fake.nextTs();
      const gone =
        how === 'deleted'
          ? world.payloads.remove({ ts }, at)
          : world.payloads.edit(
              { text: 'This message was deleted.', ts, user: 'USLACKBOT', more: { subtype: 'tombstone' } },
              'leave?',
              at,
            );
      await bot.sender.send(gone);
      await settled(ts, ['answered', 'question-deleted']);
      expect(world.fake.answers()).toEqual([]);
      expect(await world.state.conversations.exists(tenantId, world.answering.asked[0]?.conversationId ?? '')).toBe(
        false,
      );
    },
  );

  it('deleting a question stops the model call, and nothing is said', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    let aborted = false;
    world.answering.next(
      (_request, hooks) =>
        new Promise((_, reject) => {
          hooks.update?.('Half an');
          hooks.signal.addEventListener('abort', () => {
            aborted = true;
            reject(hooks.signal.reason);
          });
        }),
    );
    await bot.sender.send(mention('leave?', ts));
    // Only what the bot knows of can it take away.
    await until(async () =>
      expect(await world.state.outbox.byPostedId(tenantId, world.fake.answers()[0]?.ts ?? '')).not.toBeNull(),
    );
    await bot.sender.send(world.payloads.remove({ ts }, world.fake.nextTs()));
    await settled(ts, ['cancelled', 'question-deleted']);
    expect(aborted).toBe(true);
    expect(world.fake.answers()).toEqual([]);
    expect(world.answering.charged.size).toBe(0);
  });

  it('a deletion that does not say in which thread still stops the answer, and is worked off once', async () => {
    const bot = await world.instance();
    const [thread, ts] = [world.fake.nextTs(), world.fake.nextTs()];
    world.answering.next(
      (_request, hooks) =>
        new Promise((_, reject) => hooks.signal.addEventListener('abort', () => reject(hooks.signal.reason))),
    );
    await bot.sender.send(mention('leave?', ts, { thread }));
    await until(() => expect(world.answering.asked).toHaveLength(1));
    const gone = JSON.parse(JSON.stringify(world.payloads.remove({ ts, thread }, world.fake.nextTs())));
    delete gone.event.previous_message;
    await bot.sender.send(gone);
    await settled(ts, ['cancelled', 'question-deleted']);
    expect(world.fake.answers()).toEqual([]);
  });

  it('an answer that was charged before its question was deleted leaves a receipt without words', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    world.fake.fault('chat.postMessage', { kind: 'slow', untilReleased: held });
    const posting = world.fake.nextCall('chat.postMessage');
    await bot.sender.send(mention('leave?', ts));
    await posting;
    await bot.sender.send(world.payloads.remove({ ts }, world.fake.nextTs()));
    await until(async () => expect(await reasonsOf(world, ts)).toContain('cancelled'));
    release();
    const { items } = await world.state.receipts.list(tenantId, {}, { limit: 10 });
    expect(items).toMatchObject([{ reasonCode: 'question-deleted', question: '', answer: '' }]);
  });

  it('thumbs are stored with the receipt, the second verdict of a person replaces the first', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    await bot.sender.send(mention('leave?', ts));
    await settled(ts, ['answered']);
    const answer = world.fake.answers()[0];
    const answerId = world.answering.asked[0]?.answerId ?? '';
    const on = { ts: answer?.ts ?? '', thread: ts };
    expect((await bot.sender.send(world.payloads.click(answerId, 'up', on), { form: true })).status).toBe(200);
    await until(async () =>
      expect((await world.state.receipts.get(tenantId, answerId))?.feedback).toMatchObject([
        { rating: 'up', user: 'slack:U0ASKER' },
      ]),
    );
    expect(
      (
        await bot.sender.send(
          { ...world.payloads.click(answerId, 'down', on), actions: [{ action_id: 'other', value: 'x' }] },
          { form: true },
        )
      ).status,
    ).toBe(200);
    const later = world.payloads.click(answerId, 'down', on);
    await bot.sender.send(
      { ...later, actions: [{ ...later.actions[0], action_ts: '1790009999.000001' }] },
      { form: true },
    );
    await until(async () =>
      expect((await world.state.receipts.get(tenantId, answerId))?.feedback).toMatchObject([{ rating: 'down' }]),
    );
  });

  it.each([
    ['rate limited', { kind: 'rate-limit', retryAfter: 1 }, 1],
    ['a lost reply', { kind: 'lost' }, 1],
    ['a dropped request', { kind: 'dropped' }, 1],
    ['two errors of the server', { kind: 'status', status: 503 }, 2],
    ['blocks refused', { kind: 'error', error: 'invalid_blocks' }, 1],
  ] as const)('%s while posting still ends in one answer', async (_, fault, times) => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    world.fake.fault('chat.postMessage', fault, times);
    await bot.sender.send(mention('leave?', ts));
    await settled(ts, ['answered']);
    expect(world.fake.answers(ts)).toHaveLength(1);
    expect(shown()[0]).toContain('Leave is 30 days.');
    expect(world.answering.asked).toHaveLength(1);
    const limited = fault.kind === 'rate-limit' ? times : 0;
    expect(bot.runtime.counted('platform_limits_total', { platform: 'slack' })).toBe(limited);
    expect(bot.runtime.measured('platform_wait_seconds', { platform: 'slack' })).toHaveLength(limited);
  });

  it.each(['chat.startStream', 'chat.appendStream', 'chat.stopStream'])(
    'a lost reply of %s still ends in one answer with the whole text',
    async (method) => {
      const bot = await world.instance();
      const ts = world.fake.nextTs();
      world.fake.fault(method, { kind: 'lost' });
      world.answering.next(async (_request, hooks) => {
        hooks.update?.('Leave is');
        await world.fake.nextCall('chat.startStream');
        hooks.update?.('Leave is 30 days.');
        await Promise.race([world.fake.nextCall('chat.appendStream'), world.fake.nextCall('chat.update')]);
      });
      await bot.sender.send(mention('leave?', ts));
      await settled(ts, ['answered']);
      const answers = world.fake.answers(ts);
      expect(answers).toHaveLength(1);
      expect(answers[0]?.streaming).toBe(false);
      expect(shown()[0] + (answers[0]?.text ?? '')).toContain('Leave is 30 days. [1] (asked: leave?)');
    },
  );

  it.each(['channel_not_found', 'is_archived', 'not_in_channel', 'token_revoked'])(
    '%s: nobody is left to tell, and the next question is worked on',
    async (error) => {
      const bot = await world.instance();
      const [gone, next] = [world.fake.nextTs(), world.fake.nextTs()];
      world.fake.fault('chat.postMessage', { kind: 'error', error });
      await bot.sender.send(mention('leave?', gone));
      await settled(gone, ['failed']);
      await bot.sender.send(mention('again?', next));
      await settled(next, ['answered']);
      expect(bot.runtime.logged.find((line) => line.event === 'answer-undeliverable')?.fields.at).toBe(error);
      // It was charged: why it never came can be looked up, and the thread does not remember words that nobody read.
      const receipts = await world.state.receipts.list(tenantId, {}, { limit: 10 });
      expect(receipts.items.map((receipt) => receipt.reasonCode).sort()).toEqual(['answered', 'failed']);
    },
  );

  it('a finished answer waits for a platform that is down, without another model call', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    world.fake.fault('chat.postMessage', { kind: 'status', status: 500 }, 4);
    await bot.sender.send(mention('leave?', ts));
    await settled(ts, ['answered']);
    expect(world.fake.answers(ts)).toHaveLength(1);
    expect(world.answering.asked).toHaveLength(1);
  });

  it('a model that fails for a moment is asked again, one that fails for good ends in one sentence', async () => {
    const bot = await world.instance();
    const [moment, good] = [world.fake.nextTs(), world.fake.nextTs()];
    const failure = (retryable: boolean) => async () => {
      throw new AppError('model-failed', 'The model endpoint refused the key.', { retryable, retryAfterMs: 20 });
    };
    world.answering.next(failure(true));
    await bot.sender.send(mention('leave?', moment));
    await settled(moment, ['answered']);
    world.answering.next(failure(false));
    await bot.sender.send(mention('and now?', good));
    await settled(good, ['model-failed']);
    expect(world.fake.answers(good)).toHaveLength(1);
    expect(shown()[1]).toContain('I could not answer: the model endpoint refused the key.');
    expect(world.answering.charged.size).toBe(1);
  });

  it.each([
    ['only the mention', '', 'empty', 'What would you like to know?'],
    ['only an emoji', ':tada: 🎉', 'empty', 'What would you like to know?'],
    ['far too long', 'why '.repeat(9000), 'too-long', 'too long'],
    ['right to left', 'كم عدد أيام الإجازة؟', 'answered', 'كم عدد أيام الإجازة؟'],
    ['half-width', 'ﾔｽﾐﾊﾅﾝﾆﾁ?', 'answered', 'ﾔｽﾐﾊﾅﾝﾆﾁ?'],
  ])('bad input, %s: a reason, and a sentence for the person who waits', async (_, text, reason, sentence) => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    expect((await bot.sender.send(mention(text, ts))).status).toBe(200);
    await settled(ts, [reason]);
    expect(shown()).toHaveLength(1);
    expect(shown()[0]).toContain(sentence);
  });

  it('a question with a file along is answered, and says that the file was not read', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    await bot.sender.send(
      world.payloads.message({
        text: 'how many days of leave?',
        ts,
        channel: 'D0DIRECT',
        channelType: 'im',
        more: { subtype: 'file_share', files: [{ name: 'scan.pdf', size: 7 }] },
      }),
    );
    await settled(ts, ['answered'], 'D0DIRECT');
    expect(shown()[0]).toContain('Leave is 30 days.');
    expect(shown()[0]).toContain('I could not read scan.pdf: ');
  });

  it('a model that hangs once and then again is told to the person within a minute', async () => {
    let ahead = 0;
    const bot = await world.instance({ ahead: () => ahead, settings: { leaseForMs: 600_000 } });
    const ts = world.fake.nextTs();
    world.answering.next(async () => {
      ahead += 55_000;
      throw new AppError('model-timeout', 'The language model took too long to answer.', { retryable: true });
    });
    await bot.sender.send(mention('leave?', ts));
    await settled(ts, ['model-failed']);
    expect(world.answering.asked).toHaveLength(1);
    expect(shown()[0]).toContain('took too long');
  });

  it('a second try has only the time that the first one left', async () => {
    let ahead = 0;
    const bot = await world.instance({ ahead: () => ahead, settings: { leaseForMs: 600_000 } });
    const ts = world.fake.nextTs();
    world.answering.next(async () => {
      ahead += 25_000;
      throw new AppError('model-failed', 'It broke.', { retryable: true, retryAfterMs: 20 });
    });
    await bot.sender.send(mention('leave?', ts));
    await settled(ts, ['answered']);
    expect(world.answering.asked[0]?.withinMs).toBeUndefined();
    expect(world.answering.asked[1]?.withinMs).toBeLessThanOrEqual(32_000);
    expect(world.answering.asked[1]?.withinMs).toBeGreaterThan(20_000);
  });

  it('only an attachment gets a sentence that names what cannot be read', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    await bot.sender.send(
      world.payloads.message({
        text: '',
        ts,
        channel: 'D0DIRECT',
        channelType: 'im',
        more: { subtype: 'file_share', files: [{ name: 'scan.pdf', size: 7 }] },
      }),
    );
    await settled(ts, ['empty'], 'D0DIRECT');
    expect(shown()[0]).toContain('I got your file');
  });

  it.each([
    ['no JSON', 'not json', 400],
    ['a list', '[]', 400],
    ['nothing', '', 400],
    ['an event without fields', '{"type":"event_callback"}', 200],
    ['a challenge', '{"type":"url_verification","challenge":"abc"}', 200],
    ['more than a megabyte', JSON.stringify({ type: 'event_callback', pad: 'x'.repeat(1_100_000) }), 413],
  ])('signed bodies that make no sense, %s', async (_, body, status) => {
    const bot = await world.instance();
    const headers = signatureHeaders(signingSecret, body, Math.floor(Date.now() / 1000));
    const response = await fetch(`${bot.address}/slack/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    expect(response.status).toBe(status);
    if (body.includes('challenge')) expect(await response.text()).toBe('abc');
  });

  it('rules: a channel that is off, one where every question counts, one where few may ask', async () => {
    const bot = await world.instance();
    const [off, question, statement, few] = [
      world.fake.nextTs(),
      world.fake.nextTs(),
      world.fake.nextTs(),
      world.fake.nextTs(),
    ];
    world.rules.current = { enabled: false };
    await bot.sender.send(mention('leave?', off));
    await settled(off, ['channel-off']);
    world.rules.current = { answerWhen: 'question' };
    await bot.sender.send(world.payloads.message({ text: 'How many days of leave do we have?', ts: question }));
    await bot.sender.send(world.payloads.message({ text: 'I am on leave next week.', ts: statement }));
    await settled(question, ['answered']);
    await settled(statement, ['not-addressed']);
    world.rules.current = { whoMayAsk: ['U0BOSS'] };
    await bot.sender.send(mention('leave?', few));
    await settled(few, ['not-allowed']);
    expect(shown().at(-1)).toContain('Only certain people may ask');
  });

  it('an unknown workspace is heard, kept with its reason, and told nothing', async () => {
    const bot = await world.instance({ workspaces: [] });
    const ts = world.fake.nextTs();
    await bot.sender.send(mention('leave?', ts));
    await settled(ts, ['unknown-workspace']);
    expect(world.fake.answers()).toEqual([]);
  });

  it('stopping finishes what runs and leaves the rest to another instance', async () => {
    const one = await world.instance({ settings: { concurrency: 1 } });
    const [running, waiting] = [world.fake.nextTs(), world.fake.nextTs()];
    const release = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    world.answering.next(async () => {
      started.resolve();
      await release.promise;
    });
    await one.sender.send(mention('first?', running));
    await started.promise;
    await one.sender.send(mention('second?', waiting));
    // Nothing is taken up from here on, whenever the one that runs is done.
    const stopped = one.conversations.stop(5000);
    release.resolve();
    await stopped;
    await one.stop();
    expect(await reasonsOf(world, running)).toEqual(['answered']);
    expect(await reasonsOf(world, waiting)).toEqual(['ready']);
    await world.instance();
    await settled(waiting, ['answered']);
  });

  it('stopping without time hands a running answer on, and it is given once', async () => {
    const one = await world.instance();
    const ts = world.fake.nextTs();
    const started = Promise.withResolvers<void>();
    world.answering.next(
      (_request, hooks) =>
        new Promise((_, reject) => {
          hooks.update?.('Half an');
          hooks.signal.addEventListener('abort', () => reject(hooks.signal.reason));
          void world.fake.nextCall('chat.startStream').then(() => started.resolve());
        }),
    );
    await one.sender.send(mention('leave?', ts));
    await started.promise;
    await one.stop(0);
    await world.instance();
    await settled(ts, ['answered']);
    expect(world.fake.answers(ts)).toHaveLength(1);
    expect(shown()[0]).toContain('Leave is 30 days.');
  });

  it('logs one line an event with ids and reason, never a word of the question', async () => {
    const bot = await world.instance();
    const ts = world.fake.nextTs();
    await bot.sender.send(mention('a very secret question?', ts));
    await settled(ts, ['answered']);
    await until(() => expect(bot.runtime.logged.filter((line) => line.event === 'event')).toHaveLength(1));
    expect(bot.runtime.logged.find((line) => line.event === 'event')?.fields).toMatchObject({
      platform: 'slack',
      tenantId,
      reason: 'answered',
      promptTokens: 100,
    });
    expect(JSON.stringify(bot.runtime.logged)).not.toContain('secret question');
    expect(JSON.stringify(bot.runtime.logged)).not.toContain('xoxb');
    expect(bot.runtime.counted('events_total', { platform: 'slack', reason: 'answered' })).toBe(1);
  });
});
