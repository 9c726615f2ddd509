/**
 * The whole Weaviate bench by one command, on a server of its own: started here with a fresh folder on loopback, measured, and
 * ended. Also what only somebody who may restart it can measure: what hundreds of collections cost, and how long it takes to open them.
 *
 *   WEAVIATE_BIN=/path/to/weaviate node test/bench/weaviate-server.ts [switch] [search] [native] [empty]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openWeaviateChunks, type WeaviateChunks } from '../../core/drivers/chunks/weaviate/chunks.ts';
import { systemClock } from '../../core/observe/system.ts';
import type { Log } from '../../core/ports/runtime.ts';
import { analyserVersion } from '../../core/text/analyse.ts';
import { freePort } from '../faults/service.ts';
import { type BenchResult, renderResults, rowOf } from './result.ts';

type Server = {
  readonly pid: number;
  readonly readyMs: number;
  /** Of all cores: the figure to compare where others work too. */
  readonly readyProcessorMs: number;
  stop(): Promise<void>;
};

const startWithinMs = 30 * 60_000;
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** A server over this folder; ready when it says so and the schema is there. */
const startServer = async (
  binary: string,
  folder: string,
  ports: readonly number[],
  more: Readonly<Record<string, string>> = {},
): Promise<Server> => {
  const [rest, grpc, gossip, data, raft, rpc] = ports;
  const startedAt = performance.now();
  const child: ChildProcess = spawn(binary, ['--host', '127.0.0.1', '--port', String(rest), '--scheme', 'http'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env.PATH ?? '',
      HOME: folder,
      PERSISTENCE_DATA_PATH: join(folder, 'data'),
      AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED: 'true',
      DEFAULT_VECTORIZER_MODULE: 'none',
      DISABLE_TELEMETRY: 'true',
      GO_PROFILING_DISABLE: 'true',
      LOG_LEVEL: 'error',
      GRPC_PORT: String(grpc),
      CLUSTER_HOSTNAME: 'node1',
      CLUSTER_IN_LOCALHOST: 'true',
      CLUSTER_ADVERTISE_ADDR: '127.0.0.1',
      CLUSTER_BIND_ADDR: '127.0.0.1',
      CLUSTER_GOSSIP_BIND_PORT: String(gossip),
      CLUSTER_DATA_BIND_PORT: String(data),
      RAFT_PORT: String(raft),
      RAFT_INTERNAL_RPC_PORT: String(rpc),
      RAFT_JOIN: `node1:${raft}`,
      RAFT_BOOTSTRAP_EXPECT: '1',
      RAFT_BOOTSTRAP_TIMEOUT: '1800',
      ...more,
    },
  });
  const gone = once(child, 'exit');
  let ended = false;
  void gone.then(() => {
    ended = true;
  });
  while (!(await isReady(rest ?? 0))) {
    if (ended) throw new Error('The Weaviate server ended by itself.');
    if (performance.now() - startedAt > startWithinMs) throw new Error('The Weaviate server did not get ready.');
    await pause(100);
  }
  return {
    pid: child.pid ?? 0,
    readyMs: performance.now() - startedAt,
    readyProcessorMs: processorMs(child.pid ?? 0),
    stop: async () => {
      child.kill('SIGTERM');
      await gone;
    },
  };
};

const isReady = async (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/v1/.well-known/ready`, { signal: AbortSignal.timeout(5_000) }).then(
    ({ ok }) => ok,
    () => false,
  );

/** What the process has used so far; a tick is 10 ms. */
const processorMs = (pid: number): number => {
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [user = 0, system = 0] = fields.split(' ').slice(11, 13).map(Number);
  return (user + system) * 10;
};

const residentMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1_024;

/** A server on a busy machine takes its time over a collection; what came through all the same is found there. */
const ensure = async (store: WeaviateChunks, at: number): Promise<void> => {
  const profile = { analyser: analyserVersion, embeddingModel: 'projection', dimensions: 384 };
  for (let tries = 1; ; tries += 1) {
    try {
      return await store.ensureIndex({ tenantId: `t_${at}`, generation: 1 }, profile);
    } catch (error) {
      if (tries === 10) throw error;
      await pause(2_000);
    }
  }
};

const lazy = { LAZY_LOAD_SHARD_COUNT_THRESHOLD: '0' } as const;

/**
 * What many empty tenants cost: memory while they are made (W7), and a restart with all of them (W8), as the server is by
 * default and with its shards opened when they are needed.
 */
const emptyTenants = async (binary: string, folder: string, ports: readonly number[]): Promise<BenchResult[]> => {
  const results: BenchResult[] = [];
  const tell = (result: BenchResult): void => {
    results.push(result);
    // At once: what is broken off later must not take these with it.
    console.error(renderResults([rowOf(result)]));
  };
  const [rest, grpc] = ports;
  let server = await startServer(binary, folder, ports);
  const open = () =>
    openWeaviateChunks({
      url: `http://127.0.0.1:${rest}`,
      grpcUrl: `http://127.0.0.1:${grpc}`,
      deploymentId: 'restart',
      tenancy: 'collection',
      replicas: 1,
      maxTenants: 2_000,
      timeouts: { writeMs: 120_000 },
      clock: systemClock,
      log: silent,
    });
  try {
    let store = await open();
    // The first of all pays for what is there once.
    await ensure(store, 0);
    await pause(5_000);
    const before = residentMb(server.pid);
    for (let made = 1; made <= 500; ) {
      const next = made <= 100 ? 100 : 500;
      const startedAt = performance.now();
      const from = made;
      for (; made <= next; made += 1) await ensure(store, made);
      const each = (performance.now() - startedAt) / (next - from + 1);
      await pause(10_000);
      tell({
        id: 'W7',
        item: `memory of the server per empty tenant, ${next} collections`,
        value: ((residentMb(server.pid) - before) * 1_024) / next,
        unit: 'kB',
        beside: [
          { name: 'resident MB with one', value: before },
          { name: 'with all', value: residentMb(server.pid) },
          { name: 'making one takes ms', value: each },
        ],
      });
      for (const [how, more] of [
        ['as it is', {}],
        ['LAZY_LOAD_SHARD_COUNT_THRESHOLD=0', lazy],
      ] as const) {
        await store.close();
        const stoppedAt = performance.now();
        await server.stop();
        const stopMs = performance.now() - stoppedAt;
        server = await startServer(binary, folder, ports, more);
        const atReady = residentMb(server.pid);
        await pause(30_000);
        tell({
          id: 'W8',
          item: `restart to ready, ${next} empty collections, ${how}`,
          value: server.readyMs / 1_000,
          unit: 's',
          beside: [
            { name: 'processor s until then', value: server.readyProcessorMs / 1_000 },
            { name: 'stopping took s', value: stopMs / 1_000 },
            { name: 'resident MB when ready', value: atReady },
            { name: '30 s later', value: residentMb(server.pid) },
          ],
        });
        store = await open();
      }
    }
    await store.close();
  } finally {
    await server.stop();
  }
  return results;
};

const { WEAVIATE_BIN } = process.env;
if (WEAVIATE_BIN === undefined) {
  console.error('Set WEAVIATE_BIN to the path of a Weaviate server.');
  process.exitCode = 2;
} else {
  const asked = process.argv.slice(2);
  // Neighbours: the server takes its ports for data and for calls between nodes only beside those for gossip and Raft.
  const first = await freePort();
  const ports = Array.from({ length: 6 }, (_, n) => (first < 60_000 ? first : first - 10) + n);
  const results: BenchResult[] = [];
  const within = async (work: (folder: string) => Promise<void>): Promise<void> => {
    const folder = await mkdtemp(join(tmpdir(), 'footnote-bench-weaviate-'));
    await work(folder).finally(() => rm(folder, { recursive: true, force: true }));
  };
  const parts = ['switch', 'search', 'native'].filter((name) => asked.length === 0 || asked.includes(name));
  for (const part of parts) {
    // A fresh server for each: what one leaves in memory is not the next one's.
    await within(async (folder) => {
      const server = await startServer(WEAVIATE_BIN, folder, ports);
      try {
        const bench = spawn(process.execPath, [new URL('./weaviate.ts', import.meta.url).pathname, part], {
          stdio: ['ignore', 'inherit', 'inherit'],
          env: {
            ...process.env,
            WEAVIATE_URL: `http://127.0.0.1:${ports[0]}`,
            WEAVIATE_GRPC_URL: `http://127.0.0.1:${ports[1]}`,
            WEAVIATE_PID: String(server.pid),
          },
        });
        await once(bench, 'exit');
      } finally {
        await server.stop();
      }
    });
  }
  if (asked.length === 0 || asked.includes('empty'))
    await within(async (folder) => {
      results.push(...(await emptyTenants(WEAVIATE_BIN, folder, ports)));
    });
  if (results.length > 0) console.log(renderResults(results.map(rowOf)));
}
