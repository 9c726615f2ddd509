import { describe, expect, it } from 'vitest';
import type { Passage } from '../../../core/domain.ts';
import { attachedSourceId } from '../../../core/ids.ts';
import type { ChatRequest } from '../../../core/ports/model.ts';
import { echo } from '../../fakes/model-server.ts';
import { chunksOf } from './memory-chunks.ts';
import { createScriptedChat, createWorld } from './world.ts';

const indexed = chunksOf('Leave policy', ['Full-time employees get 30 days of paid annual leave per calendar year.']);
const passage = (text: string, n = 0): Passage => ({
  documentId: 'd_file',
  externalId: 'offer.pdf',
  chunkId: `c_file${n}`,
  sourceId: attachedSourceId,
  title: 'offer.pdf',
  headingPath: [],
  text,
  score: 0,
});
const offer = passage('The probation period of this contract ends after five months.');
const promptOf = (request: ChatRequest): string => request.messages.map(({ content }) => content).join('\n');

describe('files that came with the question', () => {
  it('answer where the documents do not tell, with the name of the file and no link', async () => {
    const receipt = await createWorld(indexed).ask('When does the probation period end?', { attached: [offer] });
    expect(receipt).toMatchObject({ kind: 'answered' });
    expect(receipt.answer).toContain('five months');
    expect(receipt.citations).toMatchObject([{ title: 'offer.pdf' }]);
    expect(receipt.citations[0]?.url).toBeUndefined();
  });

  it('stand before the documents in the prompt', async () => {
    const chat = createScriptedChat((request) => echo(promptOf(request)));
    await createWorld(indexed, { chat }).ask('How many days of annual leave are in this contract?', {
      attached: [offer],
    });
    const prompt = promptOf(chat.requests.at(-1) as ChatRequest);
    expect(prompt.indexOf('probation')).toBeGreaterThan(0);
    expect(prompt.indexOf('probation')).toBeLessThan(prompt.indexOf('Full-time employees'));
  });

  it('are asked about past the floor: what is in a file needs no words in common', async () => {
    const chat = createScriptedChat(() => 'The probation period of this contract ends after five months [1].');
    const receipt = await createWorld(indexed, { chat }).ask('Summarise it', { attached: [offer] });
    expect(receipt.kind).toBe('answered');
  });

  it('of a long file the passages that meet the question are taken', async () => {
    const chat = createScriptedChat((request) => echo(promptOf(request)));
    const many = Array.from({ length: 40 }, (_, n) => passage(`Clause ${n} is about nothing in particular.`, n));
    await createWorld(indexed, { chat }).ask('When does probation end?', {
      attached: [...many, { ...offer, chunkId: 'c_x' }],
    });
    const prompt = promptOf(chat.requests.at(-1) as ChatRequest);
    expect(prompt).toContain('five months');
    expect(prompt.match(/Clause/g)?.length).toBe(5);
  });

  it('are nobody else’s answer: nothing is cached, and nothing cached is used', async () => {
    const world = createWorld(indexed);
    const question = 'How many days of paid annual leave do full-time employees get?';
    await world.ask(question);
    expect(world.cache.size).toBe(1);
    const receipt = await world.ask(question, {
      attached: [passage('This contract has 40 days of paid annual leave for full-time employees.')],
    });
    expect(receipt.cached).toBe(false);
    expect(receipt.retrieved[0]?.sourceId).toBe(attachedSourceId);
    expect(world.cache.size).toBe(1);
  });
});
