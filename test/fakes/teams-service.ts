import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Ids of one organisation that has the bot. */
export const teamsIds = {
  appId: '11111111-2222-3333-4444-555555555555',
  bot: '28:11111111-2222-3333-4444-555555555555',
  tenant: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
  asker: '29:1asker',
  askerObject: '99999999-0000-0000-0000-000000000001',
  colleague: '29:1colleague',
  colleagueObject: '99999999-0000-0000-0000-000000000002',
  team: 'bbbbbbbb-0000-0000-0000-000000000001',
  channel: '19:general@thread.tacv2',
  group: '19:meeting@thread.v2',
  personal: 'a:1personal',
} as const;

export type FakeCall = {
  readonly method: string;
  readonly path: string;
  /** As it is meant, without its question mark. */
  readonly query: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly authorization: string | undefined;
  readonly at: number;
};

export type FakeTeamsMessage = {
  readonly id: string;
  readonly conversation: string;
  activity: Readonly<Record<string, unknown>>;
  /** Not yet sealed. */
  streaming: boolean;
  stream?: { sequence: number; shown: string; startedAt: number };
};

export type FakeMember = {
  readonly id: string;
  readonly objectId: string;
  readonly name: string;
  readonly email?: string;
  readonly userPrincipalName?: string;
};

/** What a call is answered with instead of being done; `lost` is done first and then cut off. */
export type Fault =
  | { readonly status: number; readonly code?: string; readonly message?: string; readonly retryAfter?: string }
  | 'lost'
  | { readonly slowMs: number };

export type FakeTeams = {
  /** Stands for the connector, the login and the key server. */
  readonly url: string;
  readonly serviceUrl: string;
  readonly metadataUrl: string;
  readonly calls: readonly FakeCall[];
  /** What stands, oldest first, without what was deleted. */
  messages(conversation?: string): readonly FakeTeamsMessage[];
  /** Signs of life without a stream. */
  typing(): number;
  /** The next calls that match are answered so, in this order. */
  fault(match: (call: FakeCall) => boolean, ...faults: readonly Fault[]): void;
  /** What breaks Teams' rules for streams, in words. */
  readonly offences: readonly string[];
  /** The person presses Teams' own stop button. */
  stopStreams(): void;
  /** Streams are taken for as long as two minutes have not passed on this clock. */
  expireStreams(): void;
  readonly gone: Set<string>;
  /** Every thread was deleted. */
  threadsGone: boolean;
  /** From now on every call that writes ends in an error of Teams' own. */
  breakDown(): void;
  /** What is gone or broken is back. */
  heal(): void;
  /** Refuses to begin chats with people. */
  noChats: boolean;
  /** Conversation → the asker's role there. */
  roles: Map<string, string>;
  /** Team, by its thread → its channels; the first has no name. */
  readonly teams: Map<string, readonly { readonly id: string; readonly name?: string }[]>;
  /** Everybody whom Teams knows, in every conversation. */
  readonly people: Map<string, FakeMember>;
  /** What Microsoft Graph holds, by the path of its thread or chat; without an entry there was no consent. */
  readonly history: Map<string, readonly Readonly<Record<string, unknown>>[]>;
  /** Lists of Graph by their path; without an entry there was no consent. A filter picks those that hold what it names. */
  readonly lists: Map<string, readonly Readonly<Record<string, unknown>>[]>;
  keys: { kid: string; key: KeyObject; endorsements: readonly string[] | undefined }[];
  /** A token as Teams sends it, changed at will. */
  token(change?: TokenChange): string;
  nextId(): string;
  close(): Promise<void>;
};

export type TokenChange = {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly key?: KeyObject;
  readonly without?: readonly string[];
};

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
export const foreignPair = generateKeyPairSync('rsa', { modulusLength: 2048 });

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
export const signJwt = (header: unknown, claims: unknown, key: KeyObject): string => {
  const body = `${base64(header)}.${base64(claims)}`;
  return `${body}.${sign('RSA-SHA256', Buffer.from(body), key).toString('base64url')}`;
};

/**
 * Teams' side of the Bot Connector on a real socket, as far as Microsoft's documentation describes it: messages, edits,
 * deletions, streams with their rules, members, chats; the login that gives tokens; the keys that sign posts.
 */
export const startFakeTeams = async (
  options: {
    readonly onCall?: (call: FakeCall) => void;
    /** Done, and not yet answered. */
    readonly onTaken?: (call: FakeCall) => void;
  } = {},
): Promise<FakeTeams> => {
  const calls: FakeCall[] = [];
  const messages: FakeTeamsMessage[] = [];
  const faults: { match: (call: FakeCall) => boolean; left: Fault[] }[] = [];
  const offences: string[] = [];
  let typing = 0;
  let last = 1_700_000_000_000;
  let stopped = false;
  let expired = false;
  let broken = false;
  const nextId = (): string => {
    last += 1000;
    return String(last);
  };

  const refuse = (response: ServerResponse, fault: Exclude<Fault, 'lost' | { slowMs: number }>): undefined => {
    response.writeHead(fault.status, {
      'content-type': 'application/json',
      ...(fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }),
    });
    response.end(JSON.stringify({ error: { code: fault.code ?? 'Error', message: fault.message ?? '' } }));
  };
  const reply = (response: ServerResponse, status: number, body: unknown): undefined => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };

  const streamInfo = (body: FakeCall['body']): Readonly<Record<string, unknown>> | undefined =>
    (Array.isArray(body.entities) ? (body.entities as Record<string, unknown>[]) : []).find(
      ({ type }) => type === 'streaminfo',
    );

  const streamed = (
    response: ServerResponse,
    conversation: string,
    body: FakeCall['body'],
    info: Readonly<Record<string, unknown>>,
  ): undefined => {
    const notAllowed = (message: string): undefined =>
      refuse(response, { status: 403, code: 'ContentStreamNotAllowed', message });
    if (!conversation.startsWith('a:')) return notAllowed('Content stream is not allowed');
    if (stopped) return notAllowed('Content stream was canceled by user.');
    const text = String(body.text ?? '');
    if (text === '')
      return refuse(response, {
        status: 400,
        code: 'BadRequest',
        message: 'Start streaming activities should include text',
      });
    if (info.streamId === undefined) {
      if (info.streamSequence !== 1) offences.push(`a stream began with ${String(info.streamSequence)}`);
      const id = nextId();
      const shown = info.streamType === 'streaming' ? text : '';
      messages.push({
        id,
        conversation,
        activity: body,
        streaming: true,
        stream: { sequence: 1, shown, startedAt: Date.now() },
      });
      return reply(response, 201, { id });
    }
    const message = messages.find(({ id }) => id === info.streamId);
    if (message?.stream === undefined)
      return refuse(response, { status: 400, code: 'BadArgument', message: 'Unknown stream' });
    if (!message.streaming) return notAllowed('Content stream is not allowed on an already completed streamed message');
    if (expired) {
      message.streaming = false;
      return notAllowed('Content stream finished due to exceeded streaming time.');
    }
    const { stream } = message;
    if (!text.startsWith(stream.shown)) {
      offences.push(`“${text.slice(0, 40)}” does not contain “${stream.shown.slice(0, 40)}”`);
      return refuse(response, {
        status: 400,
        code: 'BadRequest',
        message: 'Streamed content must contain the previously streamed content',
      });
    }
    if (info.streamType === 'final') {
      if (info.streamSequence !== undefined) offences.push('a final message with a sequence');
      if (body.type !== 'message') offences.push(`a final ${String(body.type)}`);
      message.streaming = false;
    } else {
      if (!(Number(info.streamSequence) > stream.sequence))
        offences.push(`sequence ${String(info.streamSequence)} after ${stream.sequence}`);
      if (body.type !== 'typing') offences.push(`a streaming ${String(body.type)}`);
      stream.sequence = Number(info.streamSequence);
    }
    if (info.streamType !== 'informative') stream.shown = text;
    message.activity = body;
    reply(response, 202, {});
  };

  const roots = (body: FakeCall['body']): number =>
    (Array.isArray(body.entities) ? (body.entities as Record<string, unknown>[]) : []).filter(
      ({ type }) => type === 'https://schema.org/Message',
    ).length;

  const graph = (response: ServerResponse, { authorization, path, query }: FakeCall): undefined => {
    if (authorization !== 'Bearer token-for-graph')
      return refuse(response, { status: 401, code: 'InvalidAuthenticationToken' });
    const asked = decodeURIComponent(path.slice('/v1.0'.length));
    const rows = fake.lists.get(asked);
    if (rows !== undefined) {
      const named = / eq '([^']*)'/.exec(query)?.[1];
      const value = named === undefined ? rows : rows.filter((row) => Object.values(row).includes(named));
      return reply(response, 200, { value });
    }
    const list = fake.history.get(asked.replace(/\/(?:replies|messages)$/, ''));
    if (list === undefined) return refuse(response, { status: 403, code: 'Forbidden' });
    const isList = /\/(?:replies|messages)$/.test(asked);
    const [root, ...replies] = list;
    return reply(response, 200, isList ? { value: asked.endsWith('/replies') ? replies : list } : root);
  };

  const done = (response: ServerResponse, call: FakeCall): undefined => {
    const { method, path, body } = call;
    if (path.endsWith('/oauth2/v2.0/token')) {
      const forGraph = path.startsWith(`/${teamsIds.tenant}/`);
      return reply(response, 200, { access_token: forGraph ? 'token-for-graph' : 'token-for-teams', expires_in: 3599 });
    }
    if (path.startsWith('/v1.0/')) return graph(response, call);
    if (path === '/metadata')
      return reply(response, 200, { issuer: 'https://api.botframework.com', jwks_uri: `${fake.url}/keys` });
    if (path === '/keys')
      return reply(response, 200, {
        keys: fake.keys.map(({ kid, key, endorsements }) => ({
          ...key.export({ format: 'jwk' }),
          kid,
          use: 'sig',
          ...(endorsements === undefined ? {} : { endorsements }),
        })),
      });
    if (path.startsWith('/v3/attachments/')) {
      response.writeHead(200, { 'content-type': 'image/png' });
      response.end('the image');
      return;
    }
    if (call.authorization !== 'Bearer token-for-teams') return refuse(response, { status: 401, code: 'Unauthorized' });
    if (path === '/v3/conversations' && method === 'POST') {
      if (fake.noChats)
        return refuse(response, {
          status: 403,
          code: 'ForbiddenOperationException',
          message: "The bot is not installed in user's personal scope",
        });
      const [member] = body.members as readonly { readonly id: string }[];
      return reply(response, 201, { id: `a:with-${member?.id ?? ''}` });
    }
    const team = /^\/v3\/teams\/([^/]+)\/conversations$/.exec(path)?.[1];
    if (team !== undefined) {
      const conversations = fake.teams.get(decodeURIComponent(team));
      if (conversations === undefined) return refuse(response, { status: 403, code: 'BotNotInConversationRoster' });
      return reply(response, 200, { conversations });
    }
    const route = /^\/v3\/conversations\/([^/]+)\/(activities|members)(?:\/([^/]+))?$/.exec(path);
    if (route === null) return refuse(response, { status: 404, code: 'NotFound' });
    const conversation = decodeURIComponent(route[1] ?? '');
    const own = route[3] === undefined ? undefined : decodeURIComponent(route[3]);
    const [base = ''] = conversation.split(';');
    if (fake.gone.has(base))
      return refuse(response, {
        status: 403,
        code: 'BotNotInConversationRoster',
        message: 'The bot is not part of the conversation roster.',
      });
    if (fake.gone.has(conversation) || (fake.threadsGone && conversation.includes(';messageid=')))
      return refuse(response, { status: 404, code: 'ConversationNotFound', message: 'Conversation not found.' });
    if (route[2] === 'members') {
      const member = [...fake.people.values()].find(({ id, objectId }) => own === id || own === objectId);
      if (member === undefined) return refuse(response, { status: 404, code: 'MemberNotFoundInConversation' });
      const role = member.id === teamsIds.asker ? fake.roles.get(base) : undefined;
      return reply(response, 200, { ...member, userRole: role ?? 'user' });
    }
    if (method === 'POST') {
      if (roots(body) > 1)
        return refuse(response, { status: 400, code: 'BadSyntax', message: 'Multiple root message entities' });
      const info = streamInfo(body);
      if (info !== undefined) return streamed(response, conversation, body, info);
      if (body.type === 'typing') {
        typing += 1;
        return reply(response, 202, {});
      }
      const id = nextId();
      messages.push({ id, conversation, activity: body, streaming: false });
      return reply(response, 201, { id });
    }
    const index = messages.findIndex((message) => message.id === own && message.conversation === conversation);
    const message = messages[index];
    if (message === undefined) return refuse(response, { status: 404, code: 'ActivityNotFoundInConversation' });
    if (method === 'DELETE') {
      messages.splice(index, 1);
      return reply(response, 200, {});
    }
    if (message.streaming && !stopped)
      return refuse(response, { status: 400, code: 'BadRequest', message: 'The message is being streamed' });
    message.activity = body;
    message.streaming = false;
    reply(response, 200, { id: own });
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString();
    const call: FakeCall = {
      method: request.method ?? '',
      path: (request.url ?? '').split('?')[0] ?? '',
      query: decodeURIComponent((request.url ?? '').split('?')[1] ?? ''),
      body: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {},
      authorization: request.headers.authorization,
      at: Date.now(),
    };
    calls.push(call);
    options.onCall?.(call);
    const writes = call.method !== 'GET' && call.path.startsWith('/v3/');
    const fault =
      faults.find((one) => one.left.length > 0 && one.match(call))?.left.shift() ??
      (broken && writes ? { status: 503, code: 'ServiceUnavailable' } : undefined);
    if (fault === undefined) {
      done(response, call);
      if (writes) options.onTaken?.(call);
      return;
    }
    if (fault === 'lost') {
      const silent = { writeHead: () => silent, end: () => silent } as unknown as ServerResponse;
      done(silent, call);
      return void request.socket.destroy();
    }
    if ('slowMs' in fault) return void setTimeout(() => done(response, call), fault.slowMs).unref();
    refuse(response, fault);
  };

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fake: FakeTeams = {
    url,
    serviceUrl: `${url}/`,
    metadataUrl: `${url}/metadata`,
    calls,
    messages: (conversation) =>
      messages.filter((message) => conversation === undefined || message.conversation === conversation),
    typing: () => typing,
    fault: (match, ...left) => void faults.push({ match, left: [...left] }),
    offences,
    stopStreams: () => {
      stopped = true;
    },
    expireStreams: () => {
      expired = true;
    },
    gone: new Set(),
    threadsGone: false,
    breakDown: () => {
      broken = true;
    },
    heal: () => {
      broken = false;
      fake.threadsGone = false;
      fake.gone.clear();
    },
    noChats: false,
    roles: new Map(),
    teams: new Map(),
    people: new Map([
      ['asker', { id: teamsIds.asker, objectId: teamsIds.askerObject, name: 'Ada Asker' }],
      ['colleague', { id: teamsIds.colleague, objectId: teamsIds.colleagueObject, name: 'Bob Builder' }],
    ]),
    history: new Map(),
    lists: new Map(),
    keys: [{ kid: 'key-1', key: pair.publicKey, endorsements: ['msteams', 'webchat'] }],
    token: ({ header = {}, claims = {}, key = pair.privateKey, without = [] } = {}) => {
      const now = Math.floor(Date.now() / 1000);
      const all: Record<string, unknown> = {
        serviceurl: `${url}/`,
        nbf: now - 60,
        exp: now + 3600,
        iss: 'https://api.botframework.com',
        aud: teamsIds.appId,
        ...claims,
      };
      for (const name of without) delete all[name];
      return signJwt({ alg: 'RS256', kid: 'key-1', typ: 'JWT', ...header }, all, key);
    },
    nextId,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
};

// ── what Teams posts ────────────────────────────────────────────────────────────────────────────────────────────────

export type PostedMessage = {
  readonly id: string;
  readonly text: string;
  readonly scope?: 'personal' | 'groupChat' | 'channel';
  readonly root?: string;
  readonly mention?: boolean;
  readonly more?: Readonly<Record<string, unknown>>;
};

/** Activities in the shapes of Microsoft's documentation. */
export const teamsActivities = (serviceUrl: string) => {
  const conversation = (scope: NonNullable<PostedMessage['scope']>, root: string) =>
    scope === 'channel'
      ? {
          id: `${teamsIds.channel};messageid=${root}`,
          conversationType: 'channel',
          isGroup: true,
          tenantId: teamsIds.tenant,
        }
      : {
          id: scope === 'personal' ? teamsIds.personal : teamsIds.group,
          conversationType: scope,
          ...(scope === 'groupChat' ? { isGroup: true } : {}),
          tenantId: teamsIds.tenant,
        };
  const base = (type: string, id: string, scope: NonNullable<PostedMessage['scope']> = 'channel', root = id) => ({
    type,
    id,
    timestamp: new Date(Number(id.replace(/\D/g, '').slice(0, 13)) || Date.now()).toISOString(),
    channelId: 'msteams',
    serviceUrl,
    from: { id: teamsIds.asker, name: 'Ada Asker', aadObjectId: teamsIds.askerObject },
    recipient: { id: teamsIds.bot, name: 'Footnote' },
    conversation: conversation(scope, root),
    channelData: {
      tenant: { id: teamsIds.tenant },
      ...(scope === 'channel'
        ? { channel: { id: teamsIds.channel }, team: { id: teamsIds.channel, aadGroupId: teamsIds.team } }
        : {}),
    },
    locale: 'en-US',
  });
  const message = ({
    id,
    text,
    scope = 'channel',
    root,
    mention = scope !== 'personal',
    more = {},
  }: PostedMessage) => ({
    ...base('message', id, scope, root),
    textFormat: 'plain',
    text: mention ? `<at>Footnote</at> ${text}` : text,
    attachments: [{ contentType: 'text/html', content: '<div></div>' }],
    entities: mention
      ? [
          { type: 'mention', mentioned: { id: teamsIds.bot, name: 'Footnote' }, text: '<at>Footnote</at>' },
          { type: 'clientInfo', locale: 'en-US', country: 'US', platform: 'Web' },
        ]
      : [{ type: 'clientInfo', locale: 'en-US', country: 'US', platform: 'Web' }],
    ...more,
  });
  return {
    base,
    message,
    invoke: (
      id: string,
      name: string,
      value: unknown,
      more: { readonly scope?: NonNullable<PostedMessage['scope']>; readonly replyToId?: string } = {},
    ) => ({
      ...base('invoke', id, more.scope ?? 'channel', more.replyToId),
      name,
      value,
      ...(more.replyToId === undefined ? {} : { replyToId: more.replyToId }),
    }),
  };
};

/** Posts to the bot as Teams does. */
export const createTeamsSender =
  (fake: FakeTeams, url: () => string) =>
  async (body: unknown, authorization: string | null = `Bearer ${fake.token()}`): Promise<Response> =>
    fetch(url(), {
      method: 'POST',
      headers: {
        'content-type': 'application/json; charset=utf-8',
        ...(authorization === null ? {} : { authorization }),
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
