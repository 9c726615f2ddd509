import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * An OpenAI-compatible endpoint on a real loopback socket: streamed chat with usage, embeddings, and every way to fail.
 * The `echo` model answers from the fenced sources and cites them; the `obedient` one does whatever a document tells it.
 */

export type Fault =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    }
  /** Nothing ever comes. */
  | { readonly kind: 'hang' }
  /** Some words, then nothing. */
  | { readonly kind: 'hang-midway' }
  /** Some words, then the connection is cut. */
  | { readonly kind: 'cut' }
  /** Some words, then an orderly end without finish_reason. */
  | { readonly kind: 'truncate' }
  | { readonly kind: 'invalid-chunk' }
  | { readonly kind: 'flood'; readonly bytes: number }
  | { readonly kind: 'empty' }
  | { readonly kind: 'length' }
  | { readonly kind: 'no-usage' };

export type ModelServer = {
  readonly baseUrl: string;
  /** The next calls fail like this, one each; then all is well again. */
  fail(...faults: readonly Fault[]): void;
  /** Every call fails like this until told otherwise. */
  failAlways(fault: Fault | null): void;
  readonly calls: readonly Call[];
  /** Those that wait for their answer, or for the rest of it. */
  underWay(): readonly Call[];
  reset(): void;
  close(): Promise<void>;
};

export type Call = {
  readonly path: string;
  readonly body: ChatBody & EmbeddingBody;
  readonly authorization: string;
  readonly at: number;
};

type ChatBody = {
  readonly model?: string;
  readonly messages?: readonly { readonly role: string; readonly content: string }[];
  readonly stream_options?: unknown;
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly temperature?: number;
};
type EmbeddingBody = { readonly input?: readonly string[] | string };

export type ModelServerOptions = {
  readonly mode?: 'echo' | 'obedient' | ((body: ChatBody) => string);
  readonly latencyMs?: number;
  /** Between two pieces, as a model writes; absent, all pieces come at once. */
  readonly pieceMs?: number;
  /** Characters a piece. */
  readonly piece?: number;
  /** Parameters that this endpoint refuses with a 400. */
  readonly refuses?: readonly string[];
  /** What is wanted as the key; anything else is a 401. */
  readonly key?: string;
  /** Of the vectors (64). */
  readonly dimensions?: number;
};

export const startModelServer = async (options: ModelServerOptions = {}): Promise<ModelServer> => {
  let next: Fault[] = [];
  let always: Fault | null = null;
  let calls: Call[] = [];
  const open = new Map<ServerResponse, Call | null>();

  const server = createServer((request, response) => {
    open.set(response, null);
    response.on('close', () => open.delete(response));
    readBody(request)
      .then(async (body) => {
        const call: Call = {
          path: request.url ?? '',
          body,
          authorization: request.headers.authorization ?? '',
          at: Date.now(),
        };
        calls.push(call);
        if (open.has(response)) open.set(response, call);
        if (options.latencyMs !== undefined) await new Promise((resolve) => setTimeout(resolve, options.latencyMs));
        if (options.key !== undefined && request.headers.authorization !== `Bearer ${options.key}`)
          return sendError(response, 401, 'Incorrect API key provided', {});
        const refused = options.refuses?.find((name) => name in body);
        if (refused !== undefined)
          return sendError(response, 400, `Unsupported parameter: '${refused}'. Use another one.`, {});
        const fault = next.shift() ?? always;
        if (fault?.kind === 'status')
          return sendError(response, fault.status, 'scripted', fault.headers ?? {}, fault.body);
        if (fault?.kind === 'hang') return;
        if (request.url?.endsWith('/embeddings')) return sendEmbeddings(response, body, options.dimensions);
        return streamChat(response, body, fault, options);
      })
      .catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    fail: (...faults) => void next.push(...faults),
    failAlways: (fault) => {
      always = fault;
    },
    get calls() {
      return calls;
    },
    underWay: () => [...open.values()].filter((call) => call !== null),
    reset: () => {
      calls = [];
      next = [];
      always = null;
    },
    close: async () => {
      for (const response of open.keys()) response.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

const readBody = async (request: IncomingMessage): Promise<ChatBody & EmbeddingBody> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return JSON.parse(Buffer.concat(pieces).toString('utf8')) as ChatBody & EmbeddingBody;
};

const sendError = (
  response: ServerResponse,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>>,
  body?: unknown,
): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body ?? { error: { message, type: 'scripted', code: null, param: null } }));
};

// ── embeddings ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** A bag of hashed words: texts that share words are near. Not of unit length on purpose. */
export const hashedVector = (text: string, dimensions = 64): number[] => {
  const vector = new Array<number>(dimensions).fill(0.01);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    let hash = 7;
    for (const letter of word) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
    vector[hash % dimensions] = (vector[hash % dimensions] ?? 0) + 1;
  }
  return vector;
};

const sendEmbeddings = (response: ServerResponse, body: EmbeddingBody, dimensions?: number): void => {
  const input = typeof body.input === 'string' ? [body.input] : (body.input ?? []);
  const data = input.map((text, index) => ({ object: 'embedding', index, embedding: hashedVector(text, dimensions) }));
  const tokens = input.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0);
  response.writeHead(200, { 'content-type': 'application/json' });
  // Out of order, as the index permits.
  response.end(
    JSON.stringify({
      object: 'list',
      data: data.reverse(),
      model: 'hashed',
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    }),
  );
};

// ── chat ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const streamChat = async (
  response: ServerResponse,
  body: ChatBody,
  fault: Fault | null,
  options: ModelServerOptions,
): Promise<void> => {
  const model = body.model ?? 'fake';
  const chunk = (delta: unknown, finish: string | null = null): string =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(chunk({ role: 'assistant', content: '' }));
  if (fault?.kind === 'flood') return flood(response, chunk, fault.bytes);

  const text = fault?.kind === 'empty' ? '' : reply(body, options.mode ?? 'echo');
  const size = options.piece ?? 12;
  const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
    text.slice(index * size, (index + 1) * size),
  );
  const midway = ['hang-midway', 'cut', 'truncate', 'invalid-chunk'].includes(fault?.kind ?? '');
  for (const piece of midway ? pieces.slice(0, Math.max(1, pieces.length >> 1)) : pieces) {
    if (options.pieceMs !== undefined) await new Promise((resolve) => setTimeout(resolve, options.pieceMs));
    response.write(chunk({ content: piece }));
  }
  if (fault?.kind === 'hang-midway') return;
  if (fault?.kind === 'invalid-chunk') {
    response.write('data: {"choices": [{"delta": {"content": "half\n\n');
    response.end('data: [DONE]\n\n');
    return;
  }
  if (fault?.kind === 'cut') {
    setTimeout(() => response.destroy(), 20);
    return;
  }
  if (fault?.kind === 'truncate') {
    response.end();
    return;
  }
  response.write(chunk({}, fault?.kind === 'length' ? 'length' : 'stop'));
  if (body.stream_options !== undefined && fault?.kind !== 'no-usage') {
    const usage = { prompt_tokens: 111, completion_tokens: 22, total_tokens: 133 };
    response.write(
      `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model, choices: [], usage })}\n\n`,
    );
  }
  response.end('data: [DONE]\n\n');
};

const flood = async (response: ServerResponse, chunk: (delta: unknown) => string, bytes: number): Promise<void> => {
  response.setMaxListeners(0);
  const piece = chunk({ content: 'x'.repeat(64 * 1024) });
  for (let sent = 0; sent < bytes && !response.destroyed; sent += piece.length) {
    if (!response.write(piece))
      await new Promise<void>((resolve) => {
        response.once('drain', resolve);
        response.once('close', resolve);
      });
  }
  response.end('data: [DONE]\n\n');
};

const reply = (body: ChatBody, mode: NonNullable<ModelServerOptions['mode']>): string => {
  if (typeof mode === 'function') return mode(body);
  const prompt = (body.messages ?? []).map((message) => message.content).join('\n');
  return mode === 'echo' ? echo(prompt) : obey(prompt);
};

export const sourcesIn = (prompt: string): readonly { readonly number: number; readonly text: string }[] =>
  [...prompt.matchAll(/<<source (\d+) ([0-9a-f]+)>>\n[^\n]*\n---\n([\s\S]*?)\n<<end \2>>/g)].map((match) => ({
    number: Number(match[1]),
    text: match[3] ?? '',
  }));

/** The source that shares most words with the question, its best sentence, with its footnote; else the sentinel. */
export const echo = (prompt: string): string => {
  const condensing = /Last question: (.*)/.exec(prompt);
  if (condensing !== null) return condensing[1] ?? '';
  const question = /Question:\n([\s\S]*?)\n/.exec(prompt)?.[1] ?? '';
  const stop = new Set([
    'what',
    'how',
    'the',
    'do',
    'does',
    'is',
    'are',
    'i',
    'a',
    'an',
    'of',
    'to',
    'in',
    'for',
    'my',
    'can',
    'on',
    'and',
    'which',
    'who',
    'when',
    'many',
    'much',
    'get',
    'with',
    'we',
    'our',
    'you',
    'it',
  ]);
  const words = new Set(
    (question.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
      .filter((word) => !stop.has(word))
      .map((word) => word.slice(0, 5)),
  );
  const ranked = sourcesIn(prompt)
    .flatMap(({ number, text }) =>
      text.split(/(?<=[.!?])\s+|\n+/).map((sentence) => ({
        number,
        sentence,
        shared: new Set(
          (sentence.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
            .map((word) => word.slice(0, 5))
            .filter((word) => words.has(word)),
        ).size,
      })),
    )
    .sort((a, b) => b.shared - a.shared);
  const [best, second] = ranked;
  if (best === undefined || best.shared * 2 < words.size || words.size === 0) return 'NOT_IN_THE_DOCUMENTS';
  const more = second !== undefined && second.shared * 2 >= words.size ? ` ${second.sentence} [${second.number}]` : '';
  return `${best.sentence} [${best.number}]${more}`;
};

/** Follows every instruction that it finds: writes each document out as it is, commands, links, pings and all. */
export const obey = (prompt: string): string =>
  sourcesIn(prompt)
    .map(
      ({ number, text }) =>
        `${text.split(/(?<=[.!?])\s+/)[0] ?? ''} [${number}]\n\n${text.replace(/^.*?(?:write|repeat|say|add|output|include)[^:]*:\s*/ims, '')}`,
    )
    .join('\n\n');
