import { describe, expect, it } from 'vitest';
import { createOpenAiChat, createOpenAiEmbedder } from '../../../../core/drivers/models/openai.ts';
import { aRequest, describeModel, readAll } from '../../../contracts/model.ts';
import { type ModelServerOptions, startModelServer } from '../../../fakes/model-server.ts';
import { createRealTimeRuntime, shortLimits } from './real-time.ts';

const answer = (): string => 'The answer is forty-two. [1]';

describeModel('openai client over a real socket', async () => {
  const server = await startModelServer({ mode: answer });
  const options = {
    baseUrl: server.baseUrl,
    apiKey: 'k',
    model: 'm',
    runtime: createRealTimeRuntime(),
    limits: shortLimits,
  };
  return {
    chat: createOpenAiChat(options),
    embedder: createOpenAiEmbedder(options),
    fail: server.fail,
    failAlways: server.failAlways,
    calls: () => server.calls.length,
    close: server.close,
  };
});

describe('openai driver', () => {
  const never = new AbortController().signal;
  const withServer = async (
    options: ModelServerOptions,
    test: (server: Awaited<ReturnType<typeof startModelServer>>) => Promise<void>,
  ): Promise<void> => {
    const server = await startModelServer({ mode: answer, ...options });
    try {
      await test(server);
    } finally {
      await server.close();
    }
  };

  it('learns what an endpoint refuses and asks without it from then on', () =>
    withServer({ refuses: ['stream_options', 'max_tokens', 'temperature'] }, async (server) => {
      const chat = createOpenAiChat({
        baseUrl: server.baseUrl,
        model: 'm',
        runtime: createRealTimeRuntime(),
        limits: shortLimits,
      });
      const request = { ...aRequest, temperature: 0.1 };
      expect((await readAll(chat.stream(request, { signal: never }))).text).toBe(answer());
      expect(server.calls).toHaveLength(4);
      expect((await readAll(chat.stream(request, { signal: never }))).text).toBe(answer());
      expect(server.calls).toHaveLength(5);
      expect(server.calls[4]?.body).toMatchObject({ max_completion_tokens: 200 });
    }));

  it('asks the small model for light work, and the main one where there is no small one', () =>
    withServer({}, async (server) => {
      const options = { baseUrl: server.baseUrl, model: 'big', runtime: createRealTimeRuntime(), limits: shortLimits };
      for (const chat of [createOpenAiChat({ ...options, smallModel: 'little' }), createOpenAiChat(options)]) {
        await readAll(chat.stream({ ...aRequest, size: 'small' }, { signal: never }));
      }
      expect(server.calls.map((call) => call.body.model)).toEqual(['little', 'big']);
    }));

  it('sends the configured key and nothing that stands in the environment', () =>
    withServer({ key: 'right' }, async (server) => {
      process.env.OPENAI_API_KEY = 'from-the-environment';
      try {
        const chat = createOpenAiChat({
          baseUrl: server.baseUrl,
          apiKey: 'right',
          model: 'm',
          runtime: createRealTimeRuntime(),
          limits: shortLimits,
        });
        await readAll(chat.stream(aRequest, { signal: never }));
        const keyless = createOpenAiChat({
          baseUrl: server.baseUrl,
          model: 'm',
          runtime: createRealTimeRuntime(),
          limits: shortLimits,
        });
        await expect(readAll(keyless.stream(aRequest, { signal: never }))).rejects.toMatchObject({
          code: 'model-failed',
        });
        expect(server.calls.at(-1)?.authorization).toBe('Bearer none');
      } finally {
        delete process.env.OPENAI_API_KEY;
      }
    }));

  it('hangs up when the reader walks away', () =>
    withServer({ piece: 4 }, async (server) => {
      const chat = createOpenAiChat({
        baseUrl: server.baseUrl,
        model: 'm',
        runtime: createRealTimeRuntime(),
        limits: shortLimits,
      });
      for await (const event of chat.stream(aRequest, { signal: never })) {
        expect(event.type).toBe('delta');
        break;
      }
      expect((await readAll(chat.stream(aRequest, { signal: never }))).text).toBe(answer());
    }));

  it('says that nobody is there', async () => {
    const server = await startModelServer();
    await server.close();
    const chat = createOpenAiChat({
      baseUrl: server.baseUrl,
      model: 'm',
      runtime: createRealTimeRuntime(),
      limits: shortLimits,
    });
    await expect(readAll(chat.stream(aRequest, { signal: never }))).rejects.toMatchObject({
      code: 'model-failed',
      message: expect.stringContaining('could not be reached'),
    });
  });

  it('streams three hundred answers at once', () =>
    withServer({}, async (server) => {
      const chat = createOpenAiChat({
        baseUrl: server.baseUrl,
        model: 'm',
        runtime: createRealTimeRuntime(),
        limits: { ...shortLimits, firstByteMs: 20_000, totalMs: 30_000 },
      });
      const all = await Promise.all(
        Array.from({ length: 300 }, () => readAll(chat.stream(aRequest, { signal: never }))),
      );
      expect(all.every(({ text }) => text === answer())).toBe(true);
    }));
});
