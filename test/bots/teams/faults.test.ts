import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTeamsApi } from '../../../bots/teams/api.ts';
import type { Connector, OutgoingActivity, Place } from '../../../bots/teams/connector/connector.ts';
import type { InboundEvent } from '../../../core/domain.ts';
import type { Clock } from '../../../core/ports/runtime.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import type { FakeCall } from '../../fakes/teams-service.ts';
import { until } from '../../until.ts';
import { type Driver, startDriver } from './driver.ts';

/** The connector as it is on a bad day. */
let driver: Driver;
let ahead = 0;
/** What the driver waited for. Nobody waits here: time goes on by as much. */
let waited: number[] = [];
/** While it is there, long waits last until it resolves. */
let held: Promise<void> | null = null;
const clock: Clock = {
  now: () => Date.now() + ahead,
  sleep: async (ms, signal) => {
    signal?.throwIfAborted();
    waited.push(ms);
    await (ms > 1000 && held !== null ? held : new Promise((resolve) => setImmediate(resolve)));
    ahead += ms;
  },
};
beforeEach(async () => {
  ahead = 0;
  waited = [];
  held = null;
  driver = await startDriver({ settings: { timeoutMs: 5000, maxWaitMs: 3000 } }, clock);
});
afterEach(() => driver.close());

const isMessage = ({ method, path, body }: FakeCall): boolean =>
  method === 'POST' && path.endsWith('/activities') && body.type === 'message';
const isStep = ({ body }: FakeCall): boolean => body.type === 'typing';
const isEdit = ({ method }: FakeCall): boolean => method === 'PUT';
const texts = (): readonly unknown[] => driver.fake.messages().map(({ activity }) => activity.text);
const answered = async (event: InboundEvent, markdown = 'Thirty days.'): Promise<void> =>
  (await driver.open(event)).finish({ markdown, citations: [] });

describe('faults of the connector', () => {
  it('a 429 is waited out for as long as Teams says', async () => {
    driver.fake.fault(isMessage, { status: 429, retryAfter: '1' });
    await answered(await driver.ask());
    // Less what had passed already when it came to waiting.
    expect(Math.max(...waited)).toBeGreaterThan(700);
    expect(Math.max(...waited)).toBeLessThanOrEqual(1000);
    expect(texts()).toEqual(['Thirty days.']);
    expect(driver.runtime.counted('platform_limits_total', { platform: 'teams' })).toBe(1);
    expect(driver.runtime.measured('platform_wait_seconds', { platform: 'teams' })).toHaveLength(1);
  });

  it('a 429 for longer than an answer is held goes back into the queue with its time', async () => {
    driver.fake.fault(isMessage, { status: 429, retryAfter: '60' });
    await expect(answered(await driver.ask())).rejects.toMatchObject({
      code: 'platform-failed',
      retryable: true,
      retryAfterMs: 60_000,
    });
  });

  it('another conversation does not wait for a 429', async () => {
    driver.fake.fault((call) => isMessage(call) && decodeURIComponent(call.path).includes('general'), {
      status: 429,
      retryAfter: '2',
    });
    const [slow, quick] = [await driver.ask(), await driver.ask({ scope: 'groupChat' })];
    const over = Promise.withResolvers<void>();
    held = over.promise;
    const later = answered(slow, 'Later.');
    await until(() => expect(waited.some((ms) => ms > 1000)).toBe(true));
    await answered(quick, 'At once.');
    expect(texts()).toEqual(['At once.']);
    over.resolve();
    await later;
    expect(texts()).toEqual(['At once.', 'Later.']);
  });

  it.each([412, 502, 504])('%i passes and is tried again', async (status) => {
    driver.fake.fault(isMessage, { status }, { status });
    await answered(await driver.ask());
    expect(texts()).toEqual(['Thirty days.']);
    expect(driver.fake.calls.filter(isMessage)).toHaveLength(3);
  });

  it.each([500, 503])(
    'a new message is not repeated after %i, because it may stand; the queue decides',
    async (status) => {
      driver.fake.fault(isMessage, { status });
      await expect(answered(await driver.ask())).rejects.toMatchObject({ code: 'platform-failed', retryable: true });
      expect(driver.fake.calls.filter(isMessage)).toHaveLength(1);
    },
  );

  it('a lost reply to a new message is not repeated at once', async () => {
    driver.fake.fault(isMessage, 'lost');
    await expect(answered(await driver.ask())).rejects.toMatchObject({ code: 'platform-failed', retryable: true });
    expect(texts()).toEqual(['Thirty days.']);
  });

  it('a lost reply to the end of a stream is asked again, and there is one message', async () => {
    const sink = await driver.open(await driver.ask({ scope: 'personal' }));
    await sink.update('Thirty');
    await until(() => expect(driver.fake.messages()).toHaveLength(1));
    driver.fake.fault(isMessage, 'lost');
    await sink.finish({ markdown: 'Thirty days.', citations: [] });
    expect(texts()).toEqual(['Thirty days.']);
    expect(driver.fake.messages()[0]?.streaming).toBe(false);
  });

  it('a lost reply to an edit is repeated, because it does no harm', async () => {
    const event = await driver.ask();
    const ids: string[] = [];
    await (await driver.open(event, { posted: async (id) => void ids.push(id) })).finish({
      markdown: 'Old.',
      citations: [],
    });
    driver.fake.fault(isEdit, 'lost', { status: 500 });
    await (await driver.open(event, { postedIds: ids })).finish({ markdown: 'New.', citations: [] });
    expect(texts()).toEqual(['New.']);
  });

  it('a connector that hangs is given up in time', async () => {
    const hurried = await startDriver({ settings: { timeoutMs: 150 } }, clock);
    try {
      hurried.fake.fault(isMessage, { slowMs: 600_000 });
      const sink = await hurried.open(await hurried.ask());
      await expect(sink.finish({ markdown: 'Thirty.', citations: [] })).rejects.toMatchObject({ retryable: true });
    } finally {
      await hurried.close();
    }
  });

  it('a token that is no longer taken is replaced once', async () => {
    driver.fake.fault(isMessage, { status: 401, code: 'Unauthorized' });
    await answered(await driver.ask());
    expect(texts()).toEqual(['Thirty days.']);
    expect(driver.fake.calls.filter(({ path }) => path.endsWith('/token'))).toHaveLength(2);
  });

  it('credentials that Teams never takes are said to be so', async () => {
    driver.fake.fault(isMessage, ...Array.from({ length: 5 }, () => ({ status: 401, code: 'Unauthorized' })));
    await expect(answered(await driver.ask())).rejects.toMatchObject({
      retryable: false,
      message: 'Teams does not accept the app’s credentials.',
    });
  });

  it('citations that are refused become a list, and nothing is lost', async () => {
    driver.fake.fault(isMessage, {
      status: 400,
      code: 'BadSyntax',
      message: 'Error while parsing citation entity with ID: 1.',
    });
    const citation = {
      n: 1,
      documentId: 'd',
      externalId: 'e',
      chunkId: 'c',
      title: 'Handbook',
      url: 'https://docs.example/a',
      quote: 'q',
    };
    await (await driver.open(await driver.ask())).finish({ markdown: 'Thirty. [1]', citations: [citation] });
    expect(texts()).toEqual(['Thirty. [1]\n\n**Sources**\n\n- [1] [Handbook](https://docs.example/a)']);
  });

  it('a message that is too large is sent in smaller ones', async () => {
    driver.fake.fault(isMessage, { status: 413, code: 'MessageSizeTooBig' });
    const markdown = Array.from({ length: 300 }, (_, index) => `Paragraph ${index}.`).join('\n\n');
    await answered(await driver.ask(), markdown);
    expect(texts().length).toBeGreaterThan(1);
    expect(texts().join('\n\n')).toBe(markdown);
  });
});

describe('streams that do not end as they should', () => {
  const streaming = async (): Promise<Awaited<ReturnType<Driver['open']>>> => {
    const sink = await driver.open(await driver.ask({ scope: 'personal' }));
    await sink.update('Thirty');
    await until(() => expect(texts()).toEqual(['Thirty']));
    return sink;
  };

  it("Teams' own stop button stops the answer, and the sentence stands in its place", async () => {
    const sink = await streaming();
    driver.fake.stopStreams();
    await sink.update('Thirty days');
    await until(() => expect(sink.cancelled.aborted).toBe(true));
    await sink.fail('Stopped.');
    expect(texts()).toEqual(['Stopped.']);
  });

  it('after two minutes the rest of the answer comes by edits of the same message', async () => {
    const sink = await streaming();
    ahead = 110_000;
    await sink.update('Thirty days');
    await until(() => expect(driver.fake.messages()[0]?.streaming).toBe(false));
    await sink.update('Thirty days of');
    await until(() => expect(texts()).toEqual(['Thirty days of']));
    await sink.finish({ markdown: 'Thirty days of leave.', citations: [] });
    expect(texts()).toEqual(['Thirty days of leave.']);
    expect(driver.fake.calls.filter(isEdit).length).toBeGreaterThanOrEqual(2);
  });

  it('a stream that Teams ended for its age is finished by an edit', async () => {
    const sink = await streaming();
    driver.fake.expireStreams();
    await sink.finish({ markdown: 'Thirty days of leave.', citations: [] });
    expect(texts()).toEqual(['Thirty days of leave.']);
  });

  it('where streaming is not allowed the answer is one message, and the next one does not try', async () => {
    driver.fake.fault(isStep, {
      status: 403,
      code: 'ContentStreamNotAllowed',
      message: 'Content stream is not allowed',
    });
    const sink = await driver.open(await driver.ask({ scope: 'personal' }));
    await sink.update('Thirty');
    await until(() => expect(driver.fake.calls.filter(isStep)).toHaveLength(1));
    await sink.finish({ markdown: 'Thirty days.', citations: [] });
    const next = await driver.open(await driver.ask({ scope: 'personal' }));
    await next.update('Forty');
    await next.finish({ markdown: 'Forty days.', citations: [] });
    expect(texts()).toEqual(['Thirty days.', 'Forty days.']);
    expect(driver.fake.calls.filter(isStep)).toHaveLength(1);
  });

  it('after a crash the stream that was begun is finished in its place', async () => {
    const event = await driver.ask({ scope: 'personal' });
    const ids: string[] = [];
    const first = await driver.open(event, { posted: async (id) => void ids.push(id) });
    await first.update('Thirty');
    await until(() => expect(ids).toHaveLength(1));
    const second = await driver.open(event, { postedIds: ids, uncertain: true });
    await second.finish({ markdown: 'Thirty days.', citations: [] });
    expect(texts()).toEqual(['Thirty days.']);
    expect(driver.fake.messages()[0]?.streaming).toBe(false);
  });
});

describe('pace', () => {
  it('a conversation gets a message a second, and steps of a stream no faster; another one does not wait', async () => {
    const runtime = createTestRuntime();
    const sent: string[] = [];
    const begunAt = runtime.clock.now();
    const connector = {
      post: async ({ conversationId }: Place, { type }: OutgoingActivity) => {
        sent.push(`${conversationId}+${runtime.clock.now() - begunAt}:${String(type)}`);
        return 'id';
      },
    } as unknown as Connector;
    const api = createTeamsApi(connector, runtime, { paceMs: 1000, maxWaitMs: 60_000 }, () => undefined);
    const post = (conversationId: string, type: string, free = false) =>
      api.post({ serviceUrl: '', conversationId }, { type }, { signal: new AbortController().signal, free });
    const all = [post('A', 'typing'), post('A', 'message'), post('B', 'message'), post('A', 'message')];
    await runtime.clock.advance(0);
    all.push(post('A', 'sign', true));
    await runtime.clock.advance(5000);
    await Promise.all(all);
    expect(sent).toEqual(['A+0:typing', 'B+0:message', 'A+0:sign', 'A+1000:message', 'A+2000:message']);
  });
});
