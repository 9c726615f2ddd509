import { setTimeout as pause } from 'node:timers/promises';
import {
  type Cluster,
  type ClusterOptions,
  type Finding,
  inParallel,
  shuffled,
  startAll,
  startCluster,
  until,
} from './cluster.ts';
import { countAnswers, examineBooks, questionsOf } from './world.ts';

const hour = 3_600_000;

/** R3: each event one to five times, shuffled, over all instances; and all of them once more after a restart, 25 hours later. */
export const proveRedelivery = async (
  options: Omit<ClusterOptions, 'model'> & { readonly questions: number },
): Promise<Finding> => {
  const { chance, questions } = options;
  // With MongoDB the time is the server's, whatever a process' own clock says.
  const hours = options.stores?.MONGODB_URI === undefined ? 25 : 0;
  const again = hours === 0 ? 'again after a restart' : `again after ${hours} h`;
  const cluster = await startCluster(options);
  const problems: string[] = [];
  let refused = 0;
  try {
    const { world, instances } = cluster;
    await startAll(cluster);
    const deliveries = Array.from({ length: questions }, world.ask).flatMap(({ events }) =>
      events.flatMap((event) => Array.from({ length: 1 + chance.below(5) }, (_, retry) => ({ event, retry }))),
    );
    const deliverAll = () =>
      inParallel(shuffled(deliveries, chance), 24, async ({ event, retry }) => {
        await world.deliver(event, retry).catch(() => {
          refused += 1;
        });
      });
    await deliverAll();
    await until(() => countAnswers(world) >= questionsOf(world), 120_000, 'an answer to every question');
    await quiet(cluster);
    problems.push(...(await examineBooks(world)).map((problem) => `at once: ${problem}`));

    await Promise.all(instances.map((instance) => instance.stop()));
    cluster.setAhead(hours * hour);
    await Promise.all(instances.map((instance) => instance.start()));
    await cluster.inRotation();
    const callsBefore = cluster.model.calls.length;
    await deliverAll();
    await quiet(cluster);
    problems.push(...(await examineBooks(world)).map((problem) => `${again}: ${problem}`));
    const repeated = cluster.model.calls.length - callsBefore;
    if (repeated > 0) problems.push(`${again}: the model was asked ${repeated} times more`);
    const heard = await Promise.all(instances.map((instance) => instance.metric('events_total', 'reason="duplicate"')));
    if (heard.some((count) => count === 0)) problems.push(`${again}: an instance heard nothing`);
    if (refused > 0) problems.push(`${refused} deliveries were refused`);
    return {
      id: 'R3',
      item: `redelivery 1–5×, shuffled, all instances, ${again}`,
      measured: `${questions} questions in ${deliveries.length * 2} deliveries: ${countAnswers(world)} answers, ${problems.length} problems`,
      figures: { questions, deliveries: deliveries.length * 2, answers: countAnswers(world), refused },
      problems,
      late: [],
    };
  } finally {
    await cluster.close();
  }
};

/** Nothing waits any more, seen by every instance twice in a row. */
const quiet = async ({ instances }: Cluster): Promise<void> => {
  const isQuiet = async () =>
    (await Promise.all(instances.map((instance) => instance.metric('inbox_ready')))).every((ready) => ready === 0);
  await until(isQuiet, 60_000, 'an empty inbox');
  await pause(1_000);
  await until(isQuiet, 60_000, 'an empty inbox');
};
