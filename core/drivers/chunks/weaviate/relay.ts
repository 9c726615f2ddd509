import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dialPlain, type Socket } from 'node:net';
import { connect as dialTls } from 'node:tls';

export type GrpcEndpoint = { readonly host: string; readonly port: number; readonly secure: boolean };
export type Relay = { readonly port: number; close(): void };

const connectWithinMs = 10_000;
const keepAliveAfterMs = 10_000;

/**
 * The client's gRPC channel goes through a socket of ours on loopback. Channels to one address share their TCP connections
 * in a pool of grpc-js, and neither the pool nor keep-alive can be set through the client: once a firewall or a
 * load balancer has forgotten a connection, every new channel would wait on the same dead one. A relay of its own
 * has an address of its own, so a new client is a new connection; and it keeps connections alive. TLS begins here, with the
 * server's name and certificate checked as usual.
 *
 * grpc-js obeys grpc_proxy and http_proxy of the environment for loopback too: where one is set, no_proxy must name 127.0.0.1.
 * The client's own `proxies.grpc` is not used, because it writes to the environment.
 */
export const createRelay = async (endpoint: GrpcEndpoint): Promise<Relay> => {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = dial(endpoint);
    const limit = setTimeout(() => far.destroy(), connectWithinMs);
    far.once(endpoint.secure ? 'secureConnect' : 'connect', () => clearTimeout(limit));
    const end = (): void => {
      clearTimeout(limit);
      for (const socket of [near, far]) {
        sockets.delete(socket);
        socket.destroy();
      }
    };
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    far.setKeepAlive(true, keepAliveAfterMs);
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
};

const dial = ({ host, port, secure }: GrpcEndpoint): Socket => {
  const bare = host.replace(/^\[|\]$/g, '');
  return secure
    ? dialTls({ host: bare, port, servername: bare, ALPNProtocols: ['h2'] })
    : dialPlain({ host: bare, port });
};
