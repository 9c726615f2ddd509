import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { startModelServer } from '../fakes/model-server.ts';
import { createApi, freePort, operatorToken, type Service, startService } from '../faults/service.ts';
import { later, temporaryFolder } from './event-path.ts';
import { startLoad } from './load.ts';
import type { BenchResult } from './result.ts';
import type { SlackHello } from './slack-load.ts';

/**
 * P3: a thousand answers that stream at once in one process: the program as it is built, over real sockets, with a model
 * that writes as fast as people read. Once to callers of the API by SSE, once to threads in Slack by its own streams.
 * Delay and memory are what the program says of itself at /metrics while all thousand are under way.
 */

const answers = 1000;
/** 80 characters a second for half a minute. */
const piece = { pieceMs: 250, piece: 20 };
const writesForMs = 32_000;
const watchForMs = 10_000;

const rule = 'Parking spaces are handed out by lot in the first week of each month.';
const text = Array.from(
  { length: Math.ceil(((writesForMs / piece.pieceMs) * piece.piece) / (rule.length + 5)) },
  () => `${rule} [1]`,
).join(' ');
const questionOf = (number: number): string => `How are parking spaces handed out? I am number ${number}.`;

type Rig = {
  readonly url: string;
  readonly api: ReturnType<typeof createApi>;
  /** Answers that the model is writing. */
  underWay(): number;
  metric(name: string): Promise<number>;
};

const metricsOf = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text();
const valueIn = (metrics: string, name: string): number =>
  Number(
    metrics
      .split('\n')
      .find((line) => line.startsWith(name))
      ?.split(' ')
      .at(-1) ?? Number.NaN,
  );

/** Starts all of them through `ask`, watches while they stream, waits for their ends. */
const measure = async (rig: Rig, door: string, ask: () => { readonly done: Promise<number> }): Promise<BenchResult> => {
  const resident = (): Promise<number> => rig.metric('footnote_process_resident_memory_bytes');
  const before = await resident();
  const startedAt = performance.now();
  const { done } = ask();
  while (rig.underWay() < answers && performance.now() - startedAt < 20_000) await later(100);
  const atOnce = rig.underWay();
  // The scrape begins a new count of the delay.
  await metricsOf(rig.url);
  await later(watchForMs);
  const stillThere = rig.underWay();
  const scraped = await metricsOf(rig.url);
  const delayMs = valueIn(scraped, 'footnote_event_loop_delay_seconds{quantile="0.99"}') * 1000;
  const worstMs = valueIn(scraped, 'footnote_event_loop_delay_seconds{quantile="1"}') * 1000;
  const memoryKb = (valueIn(scraped, 'footnote_process_resident_memory_bytes') - before) / 1000 / atOnce;
  const whole = await done;
  return {
    id: 'P3',
    item: `answers that stream at once ${door}, 80 characters a second each`,
    value: `${Math.min(atOnce, stillThere)} at once; event loop p99 ${delayMs.toFixed(1)} ms; ${memoryKb.toFixed(0)} kB each`,
    unit: '',
    target: '1,000; p99 ≤ 50 ms; ≤ 250 kB each',
    beside: [
      { name: 'worst delay ms', value: worstMs },
      { name: 'resident before MB', value: before / 1_000_000 },
      { name: 'all under way after s', value: (performance.now() - startedAt) / 1000 },
    ],
    note: `${whole} of ${answers} answered whole`,
    ok: stillThere >= answers && delayMs <= 50 && memoryKb <= 250 && whole === answers,
  };
};

/** Callers of the API. Resolves with how many saw the end of an answer with its footnote. */
const askByApi = async (rig: Rig): Promise<() => { readonly done: Promise<number> }> => {
  // A key may ask so often a minute; these are many callers.
  const keys: string[] = [];
  for (let key = 0; key < 4; key += 1) {
    const made = await rig.api.post('tenants/acme/keys', { name: `caller ${key}`, scopes: ['ask'] });
    keys.push((made as { readonly key: string }).key);
  }
  const agent = new Agent({ connections: answers, headersTimeout: 0, bodyTimeout: 0 });
  const one = async (number: number): Promise<boolean> => {
    // Not in one instant: a thousand people never are.
    await later((number * 5000) / answers);
    const response = await request(`${rig.url}/api/v1/tenants/acme/ask`, {
      method: 'POST',
      dispatcher: agent,
      headers: {
        authorization: `Bearer ${keys[number % keys.length]}`,
        accept: 'text/event-stream',
        'content-type': 'application/json',
      },
      body: JSON.stringify({ question: questionOf(number) }),
    });
    let tail = '';
    for await (const chunk of response.body) tail = (tail + String(chunk)).slice(-20_000);
    return tail.includes('event: done') && tail.includes('"answered"');
  };
  return () => ({
    done: Promise.allSettled(Array.from({ length: answers }, (_, number) => one(number))).then(
      (all) => all.filter((end) => end.status === 'fulfilled' && end.value).length,
    ),
  });
};

export const run = async (): Promise<BenchResult[]> => {
  const folder = await temporaryFolder();
  const load = await startLoad<SlackHello>(new URL('./slack-load.ts', import.meta.url));
  const model = await startModelServer({ mode: () => text, ...piece });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let service: Service | null = null;
  try {
    service = await startService({
      DATA_DIR: folder.path,
      PORT: String(port),
      DEMO: 'off',
      LOG_LEVEL: 'info',
      FOOTNOTE_ADMIN_TOKEN: operatorToken,
      OPENAI_BASE_URL: model.baseUrl,
      CHAT_MODEL: 'fake',
      SLACK_SIGNING_SECRET: 'bench-secret',
      SLACK_BOT_TOKEN: 'xoxb-fake',
      SLACK_API_URL: load.hello.apiUrl,
      DEFAULT_TENANT: 'acme',
    }).ready;
    const rig: Rig = {
      url,
      api: createApi(url),
      underWay: () => model.underWay().length,
      metric: async (name) => valueIn(await metricsOf(url), name),
    };
    await rig.api.post('tenants', { slug: 'acme', name: 'Acme' });
    const source = (await rig.api.post('tenants/acme/sources', { kind: 'push', name: 'handbook', settings: {} })) as {
      readonly id: string;
    };
    await rig.api.postLines(`tenants/acme/sources/${source.id}/documents:batch`, [
      { id: 'parking', title: 'Parking', text: `# Parking\n\n${rule}` },
      { id: 'lunch', title: 'Lunch', text: '# Lunch\n\nThere is lunch at noon in the canteen.' },
    ]);
    // Compiled and warm: the first answer of a process loads much that stays.
    await load.run({
      kind: 'reply',
      url: `${url}/slack/events`,
      count: 20,
      concurrency: 20,
      questions: [questionOf(0)],
    });
    while (rig.underWay() > 0) await later(100);
    const byApi = await measure(rig, 'by SSE over the API', await askByApi(rig));
    while (rig.underWay() > 0) await later(100);
    await later(3000);
    const inSlack = await measure(rig, 'in Slack', () => ({
      done: load
        .run({
          kind: 'reply',
          url: `${url}/slack/events`,
          count: answers,
          concurrency: answers,
          perSecond: answers / 5,
          questions: Array.from({ length: answers }, (_, number) => questionOf(answers + number)),
        })
        .then(async (report) => {
          while (rig.underWay() > 0) await later(100);
          return report.answeredMs.length;
        }),
    }));
    return [byApi, inSlack];
  } finally {
    await service?.stop();
    await model.close();
    await load.close();
    await folder.remove();
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await run(), null, 2));
  process.exit(0);
}
