import type { InboundEvent, Scope } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { Lead } from '../../core/ports/leader.ts';
import type { Capabilities, Platform, Received, Workspaces } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { watchHearing } from '../watch-hearing.ts';
import { codes, createDiscordApi, type DiscordApiSettings, refusal, whileAwake } from './api.ts';
import { createChannels } from './channels.ts';
import { checkUpOnDiscord } from './check-up.ts';
import { registerCommands } from './commands.ts';
import { textOf } from './fields.ts';
import { createGateway } from './gateway.ts';
import { createGreeting } from './greeting.ts';
import { createHearing, type HearingSettings } from './hearing.ts';
import { messageLimit } from './messages.ts';
import { namesInDiscord } from './names.ts';
import { discordHandle } from './normalise.ts';
import { channelPermissions, inviteUrl, mayManageChannel, mayManageServer, serverPermissions } from './permissions.ts';
import { parsePostedId, removeAt } from './place.ts';
import { discordRoutes } from './routes.ts';
import { openDiscordSink, type SinkPace } from './sink.ts';
import {
  askHomeOnDiscord,
  createDirect,
  downloadFromDiscord,
  earlierOnDiscord,
  opensDiscordThread,
  type SpeakParts,
  sayOnDiscord,
  whisperOnDiscord,
} from './speak.ts';
import { importPublicKey } from './verify.ts';

export type DiscordOptions = {
  readonly botToken: string;
  /** Compared with the token's application in the check-up. */
  readonly applicationId?: string;
  /** 64 hex digits: commands by HTTP are taken too. */
  readonly publicKey?: string;
  readonly apiUrl?: string;
  /** Hear messages that do not mention the bot (a privileged intent). */
  readonly messageContent?: boolean;
  readonly lead: Lead;
  readonly connections?: Pick<Workspaces, 'greeting' | 'unheard' | 'heardAgain'>;
  readonly runtime: Runtime;
  readonly settings?: Partial<DiscordSettings>;
};

export type DiscordSettings = DiscordApiSettings & SinkPace & HearingSettings;

const defaults: DiscordSettings = {
  timeoutMs: 10_000,
  maxWaitMs: 60_000,
  maxInvalid: 5000,
  callsPerSecond: 50,
  editMs: 1250,
  typingAfterMs: 250,
  typingMs: 8000,
  firstAfterMs: 150,
  placeholderAfterMs: 900,
  storeForMs: 300_000,
  maxWaiting: 10_000,
  interactionWithinMs: 2000,
};

/** Discord as a platform: events in over the gateway and, for commands, over HTTP; answers out through the REST API. */
export const createDiscord = (options: DiscordOptions): Platform => {
  const { runtime } = options;
  const settings = { ...defaults, ...options.settings };
  const messageContent = options.messageContent ?? false;
  const api = createDiscordApi({
    token: options.botToken,
    ...(options.apiUrl === undefined ? {} : { apiUrl: options.apiUrl }),
    runtime,
    settings,
  });
  const channels = createChannels(api);
  const direct = createDirect(api);
  const now = runtime.clock.now;
  let receiver: ((event: InboundEvent) => Promise<Received>) | null = null;
  let applicationId = options.applicationId ?? null;

  const hearing = createHearing({
    api,
    channels,
    runtime,
    readsContent: () => messageContent && !gateway.state().contentRefused,
    store: async (event) => {
      if (receiver === null) throw new AppError('platform-failed', 'Not started yet.', { retryable: true });
      return receiver(event);
    },
    greet: createGreeting({
      api,
      clock: runtime.clock,
      log: runtime.log,
      selfId: (signal) => selfId(signal),
      wordsIn: async (guild) => (await options.connections?.greeting?.('discord', guild)) ?? null,
      say: (workspaceId, channelId, words) =>
        sayOnDiscord(speaking, { workspaceId, channelId }, words, AbortSignal.timeout(15_000)),
    }),
    settings,
  });
  const gateway = createGateway({
    token: options.botToken,
    api,
    runtime,
    lead: options.lead,
    messageContent,
    hear: hearing.dispatch,
    prepare: async (signal) => void (await selfId(signal)),
    leads: async (signal) => {
      const me = await api.call('get', '/applications/@me', { signal });
      const application = me.ok ? textOf(me.data, 'id') : null;
      if (application === null) throw new AppError('platform-failed', 'Discord did not say which application this is.');
      const outcome = await registerCommands(api, application, signal);
      runtime.log.info('discord-ready', { commands: outcome, invite: inviteUrl(application) });
    },
  });

  const selfId = async (signal: AbortSignal): Promise<string> => {
    const known = hearing.self(null).userId;
    if (known !== null) return known;
    const me = await api.call('get', '/users/@me', { signal });
    if (!me.ok) throw refusal(me);
    const id = textOf(me.data, 'id') ?? '';
    hearing.learnSelf(id);
    return id;
  };
  const watch =
    options.connections === undefined
      ? undefined
      : watchHearing({
          platform: 'discord',
          isUp: () => {
            const { state } = gateway.state();
            return state === 'standing-by' ? null : state === 'connected';
          },
          sentence:
            'Discord has not let us listen for some minutes, so nothing is heard here. The operator can see why.',
          workspaces: options.connections,
          clock: runtime.clock,
        });
  const speaking: SpeakParts = { api, direct, clock: runtime.clock, self: hearing.self };

  return {
    name: 'discord',
    routes: discordRoutes({
      runtime,
      ...(options.publicKey === undefined ? {} : { publicKey: importPublicKey(options.publicKey) }),
      hear: hearing.interaction,
    }),
    start: async (receive) => {
      receiver = receive;
      gateway.start();
      watch?.start();
    },
    openAnswer: async (event, delivery, signal, manner) =>
      openDiscordSink({
        api: whileAwake(api, delivery),
        channels,
        direct,
        now,
        event,
        delivery,
        manner,
        runtime,
        signal,
        self: selfId,
        pace: settings,
      }),
    say: (to, words, signal) => sayOnDiscord(speaking, to, words, signal),
    whisper: (event, markdown, signal) => whisperOnDiscord(speaking, event, markdown, signal),
    askHome: (event, markdown, homes, signal) => askHomeOnDiscord(speaking, event, markdown, homes, signal),
    opensThread: opensDiscordThread,
    earlier: (event, limit, signal) => earlierOnDiscord(speaking, event, limit, signal),
    download: (_event, attachment, maxBytes, signal) =>
      downloadFromDiscord(attachment, maxBytes, signal, options.apiUrl),
    mayManage: async (event, signal, what) => {
      const { guild, channel, user } = discordHandle.parse(event.handle);
      if (guild === undefined) return false;
      const [server, member, place] = await Promise.all([
        api.call('get', `/guilds/${guild}`, { signal }),
        api.call('get', `/guilds/${guild}/members/${user}`, { signal }),
        api.call('get', `/channels/${event.channelId === 'workspace' ? channel : event.channelId}`, { signal }),
      ]);
      if (!server.ok || !member.ok) return false;
      const base = serverPermissions(server.data, member.data);
      if (what === 'workspace') return mayManageServer(String(base & mask));
      const here = place.ok ? channelPermissions(base, place.data, guild, member.data) : base;
      return mayManageChannel(String(here & mask));
    },
    permalink: async (event, messageId) => {
      const { guild, channel } = discordHandle.parse(event.handle);
      // A command is no message: its answer is what can be shown.
      const asked = event.threadId === `command:${messageId}` ? (event.targetMessageId ?? '') : messageId;
      const at = parsePostedId(asked);
      if (at?.door === 'e' || asked === '') return null;
      // The message that a thread was started from has the thread's id, and stands in the channel.
      const plain = asked === channel ? event.channelId : channel;
      return `https://discord.com/channels/${guild ?? '@me'}/${at?.channel ?? plain}/${at?.message ?? asked}`;
    },
    retract: async (_event, messageIds, signal) => {
      for (const id of messageIds) {
        if (parsePostedId(id) === null) continue;
        const result = await removeAt(api, null, id, signal);
        if (!result.ok && result.code !== codes.unknownMessage && result.code !== codes.unknownChannel)
          throw refusal(result);
      }
    },
    capabilities: (scope) => capabilitiesIn(scope, settings),
    joining: async (signal) => {
      if (applicationId === null) {
        const me = await api.call('get', '/applications/@me', { signal }).catch(() => null);
        applicationId = me?.ok ? textOf(me.data, 'id') : null;
      }
      return applicationId === null ? {} : { link: inviteUrl(applicationId) };
    },
    names: ({ workspaceId }, _channelIds, signal, userIds = []) => namesInDiscord(api, workspaceId, userIds, signal),
    checkUp: (connection, signal) =>
      checkUpOnDiscord(
        {
          api,
          gateway: gateway.state(),
          applicationId: options.applicationId,
          publicKey: options.publicKey,
          messageContent,
          now: now(),
        },
        connection,
        signal,
      ),
    stop: async () => {
      watch?.stop();
      await gateway.stop();
      api.rest.clearHashSweeper();
      api.rest.clearHandlerSweeper();
    },
  };
};

/** "All permissions" is every bit; only so many are written down. */
const mask = (1n << 60n) - 1n;

const capabilitiesIn = (_scope: Scope, settings: SinkPace): Capabilities => ({
  nativeStream: false,
  edit: true,
  maxCharacters: messageLimit,
  minUpdateIntervalMs: settings.editMs,
  status: true,
  feedback: true,
  nativeCitations: false,
  ephemeral: true,
  tables: false,
  stop: true,
});
