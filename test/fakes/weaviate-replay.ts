import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';

/**
 * A stand-in for a Weaviate server over real sockets: REST over HTTP/1, gRPC over HTTP/2. As a recorder it stands before a
 * real server and writes down what passes; as a replayer it needs none and answers from what was written. A request that
 * was never recorded is answered with an error and reported, so that a driver which has drifted fails.
 */
export type Exchange = {
  readonly over: 'rest' | 'grpc';
  /** `GET /v1/meta`, `/weaviate.v1.Weaviate/Search` */
  readonly request: string;
  /** JSON of a REST body, base64 of a gRPC message. */
  readonly sent: string;
  /** HTTP status, or the gRPC status. */
  readonly status: number;
  readonly message?: string;
  readonly answer: string;
};

export type StandIn = {
  readonly url: string;
  readonly grpcUrl: string;
  close(): Promise<void>;
};
export type Recorder = StandIn & { readonly exchanges: readonly Exchange[] };
export type Replayer = StandIn & {
  /** Requests that nothing was recorded for. */
  readonly unknown: readonly string[];
  /** Recorded requests that were not made. */
  unasked(): readonly string[];
};

export type Answer = Pick<Exchange, 'status' | 'answer'> & { readonly message?: string | undefined };
export type Ask = (request: string, sent: string) => Promise<Answer>;

/** Where the real one is; the key is ours, so that who is recorded needs none. */
export type Target = { readonly url: string; readonly grpcUrl: string; readonly apiKey?: string | undefined };

/** Answers a request instead of the real server, or lets it pass, now or later. */
export type Interfere = (
  over: Exchange['over'],
  request: string,
  sent: string,
) => Answer | undefined | Promise<Answer | undefined>;

export const recordWeaviate = async (target: Target, interfere: Interfere = () => undefined): Promise<Recorder> => {
  const exchanges: Exchange[] = [];
  const session = connectHttp2(target.grpcUrl);
  const keep = (exchange: Omit<Exchange, 'message'> & { readonly message?: string | undefined }): Answer => {
    const { message, ...rest } = exchange;
    exchanges.push({ ...rest, ...(message === undefined ? {} : { message }) });
    return exchange;
  };
  const standIn = await serve({
    rest: async (request, sent) =>
      keep({
        over: 'rest',
        request,
        sent,
        ...((await interfere('rest', request, sent)) ?? (await askRest(target, request, sent))),
      }),
    grpc: async (request, sent) =>
      keep({
        over: 'grpc',
        request,
        sent,
        ...((await interfere('grpc', request, sent)) ?? (await askGrpc(session, target, request, sent))),
      }),
  });
  return {
    ...standIn,
    exchanges,
    close: async () => {
      await standIn.close();
      session.destroy();
    },
  };
};

export const replayWeaviate = async (exchanges: readonly Exchange[]): Promise<Replayer> => {
  const waiting = new Map<string, Exchange[]>();
  for (const exchange of exchanges) {
    const key = keyOf(exchange.over, exchange.request, exchange.sent);
    waiting.set(key, [...(waiting.get(key) ?? []), exchange]);
  }
  const unknown: string[] = [];
  const answer =
    (over: Exchange['over']): Ask =>
    async (request, sent) => {
      // The same request several times: answered in the order of the recording.
      const recorded = waiting.get(keyOf(over, request, sent))?.shift();
      if (recorded !== undefined) return recorded;
      unknown.push(`${request} ${over === 'rest' ? sent.slice(0, 300) : ''}`.trim());
      return { status: over === 'rest' ? 418 : 3, message: 'never recorded', answer: '' };
    };
  const standIn = await serve({ rest: answer('rest'), grpc: answer('grpc') });
  return { ...standIn, unknown, unasked: () => [...waiting.values()].flat().map(({ request }) => request) };
};

const keyOf = (over: string, request: string, sent: string): string =>
  `${over} ${request} ${createHash('sha256').update(sent).digest('hex')}`;

// ── asking the real one ─────────────────────────────────────────────────────────────────────────────────────────────

const authorized = ({ apiKey }: Target): Record<string, string> =>
  apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };

const askRest = async (target: Target, request: string, sent: string): Promise<Answer> => {
  const [method = 'GET', path = '/'] = request.split(' ');
  const response = await fetch(target.url + path, {
    method,
    headers: { ...authorized(target), ...(sent === '' ? {} : { 'content-type': 'application/json' }) },
    ...(sent === '' ? {} : { body: sent }),
  });
  return { status: response.status, answer: await response.text() };
};

const askGrpc = async (session: ClientHttp2Session, target: Target, path: string, sent: string): Promise<Answer> => {
  const stream = session.request({
    ...authorized(target),
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc+proto',
    te: 'trailers',
  });
  let status: IncomingHttpHeaders = {};
  const learn = (headers: IncomingHttpHeaders): void => {
    status = { ...status, ...headers };
  };
  stream.on('response', learn);
  stream.on('trailers', learn);
  stream.end(Buffer.from(sent, 'base64'));
  const answer = await bytesOf(stream);
  const message = status['grpc-message'];
  return {
    status: Number(status['grpc-status'] ?? 2),
    ...(typeof message === 'string' && message !== '' ? { message } : {}),
    answer: answer.toString('base64'),
  };
};

const bytesOf = async (stream: AsyncIterable<unknown>): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for await (const part of stream) if (part instanceof Uint8Array) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
};

// ── listening ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** A server on loopback whose every answer is given by hand. */
export const serve = async (ask: { readonly rest: Ask; readonly grpc: Ask }): Promise<StandIn> => {
  const rest = createServer((request, response) => {
    void (async () => {
      const { status, answer } = await ask.rest(`${request.method} ${request.url}`, await textOf(request));
      response.writeHead(status, { 'content-type': 'application/json' }).end(answer);
    })().catch(() => response.destroy());
  });
  const sessions = new Set<{ destroy(): void }>();
  const grpc = createHttp2Server();
  grpc.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  grpc.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    void (async () => {
      const sent = await bytesOf(stream);
      respond(stream, await ask.grpc(String(headers[':path']), sent.toString('base64')));
    })().catch(() => stream.destroy());
  });
  return {
    url: `http://127.0.0.1:${await listen(rest)}`,
    grpcUrl: `http://127.0.0.1:${await listen(grpc)}`,
    close: async () => {
      rest.closeAllConnections();
      for (const session of sessions) session.destroy();
      rest.close();
      grpc.close();
    },
  };
};

const respond = (stream: ServerHttp2Stream, { status, message, answer }: Answer): void => {
  if (stream.destroyed) return;
  const trailers = { 'grpc-status': String(status), ...(message === undefined ? {} : { 'grpc-message': message }) };
  const headers = { ':status': 200, 'content-type': 'application/grpc+proto' };
  if (answer === '') {
    stream.respond({ ...headers, ...trailers }, { endStream: true });
    return;
  }
  stream.respond(headers, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(Buffer.from(answer, 'base64'));
};

const textOf = async (request: IncomingMessage): Promise<string> => (await bytesOf(request)).toString('utf8');

const listen = async (server: Server | Http2Server): Promise<number> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};
