import { expect, it } from 'vitest';
import { createAsk } from '../../core/ask.ts';
import type { AskInput } from '../../core/core.ts';
import type { Receipt } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { conversationIdOf } from '../../core/ids.ts';
import { tellNobody } from '../../core/ports/notices.ts';
import type { StateStore } from '../../core/ports/state.ts';
import { chunksOf } from './answer/memory-chunks.ts';
import { createScriptedChat, createWorld, tenant } from './answer/world.ts';

const question: AskInput = { question: 'How many days of leave are there?', platform: 'api', traceId: 'trace' };
const passages = chunksOf('Leave', [{ heading: 'Annual leave', text: 'There are 30 days of paid leave in a year.' }]);

const setUp = (put: (receipt: Receipt) => Promise<void>) => {
  const world = createWorld(passages, { chat: createScriptedChat(() => 'There are 30 days of paid leave. [1]') });
  const state = {
    tenants: { get: async () => tenant },
    sources: { list: async () => [{ id: 's_1' }] },
    receipts: { put: async (receipt: Receipt) => (await put(receipt)) ?? true },
    conversations: {
      append: async () => undefined,
      turns: async () => [{ role: 'user', text: 'What may only I know?', at: 1 }],
    },
  } as unknown as StateStore;
  const ask = createAsk({ state, answering: world.answering, runtime: world.runtime, happened: tellNobody });
  return {
    till: world.till,
    ask: (over: Partial<AskInput> = {}) =>
      ask(tenant.id, { ...question, ...over }, { signal: new AbortController().signal }),
  };
};

it('stores the receipt before the ledger is written and the charge is made, and once more with its cost', async () => {
  const stored: { readonly receipt: Receipt; readonly lines: number; readonly charges: number }[] = [];
  const { ask, till } = setUp(async (receipt) => {
    stored.push({ receipt, lines: till.recorded.length, charges: till.settled.length });
  });
  const receipt = await ask();
  expect(receipt.kind).toBe('answered');
  expect(stored.map(({ lines, charges }) => [lines, charges])).toEqual([
    [0, 0],
    [2, 1],
  ]);
  expect(stored[0]?.receipt).toMatchObject({
    answerId: receipt.answerId,
    answer: receipt.answer,
    usage: { promptTokens: 100, completionTokens: 20 },
  });
  expect(stored[1]?.receipt.usage.cost).toEqual({ amount: '0.00014', currency: 'USD' });
});

it('charges nothing when the receipt cannot be stored', async () => {
  const { ask, till } = setUp(async () => {
    throw new AppError('store-unavailable', 'The state store is busy.');
  });
  await expect(ask()).rejects.toMatchObject({ code: 'store-unavailable' });
  expect(till.settled).toEqual([]);
  expect(till.recorded.filter(({ kind }) => kind === 'question')).toEqual([]);
  expect(till.released).toBe(1);
});

it('goes on with a talk that began here, and with none of a chat platform, however its id was come by', async () => {
  const { ask } = setUp(async () => undefined);
  const { conversationId } = await ask();
  expect((await ask({ conversationId })).conversationId).toBe(conversationId);
  const inChat = conversationIdOf('slack', 'T1', 'C1', '1790000000.000001 private U1');
  await expect(ask({ conversationId: inChat })).rejects.toMatchObject({ code: 'not-found', at: 'conversationId' });
});
