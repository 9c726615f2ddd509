import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, Server as SocketServer } from 'node:net';
import { AppError } from './core/errors.ts';

/**
 * Longer than proxies keep an idle connection (nginx 60 s, Caddy 120 s unless told, load balancers of clouds 60 s): the one who
 * sends requests must be the one who closes. The other way round, a request that sets out in that moment is lost with a 502.
 */
const keepAliveMs = 125_000;
const lookEveryMs = 100;

/** The port that everything is served on, and its end. */
export type Listener = {
  /** Throws AppError `config` with a sentence when the port cannot be had. */
  listen(host: string, port: number): Promise<void>;
  /** Requests are served as ever, but each answer ends its connection, so that a proxy keeps none when `close` comes. */
  retire(): void;
  /**
   * Waits until nothing has come for `quietForMs`, three times as long at most, and takes no new connection from then on: one that the
   * system has accepted and we have not, or a request that is on its way over a kept one, would be lost. Answers that are
   * under way are finished, within the time; kept connections are ended once it is quiet.
   */
  close(withinMs: number, quietForMs?: number): Promise<void>;
};

export const createListener = (handle: RequestListener): Listener => {
  let retired = false;
  let heard = 0;
  const underWay = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    heard += 1;
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
        let isOpen = true;
        let quietMs = 0;
        let waitedMs = 0;
        let before = heard;
        // By looks and not by the clock: when this process was held up, what came meanwhile is only heard after the timers.
        const look = (): void => {
          quietMs = heard === before ? quietMs + lookEveryMs : 0;
          waitedMs += lookEveryMs;
          before = heard;
          const isQuiet = quietMs >= quietForMs;
          if (isOpen && (isQuiet || waitedMs >= 3 * quietForMs)) {
            isOpen = false;
            // Only the door: a server of node:http would end every idle connection in this instant as well.
            SocketServer.prototype.close.call(server, over);
          }
          if (isQuiet) server.closeIdleConnections();
        };
        const looking = setInterval(look, lookEveryMs);
        const enough = setTimeout(() => {
          if (isOpen) SocketServer.prototype.close.call(server, over);
          isOpen = false;
          server.closeAllConnections();
        }, withinMs);
        const over = (): void => {
          clearInterval(looking);
          clearTimeout(enough);
          done();
        };
        if (quietForMs === 0) look();
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
