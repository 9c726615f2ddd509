import { setTimeout as pause } from 'node:timers/promises';
import {
  type Cluster,
  type ClusterOptions,
  type Finding,
  type Instance,
  seconds,
  startAll,
  startCluster,
  until,
} from './cluster.ts';
import { countHolds } from './holds.ts';
import { ever, listAll } from './world.ts';

export type QuotaRace = Omit<ClusterOptions, 'model' | 'towers'> & {
  readonly questions: number;
  readonly unit: 'questions' | 'tokens';
  readonly limit: number;
  readonly kills: number;
};

/** Long enough that a process can be killed in the middle of a call: after its reservation, before its settlement. */
const model = { latencyMs: 2_000 };

/** R4: more questions at once than the limit has room for, while processes that hold reservations are killed. */
export const proveQuotaRace = async (options: QuotaRace): Promise<Finding> => {
  const { questions, unit, limit, kills } = options;
  const cluster = await startCluster({ ...options, model, towers: questions });
  const problems: string[] = [];
  const late: string[] = [];
  try {
    const { world } = cluster;
    await startAll(cluster);
    await world.api.put(`${world.tenant}/quotas`, { limits: [{ scope: 'tenant', unit, per: 'month', limit }] });
    const asked = Array.from({ length: questions }, world.ask);
    const delivering = Promise.all(asked.flatMap(({ events }) => events.map((event) => insist(cluster, event))));
    // A proof that breaks off waits for nobody.
    delivering.catch(() => undefined);
    const lives: Promise<number>[] = [];
    while (lives.length < kills) {
      const killed = await killInCall(cluster);
      if (killed === null) throw new Error('No process was in the middle of a call any more.');
      lives.push(killed.life);
    }
    await Promise.all([delivering, ...lives]);
    let receipts: Record<string, unknown>[] = [];
    await until(
      async () => {
        await pause(250);
        receipts = await listAll(world, 'answers');
        return receipts.length >= questions;
      },
      180_000,
      `a receipt for each of ${questions} questions`,
    );
    // The dead have been taken over by now: whatever is still held is held by nobody.
    const heldMs = await until(async () => (await countHolds(world)) === 0, 90_000, 'the last reservation to go');
    const answered = receipts.filter(({ kind }) => kind !== 'refused').length;
    const used = await spent(cluster, unit);
    const { limits } = (await world.api.get(`${world.tenant}/quotas`)) as { limits: { used: number }[] };
    const counted = Number(limits[0]?.used);
    if (receipts.length !== questions) problems.push(`${questions} questions, ${receipts.length} receipts`);
    if (counted > limit) problems.push(`${counted} ${unit} counted against a limit of ${limit}`);
    // Nobody is charged for a call whose answer died with its process; the ledger knows it, for the provider bills it.
    const billed = used - counted;
    if (billed < 0 || (unit === 'questions' && billed !== 0))
      problems.push(`${counted} ${unit} counted against the limit, ${used} in the ledger`);
    if (unit === 'questions' && used !== answered) problems.push(`${answered} answers, ${used} charged`);
    if (answered === 0) problems.push('nobody was answered');
    if (answered === questions) problems.push('the limit was never reached');
    if (heldMs > 60_000) late.push(`a reservation was left for ${seconds(heldMs)}`);
    return {
      id: 'R4',
      item: `quota race: ${questions} parallel questions at a limit of ${limit} ${unit}, ${kills} × kill -9 between reserve and settle`,
      measured: `${answered} answered, used ${counted} of ${limit} ${unit}, no reservation left ${seconds(heldMs)} after the last answer`,
      figures: { questions, answered, used: counted, uncharged: billed, limit, kills, heldMs: Math.round(heldMs) },
      problems,
      late,
    };
  } finally {
    await cluster.close();
  }
};

/** Until it is accepted, as a platform that redelivers. */
const insist = async ({ world }: Cluster, event: unknown): Promise<void> => {
  for (let retry = 0; ; retry += 1) {
    try {
      return await world.deliver(event, retry === 0 ? undefined : retry);
    } catch (error) {
      if (retry > 200) throw error;
      await pause(300);
    }
  }
};

/** Kills the process that has most calls under way, as soon as one has several. Resolves with the life that follows, or null. */
const killInCall = async ({
  instances,
  model: server,
}: Cluster): Promise<{ readonly life: Promise<number> } | null> => {
  const underWay = ({ key, service }: Instance): number =>
    service === null ? 0 : server.underWay().filter(({ authorization }) => authorization === `Bearer ${key}`).length;
  const since = performance.now();
  while (performance.now() - since < 20_000) {
    const enough = performance.now() - since < 6_000 ? 3 : 1;
    const [victim] = [...instances].sort((a, b) => underWay(b) - underWay(a));
    if (victim !== undefined && underWay(victim) >= enough) {
      await victim.kill();
      return { life: victim.start() };
    }
    await pause(5);
  }
  return null;
};

const spent = async ({ world }: Cluster, unit: QuotaRace['unit']): Promise<number> => {
  const { rows } = (await world.api.get(`${world.tenant}/usage?${ever}`)) as {
    rows: { questions: number; promptTokens: number; completionTokens: number }[];
  };
  return rows.reduce(
    (sum, row) => sum + (unit === 'questions' ? row.questions : row.promptTokens + row.completionTokens),
    0,
  );
};
