import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { createHttpApp, type HttpApp } from '../../console/app.tsx';
import type { Auth } from '../../console/auth/auth.ts';
import type { HttpParts } from '../../console/guard.ts';
import { createSendMail } from '../../console/mail.ts';
import type { Core } from '../../core/core.ts';
import type { Role } from '../../core/domain.ts';
import { openSqliteState } from '../../core/drivers/state/sqlite/state.ts';
import type { StateStore } from '../../core/ports/state.ts';
import { openCore } from '../../main.ts';
import { furnish, operatorToken } from '../fakes/core.ts';
import { type SmtpServer, startSmtpServer } from '../fakes/smtp-server.ts';
import { callOn, cookiesOf, type Harness } from './harness.ts';

/** The HTTP app over the real core, the real stores in a folder of its own, and a real socket. */
export type Real = {
  readonly app: HttpApp;
  readonly core: Core;
  readonly auth: Auth;
  readonly dataDir: string;
  /** The same state, opened once more beside the app; close it before the app. */
  openState(): Promise<StateStore>;
  /** Furnishes a tenant; the folder of its folder source exists and is empty. */
  furnish(slug: string): ReturnType<typeof furnish>;
  /** A request whose path goes over the wire exactly as it stands, dots and percent signs included. */
  raw(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: string | Uint8Array,
  ): Promise<{ readonly status: number; readonly body: string }>;
  /** A request with a bearer; the body is sent as JSON unless it is text or a form. */
  call: Harness['call'];
  /** Cookies of a new person with this role. */
  signIn(role: Role, tenantId: string | null): Promise<string>;
  close(): Promise<void>;
};

/** With FOOTNOTE_TEST_STATE=mongodb the suites of the doors run on a database of their own on the server of MONGODB_URI. */
const onMongo = process.env.FOOTNOTE_TEST_STATE === 'mongodb' ? process.env.MONGODB_URI : undefined;
/** Loaded where it is wanted: most runs want no client of a server. */
const mongoServer = () => import('../core/drivers/state/mongo/server.ts');

/** `env`: more of the environment; `more`: what main.ts hands over only when it is configured. */
export const openReal = async (
  env: Readonly<Record<string, string>> = {},
  more: Partial<Pick<HttpParts, 'sendMail' | 'platforms'>> = {},
): Promise<Real> => {
  const root = await mkdtemp(join(tmpdir(), 'footnote-doors-'));
  const [dataDir, folders] = [join(root, 'data'), join(root, 'folders')];
  await mkdir(folders);
  const uri = env.MONGODB_URI ?? (onMongo === undefined ? undefined : (await mongoServer()).freshDatabase(onMongo));
  const opened = await openCore({
    DATA_DIR: dataDir,
    FOLDER_ROOTS: folders,
    FOOTNOTE_ADMIN_TOKEN: operatorToken,
    LOG_LEVEL: 'silent',
    ...env,
    ...(uri === undefined ? {} : { MONGODB_URI: uri, FOOTNOTE_SECRET_KEY: randomBytes(32).toString('base64') }),
  });
  const auth = await opened.openAuth();
  const app = createHttpApp({
    core: opened.core,
    auth,
    platforms: [],
    runtime: opened.runtime,
    ...more,
    config: { publicUrl: opened.config.PUBLIC_URL, trustedProxies: [], requestsPerMinute: 10_000_000 },
    metricsText: opened.metricsText,
  });
  const server = createServer(getRequestListener(app.fetch));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  let people = 0;
  return {
    app,
    core: opened.core,
    auth,
    dataDir,
    openState: async () => {
      const { log, clock } = opened.runtime;
      if (uri === undefined) return openSqliteState({ dataDir: opened.config.DATA_DIR, log });
      const { openMongoState } = await import('../../core/drivers/state/mongo/state.ts');
      return openMongoState({ uri, log, clock });
    },
    furnish: async (slug) => {
      const path = join(folders, slug);
      await mkdir(path);
      return furnish(opened.core, slug, path);
    },
    raw: (method, path, headers, body) =>
      new Promise((resolve, reject) => {
        const sent = request({ host: '127.0.0.1', port, method, path, headers }, (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (part: string) => {
            text += part;
          });
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
          response.on('error', reject);
        });
        sent.on('error', reject);
        sent.end(body);
      }),
    call: callOn(app),
    signIn: async (role, tenantId) => {
      const link = await auth.issueSignInLink(`real${++people}@example.com`);
      await opened.core.members.put(link.userId, tenantId, role);
      return cookiesOf(await app.request(new URL(link.url).pathname));
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
      auth.close();
      await opened.core.drain(5000);
      await opened.core.close();
      await rm(root, { recursive: true });
      // Some MongoDB-compatible servers stumble over dropping an empty collection with indexes.
      if (uri !== undefined) await (await mongoServer()).dropDatabase(uri).catch(() => undefined);
    },
  };
};

/** The same with a mail server of its own; closing closes both. */
export const openMailed = async (): Promise<Real & { readonly smtp: SmtpServer }> => {
  const smtp = await startSmtpServer();
  const real = await openReal(
    {},
    { sendMail: createSendMail({ url: smtp.url, from: 'Footnote <footnote@example.com>' }) },
  );
  const close = async (): Promise<void> => {
    await real.close();
    await smtp.close();
  };
  return { ...real, smtp, close };
};
