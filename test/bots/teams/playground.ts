import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';

/** What the Playground says happened in its conversations, oldest first. */
export type Happening = {
  readonly action: string;
  readonly actionConversationId: string;
  readonly message?: {
    readonly messageId?: string;
    readonly text?: string;
    readonly from?: { readonly id?: string };
    readonly attachments?: readonly { readonly contentType?: string; readonly content?: unknown }[];
    /** What the Playground understood of the root entity. */
    readonly aiEntity?: {
      readonly additionalType?: readonly string[];
      readonly citation?: readonly {
        readonly position: number;
        readonly appearance: Readonly<Record<string, string>>;
      }[];
    };
    readonly feedbackLoopEnabled?: boolean;
  };
  /** Whole, as it came. */
  readonly raw: string;
};

/** Microsoft's own emulator of Teams, driven headless. */
export type Playground = {
  readonly url: string;
  readonly personal: string;
  readonly group: string;
  readonly bot: string;
  readonly user: string;
  readonly tenant: string;
  readonly happened: readonly Happening[];
  /** A message of the person; in the group with a mention of the bot. */
  say(conversation: string, text: string, mention?: boolean): Promise<void>;
  /** A press on something under a message of the bot; resolves with what the bot answered on the line. */
  invoke(conversation: string, name: string, replyToId: string, value: unknown): Promise<Response>;
  custom(activity: Readonly<Record<string, unknown>>): Promise<Response>;
  close(): Promise<void>;
};

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

type Config = {
  readonly config: {
    readonly tenantId: string;
    readonly bot: { readonly id: string };
    readonly currentUser: { readonly id: string };
    readonly personalChat: { readonly id: string };
    readonly groupChats: readonly { readonly id: string }[];
  };
};

/** Without a browser and without its calls home. It listens on all interfaces, for as long as the test takes. */
export const startPlayground = async (endpoint: string): Promise<Playground> => {
  const port = await freePort();
  const cli = createRequire(import.meta.url).resolve('@microsoft/m365agentsplayground/cli.js');
  const child: ChildProcess = spawn(
    process.execPath,
    [cli, 'start', '-e', endpoint, '-c', 'msteams', '-p', String(port), '--disable-telemetry'],
    { env: { PATH: process.env.PATH, HOME: process.env.HOME, TEAMSAPPTESTER_BROWSER: 'none' }, stdio: 'ignore' },
  );
  const url = `http://127.0.0.1:${port}`;
  const config = await answering<Config>(`${url}/_internal/v1/config`, 45_000);
  const { tenantId, bot, currentUser, personalChat, groupChats } = config.config;
  const happened: Happening[] = [];
  const socket = new WebSocket(`ws://127.0.0.1:${port}/_ws_conversation/v1/conversations/stream`);
  socket.addEventListener('message', ({ data }) => {
    const raw = String(data);
    happened.push({ ...(JSON.parse(raw) as Omit<Happening, 'raw'>), raw });
  });
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true });
    socket.addEventListener('error', () => reject(new Error('the Playground has no stream')), { once: true });
  });
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  return {
    url,
    personal: personalChat.id,
    group: groupChats[0]?.id ?? '',
    bot: bot.id,
    user: currentUser.id,
    tenant: tenantId,
    happened,
    say: async (conversation, text, mention = false) => {
      const words = mention
        ? {
            text: `<at>Test Bot</at> ${text}`,
            textFormat: 'xml',
            mentions: [{ mentioned: { id: bot.id, name: 'Test Bot' }, text: '<at>Test Bot</at>' }],
          }
        : { text, textFormat: 'plain' };
      const response = await post(`/_conversation/v1/conversations/${encodeURIComponent(conversation)}/messages`, {
        from: { id: currentUser.id },
        ...words,
      });
      if (!response.ok) throw new Error(`the Playground answered ${response.status}: ${await response.text()}`);
    },
    invoke: (conversation, name, replyToId, value) =>
      post('/_conversation/v1/invoke', {
        name,
        conversation: { id: conversation },
        from: { id: currentUser.id },
        replyToId,
        value,
      }),
    custom: (activity) => post('/_internal/v1/customActivities', activity),
    close: async () => {
      socket.close();
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await ended;
    },
  };
};

const answering = async <T>(url: string, withinMs: number): Promise<T> => {
  const until = Date.now() + withinMs;
  for (;;) {
    try {
      const response = await fetch(url);
      if (response.ok) return (await response.json()) as T;
    } catch {
      // Not up yet.
    }
    if (Date.now() > until) throw new Error(`nothing answers at ${url}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
};
