import type { Connection, InboundEvent, Scope } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { Capabilities, CheckUpLine, Platform, Received } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { createSlackApi, type SlackApi, type SlackApiSettings } from './api.ts';
import { markdownLimit } from './messages.ts';
import { slackHandle } from './normalise.ts';
import { slackRoutes, takeWith } from './routes.ts';
import { openSlackSink } from './sink.ts';
import { createSlackSocket, type SlackSocket } from './socket.ts';

/** What a connection's sealed credentials hold for Slack. */
export type SlackCredentials = { readonly botToken?: string; readonly signingSecret?: string };

export type SlackOptions = {
  /** The deployment's own app: events over HTTP. */
  readonly signingSecret?: string;
  /** Token of a single-workspace deployment; a connection's own token wins. */
  readonly botToken?: string;
  /** Socket Mode. */
  readonly appToken?: string;
  readonly apiUrl?: string;
  /** Workspaces with credentials of their own; absent in a deployment that has one token only. */
  readonly connections?: {
    byId(connectionId: string): Promise<Connection | null>;
    byWorkspace(workspaceId: string): Promise<Connection | null>;
    /** Opened; null when the connection uses the deployment's own. */
    credentials(connection: Connection): Promise<Readonly<Record<string, string>> | null>;
  };
  readonly runtime: Runtime;
  readonly settings?: Partial<SlackSettings>;
};

export type SlackSettings = SlackApiSettings & {
  /** Least time between two appends to a stream; Slack allows 100 and more a minute. */
  readonly appendMs: number;
  /** Least time between two edits of a message; Slack allows about 50 a minute. */
  readonly editMs: number;
  /** Answers that are quicker get no status line. */
  readonly statusAfterMs: number;
  /** How long the first words wait for the rest before a stream is begun; under a blink, and one call instead of two. */
  readonly firstAfterMs: number;
};

const defaults: SlackSettings = {
  timeoutMs: 10_000,
  maxWaitMs: 60_000,
  appendMs: 700,
  editMs: 1300,
  statusAfterMs: 250,
  firstAfterMs: 150,
};

/** Slack as a platform: events in over HTTP or Socket Mode, answers out through the Web API. */
export const createSlack = (options: SlackOptions): Platform => {
  const { runtime } = options;
  const settings = { ...defaults, ...options.settings };
  const apis = new Map<string, SlackApi>();
  /** Workspace → our user id there. */
  const selves = new Map<string, string>();
  /** Workspaces where streaming does not work, until when that is believed. */
  const streamsOff = new Map<string, number>();
  let receiver: ((event: InboundEvent) => Promise<Received>) | null = null;
  let socket: SlackSocket | null = null;

  const apiOf = (token: string): SlackApi => {
    const known = apis.get(token);
    if (known !== undefined) return known;
    // Bounded: the oldest goes, and with it only its memory of what to wait for.
    const oldest = apis.keys().next();
    if (apis.size >= 1000 && !oldest.done) apis.delete(oldest.value);
    const api = createSlackApi({
      token,
      ...(options.apiUrl === undefined ? {} : { apiUrl: options.apiUrl }),
      runtime,
      settings,
    });
    apis.set(token, api);
    return api;
  };

  const credentialsOf = async (connection: Connection | null): Promise<SlackCredentials> =>
    connection === null || options.connections === undefined
      ? {}
      : ((await options.connections.credentials(connection)) ?? {});

  const apiFor = async (workspaceId: string): Promise<SlackApi> => {
    const connection = (await options.connections?.byWorkspace(workspaceId)) ?? null;
    const token = (await credentialsOf(connection)).botToken ?? options.botToken;
    if (token === undefined)
      throw new AppError('platform-failed', 'There is no Slack token for this workspace.', { at: 'no-token' });
    return apiOf(token);
  };

  const selfOf = async (workspaceId: string, api: SlackApi, signal?: AbortSignal): Promise<string | null> => {
    const known = selves.get(workspaceId);
    if (known !== undefined) return known;
    const result = await api.call('auth.test', {}, { repeatable: true, ...(signal === undefined ? {} : { signal }) });
    if (!result.ok || typeof result.data.user_id !== 'string') return null;
    selves.set(workspaceId, result.data.user_id);
    return result.data.user_id;
  };

  const take = takeWith(runtime, async (event) => {
    if (receiver === null) throw new AppError('platform-failed', 'Not started yet.', { retryable: true });
    return receiver(event);
  });
  const botUserId = (workspaceId: string): string | null => selves.get(workspaceId) ?? null;

  const routes = slackRoutes({
    runtime,
    ...(options.signingSecret === undefined ? {} : { signingSecret: options.signingSecret }),
    ownApp: async (connectionId) => {
      const connection = (await options.connections?.byId(connectionId)) ?? null;
      if (connection === null || connection.platform !== 'slack') return null;
      const { signingSecret } = await credentialsOf(connection);
      return signingSecret === undefined || signingSecret === '' ? null : { connection, signingSecret };
    },
    botUserId,
    take,
  });

  return {
    name: 'slack',
    routes,
    start: async (receive) => {
      receiver = receive;
      if (options.appToken === undefined) return;
      // Without its own user id Socket Mode would hear no plain mention if Slack left out the authorizations.
      socket = createSlackSocket({
        appToken: options.appToken,
        ...(options.apiUrl === undefined ? {} : { apiUrl: options.apiUrl }),
        runtime,
        botUserId,
        take,
      });
      await socket.start();
    },
    openAnswer: async (event, delivery, signal) => {
      const where = slackHandle.parse(event.handle);
      const api = await apiFor(where.team);
      return openSlackSink({
        api,
        where,
        delivery,
        runtime,
        signal,
        self: () => selfOf(where.team, api, signal),
        streaming: {
          isOff: () => (streamsOff.get(where.team) ?? 0) > runtime.clock.now(),
          turnOff: () => void streamsOff.set(where.team, runtime.clock.now() + 600_000),
        },
        pace: settings,
      });
    },
    retract: async (event, messageIds, signal) => {
      const { team, channel } = slackHandle.parse(event.handle);
      const api = await apiFor(team);
      for (const ts of messageIds) {
        const result = await api.call('chat.delete', { channel, ts }, { signal, repeatable: true });
        if (!result.ok && result.error !== 'message_not_found')
          throw new AppError('platform-failed', 'Slack did not remove the answer.', { at: result.error });
      }
    },
    capabilities: (scope) => capabilitiesIn(scope),
    checkUp: async (connection, signal) => checkUp(await apiFor(connection.workspaceId), connection, signal),
    stop: async () => {
      await socket?.stop();
      socket = null;
    },
  };
};

const capabilitiesIn = (scope: Scope): Capabilities => ({
  nativeStream: scope !== 'dm',
  edit: true,
  maxCharacters: markdownLimit,
  minUpdateIntervalMs: 700,
  status: true,
  feedback: true,
  nativeCitations: false,
  ephemeral: true,
  tables: true,
});

/** The permissions that the manifest asks for; what lacks one is said in words. */
const scopes: Readonly<Record<string, string>> = {
  'chat:write': 'the bot cannot answer',
  'app_mentions:read': 'the bot does not hear when it is mentioned',
  'im:history': 'the bot does not hear direct messages',
  'channels:history': 'the bot does not hear follow-ups in public channels',
  'groups:history': 'the bot does not hear follow-ups in private channels',
  'mpim:history': 'the bot does not hear group messages',
};

const checkUp = async (api: SlackApi, connection: Connection, signal: AbortSignal): Promise<readonly CheckUpLine[]> => {
  const result = await api.call('auth.test', {}, { signal, repeatable: true });
  if (!result.ok)
    return [
      { item: 'token', ok: false, advice: `Slack does not accept the token (${result.error}). Install the app again.` },
    ];
  const lines: CheckUpLine[] = [{ item: 'token', ok: true }];
  const rightTeam = result.data.team_id === connection.workspaceId;
  lines.push(
    rightTeam
      ? { item: 'workspace', ok: true }
      : { item: 'workspace', ok: false, advice: 'The token belongs to another workspace.' },
  );
  const metadata = result.data.response_metadata as { readonly scopes?: readonly string[] } | undefined;
  const granted = metadata?.scopes;
  if (granted === undefined) return lines;
  for (const [scope, loss] of Object.entries(scopes)) {
    lines.push(
      granted.includes(scope)
        ? { item: scope, ok: true }
        : { item: scope, ok: false, advice: `Grant ${scope} and install the app again; without it ${loss}.` },
    );
  }
  return lines;
};
