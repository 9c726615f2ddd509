import { setTimeout as pause } from 'node:timers/promises';
import {
  type Cluster,
  type ClusterOptions,
  type Finding,
  quantile,
  seconds,
  startAll,
  startCluster,
  until,
} from './cluster.ts';
import { operatorToken } from './service.ts';
import { countAnswers, examineBooks, questionsOf } from './world.ts';

export type Rolling = Omit<ClusterOptions, 'model' | 'towers'> & {
  readonly questionsPerSecond: number;
  /** Every process in turn, so many times over. */
  readonly rounds: number;
  /** Where another version stands, built: all begin with it, are brought to this one, back to it, and so on, one by one. */
  readonly beside?: string;
};

/** An answer takes about a second and a half, so that every stop finds several under way. */
const model = { latencyMs: 200, pieceMs: 180 };

/** R9: SIGTERM to every process in turn, under load and behind the proxy; each comes back before the next one goes. */
export const proveRolling = async (options: Rolling): Promise<Finding> => {
  const cluster = await startCluster({ ...options, model, towers: 400 });
  const problems: string[] = [];
  const stopMs: number[] = [];
  const readyMs: number[] = [];
  try {
    const { world, instances } = cluster;
    await startAll(cluster, options.beside);
    const load = startLoad(cluster, options.questionsPerSecond);
    await pause(1_500);
    for (let round = 0; round < options.rounds; round += 1) {
      for (const instance of instances) {
        const since = performance.now();
        const code = await instance.stop();
        stopMs.push(performance.now() - since);
        if (code !== 0) problems.push(`a stop ended with code ${code}`);
        readyMs.push(await instance.start(round % 2 === 0 ? undefined : options.beside));
        await cluster.inRotation();
      }
    }
    const heard = await load.end();
    await until(() => countAnswers(world) >= questionsOf(world), 60_000, 'an answer to every question').catch(
      (error: Error) => problems.push(error.message),
    );
    await pause(1_000);
    problems.push(...heard.failures.slice(0, 5), ...cluster.balancer.failures.slice(0, 5));
    if (heard.cut > 0) problems.push(`${heard.cut} answers on the line were cut`);
    problems.push(...(await examineBooks(world, heard.whole + heard.cut)));
    return {
      id: 'R9',
      item: [
        `SIGTERM to every process in turn under load, ${options.rounds} times over`,
        ...(options.beside === undefined ? [] : ['from another version to this one and back, the two side by side']),
      ].join('; '),
      measured: [
        `${stopMs.length} stops, ${heard.webhooks} webhooks, ${heard.failures.length} failed`,
        `${questionsOf(world)} answers in Slack and ${heard.whole} on the line, ${heard.cut} cut`,
        `a stop took median ${seconds(quantile(stopMs, 0.5))}, worst ${seconds(Math.max(...stopMs))}`,
        `acknowledged p50 ${Math.round(quantile(heard.ackMs, 0.5))} ms, p99 ${Math.round(quantile(heard.ackMs, 0.99))} ms`,
      ].join('; '),
      figures: {
        stops: stopMs.length,
        webhooks: heard.webhooks,
        failed: heard.failures.length,
        answers: questionsOf(world),
        streams: heard.whole + heard.cut,
        cut: heard.cut,
        stopMedianMs: Math.round(quantile(stopMs, 0.5)),
        stopWorstMs: Math.round(Math.max(...stopMs)),
        ackP50Ms: Math.round(quantile(heard.ackMs, 0.5)),
        ackP99Ms: Math.round(quantile(heard.ackMs, 0.99)),
      },
      problems,
      late: [],
    };
  } finally {
    await cluster.close();
  }
};

/** Mentions at a steady rate, whatever becomes of them, and one answer after the other on the line of the API. */
const startLoad = ({ world, balancer }: Cluster, perSecond: number) => {
  const over = new AbortController();
  const failures: string[] = [];
  const ackMs: number[] = [];
  const running = new Set<Promise<void>>();
  let webhooks = 0;
  let whole = 0;
  let cut = 0;

  const deliver = async (event: unknown): Promise<void> => {
    const since = performance.now();
    webhooks += 1;
    await world.deliver(event).then(
      () => void ackMs.push(performance.now() - since),
      (error: unknown) => void failures.push(`a webhook failed: ${String(error)}`),
    );
  };
  const mention = async (): Promise<void> => {
    while (!over.signal.aborted) {
      for (const event of world.ask().events) {
        const work = deliver(event);
        running.add(work);
        void work.finally(() => running.delete(work));
      }
      await pause(1_000 / perSecond);
    }
    await Promise.all(running);
  };
  const listen = async (lane: number): Promise<void> => {
    for (let turn = 0; !over.signal.aborted; turn += 1) {
      const end = await streamedAnswer(balancer.port, `How tall is the Kestrel tower? ${lane} ${turn}`).catch(String);
      if (end === 'whole') whole += 1;
      else {
        cut += 1;
        failures.push(`an answer on the line: ${end}`);
      }
    }
  };
  const looping = Promise.all([mention(), listen(1), listen(2)]);
  return {
    end: async () => {
      over.abort();
      await looping;
      return { failures, ackMs, webhooks, whole, cut };
    },
  };
};

const streamedAnswer = async (port: number, question: string): Promise<string> => {
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1/tenants/acme/ask`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${operatorToken}`,
      'content-type': 'application/json',
      accept: 'text/event-stream',
    },
    body: JSON.stringify({ question }),
    signal: AbortSignal.timeout(60_000),
  });
  const text = await answer.text();
  return answer.ok && /^event: done$/m.test(text) ? 'whole' : `${answer.status} ${text.slice(-200)}`;
};
