import { setTimeout as pause } from 'node:timers/promises';
import {
  type Cluster,
  type ClusterOptions,
  type Finding,
  type Instance,
  quantile,
  seconds,
  startAll,
  startCluster,
  until,
} from './cluster.ts';
import { createApi } from './service.ts';
import { countAnswers, examine, questionsOf } from './world.ts';

/** The model takes so long that a kill finds answers half written. */
const model = { latencyMs: 300, pieceMs: 150 };
const questionsPerRound = 12;
/** Before something counts as lost; how soon it has to come is another figure. */
const patienceMs = 120_000;

/**
 * R6: kill -9 in the middle of answers, pushes and a sync, and before anybody knows that Slack has its words; others take
 * over, the process comes back, no half document. In the end one sleeps through its leases and wakes.
 */
export const proveTakeover = async (
  options: Omit<ClusterOptions, 'model' | 'towers'> & { readonly rounds: number },
): Promise<Finding> => {
  const cluster = await startCluster({ ...options, model, towers: questionsPerRound * (2 * options.rounds + 1) });
  const takeoverMs: number[] = [];
  const jobMs: number[] = [];
  const restartMs: number[] = [];
  const problems: string[] = [];
  const late: string[] = [];
  const brokenOff = new AbortController();
  let orphans = 0;
  let looks = 0;
  try {
    const { world } = cluster;
    // What never comes is a finding like others, and the books then tell what is there instead.
    const missed = (error: Error): void => void problems.push(error.message);
    const answersCome = (whose: string) => until(() => countAnswers(world) >= questionsOf(world), patienceMs, whose);
    await startAll(cluster);
    for (let round = 0; round < options.rounds; round += 1) {
      const over = new AbortController();
      const looking = lookForHalves(cluster, AbortSignal.any([over.signal, brokenOff.signal]));

      const unheard = await killUnheard(cluster);
      await answersCome('the answers that Slack had begun to show').catch(missed);
      restartMs.push(await unheard.start());
      await cluster.inRotation();

      await askAll(cluster);
      world.reprint();
      const { job } = await world.startSync();
      const documents = Array.from({ length: 6 }, () => world.document(true));
      const unfulfilled: typeof documents = [];
      const pushing = Promise.all(documents.map((wish) => wish.send().catch(() => void unfulfilled.push(wish))));
      const victim = await inTheMiddle(cluster);
      orphans += questionsOf(world) - countAnswers(world);
      await victim.kill();
      await Promise.all([
        answersCome('the answers of the dead').then((ms) => void takeoverMs.push(ms), missed),
        until(() => isOver(cluster, job.id).catch(() => false), patienceMs, 'the job of the dead').then(
          (ms) => void jobMs.push(ms),
          missed,
        ),
      ]);
      await pushing;
      restartMs.push(await victim.start());
      await cluster.inRotation();
      for (const wish of unfulfilled) await wish.send();
      over.abort();
      const seen = await looking;
      looks += seen.looks;
      problems.push(...seen.problems);
    }
    await sleepThroughLeases(cluster);
    await answersCome('the answers of the one who slept').catch(missed);
    await world.finishSync();
    problems.push(...(await examine(world)));
    const worst = { takeover: Math.max(...takeoverMs), job: Math.max(...jobMs), restart: Math.max(...restartMs) };
    if (worst.takeover > 15_000) late.push(`answers taken over after ${seconds(worst.takeover)}`);
    if (worst.job > 15_000) late.push(`a sync taken over and done after ${seconds(worst.job)}`);
    if (worst.restart > 5_000) late.push(`ready again after ${seconds(worst.restart)}`);
    return {
      id: 'R6',
      item: `${options.rounds} × kill -9 of one of several: takeover, restart, no half document`,
      measured: [
        `${orphans} unfinished answers stood whole after median ${seconds(quantile(takeoverMs, 0.5))}, worst ${seconds(worst.takeover)}`,
        `the sync was done after worst ${seconds(worst.job)}`,
        `ready again after median ${seconds(quantile(restartMs, 0.5))}, worst ${seconds(worst.restart)}`,
        `${looks} searches meanwhile, none saw half a document`,
      ].join('; '),
      figures: {
        rounds: options.rounds,
        orphans,
        takeoverMedianMs: Math.round(quantile(takeoverMs, 0.5)),
        takeoverWorstMs: Math.round(worst.takeover),
        jobWorstMs: Math.round(worst.job),
        restartMedianMs: Math.round(quantile(restartMs, 0.5)),
        restartWorstMs: Math.round(worst.restart),
        looks,
      },
      problems,
      late,
    };
  } finally {
    brokenOff.abort();
    await cluster.close();
  }
};

const askAll = async ({ world }: Cluster): Promise<void> => {
  const asked = Array.from({ length: questionsPerRound }, world.ask);
  await Promise.all(asked.flatMap(({ events }) => events.map((event) => world.deliver(event))));
};

/** One who has several answers under way, as soon as there is one; anybody where a busy machine lets us look only after them. */
const inTheMiddle = async (cluster: Cluster): Promise<Instance> => {
  const some = (): readonly Instance[] => cluster.instances.filter((instance) => answering(cluster, instance) >= 2);
  await until(() => some().length > 0, 5_000, '').catch(() => undefined);
  const [first, ...others] = some();
  return cluster.chance.pick(
    first === undefined ? (cluster.instances as readonly [Instance, ...Instance[]]) : [first, ...others],
  );
};

/** What an answer begins with, by stream or without. */
const firstWords = ['chat.startStream', 'chat.postMessage'] as const;

/** Slack shows the first words of answers, and who sent them is killed before it hears so: others must find them there. */
const killUnheard = async (cluster: Cluster): Promise<Instance> => {
  const { slack } = cluster.world;
  const before = slack.answers().length;
  const { promise: untilReleased, resolve: release } = Promise.withResolvers<void>();
  for (const method of firstWords) slack.fault(method, { kind: 'unheard', untilReleased }, questionsPerRound);
  try {
    await askAll(cluster);
    // All are asked of all by turns, so that each has some of them.
    await until(() => slack.answers().length - before >= questionsPerRound * 0.75, 60_000, 'first words in Slack');
    const victim = cluster.chance.pick(cluster.instances as readonly [Instance, ...Instance[]]);
    await victim.kill();
    return victim;
  } finally {
    slack.heal();
    release();
  }
};

/** Long enough for others to take over; one that slept while it wrote to a file holds them up for as long. */
const sleepMs = 12_000;

/** Who wakes and finds that others have answered in its place says nothing, and settles nothing. */
const sleepThroughLeases = async (cluster: Cluster): Promise<void> => {
  const { world } = cluster;
  await askAll(cluster);
  const { service } = await inTheMiddle(cluster);
  service?.sleep();
  await until(() => countAnswers(world) >= questionsOf(world), sleepMs, '').catch(() => undefined);
  service?.wake();
  // Time to say something wrong.
  await pause(3_000);
  await cluster.inRotation();
};

const answering = ({ model: server }: Cluster, { key }: Instance): number =>
  server.underWay().filter(({ authorization }) => authorization === `Bearer ${key}`).length;

const isOver = async ({ world }: Cluster, job: string): Promise<boolean> => {
  const { state } = (await world.api.get(`${world.tenant}/jobs/${job}`)) as { state: string };
  return state === 'done' || state === 'failed';
};

/** Asks whoever lives, again and again: what is found of a document is all of it, and of one version. */
const lookForHalves = async (
  { world, chance, instances }: Cluster,
  signal: AbortSignal,
): Promise<{ readonly looks: number; readonly problems: readonly string[] }> => {
  const problems: string[] = [];
  let looks = 0;
  for (let turn = 0; !signal.aborted; turn += 1) {
    await pause(20);
    const living = instances.filter(({ service }) => service !== null);
    const asked = living[turn % living.length];
    if (asked === undefined) continue;
    const words = [...world.leaflets.keys(), ...world.documents.keys()];
    const word = words[chance.below(words.length)] ?? '';
    const found = (await createApi(`http://127.0.0.1:${asked.port}`)
      .post(`${world.tenant}/search`, { query: word, limit: 100 })
      .catch((error: unknown) => {
        // Whoever is killed while it is asked says nothing; whoever lives has no excuse.
        if (asked.service !== null) problems.push(`a survivor: ${String(error)}`);
        return null;
      })) as { passages: { externalId: string; text: string }[] } | null;
    if (found === null) continue;
    looks += 1;
    const own = found.passages.filter(({ externalId }) => externalId === word || externalId === `${word}.md`);
    const versions = new Set(own.flatMap(({ text }) => text.match(/release\d+mark/g) ?? []));
    const parts = new Set(own.flatMap(({ text }) => text.match(/Part \d+ about/g) ?? []));
    if (versions.size > 1) problems.push(`${word}: ${[...versions].join(' and ')} at once`);
    if (own.length > 0 && parts.size !== 8) problems.push(`${word}: ${parts.size} of 8 parts`);
  }
  return { looks, problems };
};
