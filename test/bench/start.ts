import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type BenchResult, quantile } from './result.ts';

/**
 * P7: from the command to `/readyz`, on a DATA_DIR that has been started before, and the memory of a process that has
 * answered its first question and then nothing for a while. Beside it what Node itself needs, in the same run.
 */

const root = fileURLToPath(new URL('../../', import.meta.url));
const flags = ['--max-semi-space-size=4'];
const starts = 5;
const idleMs = 45_000;

export const run = async (): Promise<BenchResult[]> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'footnote-bench-start-'));
  try {
    const first = await startOnce(dataDir, 0);
    const warm: number[] = [];
    for (let n = 0; n < starts; n += 1) warm.push((await startOnce(dataDir, 0)).readyMs);
    const bare: number[] = [];
    for (let n = 0; n < starts; n += 1) bare.push(await bareNode());
    const { residentMb } = await startOnce(dataDir, idleMs);
    const readyMs = quantile(warm, 0.5);
    return [
      {
        id: 'P7',
        item: `start to ready, median of ${starts} warm starts`,
        value: readyMs / 1000,
        unit: 's',
        target: '≤ 2 s',
        ok: readyMs <= 2_000,
        beside: [
          { name: 'first start, demo tenant filled', value: `${(first.readyMs / 1000).toFixed(1)} s` },
          { name: 'node -e 0', value: `${quantile(bare, 0.5).toFixed(0)} ms` },
        ],
      },
      {
        id: 'P7',
        item: `resident memory after a question over the API and ${idleMs / 1000} s of nothing`,
        value: residentMb,
        unit: 'MB',
        target: '≤ 200 MB',
        ok: residentMb <= 200,
      },
    ];
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
};

const startOnce = async (
  dataDir: string,
  idle: number,
): Promise<{ readonly readyMs: number; readonly residentMb: number }> => {
  const port = await freePort();
  const token = 'a-token-for-the-bench';
  const began = performance.now();
  const child = spawn(process.execPath, [...flags, join(root, 'bin/footnote.js'), 'serve'], {
    env: {
      PATH: process.env.PATH,
      DATA_DIR: dataDir,
      PORT: String(port),
      LOG_LEVEL: 'silent',
      FOOTNOTE_ADMIN_TOKEN: token,
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let printed = '';
  child.stdout.on('data', (text: Buffer) => {
    printed += text.toString();
  });
  try {
    for (;;) {
      const isReady = await fetch(`http://127.0.0.1:${port}/readyz`).then(
        (response) => response.ok,
        () => false,
      );
      if (isReady) break;
      if (child.exitCode !== null) throw new Error(`the program ended with ${child.exitCode}`);
      await sleep(5);
    }
    const readyMs = performance.now() - began;
    // Somebody signs in once, as in any deployment: later starts need no link, and so no sign-in library until it is used.
    const link = /\S+\/console\/sign-in\/\w+/.exec(printed)?.[0];
    if (link !== undefined)
      await fetch(link.replace(/^http:\/\/[^/]+/, `http://127.0.0.1:${port}`), { redirect: 'manual' });
    if (idle > 0) {
      await fetch(`http://127.0.0.1:${port}/api/v1/tenants/demo/ask`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ question: 'How many days of annual leave do I get?' }),
      });
      await sleep(idle);
    }
    const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
    return { readyMs, residentMb: Number(resident) / 1024 };
  } finally {
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    await ended;
  }
};

const bareNode = async (): Promise<number> => {
  const began = performance.now();
  await new Promise((done) => spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }).once('exit', done));
  return performance.now() - began;
};

const freePort = (): Promise<number> =>
  new Promise((done) => {
    const probe = createServer();
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => done(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
