import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Core } from '../../../core/core.ts';
import { createCore } from '../../../core/create-core.ts';
import type { Receipt } from '../../../core/domain.ts';
import { openSqliteChunks } from '../../../core/drivers/chunks/sqlite/chunks.ts';
import { uploadSource } from '../../../core/drivers/sources/upload.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { systemClock } from '../../../core/observe/system.ts';
import { createSealer } from '../../../core/security/seal.ts';
import { collapse } from '../../../core/text/sentences.ts';
import { fillDemoTenant } from '../../../demo.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { moreFollowUps } from './follow-ups.ts';

/**
 * The questions about the sample documents through the real path without any model. The floors lie slightly under what
 * is reached, so that a change that costs answers is seen.
 */
type Question = {
  readonly question: string;
  readonly document: string;
  readonly phrase: string;
  readonly after?: string;
};

let core: Core;
let dataDir: string;
let tenantId: string;
let questions: {
  readonly answered: readonly Question[];
  readonly followUps: readonly Question[];
  readonly unanswered: readonly { readonly question: string }[];
};

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'footnote-demo-'));
  const runtime = { ...createTestRuntime(), clock: systemClock };
  const [state, chunks] = await Promise.all([
    openSqliteState({ dataDir, log: runtime.log }),
    openSqliteChunks({ dataDir, log: runtime.log }),
  ]);
  core = createCore({
    state,
    chunks,
    chat: null,
    embedder: null,
    sources: [uploadSource],
    sealer: createSealer(Buffer.alloc(32)),
    runtime,
    owner: 'test',
  });
  await fillDemoTenant(core, runtime.log);
  tenantId = (await core.tenants.bySlug('demo'))?.id ?? '';
  questions = JSON.parse(await readFile(new URL('../../../demo/questions.json', import.meta.url), 'utf8'));
}, 60_000);
afterAll(async () => {
  await core.close();
  await rm(dataDir, { recursive: true, force: true });
});

const ask = (question: string, conversationId?: string): Promise<Receipt> =>
  core.ask(
    tenantId,
    { question, platform: 'api', traceId: 'test', ...(conversationId === undefined ? {} : { conversationId }) },
    { signal: AbortSignal.timeout(20_000) },
  );

const quotes = (receipt: Receipt, { document, phrase }: Question): boolean =>
  receipt.citations.some(
    (citation) => citation.externalId === document && collapse(citation.quote).includes(collapse(phrase)),
  );
const rate = (part: number, whole: number): string => `${part} of ${whole}`;

describe('the sample documents, without a model', () => {
  it('answer their questions with a quote of the right place', { timeout: 60_000 }, async () => {
    const missed: string[] = [];
    for (const item of questions.answered) if (!quotes(await ask(item.question), item)) missed.push(item.question);
    const right = questions.answered.length - missed.length;
    console.info(`right quote: ${rate(right, questions.answered.length)}`, missed);
    expect(right).toBeGreaterThanOrEqual(questions.answered.length - 3);
  });

  it('say of most questions that they do not answer that it is not in them', { timeout: 60_000 }, async () => {
    const answered: string[] = [];
    for (const { question } of questions.unanswered)
      if ((await ask(question)).kind !== 'not-found') answered.push(question);
    const refused = questions.unanswered.length - answered.length;
    console.info(`refused: ${rate(refused, questions.unanswered.length)}`, answered);
    expect(refused).toBeGreaterThanOrEqual(questions.unanswered.length - 6);
  });

  it('show a quoted row of a table under its head, and quote the row alone', async () => {
    const receipt = await ask('What is the hotel limit in Paris?');
    expect(receipt.answer).toContain('| City | Most per night, breakfast included |\n| --- | --- |\n| Paris | €190 |');
    expect(receipt.citations[0]?.quote).toBe('| Paris | €190 |');
  });

  it('read a follow-up better than alone, and better than all turns joined', { timeout: 90_000 }, async () => {
    const pairs = [...questions.followUps, ...moreFollowUps];
    const right = { condensed: 0, alone: 0, questionsJoined: 0, turnsJoined: 0 };
    const missed: string[] = [];
    for (const pair of pairs) {
      const first = await ask(pair.after ?? '');
      const condensed = quotes(await ask(pair.question, first.conversationId), pair);
      if (condensed) right.condensed += 1;
      else missed.push(`${pair.after} → ${pair.question}`);
      if (quotes(await ask(pair.question), pair)) right.alone += 1;
      if (quotes(await ask(`${pair.after} ${pair.question}`), pair)) right.questionsJoined += 1;
      if (quotes(await ask(`${pair.after} ${first.answer} ${pair.question}`), pair)) right.turnsJoined += 1;
    }
    console.info(`of ${pairs.length} follow-ups`, right, missed);
    expect(right.condensed).toBeGreaterThan(right.alone);
    expect(right.condensed).toBeGreaterThan(right.questionsJoined);
    expect(right.condensed).toBeGreaterThan(right.turnsJoined);
  });
});
