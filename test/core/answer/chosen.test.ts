import { describe, expect, test } from 'vitest';
import { cacheKeyOf } from '../../../core/answer/cache.ts';
import { judge } from '../../../core/answer/floor.ts';
import { retrieve } from '../../../core/answer/retrieve.ts';
import { createSteps } from '../../../core/answer/steps.ts';
import type { Tenant, TenantSettings } from '../../../core/domain.ts';
import type { ChatModel } from '../../../core/ports/model.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { hashedVector } from '../../fakes/model-server.ts';
import { chunksOf, createMemoryChunks } from './memory-chunks.ts';
import { createScriptedChat, createWorld, tenant } from './world.ts';

const leave = chunksOf('Leave', [
  { heading: 'Annual leave', text: 'There are 30 days of paid annual leave in a year.' },
  { heading: 'Sick leave', text: 'Tell your manager before 9 am when you take sick leave.' },
  { heading: 'Parental leave', text: 'Parental leave is granted for a year after a birth.' },
  { heading: 'Unpaid leave', text: 'Unpaid leave of up to three months can be granted.' },
  { heading: 'Study leave', text: 'Study leave is five days in a year.' },
]);
const question = 'How many days of paid annual leave are there in a year?';
const withSettings = (settings: TenantSettings): { readonly tenant: Tenant } => ({ tenant: { ...tenant, settings } });
const withOthers = (others: readonly string[]) => {
  const chat = createScriptedChat(() => 'There are 30 days. [1]');
  return Object.assign(chat, { others }) satisfies ChatModel;
};

describe('the model that a tenant chose', () => {
  test('writes, is named in the receipt, and is held and paid for by its own price', async () => {
    const chat = withOthers(['large', 'small']);
    const world = createWorld(leave, { chat });
    const receipt = await world.ask(question, withSettings({ chatModel: 'small' }));
    expect(chat.requests.map(({ model }) => model)).toEqual(['small']);
    expect(receipt.model).toBe('small');
    const usual = await world.ask(question);
    expect(usual.model).toBe('scripted');
    expect(usual.cached, 'another model’s answer is another answer').toBe(false);
    expect(chat.requests.at(-1)).not.toHaveProperty('model');
  });

  test('that is not offered any more gives way to the deployment’s own', async () => {
    const chat = withOthers(['large']);
    const receipt = await createWorld(leave, { chat }).ask(question, withSettings({ chatModel: 'gone' }));
    expect(receipt.model).toBe('scripted');
  });
});

describe('the retrieval settings of a tenant', () => {
  test('bound the passages that are read, whatever is written in them', async () => {
    const read = async (settings: TenantSettings): Promise<number> => {
      const world = createWorld(leave, { chat: withOthers([]), settings: { perDocument: 20 } });
      return (await world.ask('leave year days granted', withSettings(settings))).inPrompt.length;
    };
    expect(await read({})).toBe(5);
    expect(await read({ retrieval: { passages: 3 } })).toBe(3);
    expect(await read({ retrieval: { passages: 1 } }), 'never less than three').toBe(3);
    expect(await read({ retrieval: { passages: 500 } })).toBe(5);
  });

  test('are part of what a kept answer is for', () => {
    const keyOf = (settings: TenantSettings): string =>
      cacheKeyOf({
        tenant: { ...tenant, settings },
        meaning: question,
        history: [],
        sourceIds: undefined,
        instructions: undefined,
        language: undefined,
        chatModel: 'm',
        embeddingModel: 'none',
        promptVersion: '1',
      });
    const keys = [
      {},
      { retrieval: { passages: 5 } },
      { retrieval: { floor: 'strict' as const } },
      { retrieval: { floor: 'open' as const } },
      { retrieval: { meaning: 0.9 } },
    ].map(keyOf);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keyOf({ retrieval: { passages: 5 } })).toBe(keys[1]);
  });

  test('weigh meaning against words', async () => {
    const chunks = [
      ...chunksOf('Words', ['Vacation vacation vacation.']),
      ...chunksOf('Meaning', ['Holidays are thirty days.']),
    ];
    const embedder = {
      name: 'e',
      embed: async (texts: readonly string[]) => ({
        vectors: texts.map(() => Float32Array.from(hashedVector('Holidays are thirty days.'))),
        tokens: 1,
        model: 'e',
      }),
    };
    const store = createMemoryChunks(
      chunks.map((chunk) => ({ ...chunk, vector: Float32Array.from(hashedVector(chunk.text)) })),
    );
    const runtime = createTestRuntime();
    const order = async (meaning?: number) => {
      const found = await retrieve(
        { chunks: store, embedder, runtime },
        {
          ref: { tenantId: tenant.id, generation: 1 },
          query: 'vacation',
          limit: 5,
          embedWithinMs: 1_000,
          signal: new AbortController().signal,
          steps: createSteps(runtime),
          ...(meaning === undefined ? {} : { meaning }),
        },
      );
      return found.candidates.map(({ chunk, score }) => [chunk.title, score] as const);
    };
    const scores = async (meaning?: number) => Object.fromEntries(await order(meaning));
    expect(await scores(0.5), 'both alike is what it was').toEqual(await scores());
    const ratio = async (meaning: number) => {
      const { Meaning = 0, Words = 1 } = await scores(meaning);
      return Meaning / Words;
    };
    expect(await ratio(0.9)).toBeGreaterThan(await ratio(0.5));
    expect(await ratio(0.5)).toBeGreaterThan(await ratio(0.1));
  });

  test('move the relevance floor', async () => {
    const runtime = createTestRuntime();
    const found = await retrieve(
      { chunks: createMemoryChunks(leave), embedder: null, runtime },
      {
        ref: { tenantId: tenant.id, generation: 1 },
        query: 'Is parental leave paid when the company moves abroad?',
        limit: 10,
        embedWithinMs: 1_000,
        signal: new AbortController().signal,
        steps: createSteps(runtime),
      },
    );
    const { keywordScore } = judge(found, { chat: false });
    const passes = (shift: number) => judge(found, { chat: false, shift }).passes;
    expect(passes(keywordScore - 0.1)).toBe(true);
    expect(passes(keywordScore + 0.1)).toBe(false);
  });
});

describe('masking', () => {
  const asked = 'How many days of paid annual leave in a year are there for ada@example.com?';
  const masking = { kinds: ['email'] } as const;

  test('before the model keeps the address from the model and from the search', async () => {
    const chat = createScriptedChat(() => 'There are 30 days. [1]');
    const world = createWorld(leave, { chat });
    await world.ask(asked, withSettings({ masking: { ...masking, beforeModel: true } }));
    expect(JSON.stringify(chat.requests)).not.toContain('ada@example.com');
    expect(JSON.stringify(chat.requests)).toContain('[e-mail]');
    await world.ask(asked, withSettings({ masking }));
    expect(JSON.stringify(chat.requests.at(-1))).toContain('ada@example.com');
  });

  test('keeps no answer for others that must be masked', async () => {
    const chunks = chunksOf('Contact', ['Ask hr@example.com about annual leave; the team answers within a day.']);
    const world = createWorld(chunks);
    const contact = 'Whom do I ask about annual leave?';
    const receipt = await world.ask(contact, withSettings({ masking }));
    expect(receipt.answer, 'the asker reads the document as it is').toContain('hr@example.com');
    expect(world.cache.size).toBe(0);
    await world.ask(contact);
    expect(world.cache.size).toBe(1);
  });
});
