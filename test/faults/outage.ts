import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/**
 * Ways for a store to be away. With files in one DATA_DIR: another process holds the file's lock, or the disk is full. With
 * servers: the wire between them and us is cut.
 */
export type Outage = 'state-locked' | 'chunks-locked' | 'disk-full' | 'state-cut' | 'chunks-cut';

/** Holds the write lock of a SQLite file from a process of its own, until told to let go. */
export const lockFile = async (file: string): Promise<() => Promise<void>> => {
  const program = `
    const { DatabaseSync } = require('node:sqlite');
    const database = new DatabaseSync(process.argv[1], { timeout: 20000 });
    database.exec('BEGIN EXCLUSIVE');
    process.stdout.write('held');
    process.stdin.resume();
    process.stdin.once('end', () => { database.exec('ROLLBACK'); database.close(); });
  `;
  const holder = spawn(process.execPath, ['-e', program, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  await Promise.race([
    once(holder.stdout, 'data'),
    once(holder, 'exit').then(() => Promise.reject(new Error(`${file} could not be locked.`))),
  ]);
  return async () => {
    holder.stdin.end();
    await once(holder, 'exit');
  };
};

export const chunkFiles = (dataDir: string): readonly string[] =>
  readdirSync(join(dataDir, 'chunks'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.sqlite'))
    .map((name) => join(dataDir, 'chunks', name));

export type SmallDisk = {
  readonly folder: string;
  /** Nothing more fits, until the promise that it answers is called. */
  fill(): () => void;
  close(): void;
};

/** A file system of its own in memory, small enough to be filled; null where this user may not mount one. */
export const mountSmallDisk = (megabytes: number): SmallDisk | null => {
  const folder = mkdtempSync(join(tmpdir(), 'footnote-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=700`, 'footnote', folder], {
      stdio: 'ignore',
    });
  } catch {
    rmSync(folder, { recursive: true, force: true });
    return null;
  }
  const ballast = join(folder, 'ballast');
  return {
    folder,
    fill: () => {
      const handle = openSync(ballast, 'w');
      for (const bytes of [1 << 20, 4096, 1]) {
        const block = Buffer.alloc(bytes, 1);
        try {
          for (;;) writeSync(handle, block);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
      closeSync(handle);
      return () => rmSync(ballast, { force: true });
    },
    close: () => {
      execFileSync('umount', ['--lazy', folder], { stdio: 'ignore' });
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

/** Proxies in front of the servers that the environment names, and the environment that leads through them. */
export const throughProxies = async (
  stores: Readonly<Record<string, string>>,
): Promise<{
  readonly stores: Readonly<Record<string, string>>;
  readonly state: readonly TcpProxy[];
  readonly chunks: readonly TcpProxy[];
}> => {
  const led: Record<string, string> = { ...stores };
  const lead = async (name: string, scheme: RegExp): Promise<TcpProxy[]> => {
    const address = stores[name];
    const match = address === undefined ? null : scheme.exec(address);
    if (address === undefined || match === null) return [];
    const [, before = '', host = '', port = ''] = match;
    const proxy = await startTcpProxy({ host, port: Number(port) });
    led[name] = `${before}127.0.0.1:${proxy.port}${address.slice(match[0].length)}`;
    return [proxy];
  };
  const state = await lead('MONGODB_URI', /^(mongodb:\/\/(?:[^@/]*@)?)([^:/,]+):(\d+)/);
  // A replica set would tell its own address, which leads past the proxy.
  if (led.MONGODB_URI !== undefined)
    led.MONGODB_URI += `${led.MONGODB_URI.includes('?') ? '&' : '?'}directConnection=true`;
  const chunks = [
    ...(await lead('WEAVIATE_URL', /^(https?:\/\/)([^:/]+):(\d+)/)),
    ...(await lead('WEAVIATE_GRPC_URL', /^((?:https?|grpcs?):\/\/|)([^:/]+):(\d+)/)),
  ];
  return { stores: led, state, chunks };
};
