import { createHmac } from 'node:crypto';
import { hostname } from 'node:os';
import { getRequestListener } from '@hono/node-server';
import { createPlatforms } from './bots/platforms.ts';
import { examineDeployment, versionOfThis } from './checks.ts';
import { createHttpApp } from './console/app.tsx';
import { type Auth, type AuthParts, createAuth } from './console/auth/auth.ts';
import type { HttpParts } from './console/guard.ts';
import { createSendMail } from './console/mail.ts';
import { type Config, parseConfig } from './core/config.ts';
import type { Core } from './core/core.ts';
import { type CoreParts, createCore } from './core/create-core.ts';
import type { Role, TenantId } from './core/domain.ts';
import { createFolderSource } from './core/drivers/sources/folder.ts';
import { pushSource } from './core/drivers/sources/push.ts';
import { uploadSource } from './core/drivers/sources/upload.ts';
import { createWebsiteSource } from './core/drivers/sources/website/website.ts';
import { createLog } from './core/observe/log.ts';
import { createMetrics } from './core/observe/metrics.ts';
import { systemClock, systemRandom } from './core/observe/system.ts';
import { timeState } from './core/observe/time-state.ts';
import type { Runtime } from './core/ports/runtime.ts';
import { createGuardedFetch } from './core/security/guarded-fetch.ts';
import { createSealer } from './core/security/seal.ts';
import { fillDemoTenant } from './demo.ts';
import { createListener, freePort, type Listener } from './listener.ts';
import { openStores } from './stores.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** How long a stop waits for running answers and jobs before their leases are handed back. */
const drainForMs = 25_000;
/** Behind a proxy: so long it may take until the proxy has noticed at /readyz that others are to be asked. */
const lingerForMs = 5_000;
/** And so long nothing may have come before the port is closed and kept connections are ended. */
const quietForMs = 2_000;
/** How long answers on open connections may take at least after everything else has stopped. */
const closeForMs = 3_000;

export type Guest = { readonly email: string; readonly role: Role; readonly tenantId: TenantId | null };

export type Opened = {
  readonly config: Config;
  readonly runtime: Runtime;
  readonly core: Core;
  metricsText(): Promise<string>;
  openAuth(): Promise<Auth>;
  /** A new one-time link: for the owner, or for somebody who is given this role. */
  signInUrl(guest?: Guest): Promise<string>;
  /** The `demo` tenant with its sample documents, unless DEMO is off, it was filled before, or it was deleted. */
  fillDemo(): Promise<void>;
  /** Everything that a restore needs, into an empty folder. */
  backup(folder: string, signal: AbortSignal): Promise<void>;
};

/**
 * Environment -> config -> drivers -> core, without serving: what every verb of the command line builds on. Several
 * processes may do so on one DATA_DIR. Throws AppError `config` or `store-unavailable` with a sentence.
 */
export const openCore = async (env: Environment = process.env): Promise<Opened> => {
  const config = parseConfig(env);
  const log = createLog({ level: config.LOG_LEVEL });
  const metrics = createMetrics();
  const logText = config.LOG_TEXT === 'on';
  const stores = await openStores(config, { clock: systemClock, random: systemRandom, log });
  const { chunks, secretKey, dataDir } = stores;
  const state = timeState(stores.state, metrics);
  const runtime: Runtime = { clock: stores.clock, random: systemRandom, log, metrics, logText };
  const fetch = createGuardedFetch({ allow: config.FETCH_ALLOW });
  const core = createCore({
    state,
    chunks,
    ...(await modelsFrom(config, runtime)),
    sources: [
      createWebsiteSource({ fetch, clock: stores.clock }),
      pushSource,
      uploadSource,
      createFolderSource({ roots: config.FOLDER_ROOTS, forbidden: dataDir === null ? [] : [dataDir] }),
    ],
    sealer: createSealer(secretKey),
    fetch,
    runtime,
    ...(config.FOOTNOTE_ADMIN_TOKEN === undefined ? {} : { operatorToken: config.FOOTNOTE_ADMIN_TOKEN }),
    ...(config.DEFAULT_TENANT === undefined ? {} : { defaultTenant: config.DEFAULT_TENANT }),
    defaultWorkspaces: config.DEFAULT_TENANT_WORKSPACES,
    owner: `${hostname()}:${process.pid}:${systemRandom.hex(4)}`,
    about: { version: versionOfThis(), node: process.version, host: hostname(), pid: process.pid },
  });
  const openAuth = async (): Promise<Auth> =>
    createAuth({
      users: await stores.openUsers(),
      publicUrl: config.PUBLIC_URL,
      secret: createHmac('sha256', secretKey).update('sessions').digest('hex'),
      runtime,
      ...oidcFrom(config),
    });
  return {
    config,
    runtime,
    core,
    metricsText: async () => {
      // Asked at the scrape: a queue that nobody works on would not measure itself.
      const depth = await state.inbox.depth(runtime.clock.now()).catch(() => null);
      // While the store is away all the other numbers are wanted most; these stand as they last were.
      if (depth !== null) {
        metrics.set('inbox_ready', depth.ready);
        metrics.set('inbox_oldest_seconds', depth.oldestMs / 1000);
      }
      return metrics.text();
    },
    openAuth,
    signInUrl: async (guest) => {
      const auth = await openAuth();
      try {
        if (guest === undefined) return (await auth.ownerLink(core.members)).url;
        const link = await auth.issueSignInLink(guest.email);
        await core.members.put(link.userId, guest.tenantId, guest.role);
        return link.url;
      } finally {
        auth.close();
      }
    },
    fillDemo: async () => {
      if (config.DEMO === 'on') await fillDemoTenant(core, log);
    },
    backup: async (folder, signal) => {
      await core.backup(folder, signal);
      await stores.copyKey(folder);
    },
  };
};

const oidcFrom = ({ OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET }: Config): Pick<AuthParts, 'oidc'> =>
  OIDC_ISSUER === undefined || OIDC_CLIENT_ID === undefined || OIDC_CLIENT_SECRET === undefined
    ? {}
    : { oidc: { issuer: OIDC_ISSUER, clientId: OIDC_CLIENT_ID, clientSecret: OIDC_CLIENT_SECRET } };

const mailFrom = ({ SMTP_URL, MAIL_FROM }: Config): Pick<HttpParts, 'sendMail'> =>
  SMTP_URL === undefined || MAIL_FROM === undefined
    ? {}
    : { sendMail: createSendMail({ url: SMTP_URL, from: MAIL_FROM }) };

const modelsFrom = async (config: Config, runtime: Runtime): Promise<Pick<CoreParts, 'chat' | 'embedder'>> => {
  const { CHAT_MODEL, CHAT_MODEL_SMALL, EMBEDDING_MODEL } = config;
  if (CHAT_MODEL === undefined && EMBEDDING_MODEL === undefined) return { chat: null, embedder: null };
  // Loaded only when it is used: the client costs a quarter of a second of every start.
  const { createOpenAiChat, createOpenAiEmbedder } = await import('./core/drivers/models/openai.ts');
  return {
    chat:
      CHAT_MODEL === undefined
        ? null
        : createOpenAiChat({
            baseUrl: config.OPENAI_BASE_URL,
            apiKey: config.OPENAI_API_KEY,
            model: CHAT_MODEL,
            smallModel: CHAT_MODEL_SMALL,
            others: config.CHAT_MODELS,
            rpm: config.CHAT_RPM,
            tpm: config.CHAT_TPM,
            runtime,
          }),
    embedder:
      EMBEDDING_MODEL === undefined
        ? null
        : createOpenAiEmbedder({
            baseUrl: config.EMBEDDING_BASE_URL ?? config.OPENAI_BASE_URL,
            apiKey: config.EMBEDDING_API_KEY ?? config.OPENAI_API_KEY,
            model: EMBEDDING_MODEL,
            runtime,
          }),
  };
};

export type Running = {
  readonly url: string;
  /** A first owner's one-time link; null once anybody has ever signed in. */
  readonly signInUrl: string | null;
  readonly core: Core;
  /** Not ready, work finished, listener closed, stores closed. Safe to call twice. */
  stop(): Promise<void>;
};

export type StartOptions = {
  /** Called with the address and the sign-in link before the first request is taken. */
  announce?(lines: Pick<Running, 'url' | 'signInUrl'>): void;
};

/** Everything in one process: drivers, core, bots, console and API on one port. Resolves when it serves. */
export const startFootnote = async (given: Environment = process.env, options: StartOptions = {}): Promise<Running> => {
  // Before anything is opened or announced: is the port free? PORT=0 means any; links and cookies carry the address.
  const asked = parseConfig(given);
  const env = { ...given, PORT: String(await freePort(asked.HOST, asked.PORT)) };
  const opened = await openCore(env);
  const { config, runtime, core } = opened;
  const auth = await opened.openAuth();
  await opened.fillDemo();
  const platforms = await createPlatforms(config, { runtime, lead: core.lead, connections: core.connections });
  const app = createHttpApp({
    core,
    auth,
    platforms,
    runtime,
    ...mailFrom(config),
    config: {
      publicUrl: config.PUBLIC_URL,
      metricsToken: config.METRICS_TOKEN,
      trustedProxies: config.TRUSTED_PROXIES,
    },
    metricsText: opened.metricsText,
    about: {
      version: versionOfThis(),
      findings: (signal) => examineDeployment(opened, signal),
    },
  });
  const lines = { url: config.PUBLIC_URL, signInUrl: (await auth.firstOwnerLink(core.members))?.url ?? null };
  options.announce?.(lines);
  const listener = createListener(getRequestListener(app.fetch));
  await listener.listen(config.HOST, config.PORT);
  await core.start(platforms);
  runtime.log.info('ready', { port: config.PORT });
  let stopped: Promise<void> | undefined;
  return {
    ...lines,
    core,
    stop: () => {
      stopped ??= stop(opened, auth, listener);
      return stopped;
    },
  };
};

const stop = async ({ config, core, runtime }: Opened, auth: Auth, listener: Listener): Promise<void> => {
  runtime.log.info('draining');
  const endBy = runtime.clock.now() + drainForMs;
  listener.retire();
  const behindProxy = config.TRUSTED_PROXIES.length > 0;
  // The listener stays open meanwhile: an event that still comes is stored, and answered by whoever works next.
  await Promise.all([core.drain(drainForMs), behindProxy ? runtime.clock.sleep(lingerForMs) : undefined]);
  await listener.close(Math.max(closeForMs, endBy - runtime.clock.now()), behindProxy ? quietForMs : 0);
  auth.close();
  await core.close();
  runtime.log.info('stopped');
};
