import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Cluster, type ClusterOptions, type Finding, seconds, startAll, startCluster, until } from './cluster.ts';
import { chunkFiles, lockFile, mountSmallDisk, type Outage, throughProxies } from './outage.ts';
import { answersOf, ever, examineAnswers, examineDocuments, listAll, questionsOf, type Wish } from './world.ts';

export type StoreDown = Omit<ClusterOptions, 'model' | 'towers' | 'under'> & {
  readonly outage: Outage;
  readonly downMs: number;
};

/** R7: a store goes away under load and comes back. Null where this outage cannot be made here. */
export const proveStoreDown = async (options: StoreDown): Promise<Finding | null> => {
  const disk = options.outage === 'disk-full' ? mountSmallDisk(96) : null;
  if (options.outage === 'disk-full' && disk === null) return null;
  const led = await throughProxies(options.stores ?? {});
  const cluster = await startCluster({
    ...options,
    stores: led.stores,
    towers: 240,
    model: { pieceMs: 20 },
    ...(disk === null ? {} : { under: disk.folder }),
  });
  try {
    await startAll(cluster);
    const takeDown = async (): Promise<() => unknown> => {
      const { dataDir } = cluster.world;
      switch (options.outage) {
        case 'state-locked':
          return lockFile(join(dataDir, 'state.sqlite'));
        case 'chunks-locked':
          return lockFile(chunkFiles(dataDir)[0] ?? '');
        case 'disk-full':
          return disk?.fill() ?? (() => {});
        case 'state-cut':
        case 'chunks-cut': {
          const proxies = options.outage === 'state-cut' ? led.state : led.chunks;
          for (const proxy of proxies) proxy.set('refuse');
          return () => proxies.map((proxy) => proxy.set('pass'));
        }
      }
    };
    return await liveThrough(cluster, options, takeDown);
  } finally {
    await cluster.close();
    for (const proxy of [...led.state, ...led.chunks]) await proxy.close();
    disk?.close();
  }
};

const liveThrough = async (
  cluster: Cluster,
  { outage, downMs }: StoreDown,
  takeDown: () => Promise<() => unknown>,
): Promise<Finding> => {
  const { world } = cluster;
  const problems: string[] = [];
  const late: string[] = [];
  const load = startLoad(cluster);
  await pause(2_000);
  const bringBack = await takeDown();
  load.note('down');
  await pause(downMs);
  await bringBack();
  load.note('back');
  const backAt = performance.now();
  // "Normal" is: every instance is ready, and what comes in now is answered and found at once.
  const normalMs = await becomesNormal(cluster, backAt);
  const heard = await load.end();
  await until(
    () => [...promised(heard.acknowledged)].every(([thread, count]) => answersOf(world, thread) >= count),
    60_000,
    'an answer to every question that was acknowledged',
  ).catch((error: Error) => problems.push(error.message));
  const caughtUpMs = performance.now() - backAt;
  // What was not taken is brought again, as platforms and clients do.
  for (const wish of heard.refused) await wish.send().catch((error: Error) => problems.push(`again: ${error.message}`));
  await until(
    () => world.threads.every((thread) => answersOf(world, thread) >= thread.questions),
    60_000,
    'an answer to every question',
  ).catch((error: Error) => problems.push(error.message));
  await pause(1_000);
  await world.finishSync();

  problems.push(...examineAnswers(world), ...(await examineDocuments(world)), ...(await examineCharged(cluster)));
  problems.push(...heard.unkind.map((said) => `no plain sentence: ${said}`));
  if (normalMs > 10_000) late.push(`normal only ${seconds(normalMs)} after the return`);
  const accepted = heard.acknowledged.length;
  return {
    id: 'R7',
    item: `${outage.replace('-', ' ')} for ${seconds(downMs)}`,
    measured: [
      `${accepted} questions accepted, ${heard.acceptedWhileDown} of them meanwhile; ${heard.refused.length} questions and pushes refused and taken when they came again`,
      `normal ${seconds(normalMs)} after the return`,
      heard.sentences[0] === undefined ? 'nobody was turned away' : `people were told: “${heard.sentences[0]}”`,
    ].join('; '),
    figures: {
      downMs,
      accepted,
      acceptedWhileDown: heard.acceptedWhileDown,
      refused: heard.refused.length,
      normalMs: Math.round(normalMs),
      caughtUpMs: Math.round(caughtUpMs),
    },
    problems,
    late,
  };
};

/** How many answers each thread was promised. */
const promised = (acknowledged: readonly Asked[]): ReadonlyMap<Asked['thread'], number> => {
  const counts = new Map<Asked['thread'], number>();
  for (const { thread } of acknowledged) counts.set(thread, (counts.get(thread) ?? 0) + 1);
  return counts;
};

type Asked = ReturnType<Cluster['world']['ask']>;

/** Two questions and two pushes a second, and one question to the API. */
const startLoad = ({ world }: Cluster) => {
  const over = new AbortController();
  const acknowledged: Asked[] = [];
  const refused: Pick<Wish, 'send'>[] = [];
  const sentences = new Set<string>();
  const unkind: string[] = [];
  const running = new Set<Promise<void>>();
  let phase: 'before' | 'down' | 'back' = 'before';
  let acceptedWhileDown = 0;

  const track = (work: Promise<void>): void => {
    running.add(work);
    void work.finally(() => running.delete(work));
  };
  const question = async (): Promise<void> => {
    const asked = world.ask();
    const send = async () => {
      for (const event of asked.events) await world.deliver(event);
    };
    const begun = phase;
    await send().then(
      () => {
        acknowledged.push(asked);
        if (begun === 'down' && phase === 'down') acceptedWhileDown += 1;
      },
      () => void refused.push({ send }),
    );
  };
  /** Whoever is turned away is told why, in words: status 503 and a sentence. */
  const hear = (error: unknown): void => {
    const [, status = '', body = ''] = /: (\d{3}) (\{[\s\S]*)/.exec(String(error)) ?? [];
    const detail = /"detail":"([^"]+)"/.exec(body)?.[1];
    if (status === '503' && detail !== undefined && /^[A-Z].*\.$/.test(detail)) sentences.add(detail);
    else unkind.push(String(error).slice(0, 300));
  };
  const push = async (): Promise<void> => {
    const wish = world.document(true);
    await wish.send().catch((error: unknown) => {
      hear(error);
      refused.push(wish);
    });
  };
  const ask = (): Promise<void> =>
    world.api
      .post(`${world.tenant}/search`, { query: 'How tall is the Kestrel tower?', limit: 3 })
      .then(() => {}, hear);

  const loop = async (): Promise<void> => {
    for (let turn = 0; !over.signal.aborted; turn += 1) {
      track(question());
      track(push());
      if (turn % 2 === 0) track(ask());
      await pause(500);
    }
    await Promise.all(running);
  };
  const looping = loop();
  return {
    note: (next: 'down' | 'back') => {
      phase = next;
    },
    end: async () => {
      over.abort();
      await looping;
      return { acknowledged, refused, unkind, sentences: [...sentences], acceptedWhileDown };
    },
  };
};

/** From the return until all are ready, a question asked now has its answer, and a document pushed now is found. */
const becomesNormal = async ({ world, balancer, instances }: Cluster, backAt: number): Promise<number> => {
  const all = async (): Promise<void> => {
    await until(() => balancer.ready() === instances.length, 60_000, 'every instance to be ready');
    const asked = world.ask();
    for (const event of asked.events) await world.deliver(event);
    await world.document(true).send();
    await until(() => answersOf(world, asked.thread) >= asked.thread.questions, 60_000, 'the answer to a new question');
  };
  for (;;) {
    try {
      await all();
      return performance.now() - backAt;
    } catch (error) {
      if (performance.now() - backAt > 60_000) throw error;
      await pause(100);
    }
  }
};

/** A receipt for every question; a charge for every one that was answered and none for a sentence about a failure. */
const examineCharged = async ({ world }: Cluster): Promise<string[]> => {
  const receipts = await listAll(world, 'answers');
  const { rows } = (await world.api.get(`${world.tenant}/usage?${ever}`)) as { rows: { questions: number }[] };
  const charged = rows.reduce((sum, row) => sum + row.questions, 0);
  const answered = receipts.filter(({ kind }) => kind !== 'refused').length;
  return [
    ...(receipts.length === questionsOf(world) ? [] : [`${questionsOf(world)} questions, ${receipts.length} receipts`]),
    ...(charged === answered ? [] : [`${answered} answers, ${charged} in the ledger`]),
  ];
};
