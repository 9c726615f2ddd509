import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
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
  /** Answers that are under way are finished, within the time; a connection that only idles is not waited for. */
  close(withinMs: number): Promise<void>;
};

export const createListener = (handle: RequestListener): Listener => {
  let retired = false;
  const server = createServer((request, response) => {
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
    },
    close: (withinMs) =>
      new Promise((done) => {
        const idle = setInterval(() => server.closeIdleConnections(), 100);
        const enough = setTimeout(() => server.closeAllConnections(), withinMs);
        server.close(() => {
          clearInterval(idle);
          clearTimeout(enough);
          done();
        });
        server.closeIdleConnections();
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
