import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, Server as SocketServer } from 'node:net';
import { AppError } from './core/errors.ts';

/**
 * Longer than proxies keep an idle connection (nginx 60 s, Caddy 120 s unless told, load balancers of clouds 60 s): the one who
 * sends requests must be the one who closes. The other way round, a request that sets out in that moment is lost with a 502.
 */
const keepAliveMs = 125_000;

/** The port that everything is served on, and its end. */
export type Listener = {
  /** Throws AppError `config` with a sentence when the port cannot be had. */
  listen(host: string, port: number): Promise<void>;
  /** Requests are served as ever, but each answer ends its connection, so that a proxy keeps none when `close` comes. */
  retire(): void;
  /**
   * Takes no new connection. Answers that are under way are finished, within the time. A connection that only idles is
   * ended when nothing has come on any of them for `quietForMs`: until then a proxy that has not noticed may still send on
   * one, and each such request ends its own.
   */
  close(withinMs: number, quietForMs?: number): Promise<void>;
};

export const createListener = (handle: RequestListener): Listener => {
  let retired = false;
  let heardAt = 0;
  const underWay = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    heardAt = performance.now();
    underWay.add(response);
    response.once('close', () => underWay.delete(response));
    if (retired) response.setHeader('connection', 'close');
    return handle(request, response);
  });
  server.keepAliveTimeout = keepAliveMs;
  return {
    listen: (host, port) =>
      new Promise((done, failed) => {
        server.once('error', (cause: NodeJS.ErrnoException) => failed(cannotListen(host, port, cause)));
        server.listen(port, host, () => done());
      }),
    retire: () => {
      retired = true;
      for (const response of underWay) if (!response.headersSent) response.setHeader('connection', 'close');
    },
    close: (withinMs, quietForMs = 0) =>
      new Promise((done) => {
        const closedAt = performance.now();
        const endIdle = (): void => {
          if (performance.now() - Math.max(heardAt, closedAt) >= quietForMs) server.closeIdleConnections();
        };
        const idle = setInterval(endIdle, 100);
        const enough = setTimeout(() => server.closeAllConnections(), withinMs);
        // Only the door: what a server of node:http does beside it is to end every idle connection in this instant, and
        // a request that is on its way over one is lost.
        SocketServer.prototype.close.call(server, () => {
          clearInterval(idle);
          clearTimeout(enough);
          done();
        });
        endIdle();
      }),
  };
};

/** The port itself, or any that is free when it is 0. */
export const freePort = (host: string, port: number): Promise<number> =>
  new Promise((done, failed) => {
    const probe = createSocketServer();
    probe.once('error', (cause: NodeJS.ErrnoException) => failed(cannotListen(host, port, cause)));
    probe.listen(port, host, () => {
      const address = probe.address() as AddressInfo;
      probe.close(() => done(address.port));
    });
  });

const cannotListen = (host: string, port: number, cause: NodeJS.ErrnoException): AppError =>
  cause.code === 'EADDRINUSE'
    ? new AppError('config', `Port ${port} is in use. Stop the other program, or set PORT.`, { cause })
    : new AppError('config', `${host}:${port} cannot be listened on (${cause.code ?? cause.message}).`, { cause });
