import { createPrivateKey } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { workerData } from 'node:worker_threads';
import { Agent, request } from 'undici';
import { newId, signatureHeaders } from '../bots/discord/driving.ts';
import { startFakeGateway } from '../bots/discord/gateway.ts';
import { createAwaited, runLoad, serveLoad } from './load.ts';

/**
 * Discord's side in a thread of its own: the gateway that tells mentions, the API that takes the answers, and the signed
 * commands. `acknowledge` sends commands, `reply` mentions.
 */
export type DiscordHello = { readonly apiUrl: string; readonly workspaces: readonly string[] };
export type DiscordLoadData = { readonly privateKey: string; readonly workspaces: number };

const bot = '100000000000000001';
const data = workerData as DiscordLoadData;
const guilds = Array.from({ length: data.workspaces }, (_, at) => String(300_000_000_000_000_001n + BigInt(at)));
/** One in each server. */
const parents = guilds.map((_, at) => String(500_000_000_000_000_001n + BigInt(at)));
/**
 * In each server; where there is one only, enough that no answer waits for another one's route. Where there are many, each
 * person has a thread for the warm-up and another for what is measured, so that no question there is a follow-up.
 */
const threadsEach = guilds.length === 1 ? 200 : 20;
const threadOf = (guild: number, at: number): string =>
  String(600_000_000_000_000_000n + BigInt(guild * 1000 + (at % threadsEach)));
const askerOf = (person: number) => ({ id: String(200_000_000_000_000_001n + BigInt(person)), username: 'asker' });
const answers = createAwaited();
/** By the thread that it was asked in. */
const lastAsked = new Map<string, string>();

const gateway = await startFakeGateway();
gateway.bot = bot;
gateway.guilds = guilds;
const server = createServer((incoming, response) => {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('end', () => {
    const path = incoming.url ?? '';
    const answer = (body: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (path.endsWith('/gateway/bot')) {
      // A client of discord.js is ready when it has seen its servers.
      welcomeSoon();
      return answer({
        url: gateway.url,
        shards: 1,
        session_start_limit: { total: 1000, remaining: 999, reset_after: 0, max_concurrency: 1 },
      });
    }
    if (path.endsWith('/users/@me')) return answer({ id: bot, username: 'footnote', bot: true });
    if (path.endsWith('/applications/@me')) return answer({ id: bot });
    if (path.endsWith('/commands')) return answer([]);
    const channel = path.includes('/webhooks/') ? parents[0] : /\/channels\/(\d+)\/messages$/.exec(path)?.[1];
    if (channel === undefined) return answer({});
    const body = JSON.parse(Buffer.concat(chunks).toString()) as {
      readonly content: string;
      readonly message_reference?: { readonly message_id: string };
    };
    // Who replies with no reference answers what was asked last in that thread.
    answers.came(body.message_reference?.message_id ?? lastAsked.get(channel) ?? '');
    answer({
      id: newId(),
      channel_id: channel,
      content: body.content,
      author: { id: bot, username: 'footnote', bot: true },
      timestamp: new Date().toISOString(),
      type: 19,
      attachments: [],
      embeds: [],
      mentions: [],
      mention_roles: [],
    });
  });
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const key = createPrivateKey(data.privateKey);
const agent = new Agent({ connections: 64 });

const mention = (id: string, guild: number, person: number, question: string): void => {
  const thread = threadOf(guild, guilds.length === 1 ? next() : (rounds - 1) * 10 + person);
  lastAsked.set(thread, id);
  gateway.dispatch('MESSAGE_CREATE', {
    id,
    channel_id: thread,
    guild_id: guilds[guild],
    type: 0,
    author: askerOf(guild * 10 + person),
    member: { roles: [], joined_at: '2026-01-01T00:00:00Z' },
    content: `<@${bot}> ${question}`,
    mentions: [{ id: bot, username: 'footnote' }],
    mention_roles: [],
    attachments: [],
    embeds: [],
    timestamp: new Date().toISOString(),
  });
};
let rounds = 0;
let count = 0;
const next = (): number => {
  count += 1;
  return count;
};

const command = async (url: string, question: string): Promise<void> => {
  const body = JSON.stringify({
    id: newId(),
    application_id: bot,
    type: 2,
    token: 'token',
    guild_id: guilds[0],
    channel_id: parents[0],
    channel: { id: parents[0], type: 0 },
    member: { user: askerOf(0), permissions: '0' },
    data: { name: 'ask', options: [{ name: 'question', type: 3, value: question }] },
  });
  const headers = signatureHeaders(key, body, Math.floor(Date.now() / 1000));
  const response = await request(url, {
    method: 'POST',
    dispatcher: agent,
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  await response.body.dump();
  if (response.statusCode !== 200) throw new Error(String(response.statusCode));
};

/** Every server with its channel and its threads, as soon as the connection has identified itself. */
const welcomeSoon = (): void => {
  const before = gateway.identified.length;
  const timer = setInterval(() => {
    if (gateway.identified.length === before) return;
    clearInterval(timer);
    for (const at of guilds.keys()) welcome(at);
  }, 5);
};
const welcome = (guild: number): void =>
  gateway.dispatch('GUILD_CREATE', {
    id: guilds[guild],
    name: 'Bench',
    joined_at: '2026-01-01T00:00:00Z',
    channels: [{ id: parents[guild], type: 0, name: 'general', position: 0, permission_overwrites: [] }],
    threads: Array.from({ length: threadsEach }, (_, at) => ({
      id: threadOf(guild, at),
      type: 11,
      parent_id: parents[guild],
      guild_id: guilds[guild],
      name: `thread ${at}`,
      thread_metadata: {
        archived: false,
        auto_archive_duration: 1440,
        archive_timestamp: '2026-01-01T00:00:00Z',
        locked: false,
      },
    })),
    roles: [],
    members: [],
    emojis: [],
    stickers: [],
    presences: [],
    voice_states: [],
    stage_instances: [],
    guild_scheduled_events: [],
  });

const hello: DiscordHello = {
  apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`,
  workspaces: guilds,
};
serveLoad(hello, (work) => {
  rounds += 1;
  return runLoad(work, ({ question, workspace, person }) => {
    if (work.kind === 'acknowledge') return { asked: command(work.url, question), answered: Promise.resolve() };
    const id = newId();
    const answered = answers.of(id);
    mention(id, workspace, person, question);
    return { asked: Promise.resolve(), answered };
  });
});
