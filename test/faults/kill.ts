import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { Service } from './service.ts';
import {
  type Chance,
  countAnswers,
  createChance,
  createWorld,
  examine,
  questionsOf,
  type Wish,
  type World,
} from './world.ts';

/**
 * R1, R2, R6: kill -9 at named points and at random instants, over and over, while signed questions come from Slack and
 * documents from the API. After it: every accepted question has exactly one answer, as many receipts and charges as
 * questions, every document searchable once and whole.
 *
 *   npm run build && node test/faults/kill.ts --runs 200 --seed 1
 */

/** Where the process dies. Slack's side of the wire is ours, so that "sent, but the reply never read" is exact. */
const points = [
  'at a random instant',
  'at a random instant',
  'while starting',
  'question sent',
  'question acknowledged',
  'document sent',
  'document acknowledged',
  'sync acknowledged',
  'chat.startStream arrived',
  'chat.startStream done',
  'chat.stopStream arrived',
  'chat.stopStream lost',
  'chat.stopStream done',
  'chat.postMessage arrived',
  'chat.postMessage lost',
  'chat.postMessage done',
  'chat.update arrived',
  'conversations.replies arrived',
] as const;
type Point = (typeof points)[number];

export type Outcome = {
  readonly runs: number;
  readonly questions: number;
  readonly documents: number;
  /** How often each point was really hit (the others died at the fallback instant). */
  readonly hits: Readonly<Record<string, number>>;
  readonly readyMs: readonly number[];
  /** From the last start until every answer stood. */
  readonly restMs: readonly number[];
  readonly problems: readonly string[];
};

const killsPerWorld = 10;
const fallbackMs = 2_500;
const restWithinMs = 60_000;

export const runKills = async (options: {
  readonly runs: number;
  readonly seed: number;
  log?(line: string): void;
}): Promise<Outcome> => {
  const outcome = {
    runs: 0,
    questions: 0,
    documents: 0,
    hits: {} as Record<string, number>,
    readyMs: [] as number[],
    restMs: [] as number[],
    problems: [] as string[],
  };
  for (let index = 0; outcome.runs < options.runs; index += 1) {
    const seed = options.seed * 10_000 + index;
    const chance = createChance(seed);
    const world = await createWorld(chance);
    try {
      const kills = Math.min(killsPerWorld, options.runs - outcome.runs);
      const result = await liveAndDie(world, chance, kills, (point) => {
        outcome.hits[point] = (outcome.hits[point] ?? 0) + 1;
      });
      outcome.runs += kills;
      outcome.questions += questionsOf(world);
      outcome.documents += world.documents.size + world.leaflets.size;
      outcome.readyMs.push(...result.readyMs);
      outcome.restMs.push(result.restMs);
      outcome.problems.push(...result.problems.map((problem) => `seed ${seed}: ${problem}`));
      options.log?.(
        `${outcome.runs} kills, ${outcome.questions} questions, ${outcome.documents} documents, ${outcome.problems.length} problems`,
      );
    } finally {
      await world.close();
    }
  }
  return outcome;
};

const liveAndDie = async (world: World, chance: Chance, kills: number, hit: (point: Point) => void) => {
  const readyMs: number[] = [];
  let wishes: Wish[] = [];
  const first = await world.start().ready;
  await world.furnish();
  let service: Service | null = first;
  try {
    for (let kill = 0; kill < kills; kill += 1) {
      const point = chance.pick(points);
      if (point === 'while starting') {
        await service?.kill();
        const start = world.start();
        await Promise.race([pause(50 + chance.below(900)), start.ready.catch(() => {})]);
        await start.kill();
        service = null;
        hit(point);
        continue;
      }
      if (service === null) {
        service = await world.start().ready;
        readyMs.push(service.readyAfterMs);
      }
      wishes = await oneLife(world, chance, service, point, wishes, () => hit(point));
      service = null;
    }
    const last = await world.start().ready;
    service = last;
    readyMs.push(last.readyAfterMs);
    const since = performance.now();
    // What was never acknowledged is sent again, as Slack and every client would.
    for (const wish of wishes) await wish.send();
    const restMs = await rest(world, since);
    await world.finishSync();
    return { readyMs, restMs, problems: await examine(world) };
  } finally {
    await service?.kill();
  }
};

/** One life of the service: old wishes again, new ones beside them, and the end at the point. Answers the unfulfilled. */
const oneLife = async (
  world: World,
  chance: Chance,
  service: Service,
  point: Point,
  old: readonly Wish[],
  hit: () => void,
): Promise<Wish[]> => {
  const wishes = [
    ...old,
    ...Array.from({ length: 1 + chance.below(3) }, world.question),
    ...Array.from({ length: 1 + chance.below(2) }, world.document),
    ...(chance.float() < 0.5 ? [world.sync()] : []),
  ];
  let isOver = false;
  let end: () => void = () => {};
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  const die = (isPoint: boolean): void => {
    if (isOver) return;
    isOver = true;
    if (isPoint) hit();
    void service.kill().then(end);
  };
  const disarm = armPoint(world, point, () => die(true));
  const instant = point === 'at a random instant' ? chance.below(1_200) : fallbackMs;
  const timer = setTimeout(() => die(point === 'at a random instant'), instant);
  const unfulfilled: Wish[] = [];
  const work = (async () => {
    for (const wish of wishes) {
      if (isOver) {
        unfulfilled.push(wish);
        continue;
      }
      const isThis = point.startsWith(wish.kind === 'question' || wish.kind === 'sync' ? wish.kind : 'document');
      const sending = wish.send();
      if (isThis && point.endsWith(' sent')) setTimeout(() => die(true), chance.below(8));
      await sending.then(
        () => isThis && point.endsWith(' acknowledged') && die(true),
        (error: unknown) => {
          // Only death excuses a failure: an error while it lives is a finding.
          if (!isOver) throw error;
          unfulfilled.push(wish);
        },
      );
    }
  })();
  await Promise.all([
    over,
    work.catch((error: unknown) => {
      die(false);
      throw error;
    }),
  ]).finally(() => {
    clearTimeout(timer);
    disarm();
  });
  return unfulfilled;
};

/** Points on Slack's side: when the call has arrived, when it is done but its reply is lost, when the reply is out. */
const armPoint = (world: World, point: Point, die: () => void): (() => void) => {
  const [, method, moment] = /^(\S+\.\S+) (arrived|lost|done)$/.exec(point) ?? [];
  if (method === undefined) return () => {};
  let isArmed = true;
  let release: () => void = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  if (moment === 'arrived') world.slack.fault(method, { kind: 'slow', untilReleased: released });
  if (moment === 'lost') world.slack.fault(method, { kind: 'lost' });
  void world.slack.nextCall(method).then(async () => {
    if (!isArmed) return;
    // "Done" means the reply is on its way; the fake answers within the same turn of the loop.
    if (moment !== 'arrived') await pause(3);
    die();
  });
  return () => {
    isArmed = false;
    release();
  };
};

/** Waits until every question has its answer and nothing is left to do. Answers how long that took. */
const rest = async (world: World, since: number): Promise<number> => {
  const expected = questionsOf(world);
  while (performance.now() - since < restWithinMs && countAnswers(world) < expected) await pause(50);
  const took = performance.now() - since;
  // A late second answer could only come from rows that are still open, or from a lease that has yet to run out.
  await pause(1_500);
  return took;
};

const quantile = (values: readonly number[], q: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? 0;

export const renderOutcome = (outcome: Outcome): string =>
  [
    `${outcome.runs} kills, ${outcome.questions} questions, ${outcome.documents} documents, ${outcome.problems.length} problems`,
    `restart to ready: median ${Math.round(quantile(outcome.readyMs, 0.5))} ms, worst ${Math.round(Math.max(0, ...outcome.readyMs))} ms`,
    `last start to every answer: median ${Math.round(quantile(outcome.restMs, 0.5))} ms, worst ${Math.round(Math.max(0, ...outcome.restMs))} ms`,
    ...Object.entries(outcome.hits)
      .sort()
      .map(([point, times]) => `  ${String(times).padStart(4)} × ${point}`),
    ...outcome.problems.map((problem) => `  ✗ ${problem}`),
  ].join('\n');

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({
    options: { runs: { type: 'string', default: '200' }, seed: { type: 'string', default: '1' } },
  });
  const outcome = await runKills({
    runs: Number(values.runs),
    seed: Number(values.seed),
    log: (line) => console.error(line),
  });
  console.log(renderOutcome(outcome));
  process.exitCode = outcome.problems.length === 0 ? 0 : 1;
}
