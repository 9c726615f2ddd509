import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * A proxy on loopback that breaks what passes through it, for tests of what a client does about it.
 * - `pass`: as if it were not there.
 * - `refuse`: new connections are closed at once, standing ones were cut: the server is down.
 * - `silent`: connections stand, and nothing passes in either direction: a cable was pulled, a router forgot.
 * - `mute`: what the client says arrives, the answers do not: a write is done and nobody hears of it.
 */
export type ProxyMode = 'pass' | 'refuse' | 'silent' | 'mute';

export type TcpProxy = {
  readonly port: number;
  /** `pass` after a mode that lost bytes cuts the connections that lost them: they cannot be picked up again. */
  set(mode: ProxyMode): void;
  /** Breaks the standing connections; new ones are as the mode says. */
  cut(): void;
  /** Holds back everything by so many milliseconds. */
  delay(ms: number): void;
  /** Is shown what the client says before it goes on, and may change the mode for this and all that follows. */
  watch(listener: ((text: string) => void) | null): void;
  connections(): number;
  close(): Promise<void>;
};

type Pair = { readonly client: Socket; readonly server: Socket; lossy: boolean };

export const startTcpProxy = async (target: { readonly host: string; readonly port: number }): Promise<TcpProxy> => {
  let mode: ProxyMode = 'pass';
  let delayMs = 0;
  let watcher: ((text: string) => void) | null = null;
  const pairs = new Set<Pair>();

  const later = (run: () => void) => {
    if (delayMs === 0) run();
    else setTimeout(run, delayMs);
  };
  const end = (pair: Pair) => {
    pair.client.destroy();
    pair.server.destroy();
    pairs.delete(pair);
  };
  const relay = (pair: Pair, from: Socket, to: Socket, passes: () => boolean) => {
    from.on('data', (bytes) => {
      if (from === pair.client) watcher?.(bytes.toString('latin1'));
      if (!passes()) pair.lossy = true;
      else
        later(() => {
          if (passes() && !to.destroyed) to.write(bytes);
          else pair.lossy = true;
        });
    });
    from.on('error', () => end(pair));
    // Where nothing passes, the end of a connection does not either.
    from.on('close', () => {
      if (mode !== 'silent') end(pair);
    });
  };

  const listener = createServer((client) => {
    client.on('error', () => undefined);
    if (mode === 'refuse') {
      client.destroy();
      return;
    }
    const pair: Pair = { client, server: connect(target.port, target.host), lossy: false };
    pairs.add(pair);
    relay(pair, client, pair.server, () => mode === 'pass' || mode === 'mute');
    relay(pair, pair.server, client, () => mode === 'pass');
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));

  const cut = () => {
    for (const pair of [...pairs]) end(pair);
  };
  return {
    port: (listener.address() as AddressInfo).port,
    set: (next) => {
      mode = next;
      if (next === 'refuse') cut();
      if (next === 'pass') for (const pair of [...pairs]) if (pair.lossy) end(pair);
    },
    cut,
    delay: (ms) => {
      delayMs = ms;
    },
    watch: (listener) => {
      watcher = listener;
    },
    connections: () => pairs.size,
    close: async () => {
      cut();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
    },
  };
};
