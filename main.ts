import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { serve } from '@hono/node-server';
import { createSlack } from './bots/slack/slack.ts';
import { createHttpApp } from './console/app.tsx';
import { createAuth } from './console/auth/auth.ts';
import { type Config, parseConfig } from './core/config.ts';
import { type Core, createCore } from './core/core.ts';
import { openSqliteChunks } from './core/drivers/chunks/sqlite/chunks.ts';
import { createOpenAiChat, createOpenAiEmbedder } from './core/drivers/models/openai.ts';
import { createFolderSource } from './core/drivers/sources/folder.ts';
import { pushSource } from './core/drivers/sources/push.ts';
import { uploadSource } from './core/drivers/sources/upload.ts';
import { openSqliteState } from './core/drivers/state/sqlite/state.ts';
import { createLog } from './core/observe/log.ts';
import { createMetrics } from './core/observe/metrics.ts';
import { systemClock, systemRandom } from './core/observe/system.ts';
import type { Platform } from './core/ports/platform.ts';
import type { Runtime } from './core/ports/runtime.ts';
import { createSealer } from './core/security/seal.ts';
import { loadSecretKey } from './core/security/secret-key.ts';
import { fillDemoTenant } from './demo.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** How long a stop waits for running answers and jobs before their leases are handed back. */
const drainForMs = 25_000;

export type Opened = {
  readonly config: Config;
  readonly runtime: Runtime;
  readonly core: Core;
  readonly secretKey: Uint8Array;
  metricsText(): Promise<string>;
};

/**
 * Environment -> config -> drivers -> core, without serving: what every verb of the command line builds on. Several
 * processes may do so on one DATA_DIR. Throws AppError `config` or `store-unavailable` with a sentence.
 */
export const openCore = async (env: Environment = process.env): Promise<Opened> => {
  const config = parseConfig(env);
  const dataDir = resolve(config.DATA_DIR);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const log = createLog({ level: config.LOG_LEVEL });
  const metrics = createMetrics();
  const runtime: Runtime = { clock: systemClock, random: systemRandom, log, metrics };
  const secretKey = loadSecretKey(config.FOOTNOTE_SECRET_KEY, dataDir);
  const state = await openSqliteState({ dataDir, log });
  const chunks = await openSqliteChunks({ dataDir, log });
  const openAi = { baseUrl: config.OPENAI_BASE_URL, apiKey: config.OPENAI_API_KEY, rpm: config.CHAT_RPM, tpm: config.CHAT_TPM };
  const core = createCore({
    state,
    chunks,
    chat: config.CHAT_MODEL === undefined ? null : createOpenAiChat({ ...openAi, model: config.CHAT_MODEL, smallModel: config.CHAT_MODEL_SMALL, runtime }),
    embedder:
      config.EMBEDDING_MODEL === undefined
        ? null
        : createOpenAiEmbedder({
            baseUrl: config.EMBEDDING_BASE_URL ?? config.OPENAI_BASE_URL,
            apiKey: config.EMBEDDING_API_KEY ?? config.OPENAI_API_KEY,
            model: config.EMBEDDING_MODEL,
            runtime,
          }),
    sources: [pushSource, uploadSource, createFolderSource({ roots: config.FOLDER_ROOTS, forbidden: [dataDir] })],
    sealer: createSealer(secretKey),
    runtime,
    operatorToken: config.FOOTNOTE_ADMIN_TOKEN,
    defaultTenant: config.DEFAULT_TENANT,
    owner: `${hostname()}:${process.pid}:${systemRandom.hex(4)}`,
  });
  return { config, runtime, core, secretKey, metricsText: metrics.text };
};

export type Running = {
  readonly url: string;
  /** Printed while no operator has signed in yet. */
  readonly signInUrl: string | null;
  readonly core: Core;
  /** Drains, closes the listener, then the stores. Safe to call twice. */
  stop(): Promise<void>;
};

/** Everything in one process: drivers, core, bots, console and API on one port. Resolves when it serves. */
export const startFootnote = async (env: Environment = process.env): Promise<Running> => {
  const opened = await openCore(env);
  const { config, runtime, core } = opened;
  const auth = await createAuth({
    databaseFile: join(resolve(config.DATA_DIR), 'state.sqlite'),
    publicUrl: config.PUBLIC_URL,
    secretKey: opened.secretKey,
    core,
    runtime,
  });
  if (config.DEMO === 'on') await fillDemoTenant(core, runtime.log);
  const platforms: Platform[] = [];
  if (config.SLACK_SIGNING_SECRET !== undefined || config.SLACK_APP_TOKEN !== undefined) platforms.push(createSlack({ config, core, runtime }));
  const app = createHttpApp({
    core,
    auth,
    platformRoutes: platforms.flatMap(({ routes }) => (routes === undefined ? [] : [routes])),
    runtime,
    config,
    metricsText: opened.metricsText,
  });
  await core.start(platforms);
  const server = await listen(app, config);
  const address = server.address();
  runtime.log.info('ready', { port: typeof address === 'object' && address !== null ? address.port : config.PORT });
  let stopped: Promise<void> | undefined;
  return {
    url: config.PUBLIC_URL,
    signInUrl: await auth.firstSignInUrl(),
    core,
    stop: () => {
      stopped ??= (async () => {
        await core.drain(drainForMs);
        await new Promise<void>((done) => server.close(() => done()));
        await auth.close();
        await core.close();
      })();
      return stopped;
    },
  };
};
