import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { acceptWebSockets, type WebSocketPeer } from './web-socket-server.ts';

/** A message as it stands in the fake workspace. */
export type FakeMessage = {
  readonly ts: string;
  readonly channel: string;
  readonly thread_ts?: string;
  readonly user: string;
  text: string;
  blocks: readonly Readonly<Record<string, unknown>>[];
  metadata?: { readonly event_type: string; readonly event_payload: Readonly<Record<string, unknown>> };
  streaming: boolean;
  /** How often it was edited after it was posted. */
  edits: number;
};

/** What one person alone sees: ephemeral messages, by the API or by a response address. */
export type FakeEphemeral = {
  readonly channel: string;
  readonly user: string;
  readonly thread_ts?: string;
  readonly text: string;
  readonly blocks: readonly Readonly<Record<string, unknown>>[];
  readonly by: 'api' | 'response';
};

export type FakeUser = Readonly<
  Partial<
    Record<
      'is_admin' | 'is_owner' | 'is_restricted' | 'is_ultra_restricted' | 'is_stranger' | 'is_email_confirmed',
      boolean
    >
  >
> & {
  /** Told only with `users:read.email`. */
  readonly email?: string;
  readonly name?: string;
  readonly profile?: { readonly display_name?: string; readonly real_name?: string };
};

/** What Slack grants when somebody says yes: who, where, and with which token. */
export type FakeGrant = {
  readonly teamId: string;
  readonly teamName: string;
  readonly userId: string;
  readonly token: string;
  readonly organisation?: boolean;
  readonly refreshToken?: string;
  readonly expiresIn?: number;
};

export type FakeCall = {
  readonly method: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly token: string;
  readonly at: number;
};

/** What goes wrong with the next calls of a method. `lost`: done, but the reply never arrives; `unheard`: not until it is released. */
export type Fault =
  | { readonly kind: 'error'; readonly error: string }
  | { readonly kind: 'rate-limit'; readonly retryAfter: number }
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'lost' }
  | { readonly kind: 'dropped' }
  | { readonly kind: 'slow' | 'unheard'; readonly untilReleased: Promise<void> };

export type FakeSlack = {
  /** For SLACK_API_URL. */
  readonly url: string;
  readonly botUserId: string;
  readonly teamId: string;
  readonly calls: readonly FakeCall[];
  readonly messages: readonly FakeMessage[];
  readonly ephemerals: readonly FakeEphemeral[];
  /** Views that were opened, with the trigger that opened them. */
  readonly views: readonly { readonly triggerId: string; readonly view: Readonly<Record<string, unknown>> }[];
  /** Who people are; whoever is not named is a member. */
  readonly users: Map<string, FakeUser>;
  /** Channel → who made it. */
  readonly creators: Map<string, string>;
  /** Channels that another organisation reads too. */
  readonly sharedChannels: Set<string>;
  /** File paths below `/files/` and what they hold. */
  readonly files: Map<string, { readonly bytes: Uint8Array; readonly mediaType: string }>;
  /** Scopes that `auth.test` tells; `files:read` also opens the files. */
  readonly scopes: Set<string>;
  /** People who have left the channel, or who cannot be shown anything there. */
  readonly absent: Set<string>;
  /** From now on posting is refused, as Slack does for what is gone. */
  vanish(what: 'thread' | 'channel'): void;
  /** From now on every call that writes ends in an error of Slack's own. */
  breakDown(): void;
  /** What is gone or broken is back, and faults that were left are taken away. */
  heal(): void;
  /** Slack would now send the browser back with this code. */
  grant(code: string, grant: FakeGrant): void;
  /** A refresh token and what it is renewed with. */
  renewal(refreshToken: string, grant: Pick<FakeGrant, 'token' | 'refreshToken' | 'expiresIn'>): void;
  /** An address as commands and buttons carry it. */
  responseUrl(place: { readonly channel: string; readonly user: string }): string;
  fileUrl(name: string): string;
  /** Answers of the bot: its standing messages, in order. */
  answers(thread?: string): readonly FakeMessage[];
  callsOf(method: string): readonly FakeCall[];
  /** The next `times` calls of the method fail like this. */
  fault(method: string, fault: Fault, times?: number): void;
  /** Methods that this workspace does not have (the force that makes a bot fall back). */
  readonly unknownMethods: Set<string>;
  /** From now on `markdown` blocks are `invalid_blocks`, as on workspaces that do not have them. */
  refuseMarkdownBlocks(): void;
  /** A timestamp later than all before. */
  nextTs(): string;
  /** Sends an envelope over Socket Mode and resolves with whether it was acknowledged. */
  sendOverSocket(envelope: { readonly type: string; readonly payload: unknown }): Promise<boolean>;
  /** How many Socket Mode connections were opened. */
  sockets(): number;
  /** Resolves at the next call of the method. */
  nextCall(method: string): Promise<FakeCall>;
  close(): Promise<void>;
};

type Args = Readonly<Record<string, unknown>>;
type Reply = { readonly ok: boolean; readonly error?: string } & Readonly<Record<string, unknown>>;

const markdownLimit = 12_000;

/** Slack's Web API for one workspace, on a real loopback socket; its shapes, limits and refusals as documented. */
export const startFakeSlack = async (
  options: {
    readonly botToken?: string;
    readonly appToken?: string;
    readonly teamId?: string;
    onCall?(call: FakeCall): void;
  } = {},
): Promise<FakeSlack> => {
  const teamId = options.teamId ?? 'T0FAKE';
  const botUserId = 'U0BOT';
  const calls: FakeCall[] = [];
  const messages: FakeMessage[] = [];
  const ephemerals: FakeEphemeral[] = [];
  const views: { triggerId: string; view: Readonly<Record<string, unknown>> }[] = [];
  const users = new Map<string, FakeUser>();
  const creators = new Map<string, string>();
  const sharedChannels = new Set<string>();
  const files = new Map<string, { readonly bytes: Uint8Array; readonly mediaType: string }>();
  const absent = new Set<string>();
  const scopes = new Set(defaultScopes);
  const grants = new Map<string, FakeGrant>();
  const renewals = new Map<string, Pick<FakeGrant, 'token' | 'refreshToken' | 'expiresIn'>>();
  const responses = new Map<string, { readonly channel: string; readonly user: string; uses: number }>();
  /** Token → workspace. */
  const tokens = new Map([[options.botToken ?? 'xoxb-fake', options.teamId ?? 'T0FAKE']]);
  let gone: 'thread' | 'channel' | null = null;
  let broken = false;
  const faults = new Map<string, Fault[]>();
  const unknownMethods = new Set<string>();
  const waiting = new Map<string, ((call: FakeCall) => void)[]>();
  let counter = 0;
  const nextTs = (): string => {
    counter += 1;
    return `${1_790_000_000 + Math.floor(counter / 1000)}.${String((counter % 1000) * 100).padStart(6, '0')}`;
  };

  let markdownRefused = false;
  const refuses = (args: Args): Reply | null =>
    gone !== null && !String(args.channel).startsWith('D')
      ? { ok: false, error: gone === 'thread' ? 'thread_not_found' : 'not_in_channel' }
      : markdownRefused && blocksOf(args).some((block) => block.type === 'markdown')
        ? { ok: false, error: 'invalid_blocks' }
        : refusalOf(args);
  const find = (args: Args): FakeMessage | undefined =>
    messages.find((message) => message.ts === args.ts && message.channel === args.channel);
  const putEphemeral = (
    args: Args,
    to: { readonly channel: string; readonly user: string },
    by: 'api' | 'response',
  ): void => {
    ephemerals.push({
      ...to,
      ...(typeof args.thread_ts === 'string' ? { thread_ts: args.thread_ts } : {}),
      text: String(args.text ?? ''),
      blocks: blocksOf(args),
      by,
    });
  };
  const put = (args: Args, streaming: boolean): Reply => {
    const ts = nextTs();
    messages.push({
      ts,
      channel: String(args.channel),
      ...(typeof args.thread_ts === 'string' ? { thread_ts: args.thread_ts } : {}),
      user: botUserId,
      text: String(args.text ?? args.markdown_text ?? ''),
      blocks: blocksOf(args),
      ...metadataOf(args),
      streaming,
      edits: 0,
    });
    return { ok: true, ts, channel: args.channel };
  };
  const append = (message: FakeMessage, args: Args): void => {
    message.text += String(args.markdown_text ?? '');
  };

  const methods: Readonly<Record<string, (args: Args) => Reply>> = {
    'auth.test': () => ({
      ok: true,
      user_id: botUserId,
      bot_id: 'B0BOT',
      app_id: 'A0APP',
      team_id: teamId,
      team: 'Fake Inc',
      url: 'https://fake.slack.example/',
    }),
    'chat.postMessage': (args) => refuses(args) ?? put(args, false),
    'chat.update': (args) => {
      const message = find(args);
      if (message === undefined) return { ok: false, error: 'message_not_found' };
      if (message.streaming) return { ok: false, error: 'streaming_state_conflict' };
      const refusal = refuses(args);
      if (refusal !== null) return refusal;
      message.text = String(args.text ?? message.text);
      if (args.blocks !== undefined) message.blocks = blocksOf(args);
      Object.assign(message, metadataOf(args));
      message.edits += 1;
      return { ok: true, ts: message.ts, channel: message.channel };
    },
    'chat.delete': (args) => {
      const message = find(args);
      if (message === undefined) return { ok: false, error: 'message_not_found' };
      messages.splice(messages.indexOf(message), 1);
      return { ok: true, ts: message.ts };
    },
    'chat.postEphemeral': (args) => {
      const refusal = refuses(args);
      if (refusal !== null) return refusal;
      const user = String(args.user);
      if (absent.has(user)) return { ok: false, error: 'user_not_in_channel' };
      putEphemeral(args, { channel: String(args.channel), user }, 'api');
      return { ok: true, message_ts: nextTs() };
    },
    'chat.getPermalink': (args) =>
      find({ channel: args.channel, ts: args.message_ts }) === undefined
        ? { ok: false, error: 'message_not_found' }
        : {
            ok: true,
            permalink: `https://fake.slack.example/archives/${String(args.channel)}/p${String(args.message_ts)}`,
          },
    'conversations.open': (args) =>
      String(args.users) === 'U0NOBODY'
        ? { ok: false, error: 'user_not_found' }
        : { ok: true, channel: { id: `D0${String(args.users)}` } },
    'conversations.info': (args) => ({
      ok: true,
      channel: {
        id: args.channel,
        name: String(args.channel).slice(2).toLowerCase(),
        creator: creators.get(String(args.channel)) ?? 'U0FOUNDER',
        is_ext_shared: sharedChannels.has(String(args.channel)),
      },
    }),
    'users.info': (args) => {
      if (!scopes.has('users:read')) return { ok: false, error: 'missing_scope' };
      const { email, profile: names, ...user } = users.get(String(args.user)) ?? {};
      const profile = { ...names, ...(email !== undefined && scopes.has('users:read.email') ? { email } : {}) };
      return { ok: true, user: { id: args.user, team_id: teamId, ...user, profile } };
    },
    'views.open': (args) => {
      views.push({ triggerId: String(args.trigger_id), view: args.view as Readonly<Record<string, unknown>> });
      return { ok: true, view: { id: `V${views.length}` } };
    },
    'assistant.threads.setSuggestedPrompts': () => ({ ok: true }),
    'chat.startStream': (args) => {
      const refusal = refuses({ ...args, text: 'x' });
      if (refusal !== null) return refusal;
      if (typeof args.thread_ts !== 'string') return { ok: false, error: 'invalid_thread_ts' };
      if (typeof args.recipient_user_id !== 'string' || typeof args.recipient_team_id !== 'string')
        return { ok: false, error: 'missing_recipient_team_id' };
      return put(args, true);
    },
    'chat.appendStream': (args) => {
      const message = find(args);
      if (message === undefined || !message.streaming) return { ok: false, error: 'message_not_in_streaming_state' };
      if (String(args.markdown_text).length > markdownLimit) return { ok: false, error: 'msg_too_long' };
      append(message, args);
      return { ok: true, ts: message.ts };
    },
    'chat.stopStream': (args) => {
      const message = find(args);
      if (message === undefined || !message.streaming) return { ok: false, error: 'message_not_in_streaming_state' };
      append(message, args);
      message.streaming = false;
      message.blocks = blocksOf(args);
      Object.assign(message, metadataOf(args));
      return { ok: true, ts: message.ts };
    },
    'assistant.threads.setStatus': () => ({ ok: true }),
    'reactions.add': () => ({ ok: true }),
    'conversations.replies': (args) =>
      history(args, (message) => message.thread_ts === args.ts || message.ts === args.ts),
    'conversations.history': (args) => history(args, (message) => message.thread_ts === undefined),
    'apps.connections.open': () => ({ ok: true, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/link` }),
  };
  const history = (args: Args, belongs: (message: FakeMessage) => boolean): Reply => ({
    ok: true,
    messages: messages
      .filter(
        (message) =>
          message.channel === args.channel &&
          belongs(message) &&
          (typeof args.oldest !== 'string' || message.ts > args.oldest) &&
          (typeof args.latest !== 'string' || message.ts < args.latest),
      )
      .map(({ metadata, ...message }) =>
        String(args.include_all_metadata) === 'true' && metadata !== undefined ? { ...message, metadata } : message,
      ),
    has_more: false,
  });

  /** Slack's file host: without the token or the permission it shows its sign-in page, with 200. */
  const serveFile = (request: IncomingMessage, response: ServerResponse): void => {
    const file = files.get(decodeURIComponent((request.url ?? '').slice('/files/'.length)));
    const token = String(request.headers.authorization ?? '').replace(/^Bearer /, '');
    if (!tokens.has(token) || !scopes.has('files:read'))
      return void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>Sign in</html>');
    if (file === undefined) return void response.writeHead(404).end();
    response
      .writeHead(200, { 'content-type': file.mediaType, 'content-disposition': 'attachment; filename="x"' })
      .end(file.bytes);
  };

  const takeResponse = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const place = responses.get(request.url ?? '');
    const args = JSON.parse(await readBody(request)) as Args;
    calls.push({ method: 'response_url', args, token: '', at: Date.now() });
    const fault = faults.get('response_url')?.shift();
    if (fault?.kind === 'status') return void response.writeHead(fault.status).end('error');
    if (place === undefined) return void response.writeHead(404).end('no_service');
    place.uses += 1;
    if (place.uses > 5) return reply(response, 404, { ok: false, error: 'used_url' });
    const refusal =
      markdownRefused && blocksOf(args).some((block) => block.type === 'markdown') ? 'invalid_blocks' : null;
    if (refusal !== null) return reply(response, 400, { ok: false, error: refusal });
    if (args.response_type === 'in_channel') put({ ...args, channel: place.channel }, false);
    else putEphemeral(args, { channel: place.channel, user: place.user }, 'response');
    response.writeHead(200).end('ok');
  };

  const grantTokens = (grant: Pick<FakeGrant, 'token' | 'refreshToken' | 'expiresIn'>) => ({
    access_token: grant.token,
    token_type: 'bot',
    ...(grant.refreshToken === undefined ? {} : { refresh_token: grant.refreshToken }),
    ...(grant.expiresIn === undefined ? {} : { expires_in: grant.expiresIn }),
  });
  const exchange = (args: Args, request: IncomingMessage): Reply => {
    const [id, secret] = Buffer.from(String(request.headers.authorization ?? '').replace(/^Basic /, ''), 'base64')
      .toString()
      .split(':');
    if (id !== 'the-client' || secret !== 'the-client-secret') return { ok: false, error: 'bad_client_secret' };
    if (args.grant_type === 'refresh_token') {
      const renewal = renewals.get(String(args.refresh_token));
      renewals.delete(String(args.refresh_token));
      if (renewal === undefined) return { ok: false, error: 'invalid_refresh_token' };
      tokens.set(renewal.token, teamId);
      return { ok: true, ...grantTokens(renewal) };
    }
    const grant = grants.get(String(args.code));
    grants.delete(String(args.code));
    if (grant === undefined) return { ok: false, error: 'invalid_code' };
    tokens.set(grant.token, grant.teamId);
    return {
      ok: true,
      ...grantTokens(grant),
      scope: [...scopes].join(','),
      bot_user_id: botUserId,
      app_id: 'A0APP',
      team: grant.organisation ? null : { id: grant.teamId, name: grant.teamName },
      enterprise: grant.organisation ? { id: 'E0ORG', name: 'Org' } : null,
      is_enterprise_install: grant.organisation === true,
      authed_user: { id: grant.userId },
    };
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.url?.startsWith('/files/')) return serveFile(request, response);
    if (request.url?.startsWith('/hooks/')) return takeResponse(request, response);
    const method = (request.url ?? '').replace(/^\/(?:api\/)?/, '');
    const args = await readArgs(request);
    const token = String(request.headers.authorization ?? '').replace(/^Bearer /, '');
    const call = { method, args, token, at: Date.now() };
    calls.push(call);
    options.onCall?.(call);
    for (const wake of waiting.get(method)?.splice(0) ?? []) wake(call);
    const fault: Fault | undefined =
      faults.get(method)?.shift() ??
      (broken && method.startsWith('chat.') ? { kind: 'status', status: 503 } : undefined);
    if (fault?.kind === 'slow') await fault.untilReleased;
    if (fault?.kind === 'dropped') return void request.socket.destroy();
    if (fault?.kind === 'rate-limit')
      return reply(response, 429, { ok: false, error: 'ratelimited' }, { 'Retry-After': String(fault.retryAfter) });
    if (fault?.kind === 'status') return reply(response, fault.status, { ok: false });
    if (fault?.kind === 'error') return reply(response, 200, { ok: false, error: fault.error });
    const known = unknownMethods.has(method) ? undefined : methods[method];
    const isAllowed =
      method === 'apps.connections.open' ? token === (options.appToken ?? 'xapp-fake') : tokens.has(token);
    const result: Reply =
      method === 'oauth.v2.access'
        ? exchange(args, request)
        : known === undefined
          ? { ok: false, error: 'unknown_method' }
          : !isAllowed
            ? { ok: false, error: 'invalid_auth' }
            : method === 'auth.test'
              ? { ...known(args), team_id: tokens.get(token) }
              : known(args);
    if (fault?.kind === 'lost') return void request.socket.destroy();
    if (fault?.kind === 'unheard' && result.ok) await fault.untilReleased;
    reply(response, 200, result, method === 'auth.test' ? { 'x-oauth-scopes': [...scopes].join(',') } : {});
  };

  const server = createServer((request, response) => {
    answer(request, response).catch(() => request.socket.destroy());
  });
  const acks = new Map<string, () => void>();
  const peers: WebSocketPeer[] = [];
  let opened = 0;
  acceptWebSockets(server, (peer, onText) => {
    opened += 1;
    peers.push(peer);
    onText((text) => {
      const parsed = JSON.parse(text) as { readonly envelope_id?: string };
      acks.get(parsed.envelope_id ?? '')?.();
    });
    peer.send(JSON.stringify({ type: 'hello', num_connections: 1 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/`,
    botUserId,
    teamId,
    calls,
    messages,
    ephemerals,
    views,
    users,
    creators,
    sharedChannels,
    files,
    scopes,
    absent,
    vanish: (what) => {
      gone = what;
    },
    breakDown: () => {
      broken = true;
    },
    heal: () => {
      gone = null;
      broken = false;
      faults.clear();
    },
    grant: (code, grant) => void grants.set(code, grant),
    renewal: (refreshToken, grant) => void renewals.set(refreshToken, grant),
    responseUrl: (place) => {
      const path = `/hooks/${responses.size + 1}`;
      responses.set(path, { ...place, uses: 0 });
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
    },
    fileUrl: (name) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/files/${encodeURIComponent(name)}`,
    answers: (thread) =>
      messages.filter(
        (message) => message.user === botUserId && (thread === undefined || message.thread_ts === thread),
      ),
    callsOf: (method) => calls.filter((call) => call.method === method),
    fault: (method, fault, times = 1) => {
      faults.set(method, [...(faults.get(method) ?? []), ...Array.from({ length: times }, () => fault)]);
    },
    unknownMethods,
    refuseMarkdownBlocks: () => {
      markdownRefused = true;
    },
    nextTs,
    sendOverSocket: async (envelope) => {
      const id = `env-${acks.size + 1}`;
      const acked = new Promise<true>((resolve) => acks.set(id, () => resolve(true)));
      peers.at(-1)?.send(JSON.stringify({ ...envelope, envelope_id: id, accepts_response_payload: false }));
      return Promise.race([acked, new Promise<false>((resolve) => setTimeout(() => resolve(false), 2000))]);
    },
    sockets: () => opened,
    nextCall: (method) => new Promise((resolve) => waiting.set(method, [...(waiting.get(method) ?? []), resolve])),
    close: async () => {
      for (const peer of peers) peer.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

const blocksOf = (args: Args): FakeMessage['blocks'] => (Array.isArray(args.blocks) ? args.blocks : []);
const metadataOf = (args: Args): Pick<FakeMessage, 'metadata'> =>
  args.metadata === undefined ? {} : { metadata: args.metadata as NonNullable<FakeMessage['metadata']> };

/** All that the manifest asks for, but for one, so that a check-up has something to say. */
const defaultScopes = [
  'app_mentions:read',
  'assistant:write',
  'channels:history',
  'channels:read',
  'chat:write',
  'commands',
  'files:read',
  'groups:history',
  'groups:read',
  'im:history',
  'im:write',
  'users:read',
  'users:read.email',
];

/** Slack's limits on a message. */
const refusalOf = (args: Args): Reply | null => {
  const blocks = blocksOf(args);
  if (blocks.length > 50) return { ok: false, error: 'invalid_blocks' };
  const markdown = blocks
    .filter((block) => block.type === 'markdown')
    .reduce((sum, block) => sum + String(block.text).length, 0);
  // Not documented, and met: https://github.com/slackapi/bolt-js/issues/2509
  if (markdown > markdownLimit || JSON.stringify(blocks).length > 13_200)
    return { ok: false, error: 'msg_blocks_too_long' };
  if (String(args.text ?? '').length > 40_000) return { ok: false, error: 'msg_too_long' };
  return String(args.text ?? '') === '' && blocks.length === 0 ? { ok: false, error: 'no_text' } : null;
};

const reply = (
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};

/** Form fields; those that hold JSON are opened, as Slack does. */
const readBody = async (request: IncomingMessage): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString();
};

const readArgs = async (request: IncomingMessage): Promise<Args> => {
  const body = await readBody(request);
  const fields = [...new URLSearchParams(body)].map(([key, value]) => [
    key,
    /^[[{]/.test(value) && key !== 'text' && key !== 'markdown_text' ? JSON.parse(value) : value,
  ]);
  return Object.fromEntries(fields) as Args;
};

// ── what Slack sends ────────────────────────────────────────────────────────────────────────────────────────────────

export type SlackSender = {
  /** Signs like Slack and posts; `retry` adds the headers of a redelivery. Resolves with the status. */
  send(
    payload: unknown,
    options?: { readonly retry?: number; readonly form?: boolean | 'command'; readonly at?: number },
  ): Promise<Response>;
};

export const createSlackSender = (options: {
  readonly url: string;
  readonly signingSecret: string;
  now(): number;
}): SlackSender => ({
  send: (payload, how = {}) => {
    const body =
      how.form === 'command'
        ? new URLSearchParams(payload as Record<string, string>).toString()
        : how.form
          ? new URLSearchParams({ payload: JSON.stringify(payload) }).toString()
          : JSON.stringify(payload);
    return fetch(options.url, {
      method: 'POST',
      headers: {
        'content-type': how.form ? 'application/x-www-form-urlencoded' : 'application/json',
        ...signatureHeaders(options.signingSecret, body, Math.floor((how.at ?? options.now()) / 1000)),
        ...(how.retry === undefined
          ? {}
          : { 'x-slack-retry-num': String(how.retry), 'x-slack-retry-reason': 'http_timeout' }),
      },
      body,
    });
  },
});

export const signatureHeaders = (secret: string, body: string, seconds: number): Readonly<Record<string, string>> => ({
  'x-slack-request-timestamp': String(seconds),
  'x-slack-signature': `v0=${createHmac('sha256', secret).update(`v0:${seconds}:${body}`).digest('hex')}`,
});

export type MessageShape = {
  readonly text: string;
  readonly ts: string;
  readonly channel?: string;
  readonly thread?: string;
  readonly user?: string;
  readonly channelType?: 'channel' | 'im' | 'mpim' | 'group';
  readonly more?: Readonly<Record<string, unknown>>;
};

/** Envelopes in Slack's shape. */
export const slackPayloads = (teamId: string, botUserId: string) => {
  let events = 0;
  const envelope = (event: Readonly<Record<string, unknown>>) => {
    events += 1;
    return {
      token: 'x',
      team_id: teamId,
      context_team_id: teamId,
      api_app_id: 'A0APP',
      type: 'event_callback',
      event_id: `Ev${String(events).padStart(6, '0')}`,
      event_time: 1_790_000_000,
      authorizations: [{ enterprise_id: null, team_id: teamId, user_id: botUserId, is_bot: true }],
      event,
    };
  };
  const message = (shape: MessageShape, type = 'message') =>
    envelope({
      type,
      user: shape.user ?? 'U0ASKER',
      team: teamId,
      text: shape.text,
      ts: shape.ts,
      event_ts: shape.ts,
      channel: shape.channel ?? 'C0GENERAL',
      ...(type === 'message' ? { channel_type: shape.channelType ?? 'channel' } : {}),
      ...(shape.thread === undefined ? {} : { thread_ts: shape.thread }),
      ...shape.more,
    });
  return {
    envelope,
    message,
    appMention: (shape: MessageShape) => message(shape, 'app_mention'),
    edit: (shape: MessageShape, before: string, eventTs: string) =>
      envelope({
        type: 'message',
        subtype: 'message_changed',
        channel: shape.channel ?? 'C0GENERAL',
        channel_type: shape.channelType ?? 'channel',
        event_ts: eventTs,
        ts: eventTs,
        message: {
          type: 'message',
          user: shape.user ?? 'U0ASKER',
          team: teamId,
          text: shape.text,
          ts: shape.ts,
          edited: { user: 'U0ASKER', ts: eventTs },
          ...(shape.thread === undefined ? {} : { thread_ts: shape.thread }),
          ...shape.more,
        },
        previous_message: { type: 'message', user: shape.user ?? 'U0ASKER', text: before, ts: shape.ts },
      }),
    remove: (shape: Omit<MessageShape, 'text'>, eventTs: string) =>
      envelope({
        type: 'message',
        subtype: 'message_deleted',
        channel: shape.channel ?? 'C0GENERAL',
        channel_type: shape.channelType ?? 'channel',
        event_ts: eventTs,
        ts: eventTs,
        deleted_ts: shape.ts,
        previous_message: {
          type: 'message',
          user: shape.user ?? 'U0ASKER',
          text: 'x',
          ts: shape.ts,
          ...(shape.thread === undefined ? {} : { thread_ts: shape.thread }),
        },
      }),
    /** A slash command's fields; they come as a form, not as JSON. */
    command: (
      command: string,
      text: string,
      on: {
        readonly channel?: string;
        readonly user?: string;
        readonly responseUrl?: string;
        readonly trigger?: string;
      } = {},
    ) => {
      events += 1;
      return {
        token: 'x',
        team_id: teamId,
        team_domain: 'fake',
        channel_id: on.channel ?? 'C0GENERAL',
        channel_name: 'general',
        user_id: on.user ?? 'U0ASKER',
        user_name: 'ada',
        command,
        text,
        api_app_id: 'A0APP',
        is_enterprise_install: 'false',
        trigger_id: on.trigger ?? `1337.42.command${events}`,
        ...(on.responseUrl === undefined ? {} : { response_url: on.responseUrl }),
      };
    },
    /** "Ask about this" on a message. */
    shortcut: (
      about: {
        readonly text: string;
        readonly ts: string;
        readonly thread?: string;
        readonly files?: readonly unknown[];
      },
      on: { readonly channel?: string; readonly responseUrl?: string; readonly callbackId?: string } = {},
    ) => {
      events += 1;
      return {
        type: 'message_action',
        callback_id: on.callbackId ?? 'footnote_ask_about',
        trigger_id: `1337.42.shortcut${events}`,
        action_ts: `1790000001.${String(events).padStart(6, '0')}`,
        team: { id: teamId, domain: 'fake' },
        user: { id: 'U0ASKER', name: 'ada', team_id: teamId },
        channel: { id: on.channel ?? 'C0GENERAL', name: 'general' },
        message_ts: about.ts,
        message: {
          type: 'message',
          user: 'U0OTHER',
          ts: about.ts,
          text: about.text,
          ...(about.thread === undefined ? {} : { thread_ts: about.thread }),
          ...(about.files === undefined ? {} : { files: about.files }),
        },
        ...(on.responseUrl === undefined ? {} : { response_url: on.responseUrl }),
      };
    },
    /** A button of ours. */
    press: (
      actionId: string,
      value: string,
      on: {
        readonly ts: string;
        readonly thread?: string;
        readonly channel?: string;
        readonly user?: string;
        readonly responseUrl?: string;
        readonly ephemeral?: boolean;
      },
    ) => {
      events += 1;
      return {
        type: 'block_actions',
        team: { id: teamId },
        user: { id: on.user ?? 'U0ASKER', name: 'ada', team_id: teamId },
        channel: { id: on.channel ?? 'C0GENERAL' },
        trigger_id: `1337.42.press${events}`,
        container: {
          type: 'message',
          message_ts: on.ts,
          channel_id: on.channel ?? 'C0GENERAL',
          is_ephemeral: on.ephemeral === true,
          ...(on.thread === undefined ? {} : { thread_ts: on.thread }),
        },
        ...(on.ephemeral
          ? {}
          : { message: { ts: on.ts, ...(on.thread === undefined ? {} : { thread_ts: on.thread }) } }),
        ...(on.responseUrl === undefined ? {} : { response_url: on.responseUrl }),
        actions: [
          {
            type: 'button',
            action_id: actionId,
            block_id: 'b',
            value,
            action_ts: `1790000002.${String(events).padStart(6, '0')}`,
          },
        ],
      };
    },
    /** The form that a thumbs down opened, sent. */
    submit: (view: Readonly<Record<string, unknown>>, text: string, user = 'U0ASKER') => ({
      type: 'view_submission',
      team: { id: teamId },
      user: { id: user, name: 'ada', team_id: teamId },
      api_app_id: 'A0APP',
      trigger_id: '1337.42.submit',
      view: {
        ...view,
        id: 'V1',
        state: { values: { reason: { text: { type: 'plain_text_input', value: text } } } },
      },
      response_urls: [],
    }),
    click: (
      answerId: string,
      rating: 'up' | 'down',
      on: { readonly ts: string; readonly thread: string; readonly channel?: string; readonly user?: string },
    ) => ({
      type: 'block_actions',
      team: { id: teamId },
      user: { id: on.user ?? 'U0ASKER', team_id: teamId },
      channel: { id: on.channel ?? 'C0GENERAL' },
      trigger_id: `1337.42.click${on.ts}`,
      container: { type: 'message', message_ts: on.ts, channel_id: on.channel ?? 'C0GENERAL', thread_ts: on.thread },
      message: { ts: on.ts, thread_ts: on.thread },
      actions: [
        {
          type: 'feedback_buttons',
          action_id: 'footnote_feedback',
          block_id: 'b',
          value: `${rating}:${answerId}`,
          action_ts: `${on.ts}1`,
        },
      ],
    }),
  };
};
