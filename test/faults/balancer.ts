import { Agent, createServer, type IncomingMessage, request as openRequest, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A reverse proxy on loopback that treats its instances as nginx does: by turns, over connections that it keeps, the body
 * read whole before it is passed on, the answer passed on as it comes. Another instance is tried only when a connection could
 * not be made: a POST that may have arrived is never sent twice, so a connection that is closed under it is a failure that
 * the caller sees. Beside that it looks at /readyz, as Kubernetes, Caddy and Fly do.
 */
export type Balancer = {
  readonly port: number;
  /** What callers were not given although somebody should have: no instance, or a connection that broke. */
  readonly failures: readonly string[];
  /** Instances that are ready now. */
  ready(): number;
  close(): Promise<void>;
};

const checkEveryMs = 500;
/** An instance that could not be reached is left alone so long, unless there is no other. */
const restForMs = 1_000;

type Upstream = { readonly port: number; ready: boolean; restUntil: number };

export const startBalancer = async (ports: readonly number[]): Promise<Balancer> => {
  const upstreams: readonly Upstream[] = ports.map((port) => ({ port, ready: false, restUntil: 0 }));
  const agent = new Agent({ keepAlive: true, maxSockets: 512 });
  const failures: string[] = [];
  let turn = 0;

  /** Ready ones by turns; when there are none, all of them, as nginx tries. */
  const inOrder = (): readonly Upstream[] => {
    turn += 1;
    const turned = upstreams.map((_, index) => upstreams[(index + turn) % upstreams.length] as Upstream);
    const now = performance.now();
    const fit = turned.filter(({ ready, restUntil }) => ready && restUntil <= now);
    return [...fit, ...turned.filter((upstream) => !fit.includes(upstream))];
  };

  const check = async (upstream: Upstream): Promise<void> => {
    const answer = await fetch(`http://127.0.0.1:${upstream.port}/readyz`, {
      signal: AbortSignal.timeout(4_000),
    }).catch(() => null);
    await answer?.arrayBuffer().catch(() => undefined);
    upstream.ready = answer?.ok ?? false;
  };
  let closed = false;
  const watch = async (upstream: Upstream): Promise<void> => {
    while (!closed) {
      await check(upstream);
      await new Promise((resolve) => setTimeout(resolve, checkEveryMs));
    }
  };

  const server = createServer((incoming, outgoing) => {
    pass(incoming, outgoing).catch((error: unknown) => {
      failures.push(`${incoming.method} ${incoming.url}: ${String(error)}`);
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(502).end('Bad gateway');
    });
  });
  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const body = await readWhole(incoming);
    for (const upstream of inOrder()) {
      if ((await forward(upstream.port, incoming, body, outgoing, agent)) === 'passed') return;
      upstream.restUntil = performance.now() + restForMs;
    }
    throw new Error('no instance could be reached');
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  for (const upstream of upstreams) void watch(upstream);

  return {
    port: (server.address() as AddressInfo).port,
    failures,
    ready: () => upstreams.filter(({ ready }) => ready).length,
    close: async () => {
      closed = true;
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

const readWhole = async (incoming: IncomingMessage): Promise<Buffer> => {
  const pieces: Buffer[] = [];
  for await (const piece of incoming) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
};

/** `unreachable` only when nothing can have arrived. Rejects when the connection broke before the answer was whole. */
const forward = (
  port: number,
  incoming: IncomingMessage,
  body: Buffer,
  outgoing: ServerResponse,
  agent: Agent,
): Promise<'passed' | 'unreachable'> =>
  new Promise((resolve, reject) => {
    const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...headers } = incoming.headers;
    const outbound = openRequest(
      {
        host: '127.0.0.1',
        port,
        method: incoming.method,
        path: incoming.url,
        headers: {
          ...headers,
          'content-length': body.length,
          'x-forwarded-for': incoming.socket.remoteAddress ?? '',
          'x-forwarded-proto': 'http',
        },
        agent,
      },
      (answer) => {
        const { connection: ____, 'keep-alive': _____, ...passed } = answer.headers;
        outgoing.writeHead(answer.statusCode ?? 502, passed);
        answer.pipe(outgoing);
        answer.once('end', () => resolve('passed'));
        answer.once('aborted', () => reject(new Error(`the answer of ${port} was cut`)));
      },
    );
    outbound.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') resolve('unreachable');
      else
        reject(
          new Error(`${error.code ?? error.message} from ${port}${outbound.reusedSocket ? ', kept connection' : ''}`),
        );
    });
    // A caller who went away needs no answer any more.
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) {
        outbound.destroy();
        resolve('passed');
      }
    });
    outbound.end(body);
  });
