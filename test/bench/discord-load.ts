import { createPrivateKey } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { Agent, request } from 'undici';
import { newId, signatureHeaders } from '../bots/discord/driving.ts';
import { startFakeGateway } from '../bots/discord/gateway.ts';

/**
 * Discord's side in a thread of its own: the gateway that tells mentions, the API that takes the answers, and the signed
 * commands. Two commands: `acknowledge` measures until the 200 of a command, `reply` from a mention until its answer comes in.
 */
export type LoadCommand = {
  readonly kind: 'acknowledge' | 'reply';
  /** Of `/discord/interactions`. */
  readonly url?: string;
  readonly count: number;
  /** Under way at once. */
  readonly concurrency: number;
  /** A second; absent: as fast as they are done. */
  readonly perSecond?: number;
};
export type LoadReport = { readonly timesMs: readonly number[]; readonly forMs: number; readonly failures: number };
export type LoadData = { readonly privateKey: string };

const bot = '100000000000000001';
const guild = '300000000000000001';
const parent = '500000000000000001';
/** Enough that no answer waits for another one's route. */
const threads = Array.from({ length: 64 }, (_, at) => String(600_000_000_000_000_000n + BigInt(at)));
const asker = { id: '200000000000000001', username: 'asker' };
const replies = new Map<string, () => void>();

const gateway = await startFakeGateway();
gateway.bot = bot;
gateway.guilds = [guild];
const server = createServer((incoming, response) => {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('end', () => {
    const path = incoming.url ?? '';
    const answer = (body: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (path.endsWith('/gateway/bot'))
      return answer({
        url: gateway.url,
        shards: 1,
        session_start_limit: { total: 1000, remaining: 999, reset_after: 0, max_concurrency: 1 },
      });
    if (path.endsWith('/users/@me')) return answer({ id: bot, username: 'footnote', bot: true });
    if (path.endsWith('/applications/@me')) return answer({ id: bot });
    if (path.endsWith('/commands')) return answer([]);
    const channel = path.includes('/webhooks/') ? parent : /\/channels\/(\d+)\/messages$/.exec(path)?.[1];
    if (channel === undefined) return answer({});
    const body = JSON.parse(Buffer.concat(chunks).toString()) as {
      readonly content: string;
      readonly message_reference?: { readonly message_id: string };
    };
    replies.get(body.message_reference?.message_id ?? '')?.();
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
const key = createPrivateKey((workerData as LoadData).privateKey);
const agent = new Agent({ connections: 64 });

const mention = async (index: number): Promise<void> => {
  const id = newId();
  const replied = new Promise<void>((resolve, reject) => {
    replies.set(id, resolve);
    setTimeout(() => reject(new Error('no reply')), 20_000).unref();
  });
  gateway.dispatch('MESSAGE_CREATE', {
    id,
    channel_id: threads[index % threads.length],
    guild_id: guild,
    type: 0,
    author: asker,
    member: { roles: [], joined_at: '2026-01-01T00:00:00Z' },
    content: `<@${bot}> how many days of leave do I have?`,
    mentions: [{ id: bot, username: 'footnote' }],
    mention_roles: [],
    attachments: [],
    embeds: [],
    timestamp: new Date().toISOString(),
  });
  await replied.finally(() => replies.delete(id));
};

const command = async (url: string): Promise<void> => {
  const body = JSON.stringify({
    id: newId(),
    application_id: bot,
    type: 2,
    token: 'token',
    guild_id: guild,
    channel_id: parent,
    channel: { id: parent, type: 0 },
    member: { user: asker, permissions: '0' },
    data: { name: 'ask', options: [{ name: 'question', type: 3, value: 'how many days of leave do I have?' }] },
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

const run = async (work: LoadCommand): Promise<LoadReport> => {
  const timesMs: number[] = [];
  let failures = 0;
  let next = 0;
  const startedAt = performance.now();
  const worker = async (): Promise<void> => {
    while (next < work.count) {
      const index = next;
      next += 1;
      const dueAt = work.perSecond === undefined ? 0 : startedAt + (index * 1000) / work.perSecond;
      const wait = dueAt - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      const from = performance.now();
      try {
        await (work.kind === 'reply' ? mention(index) : command(work.url ?? ''));
        timesMs.push(performance.now() - from);
      } catch {
        failures += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: work.concurrency }, worker));
  return { timesMs, forMs: performance.now() - startedAt, failures };
};

parentPort?.on('message', (work: LoadCommand | { readonly kind: 'welcome' }) => {
  // A client of discord.js is ready when it has seen its servers.
  if (work.kind === 'welcome') {
    gateway.dispatch('GUILD_CREATE', {
      id: guild,
      name: 'Bench',
      joined_at: '2026-01-01T00:00:00Z',
      channels: [{ id: parent, type: 0, name: 'general', position: 0, permission_overwrites: [] }],
      threads: threads.map((id) => ({
        id,
        type: 11,
        parent_id: parent,
        guild_id: guild,
        name: id,
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
    return parentPort?.postMessage({});
  }
  run(work).then(
    (report) => parentPort?.postMessage(report),
    (error: unknown) => parentPort?.postMessage({ timesMs: [], forMs: 0, failures: -1, error: String(error) }),
  );
});
parentPort?.postMessage({ apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api` });
