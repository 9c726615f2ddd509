import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEscapes } from '../../../core/answer/contain.ts';
import type { Core } from '../../../core/core.ts';
import { createCore } from '../../../core/create-core.ts';
import { openSqliteChunks } from '../../../core/drivers/chunks/sqlite/chunks.ts';
import { pushSource } from '../../../core/drivers/sources/push.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { systemClock } from '../../../core/observe/system.ts';
import { createSealer } from '../../../core/security/seal.ts';
import { collapse } from '../../../core/text/sentences.ts';
import { createTestRuntime } from '../../fakes/clock.ts';

/** What a quote promises: it stands in the text as it was pushed, whatever that looks like. From the push to the answer. */
const documents: readonly {
  readonly name: string;
  readonly text: string;
  readonly question: string;
  readonly holds: string;
}[] = [
  {
    name: 'line ends of Windows and tabs',
    text: '# Ferry\r\n\r\nThe ferry\tleaves the\r\nnorth quay at 07:45\r\nevery weekday. Bicycles travel free.\r\n',
    question: 'When does the ferry leave the north quay?',
    holds: '07:45',
  },
  {
    name: 'emphasis',
    text: '# Sauna\n\nThe *sauna* on the **roof terrace** opens at __six in the evening__ and closes at `23:00`.\n',
    question: 'When does the sauna on the roof terrace open?',
    holds: '__six in the evening__',
  },
  {
    name: 'a table',
    text: '# Lockers\n\n| Locker size | Deposit |\n|---|---:|\n| Small locker | €5 |\n| Large locker | €12 |\n',
    question: 'What is the deposit for a large locker?',
    holds: '| Large locker | €12 |',
  },
  {
    name: 'code',
    text: '# Replay\n\nTo replay the turbine telemetry, run:\n\n```sh\nturbinectl replay --from 2026-01-01 \\\n  --speed 4\n```\n',
    question: 'How do I replay the turbine telemetry?',
    holds: 'turbinectl replay',
  },
  {
    name: 'a list in a list',
    text: '# Visitors of the observatory\n\n- Observatory visitors\n  - sign the *guest book* at the door\n  - wear a yellow observatory badge\n- Staff\n',
    question: 'Which badge do observatory visitors wear?',
    holds: 'yellow observatory badge',
  },
  {
    name: 'a quotation over two lines',
    text: '# Kiln\n\n> The pottery kiln is fired on\n> Tuesdays at noon, never alone.\n',
    question: 'When is the pottery kiln fired?',
    holds: 'Tuesdays at noon',
  },
  {
    name: 'Chinese',
    text: '# 图书馆\n\n图书馆周一至周五开放，开放时间为上午九点到晚上八点。借书期限为三十天。\n',
    question: '图书馆的开放时间是什么？',
    holds: '上午九点到晚上八点',
  },
  {
    name: 'Japanese',
    text: '# 駐車場\n\n来客用駐車場は地下二階にあります。料金は一時間につき三百円です。\n',
    question: '来客用駐車場はどこにありますか？',
    holds: '地下二階',
  },
  {
    name: 'Arabic',
    text: '# المسبح\n\nيفتح المسبح أبوابه في الساعة السابعة صباحا كل يوم. التذكرة مجانية.\n',
    question: 'متى يفتح المسبح أبوابه؟',
    holds: 'السابعة صباحا',
  },
  {
    name: 'links, HTML and a mention',
    text: '# Beekeeping\n\nThe beekeeping course <b>starts</b> on [12 May](https://bees.example/x) for @everyone, see www.bees.example.\n',
    question: 'When does the beekeeping course start?',
    holds: '12 May',
  },
];

let core: Core;
let dataDir: string;
let tenantId: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'footnote-quotes-'));
  const runtime = { ...createTestRuntime(), clock: systemClock };
  const [state, chunks] = await Promise.all([
    openSqliteState({ dataDir, log: runtime.log }),
    openSqliteChunks({ dataDir, log: runtime.log }),
  ]);
  const sealer = createSealer(Buffer.alloc(32));
  const models = { chat: null, embedder: null };
  core = createCore({ state, chunks, ...models, sources: [pushSource], sealer, runtime, owner: 'test' });
  tenantId = (await core.tenants.create({ slug: 'quotes', name: 'Quotes' })).id;
  const source = await core.sources.create(tenantId, { kind: 'push', name: 'Wiki', settings: {} });
  for (const { name, text } of documents)
    await core.documents.put(tenantId, source.id, { externalId: name, content: text }, AbortSignal.timeout(20_000));
}, 60_000);
afterAll(async () => {
  await core.close();
  await rm(dataDir, { recursive: true, force: true });
});

describe('Chinese and Japanese', () => {
  it.each(['蒙古的首都是什么？', '谁赢得了世界杯冠军？', 'モンゴルの首都はどこですか？'])(
    'say too that it is not in the documents: %s',
    async (question) => {
      const receipt = await core.ask(
        tenantId,
        { question, platform: 'api', traceId: 'test' },
        { signal: AbortSignal.timeout(20_000) },
      );
      expect(receipt.kind).toBe('not-found');
    },
  );
});

describe('a quote stands in the pushed text', () => {
  it.each(documents)('$name', async ({ name, text, question, holds }) => {
    const receipt = await core.ask(
      tenantId,
      { question, platform: 'api', traceId: 'test' },
      { signal: AbortSignal.timeout(20_000) },
    );
    expect(receipt.kind).toBe('answered');
    expect(receipt.citations.map((citation) => citation.externalId)).toContain(name);
    expect(receipt.citations.map((citation) => citation.quote).join('\n')).toContain(holds);
    for (const { externalId, quote } of receipt.citations) {
      const pushed = documents.find((document) => document.name === externalId)?.text ?? '';
      expect(collapse(pushed)).toContain(quote);
    }
    expect(listEscapes(receipt.answer)).toEqual([]);
    expect(text).not.toBe('');
  });
});
