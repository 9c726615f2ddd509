import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DigitalDiscord } from 'discord-digital-twin';

/** Discord's kinds of channels that play a part here. */
export const text = 0;
export const dm = 1;
export const voice = 2;
export const publicThread = 11;
export const forum = 15;

export type CallName =
  | 'post'
  | 'edit'
  | 'delete'
  | 'history'
  | 'start-thread'
  | 'typing'
  | 'direct'
  | 'callback'
  | 'original'
  | 'follow-up'
  | 'commands'
  | 'other';

export type Call = {
  readonly name: CallName;
  readonly method: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly at: number;
};

export type Fault =
  | { readonly kind: 'rate-limit'; readonly retryAfter: number }
  | { readonly kind: 'status'; readonly status: number }
  /** Done, but the reply never arrives. */
  | { readonly kind: 'lost' }
  /** Never done. */
  | { readonly kind: 'dropped' }
  | { readonly kind: 'slow'; readonly until: Promise<void> }
  | { readonly kind: 'error'; readonly code: number; readonly status?: number };

/** A message of the bot as people see it. */
export type BotMessage = {
  readonly id: string;
  readonly channel: string;
  content: string;
  components: readonly unknown[];
  flags: number;
  readonly ephemeral: boolean;
  readonly pings: readonly string[];
  readonly replyTo?: string;
  edits: number;
};

export type FakeDiscord = {
  readonly twin: DigitalDiscord;
  readonly apiUrl: string;
  readonly guild: string;
  readonly channel: string;
  readonly user: string;
  readonly bot: string;
  readonly calls: readonly Call[];
  callsOf(name: CallName): readonly Call[];
  /** Resolves with the next call of that kind, once it was answered. */
  nextCall(name: CallName): Promise<Call>;
  fault(name: CallName, fault: Fault, times?: number): void;
  heal(): void;
  /** The bot's messages that stand, oldest first. */
  messages(): readonly BotMessage[];
  isDirect(channel: string): boolean;
  /** An interaction that was replied to by HTTP. */
  acknowledge(token: string, ephemeral: boolean): void;
  /** A direct message channel with that person, opened by the person. */
  openDirect(user?: string): Promise<string>;
  /** Anything over the gateway, to every connected bot. */
  dispatch(type: string, data: unknown): void;
  /** From now on a repeated nonce makes a second message, as after some minutes. */
  forgetNonces(): void;
  close(): Promise<void>;
};

export type FakeOptions = {
  readonly channels?: readonly { readonly name: string; readonly type: number; readonly parentId?: string }[];
  readonly users?: readonly { readonly username: string; readonly bot?: boolean }[];
  readonly guilds?: number;
  readonly botToken?: string;
  readonly gatewayUrl?: string;
  /** How many connections Discord advises; the twin's own advice is one. */
  readonly shards?: number;
  readonly onCall?: (call: Call) => void;
};

/**
 * discord-digital-twin behind a proxy of ours: what the twin does not do (direct messages, a thread's id, nonces, the list of
 * commands, who sees an ephemeral message), what it does not forbid (length, empty messages, pings), and faults.
 */
export const startFakeDiscord = async (options: FakeOptions = {}): Promise<FakeDiscord> => {
  const folder = await mkdtemp(join(tmpdir(), 'footnote-twin-'));
  const channels = [...(options.channels ?? [{ name: 'general', type: text }])];
  const twin = new DigitalDiscord({
    ...(options.guilds === undefined
      ? { channels }
      : { guilds: Array.from({ length: options.guilds }, (_, at) => ({ name: `Server ${at}`, channels })) }),
    users: [...(options.users ?? [{ username: 'Asker' }, { username: 'OtherBot', bot: true }])],
    // In memory every twin of the process would be the same one.
    dbUrl: `file:${join(folder, 'twin.db')}`,
    ...(options.botToken === undefined ? {} : { botToken: options.botToken }),
    ...(options.gatewayUrl === undefined ? {} : { gatewayUrlOverride: options.gatewayUrl }),
  });
  await twin.start();
  const upstream = twin.restUrl;
  const first = await twin.prisma.channel.findFirst({ where: { guildId: twin.guildId }, orderBy: { id: 'asc' } });
  const user = (await twin.getFirstNonBotUserId()) ?? '';

  const calls: Call[] = [];
  const faults = new Map<CallName, Fault[]>();
  const listeners: { readonly name: CallName; resolve(call: Call): void }[] = [];
  const standing = new Map<string, BotMessage>();
  const nonces = new Map<string, string>();
  const directs = new Map<string, string>();
  /** Tokens whose awaited reply is ephemeral. */
  const hidden = new Set<string>();
  const acknowledged = new Set<string>();
  let counter = 0n;
  const newId = (): string => {
    counter += 1n;
    return (((BigInt(Date.now()) - 1_420_070_400_000n) << 22n) + 4000n + counter).toString();
  };

  const openDirect = async (person: string): Promise<string> => {
    const known = directs.get(person);
    if (known !== undefined) return known;
    const id = newId();
    directs.set(person, id);
    await twin.prisma.channel.create({ data: { id, type: dm, guildId: null } });
    return id;
  };

  const forward = async (method: string, path: string, headers: IncomingMessage['headers'], body: Buffer) => {
    const response = await fetch(`${upstream}${path.replace(/^\/api/, '')}`, {
      method,
      headers: { 'content-type': 'application/json', authorization: headers.authorization ?? '' },
      ...(body.length === 0 ? {} : { body: body.toString() }),
    });
    return { status: response.status, text: await response.text() };
  };

  const refuse = (code: number, status = 400) => ({
    status,
    text: JSON.stringify({ code, message: `code ${code}`, errors: {} }),
  });

  /** What Discord does not take, whatever the twin does. */
  const invalid = (call: Call): boolean => {
    if (call.name !== 'post' && call.name !== 'edit' && call.name !== 'original' && call.name !== 'follow-up')
      return false;
    if (call.method === 'DELETE' || call.method === 'GET') return false;
    const content = String(call.body.content ?? '');
    const mentions = call.body.allowed_mentions as { readonly parse?: readonly unknown[] } | undefined;
    return (
      content.length > 2000 ||
      content.trim() === '' ||
      mentions?.parse?.length !== 0 ||
      String(call.body.nonce ?? '').length > 25
    );
  };

  const note = (call: Call, data: { readonly id: string; readonly channel_id: string }, ephemeral: boolean): void => {
    const before = standing.get(data.id);
    const pings = (call.body.allowed_mentions as { readonly users?: readonly string[] } | undefined)?.users ?? [];
    const reference = call.body.message_reference as { readonly message_id: string } | undefined;
    if (before === undefined)
      standing.set(data.id, {
        id: data.id,
        channel: data.channel_id,
        content: String(call.body.content ?? ''),
        components: (call.body.components as readonly unknown[] | undefined) ?? [],
        flags: Number(call.body.flags ?? 0),
        ephemeral,
        pings: pings.filter((id) => String(call.body.content).includes(`<@${id}>`)),
        ...(reference === undefined ? {} : { replyTo: reference.message_id }),
        edits: 0,
      });
    else {
      before.content = String(call.body.content ?? before.content);
      before.components = (call.body.components as readonly unknown[] | undefined) ?? before.components;
      before.edits += 1;
    }
  };

  const answer = async (call: Call, headers: IncomingMessage['headers'], raw: Buffer, url: string) => {
    if (invalid(call)) return refuse(50035);
    const token = /^\/api\/v10\/(?:webhooks\/\d+|interactions\/\d+)\/([^/?]+)/.exec(call.path)?.[1] ?? '';
    if (call.path === '/api/v10/users/@me/channels') {
      const id = await openDirect(String(call.body.recipient_id));
      return { status: 200, text: JSON.stringify({ id, type: dm }) };
    }
    if (call.path === '/api/v10/users/@me/guilds')
      return {
        status: 200,
        text: JSON.stringify((await twin.prisma.guild.findMany()).map(({ id, name }) => ({ id, name }))),
      };
    if (call.name === 'commands' && call.method === 'GET') {
      const rows = await twin.prisma.applicationCommand.findMany({ where: { guildId: null } });
      // The twin keeps of each command what it knows; the contexts are as they were sent.
      return {
        status: 200,
        text: JSON.stringify(
          rows.map((row) => ({ ...row, options: JSON.parse(row.options), integration_types: [0], contexts: [0, 1] })),
        ),
      };
    }
    if (call.name === 'callback') acknowledged.add(token);
    if (
      call.name === 'callback' &&
      (Number((call.body.data as { readonly flags?: number } | undefined)?.flags ?? 0) & 64) !== 0
    )
      hidden.add(token);
    if (call.path.startsWith('/api/v10/webhooks/') && !acknowledged.has(token)) return refuse(10015, 404);
    if (call.name === 'post' && call.body.enforce_nonce === true) {
      const id = nonces.get(`${call.path}:${String(call.body.nonce)}`);
      const known = id === undefined ? undefined : standing.get(id);
      if (known !== undefined)
        return {
          status: 200,
          text: JSON.stringify({ id: known.id, channel_id: known.channel, content: known.content }),
        };
    }
    const result = await forward(call.method, url, headers, raw);
    if (call.method === 'DELETE') {
      const id = /messages\/(\d+)$/.exec(call.path)?.[1];
      if (id !== undefined && result.status < 300) standing.delete(id);
      if (call.name === 'original') {
        hidden.delete(token);
        return { status: 204, text: '' };
      }
      return result;
    }
    if (result.status >= 300) return result;
    if (call.path === '/api/v10/gateway/bot' && options.shards !== undefined)
      return {
        status: 200,
        text: JSON.stringify({
          ...JSON.parse(result.text),
          shards: options.shards,
          // All of them may identify at once; by one at a time each waits five seconds for the one before.
          session_start_limit: { total: 1_000, remaining: 999, reset_after: 0, max_concurrency: options.shards },
        }),
      };
    if (call.name === 'history') {
      const list = JSON.parse(result.text) as { nonce?: string }[];
      // Discord tells a nonce to who sent it, and when it is sent; not afterwards.
      for (const message of list) delete message.nonce;
      return { status: 200, text: JSON.stringify(list) };
    }
    if (call.name === 'start-thread') {
      const thread = JSON.parse(result.text) as { id: string };
      const message = /messages\/(\d+)\/threads/.exec(call.path)?.[1] ?? thread.id;
      // A thread has the id of the message that it was started from.
      await twin.prisma.channel.update({ where: { id: thread.id }, data: { id: message } });
      return { status: 201, text: JSON.stringify({ ...thread, id: message }) };
    }
    if (call.name === 'post' || call.name === 'edit' || call.name === 'original' || call.name === 'follow-up') {
      const data = JSON.parse(result.text) as { readonly id: string; readonly channel_id: string };
      if (call.name === 'post') nonces.set(`${call.path}:${String(call.body.nonce)}`, data.id);
      const ephemeral =
        (call.name === 'original' && hidden.has(token)) ||
        (call.name === 'follow-up' && (Number(call.body.flags ?? 0) & 64) !== 0);
      note(call, data, ephemeral);
    }
    return result;
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks);
    const url = request.url ?? '/';
    const path = decodeURIComponent(url.split('?')[0] ?? '');
    const method = request.method ?? 'GET';
    const body = raw.length === 0 ? {} : (JSON.parse(raw.toString()) as Record<string, unknown>);
    const call: Call = { name: nameOf(method, path), method, path, body, at: Date.now() };
    calls.push(call);
    const tell = (): void => {
      options.onCall?.(call);
      for (const listener of [...listeners])
        if (listener.name === call.name) {
          listeners.splice(listeners.indexOf(listener), 1);
          listener.resolve(call);
        }
    };
    const fault = faults.get(call.name)?.shift();
    if (fault?.kind === 'dropped') {
      tell();
      return void request.socket.destroy();
    }
    if (fault?.kind === 'rate-limit') {
      response.writeHead(429, {
        'content-type': 'application/json',
        'retry-after': String(fault.retryAfter),
        'x-ratelimit-limit': '5',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset-after': String(fault.retryAfter),
        'x-ratelimit-scope': 'user',
      });
      response.end(
        JSON.stringify({ message: 'You are being rate limited.', retry_after: fault.retryAfter, global: false }),
      );
      return tell();
    }
    if (fault?.kind === 'slow') await fault.until;
    const refused =
      fault?.kind === 'status'
        ? { status: fault.status, text: '{}' }
        : fault?.kind === 'error'
          ? refuse(fault.code, fault.status ?? 403)
          : null;
    const result = refused ?? (await answer(call, request.headers, raw, url));
    if (fault?.kind === 'lost') {
      tell();
      return void request.socket.destroy();
    }
    response.writeHead(result.status, { 'content-type': 'application/json' });
    response.end(result.status === 204 ? undefined : result.text);
    tell();
  };

  const server: Server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const gateway = (
    twin as unknown as { readonly server: { readonly gateway: { broadcast(type: string, data: unknown): void } } }
  ).server.gateway;

  return {
    twin,
    apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`,
    guild: twin.guildId,
    channel: first?.id ?? '',
    user,
    bot: twin.botUserId,
    calls,
    callsOf: (name) => calls.filter((call) => call.name === name),
    nextCall: (name) => new Promise((resolve) => void listeners.push({ name, resolve })),
    fault: (name, fault, times = 1) =>
      void faults.set(name, [...(faults.get(name) ?? []), ...Array.from({ length: times }, () => fault)]),
    heal: () => faults.clear(),
    messages: () => [...standing.values()].sort((a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1)),
    acknowledge: (token, ephemeral) => {
      acknowledged.add(token);
      if (ephemeral) hidden.add(token);
    },
    isDirect: (channel) => [...directs.values()].includes(channel),
    openDirect: (person = user) => openDirect(person),
    dispatch: (type, data) => gateway.broadcast(type, data),
    forgetNonces: () => nonces.clear(),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await twin.stop();
      await twin.prisma.$disconnect();
      await rm(folder, { recursive: true, force: true });
    },
  };
};

const nameOf = (method: string, path: string): CallName => {
  const on = (pattern: RegExp): boolean => pattern.test(path);
  if (on(/\/channels\/\d+\/messages$/)) return method === 'GET' ? 'history' : 'post';
  if (on(/\/channels\/\d+\/messages\/\d+\/threads$/)) return 'start-thread';
  if (on(/\/channels\/\d+\/messages\/\d+$/))
    return method === 'DELETE' ? 'delete' : method === 'PATCH' ? 'edit' : 'other';
  if (on(/\/typing$/)) return 'typing';
  if (on(/\/users\/@me\/channels$/)) return 'direct';
  if (on(/\/callback$/)) return 'callback';
  if (on(/\/webhooks\/\d+\/[^/]+\/messages\/@original$/)) return 'original';
  if (on(/\/webhooks\/\d+\/[^/]+\/messages\/\d+$/)) return method === 'DELETE' ? 'delete' : 'edit';
  if (on(/\/webhooks\/\d+\/[^/]+$/)) return 'follow-up';
  if (on(/\/applications\/\d+\/commands$/)) return 'commands';
  return 'other';
};
