import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hono } from 'hono';
import { createConversations } from '../../core/conversation/conversation.ts';
import { openSqliteState } from '../../core/drivers/state/sqlite/state.ts';
import { systemClock, systemRandom } from '../../core/observe/system.ts';
import type { Platform } from '../../core/ports/platform.ts';
import type { Log, Runtime } from '../../core/ports/runtime.ts';
import { rememberSources } from '../../core/tenancy/remember.ts';
import { listen } from '../bots/discord/driving.ts';
import { demoTenant, effective } from '../bots/slack/world.ts';
import { doorsOf } from '../core/conversation/doors.ts';
import { createFakeAnswering } from '../core/conversation/fake-answering.ts';
import type { LoadCommand, LoadReport } from './load.ts';
import { type BenchResult, quantile } from './result.ts';

/** What the benches of the event path have in common: our bot as it runs, peers in turn with it, and the rows. */

export type Bot = {
  readonly name: string;
  /** Where it hears. */
  readonly url: string;
  /** Resolves when nothing of what was asked is left to do. */
  quiet?(): Promise<void>;
  stop(): Promise<void>;
};

export const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

/** Nothing is printed and nothing counted; `noted` resolves when this was logged. */
export const quietRuntime = (event = ''): { readonly runtime: Runtime; readonly noted: Promise<void> } => {
  const noted = Promise.withResolvers<void>();
  return {
    noted: noted.promise,
    runtime: {
      clock: systemClock,
      random: systemRandom,
      log: { ...silent, info: (name) => void (name === event && noted.resolve()) },
      metrics: { count: () => undefined, observe: () => undefined, set: () => undefined },
    },
  };
};

/** A folder that goes when it is not needed any more. */
export const temporaryFolder = async (): Promise<{ readonly path: string; remove(): Promise<void> }> => {
  const path = await mkdtemp(join(tmpdir(), 'footnote-bench-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
};

export const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Ours as it runs: durable inbox, leased threads, outbox, receipts; only the answer itself is faked. `path` is where the
 * platform's posts go; `ready` names the line of the log with which it hears, if it says so.
 */
export const startOurs = async (
  make: (runtime: Runtime) => Platform,
  { path, ready }: { readonly path: string; readonly ready?: string },
): Promise<Bot> => {
  const folder = await temporaryFolder();
  const { runtime, noted } = quietRuntime(ready);
  const state = await openSqliteState({ dataDir: folder.path, log: silent });
  await state.tenants.create(demoTenant);
  const platform = make(runtime);
  const conversations = createConversations({
    state,
    answering: createFakeAnswering(() => Date.now()),
    resolveTenant: async () => demoTenant,
    rules: async () => effective({}),
    ...doorsOf(state, runtime),
    // As the core hands them over.
    sources: rememberSources(state.sources, runtime.clock, 3_000),
    runtime,
    owner: 'bench',
  });
  conversations.start([platform]);
  await platform.start(conversations.receive);
  const http = await listen(platform.routes ?? new Hono());
  if (ready !== undefined) await noted;
  return {
    name: 'footnote',
    url: `${http.url}${path}`,
    quiet: async () => {
      while ((await state.inbox.depth(Date.now())).ready > 0) await later(10);
      // What the running service does every half minute.
      await state.maintenance.sweep(Date.now());
    },
    stop: async () => {
      await http.close();
      await platform.stop();
      await conversations.stop(5000);
      await state.maintenance.close();
      await folder.remove();
    },
  };
};

export type Contestant = { readonly bot: Bot; run(command: LoadCommand): Promise<LoadReport> };

type Measured = {
  readonly name: string;
  /** Answers a second, a round each. */
  readonly rates: readonly number[];
  readonly answeredMs: readonly number[];
  /** Processor time of an answer, a round each: on the bot's own thread, and on its others (the store, the engine's helpers). */
  readonly mainMs: readonly number[];
  readonly besideMs: readonly number[];
  readonly failures: number;
};

const median = (values: readonly number[]): number => quantile(values, 0.5);

/** All of them in turn, round by round, so that a busy moment of the machine hits neighbours alike. */
const turnAbout = async (
  contestants: readonly Contestant[],
  how: { readonly count: number; readonly concurrency: number; readonly rounds: number },
): Promise<readonly Measured[]> => {
  const rounds = contestants.map(() => [] as (LoadReport & { readonly mainMs: number; readonly allMs: number })[]);
  for (let round = 0; round <= how.rounds; round += 1) {
    for (const [at, { bot, run }] of contestants.entries()) {
      // The first ones are answered by code that is still being compiled, beside it and on the same cores: they do not count.
      const count = round === 0 ? 5 * how.count : how.count;
      const [main, all] = [process.threadCpuUsage(), process.cpuUsage()];
      const report = await run({ kind: 'reply', url: bot.url, count, concurrency: how.concurrency });
      // Ours still writes its books when the last reply is out; that is not for the next one to pay.
      await bot.quiet?.();
      const [mainMs, allMs] = [sum(process.threadCpuUsage(main)), sum(process.cpuUsage(all))];
      if (round > 0) rounds[at]?.push({ ...report, mainMs, allMs });
    }
  }
  return contestants.map(({ bot }, at) => {
    const own = rounds[at] ?? [];
    const answered = (report: LoadReport): number => report.answeredMs.length;
    return {
      name: bot.name,
      rates: own.map((report) => (answered(report) * 1000) / report.forMs),
      answeredMs: own.flatMap((report) => report.answeredMs),
      mainMs: own.map((report) => report.mainMs / answered(report)),
      besideMs: own.map((report) => (report.allMs - report.mainMs - report.cpuMs) / answered(report)),
      failures: own.reduce((total, report) => total + report.failures, 0),
    };
  });
};

const sum = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;

/** P9: ours first, then its peers, each with the ratio that it is to reach. */
export const measureEventPath = async (
  item: string,
  contestants: readonly [Contestant, ...(Contestant & { readonly needed: number })[]],
  { concurrency, note = '' }: { readonly concurrency: number; readonly note?: string },
): Promise<BenchResult> => {
  const [own, ...peers] = await turnAbout(contestants, { count: 300, concurrency, rounds: 7 });
  if (own === undefined) throw new Error('not measured');
  const ratios = peers.map(({ rates }) => median(own.rates.map((rate, round) => rate / (rates[round] ?? Number.NaN))));
  const needed = contestants.slice(1).map((peer) => ('needed' in peer ? Number(peer.needed) : 0));
  const failures = [own, ...peers].reduce((total, one) => total + one.failures, 0);
  return {
    id: 'P9',
    item: `${item}, ${concurrency} under way`,
    value: median(own.rates),
    unit: 'answers/s',
    target: peers.flatMap(({ name }, at) => (needed[at] === 0 ? [] : [`≥ ${needed[at]} × ${name}`])).join('; '),
    beside: [
      ...peers.flatMap(({ name, rates }, at) => [
        { name: `${name} answers/s`, value: median(rates) },
        { name: 'ratio', value: ratios[at] ?? Number.NaN },
      ]),
      ...[own, ...peers].flatMap(({ name, answeredMs, mainMs, besideMs }) => [
        { name: `${name} p50 ms`, value: median(answeredMs) },
        { name: 'processor: main thread ms', value: median(mainMs) },
        { name: 'its other threads ms', value: median(besideMs) },
      ]),
    ],
    note: `${failures} failed${note}`,
    ok: failures === 0 && ratios.every((ratio, at) => ratio >= (needed[at] ?? 0)),
  };
};

/** P1: until the platform is told "ok", paced, beside a peer that stores nothing. */
export const measureAcknowledgement = async (
  item: string,
  own: Contestant,
  peer: Contestant,
  { perSecond }: { readonly perSecond: number },
): Promise<BenchResult> => {
  const ask = async ({ bot, run }: Contestant, command: Omit<LoadCommand, 'url' | 'kind'>): Promise<LoadReport> => {
    const report = await run({ kind: 'acknowledge', url: bot.url, ...command });
    await bot.quiet?.();
    return report;
  };
  for (const one of [own, peer]) await ask(one, { count: 200, concurrency: 16 });
  const paced = await ask(own, { count: 10 * perSecond, concurrency: 64, perSecond });
  const beside = await ask(peer, { count: 5 * perSecond, concurrency: 64, perSecond });
  const flatOut = await ask(own, { count: 1000, concurrency: 32 });
  const p50 = median(paced.acknowledgedMs);
  const p99 = quantile(paced.acknowledgedMs, 0.99);
  const failures = paced.failures + flatOut.failures;
  return {
    id: 'P1',
    item: `${item} acknowledged after the durable insert, ${perSecond}/s, each also answered`,
    value: `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}`,
    unit: 'ms',
    target: 'p50 ≤ 5 ms, p99 ≤ 50 ms',
    beside: [
      { name: `${peer.bot.name}: p50 ms`, value: median(beside.acknowledgedMs) },
      { name: 'p99 ms', value: quantile(beside.acknowledgedMs, 0.99) },
      { name: 'ours flat out, 32 at once: p50 ms', value: median(flatOut.acknowledgedMs) },
      { name: 'p99 ms', value: quantile(flatOut.acknowledgedMs, 0.99) },
      { name: 'per second', value: Math.round((flatOut.acknowledgedMs.length * 1000) / flatOut.forMs) },
    ],
    note: `${failures} failed`,
    ok: p50 <= 5 && p99 <= 50 && failures === 0,
  };
};
