import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../core/errors.ts';
import type { ChatEvent, ChatModel, ChatRequest, Embedder } from '../../core/ports/model.ts';
import type { Fault } from '../fakes/model-server.ts';

export type ModelUnderTest = {
  readonly chat: ChatModel;
  readonly embedder: Embedder;
  /** The next calls to the endpoint fail like this, one each. */
  fail(...faults: readonly Fault[]): void;
  failAlways(fault: Fault): void;
  /** Calls that reached the endpoint. */
  calls(): number;
  close(): Promise<void>;
};

export const aRequest: ChatRequest = {
  messages: [{ role: 'user', content: 'Say it.' }],
  maxTokens: 200,
  tenantId: 't_1',
};

/** Everything that a model answered; throws what it threw. */
export const readAll = async (
  events: AsyncIterable<ChatEvent>,
): Promise<{ readonly text: string; readonly events: readonly ChatEvent[] }> => {
  const all: ChatEvent[] = [];
  for await (const event of events) all.push(event);
  return { text: all.map((event) => (event.type === 'delta' ? event.text : '')).join(''), events: all };
};

const failureOf = async (work: Promise<unknown>): Promise<AppError> => {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
};

/** What every model driver keeps. `start` gives a model whose endpoint answers "The answer is forty-two. [1]" and has small limits. */
export const describeModel = (name: string, start: () => Promise<ModelUnderTest>): void => {
  describe(`model contract: ${name}`, () => {
    let model: ModelUnderTest;
    const never = new AbortController().signal;
    const ask = (signal: AbortSignal = never) => readAll(model.chat.stream(aRequest, { signal }));
    beforeEach(async () => {
      model = await start();
    });
    afterEach(() => model.close());

    it('streams deltas in order and closes with exactly one end that carries usage', async () => {
      const { text, events } = await ask();
      expect(text).toBe('The answer is forty-two. [1]');
      expect(events.filter((event) => event.type === 'end')).toHaveLength(1);
      expect(events.at(-1)).toMatchObject({
        type: 'end',
        finish: 'stop',
        usage: { promptTokens: 111, completionTokens: 22, estimated: false },
      });
    });

    it('estimates usage and says so when the endpoint sends none', async () => {
      model.fail({ kind: 'no-usage' });
      const end = (await ask()).events.at(-1);
      expect(end).toMatchObject({ type: 'end', usage: { estimated: true } });
      expect(end?.type === 'end' && end.usage.completionTokens > 3 && end.usage.promptTokens > 0).toBe(true);
    });

    it('tells that the answer ran into its limit', async () => {
      model.fail({ kind: 'length' });
      expect((await ask()).events.at(-1)).toMatchObject({ finish: 'length' });
    });

    it('hands on an empty answer as empty', async () => {
      model.fail({ kind: 'empty' });
      expect(await ask()).toMatchObject({ text: '' });
    });

    for (const status of [500, 502, 503]) {
      it(`answers in spite of two failures ${status}`, async () => {
        model.fail({ kind: 'status', status }, { kind: 'status', status });
        expect((await ask()).text).toContain('forty-two');
        expect(model.calls()).toBe(3);
      });
    }

    it('gives up on an endpoint that keeps failing with model-failed', async () => {
      model.failAlways({ kind: 'status', status: 500 });
      expect(await failureOf(ask())).toMatchObject({ code: 'model-failed' });
    });

    it('waits as long as a 429 asks for, in seconds, milliseconds or as a date', async () => {
      for (const headers of [{ 'retry-after': '0.2' }, { 'retry-after-ms': '200' }] as const) {
        model.fail({ kind: 'status', status: 429, headers });
        const begun = Date.now();
        expect((await ask()).text).toContain('forty-two');
        expect(Date.now() - begun).toBeGreaterThanOrEqual(195);
      }
      model.fail({
        kind: 'status',
        status: 429,
        headers: { 'retry-after': new Date(Date.now() + 1_500).toUTCString() },
      });
      expect((await ask()).text).toContain('forty-two');
    });

    it('tries again after a 429 that names no delay', async () => {
      model.fail({ kind: 'status', status: 429 });
      expect((await ask()).text).toContain('forty-two');
    });

    it('says at once when a 429 asks for more time than there is, and for how long', async () => {
      model.fail({ kind: 'status', status: 429, headers: { 'retry-after': '600' } });
      expect(await failureOf(ask())).toMatchObject({ code: 'rate-limited', retryAfterMs: 600_000 });
      expect(model.calls()).toBe(1);
    });

    it('does not try again with a key that was refused, and says what the operator has to do', async () => {
      model.failAlways({ kind: 'status', status: 401 });
      const failure = await failureOf(ask());
      expect(failure).toMatchObject({ code: 'model-failed', retryable: false });
      expect(failure.message).toContain('refused the key');
      expect(model.calls()).toBe(1);
    });

    it('never presents half an answer as whole: cut connection, missing end, unreadable piece', async () => {
      for (const kind of ['cut', 'truncate', 'invalid-chunk'] as const) {
        model.fail({ kind });
        expect(await failureOf(ask()), kind).toMatchObject({ code: 'model-failed' });
      }
    });

    it('does not begin again once a word was handed on', async () => {
      model.fail({ kind: 'cut' });
      await failureOf(ask());
      expect(model.calls()).toBe(1);
    });

    it('gives up on silence before the first byte and in the middle', async () => {
      model.failAlways({ kind: 'hang' });
      expect(await failureOf(ask())).toMatchObject({ code: 'model-timeout' });
      model.failAlways({ kind: 'hang-midway' });
      expect(await failureOf(ask())).toMatchObject({ code: 'model-timeout' });
    });

    it('cuts off an answer of ten megabytes', async () => {
      model.fail({ kind: 'flood', bytes: 10 * 1024 * 1024 });
      const failure = await failureOf(ask());
      expect(failure.code).toBe('model-failed');
      expect(failure.message).toContain('far more');
    });

    it('ends at once with cancelled when the caller goes away', async () => {
      model.fail({ kind: 'hang' });
      const caller = new AbortController();
      const asked = ask(caller.signal);
      setTimeout(() => caller.abort(), 30);
      const begun = Date.now();
      expect(await failureOf(asked)).toMatchObject({ code: 'cancelled' });
      expect(Date.now() - begun).toBeLessThan(250);
    });

    it('stops calling an endpoint after five failures in a row and comes back when it does', async () => {
      model.failAlways({ kind: 'status', status: 500 });
      await failureOf(ask());
      await failureOf(ask());
      const reached = model.calls();
      expect(reached).toBe(5);
      await failureOf(ask());
      expect(model.calls()).toBe(reached);
      model.failAlways({ kind: 'no-usage' });
      await expect
        .poll(
          () =>
            ask().then(
              ({ text }) => text,
              () => '',
            ),
          { interval: 60, timeout: 20_000 },
        )
        .toContain('forty-two');
    });

    it('embeds in the order of the texts, to unit length, and tells the tokens', async () => {
      const texts = Array.from(
        { length: 130 },
        (_, index) => `text number ${index} about ${index % 2 === 0 ? 'cats' : 'dogs'}`,
      );
      const { vectors, tokens } = await model.embedder.embed(texts, 'document', { signal: never, tenantId: 't_1' });
      expect(vectors).toHaveLength(130);
      for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 4);
      const [again] = (await model.embedder.embed([texts[77] ?? ''], 'document', { signal: never, tenantId: 't_1' }))
        .vectors;
      expect([...(again ?? [])]).toEqual([...(vectors[77] ?? [])]);
      expect(tokens).toBeGreaterThan(130);
    });

    it('embeds in spite of a failure, and not with a refused key', async () => {
      model.fail({ kind: 'status', status: 503 });
      expect((await model.embedder.embed(['one'], 'query', { signal: never, tenantId: 't_1' })).vectors).toHaveLength(
        1,
      );
      model.failAlways({ kind: 'status', status: 401 });
      expect(await failureOf(model.embedder.embed(['one'], 'query', { signal: never, tenantId: 't_1' }))).toMatchObject(
        { code: 'model-failed' },
      );
    });
  });
};
