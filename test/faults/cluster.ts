import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { dropDatabase } from '../core/drivers/state/mongo/server.ts';
import { type ModelServer, startModelServer } from '../fakes/model-server.ts';
import { type Balancer, startBalancer } from './balancer.ts';
import { freePort, type Service, startService } from './service.ts';
import { type Chance, createWorld, type World } from './world.ts';

export const metricsToken = 'metrics-token-of-the-fault-harness';

/** One of several equal processes. */
export type Instance = {
  readonly index: number;
  readonly port: number;
  /** What it names itself by to the model, so that one sees who is in the middle of a call. */
  readonly key: string;
  /** The process, or null between two lives. */
  service: Service | null;
  /** Resolves when it is ready; milliseconds from spawn. `checkout`: where another version of the program stands, built. */
  start(checkout?: string): Promise<number>;
  kill(): Promise<void>;
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>;
  /** Sum of a metric over its labels, or over those that contain the given text. */
  metric(name: string, labels?: string): Promise<number>;
};

export type ClusterOptions = {
  readonly processes: number;
  readonly chance: Chance;
  /** Stores other than the files of one DATA_DIR: what is added to every process' environment. */
  readonly stores?: Readonly<Record<string, string>>;
  readonly under?: string;
  /** Documents that questions are about; as many as questions, where each has to reach the model. */
  readonly towers?: number;
  /** How fast the model writes. */
  readonly model?: { readonly latencyMs?: number; readonly pieceMs?: number };
};

/** Several processes of the program as it is built, behind a proxy, with one store; a fake Slack and a fake model beside them. */
export type Cluster = {
  readonly chance: Chance;
  readonly world: World;
  readonly model: ModelServer;
  readonly balancer: Balancer;
  readonly instances: readonly Instance[];
  /** Clocks of processes that start from now on, and Slack's. */
  setAhead(ms: number): void;
  /** Waits until so many are ready in the proxy's eyes. */
  inRotation(count?: number): Promise<void>;
  close(): Promise<void>;
};

export const startCluster = async (options: ClusterOptions): Promise<Cluster> => {
  const model = await startModelServer(options.model ?? {});
  const ports: number[] = [];
  while (ports.length < options.processes) {
    const port = await freePort();
    if (!ports.includes(port)) ports.push(port);
  }
  const balancer = await startBalancer(ports);
  let aheadMs = 0;
  const world = await createWorld(options.chance, {
    port: balancer.port,
    ...(options.towers === undefined ? {} : { towers: options.towers }),
    aheadMs: () => aheadMs,
    ...(options.under === undefined ? {} : { under: options.under }),
    environment: {
      PUBLIC_URL: `http://127.0.0.1:${balancer.port}`,
      TRUSTED_PROXIES: '127.0.0.1',
      FOOTNOTE_SECRET_KEY: randomBytes(32).toString('base64'),
      METRICS_TOKEN: metricsToken,
      OPENAI_BASE_URL: model.baseUrl,
      CHAT_MODEL: 'fake-model',
      ...options.stores,
    },
  });
  const instances = ports.map((port, index) => createInstance(port, index, world, () => aheadMs));
  return {
    chance: options.chance,
    world,
    model,
    balancer,
    instances,
    setAhead: (ms) => {
      aheadMs = ms;
    },
    inRotation: async (count = options.processes) => {
      await until(() => balancer.ready() >= count, 60_000, `${count} instances in rotation`);
    },
    close: async () => {
      const { MONGODB_URI: uri, WEAVIATE_URL: index } = world.environment;
      // On servers nothing is left behind; a proof that broke off may have nobody to ask.
      if (index !== undefined) await world.api.remove(world.tenant).catch(() => undefined);
      await Promise.all(instances.map((instance) => instance.kill()));
      if (uri !== undefined) await dropDatabase(uri).catch(() => undefined);
      await balancer.close();
      await model.close();
      await world.close();
    },
  };
};

const createInstance = (port: number, index: number, world: World, aheadMs: () => number): Instance => {
  const key = `key-of-instance-${index}`;
  const instance: Instance = {
    index,
    port,
    key,
    service: null,
    start: async (checkout) => {
      const ahead = aheadMs();
      const started = startService(
        {
          ...world.environment,
          PORT: String(port),
          OPENAI_API_KEY: key,
          ...(ahead === 0
            ? {}
            : { AHEAD_MS: String(ahead), NODE_OPTIONS: `--import=${new URL('./ahead.ts', import.meta.url).href}` }),
        },
        checkout,
      );
      instance.service = await started.ready;
      return instance.service.readyAfterMs;
    },
    kill: async () => {
      const { service } = instance;
      instance.service = null;
      await service?.kill();
    },
    stop: async () => {
      const { service } = instance;
      instance.service = null;
      return (await service?.stop()) ?? null;
    },
    metric: async (name, labels = '') => {
      const answer = await fetch(`http://127.0.0.1:${port}/metrics`, {
        headers: { authorization: `Bearer ${metricsToken}` },
      });
      return (await answer.text())
        .split('\n')
        .filter((line) => line.startsWith(`footnote_${name}`) && line.includes(labels))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    },
  };
  return instance;
};

/** As long as nobody has signed in every start makes a link for the first owner, which a deployment in use does not. */
const signIn = async ({ port, service }: Instance): Promise<void> => {
  if (typeof service?.signInPath === 'string')
    await fetch(`http://127.0.0.1:${port}${service.signInPath}`, { redirect: 'manual' });
};

/** Starts them all and fills the world with what questions are about. */
export const startAll = async (
  { instances, world, inRotation }: Cluster,
  checkout?: string,
): Promise<readonly number[]> => {
  const [first, ...others] = instances;
  const readyMs = [await (first as Instance).start(checkout)];
  await signIn(first as Instance);
  readyMs.push(...(await Promise.all(others.map((instance) => instance.start(checkout)))));
  await inRotation();
  await world.furnish();
  return readyMs;
};

/** Looks every 25 ms; an overrun is an error that says what was waited for. Resolves with the milliseconds it took. */
export const until = async (
  isSo: () => boolean | Promise<boolean>,
  withinMs: number,
  what: string,
): Promise<number> => {
  const since = performance.now();
  while (!(await isSo())) {
    if (performance.now() - since > withinMs) throw new Error(`Waited ${withinMs} ms in vain for ${what}.`);
    await pause(25);
  }
  return performance.now() - since;
};

/** What a proof found: the figures, and everything that is not as it has to be. */
export type Finding = {
  readonly id: 'R3' | 'R4' | 'R6' | 'R7' | 'R9';
  readonly item: string;
  /** In words, for the table. */
  readonly measured: string;
  readonly figures: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  /** Right, but slower than the figure to reach. A busy machine excuses it in a suite, not in a table of figures. */
  readonly late: readonly string[];
};

/** Milliseconds as seconds with one digit after the point. */
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export const quantile = (values: readonly number[], q: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? 0;

/** Works through a list, so many at once. */
export const inParallel = async <T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> => {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      await work(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
};

export const shuffled = <T>(items: readonly T[], chance: Chance): T[] =>
  items
    .map((item) => ({ item, at: chance.float() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
