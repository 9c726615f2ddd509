import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const thisCheckout = fileURLToPath(new URL('../../', import.meta.url));

export const operatorToken = 'operator-token-of-the-fault-harness';

export type Service = {
  /** Milliseconds from spawn to "ready" in the log. */
  readonly readyAfterMs: number;
  /** The first owner's link, by its path; null once somebody has signed in. */
  readonly signInPath: string | null;
  /** SIGKILL; resolves when the process is gone. Safe to call twice. */
  kill(): Promise<void>;
  /** SIGSTOP, as a machine that is put to sleep, and SIGCONT. */
  sleep(): void;
  wake(): void;
  /** SIGTERM; resolves with the exit code, which is 0 after an orderly stop and null after a kill. */
  stop(): Promise<number | null>;
};

export type Start = {
  /** Rejects when the process ends before it is ready, unless that was `kill`. */
  readonly ready: Promise<Service>;
  kill(): Promise<void>;
};

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });

/** The real program in a process of its own, as `npm start` runs it; of another version where its checkout is given. */
export const startService = (env: Readonly<Record<string, string>>, checkout = thisCheckout): Start => {
  const launcher = join(checkout, 'bin/footnote.js');
  if (!existsSync(join(checkout, 'dist/cli/main.js')))
    throw new Error(`The fault harness kills the compiled program: run npm run build first, in ${checkout}`);
  const startedAt = performance.now();
  const child: ChildProcess = spawn(process.execPath, [launcher, 'serve'], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let wasKilled = false;
  let said = '';
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = (): Promise<void> => {
    wasKilled = true;
    child.kill('SIGKILL');
    return gone;
  };
  const stop = async (): Promise<number | null> => {
    wasKilled = true;
    child.kill('SIGTERM');
    await gone;
    return child.exitCode;
  };
  const sleep = (): void => void child.kill('SIGSTOP');
  const wake = (): void => void child.kill('SIGCONT');
  const ready = new Promise<Service>((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-20_000);
      if (!/"event":"ready"/.test(said)) return;
      const [signInPath = null] = /\/console\/sign-in\/\w+/.exec(said) ?? [];
      resolve({ readyAfterMs: performance.now() - startedAt, signInPath, kill, stop, sleep, wake });
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    void gone.then(() =>
      reject(new Error(wasKilled ? 'killed while starting' : `The service ended by itself:\n${said}`)),
    );
  });
  ready.catch(() => {});
  return { ready, kill };
};

/** The API as the operator; a refusal is an error, so that no fault is taken for an answer. */
export const createApi = (url: string) => {
  const call = async (method: string, path: string, body?: unknown, type = 'application/json'): Promise<unknown> => {
    const answer = await fetch(`${url}/api/v1/${path}`, {
      method,
      headers: {
        authorization: `Bearer ${operatorToken}`,
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 300)}`);
    return text === '' ? null : JSON.parse(text);
  };
  return {
    get: (path: string) => call('GET', path),
    post: (path: string, body: unknown) => call('POST', path, body),
    put: (path: string, body: unknown) => call('PUT', path, body),
    postLines: (path: string, lines: readonly unknown[]) =>
      call('POST', path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''), 'application/x-ndjson'),
    remove: (path: string) => call('DELETE', path),
  };
};
export type Api = ReturnType<typeof createApi>;
