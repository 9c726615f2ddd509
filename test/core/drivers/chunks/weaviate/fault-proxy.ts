import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What lies between two hosts: passes bytes, or cuts, delays, swallows them. */
export type FaultProxy = {
  readonly port: number;
  /** Bytes pass after this time; 0 passes at once. */
  delay(ms: number): void;
  /** Open connections are reset and new ones refused, as by a host that is down. */
  cut(): void;
  /** Connections stay open and nothing passes, as behind a firewall that forgot them. New ones pass again after `mend`. */
  halfOpen(): void;
  /** From now on new connections pass. Those that were half open stay so. */
  mend(): void;
  /** Connections taken so far. */
  readonly taken: number;
  close(): Promise<void>;
};

export const createFaultProxy = async (target: {
  readonly host: string;
  readonly port: number;
}): Promise<FaultProxy> => {
  let mode: 'pass' | 'cut' | 'half-open' = 'pass';
  let delayMs = 0;
  let taken = 0;
  const pairs = new Set<{ near: Socket; far: Socket; dead: boolean }>();
  const timers = new Set<NodeJS.Timeout>();

  const server = createServer((near) => {
    taken += 1;
    if (mode === 'cut') return void near.resetAndDestroy();
    const pair = { near, far: connect(target.port, target.host), dead: mode === 'half-open' };
    pairs.add(pair);
    const forward = (from: Socket, to: Socket): void => {
      from.on('error', () => undefined);
      from.on('data', (bytes) => {
        if (pair.dead) return;
        if (delayMs === 0) return void to.write(bytes);
        const timer = setTimeout(() => {
          timers.delete(timer);
          if (!pair.dead && !to.destroyed) to.write(bytes);
        }, delayMs);
        timers.add(timer);
      });
      from.on('close', () => {
        pairs.delete(pair);
        if (!pair.dead) to.destroy();
      });
    };
    forward(near, pair.far);
    forward(pair.far, near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    delay: (ms) => {
      delayMs = ms;
    },
    cut: () => {
      mode = 'cut';
      for (const { near, far } of pairs) {
        near.resetAndDestroy();
        far.destroy();
      }
    },
    halfOpen: () => {
      mode = 'half-open';
      for (const pair of pairs) pair.dead = true;
    },
    mend: () => {
      mode = 'pass';
    },
    get taken() {
      return taken;
    },
    close: async () => {
      for (const timer of timers) clearTimeout(timer);
      for (const { near, far } of pairs) {
        near.destroy();
        far.destroy();
      }
      server.close();
    },
  };
};
