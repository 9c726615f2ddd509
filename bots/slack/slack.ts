import { createHash } from 'node:crypto';
import { Hono } from 'hono';
import type { InboundEvent, Scope } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { AnswerSink, Capabilities, Platform, Received, Workspaces } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { type HearingWatch, watchHearing } from '../watch-hearing.ts';
import { createAccess } from './access.ts';
import { type SlackApi, type SlackApiSettings, whileAwake } from './api.ts';
import { checkUpSlack } from './check-up.ts';
import { createCourtesies } from './courtesies.ts';
import type { SlackPace } from './draft.ts';
import { readEarlier } from './earlier.ts';
import { downloadFile } from './files.ts';
import { type Courtesy, type Opening, type SlackHandle, slackHandle } from './handle.ts';
import { installRoutes } from './install.ts';
import { markdownLimit, neutralise, renderBody, splitFor } from './messages.ts';
import { namesInSlack } from './names.ts';
import { createOAuth } from './oauth.ts';
import type { PostingPace } from './pace.ts';
import { createPeople } from './people.ts';
import { openPrivateSink } from './private-sink.ts';
import { createRespond } from './respond.ts';
import { slackRoutes, takeWith } from './routes.ts';
import { sayInSlack } from './say.ts';
import { openSlackSink } from './sink.ts';
import type { SlackSocket } from './socket.ts';
import { createWhisperer } from './whisper.ts';

export type SlackOptions = {
  /** The deployment's own app: events over HTTP. */
  readonly signingSecret?: string;
  /** Token of a single-workspace deployment; a connection's own token wins. */
  readonly botToken?: string;
  /** Socket Mode. */
  readonly appToken?: string;
  readonly apiUrl?: string;
  /** Installation by anybody's workspace. */
  readonly oauth?: { readonly clientId: string; readonly clientSecret: string; readonly publicUrl: string };
  /** Workspaces with credentials of their own; absent in a deployment that has one token only. */
  readonly connections?: Workspaces;
  readonly runtime: Runtime;
  readonly settings?: Partial<SlackSettings>;
};

export type SlackSettings = SlackApiSettings & SlackPace & PostingPace;

const defaults: SlackSettings = {
  timeoutMs: 10_000,
  maxWaitMs: 60_000,
  appendMs: 700,
  editMs: 1300,
  statusAfterMs: 250,
  firstAfterMs: 150,
  stopAfterMs: 2000,
  postMs: 1000,
  burst: 10,
};

/** It opened its thread, or stands where there are none. */
const isFirst = ({ thread, ts }: SlackHandle): boolean => thread === undefined || thread === ts;

/** Slack as a platform: events in over HTTP or Socket Mode, answers out through the Web API. */
export const createSlack = (options: SlackOptions): Platform => {
  const { runtime, connections } = options;
  const settings = { ...defaults, ...options.settings };
  const oauth =
    options.oauth === undefined
      ? undefined
      : createOAuth({ ...options.oauth, apiUrl: options.apiUrl, clock: runtime.clock });
  const access = createAccess({
    botToken: options.botToken,
    apiUrl: options.apiUrl,
    connections,
    oauth,
    runtime,
    settings,
  });
  const respond = createRespond(options.apiUrl, settings.timeoutMs);
  const people = createPeople(runtime.clock);
  const courtesies = createCourtesies(
    runtime.clock,
    async (team) => (await connections?.greeting?.('slack', team)) ?? null,
  );
  /** Workspaces where streaming does not work, until when that is believed. */
  const streamsOff = new Map<string, number>();
  let receiver: ((event: InboundEvent) => Promise<Received>) | null = null;
  let socket: SlackSocket | null = null;
  let watch: HearingWatch | null = null;
  const watchSocket = (workspaces: Workspaces): HearingWatch =>
    watchHearing({
      platform: 'slack',
      isUp: () => socket?.isConnected() ?? null,
      sentence: 'Slack has not let us listen for some minutes, so nothing is heard here. The operator can see why.',
      workspaces,
      clock: runtime.clock,
    });

  /** Beside the acknowledgement, never before it, and nothing is lost when it fails. */
  const aside = (team: string, work: (api: SlackApi) => Promise<unknown>): void => {
    access
      .apiFor(team)
      .then(work)
      .catch(() => runtime.log.debug('slack-courtesy-failed'));
  };
  const take = takeWith(runtime, {
    receive: async (event) => {
      if (receiver === null) throw new AppError('platform-failed', 'Not started yet.', { retryable: true });
      const received = await receiver(event);
      if (event.kind === 'uninstall') access.forget(event.workspaceId);
      return received;
    },
    open: (team: string, { triggerId, view }: Opening) =>
      aside(team, (api) => api.call('views.open', { trigger_id: triggerId, view }, { hurried: true })),
    greet: (courtesy: Courtesy) => aside(courtesy.team, (api) => courtesies(courtesy, api)),
  });

  const routes = new Hono();
  routes.route(
    '/',
    slackRoutes({
      runtime,
      ...(options.signingSecret === undefined ? {} : { signingSecret: options.signingSecret }),
      ownApp: async (connectionId) => {
        const connection = (await connections?.byId(connectionId)) ?? null;
        if (connection === null || connection.platform !== 'slack') return null;
        const signingSecret = await access.signingSecretOf(connection);
        return signingSecret === null ? null : { connection, signingSecret };
      },
      botUserId: access.knownSelf,
      take,
    }),
  );
  if (oauth !== undefined && options.oauth !== undefined && connections !== undefined)
    routes.route(
      '/',
      installRoutes({
        oauth,
        secret: createHash('sha256').update(`footnote-install:${options.oauth.clientSecret}`).digest('hex'),
        publicUrl: options.oauth.publicUrl,
        runtime,
        connections,
        tell: async ({ workspaceId, userId }, markdown) => {
          const api = await access.apiFor(workspaceId);
          const words = { id: `install:${userId}`, markdown };
          await sayInSlack(api, { workspaceId, userId }, words, AbortSignal.timeout(8000));
        },
        forget: access.forget,
      }),
    );

  const openWhisperer = async (where: SlackHandle, signal: AbortSignal) =>
    createWhisperer({ api: await whisperingApi(where), respond, where, runtime, signal });
  /** A response address needs no token, so that a workspace that nobody connected yet can be told how to. */
  const whisperingApi = async (where: SlackHandle): Promise<SlackApi> => {
    try {
      return await access.apiFor(where.team);
    } catch (thrown) {
      if (where.respond === undefined) throw thrown;
      return { call: async () => ({ ok: false, error: 'not_authed', certain: true }) };
    }
  };

  return {
    name: 'slack',
    routes,
    start: async (receive) => {
      receiver = receive;
      if (options.appToken === undefined) return;
      // Slack's SDK costs a few hundred milliseconds of a start, and nothing else here needs it.
      const { createSlackSocket } = await import('./socket.ts');
      socket = createSlackSocket({
        appToken: options.appToken,
        ...(options.apiUrl === undefined ? {} : { apiUrl: options.apiUrl }),
        runtime,
        botUserId: access.knownSelf,
        take,
      });
      if (options.connections !== undefined) {
        watch = watchSocket(options.connections);
        watch.start();
      }
      await socket.start();
    },
    openAnswer: async (event, delivery, signal, manner = {}) => {
      const where = slackHandle.parse(event.handle);
      // In a direct message all is private already; but a command may be typed in two people's, where we cannot be.
      const unseen =
        event.scope === 'dm' ? event.kind === 'command' && where.respond !== undefined : manner.private === true;
      const quoted = quoteOf(event);
      const openPrivately = async (): Promise<AnswerSink> => {
        const api = whileAwake(await whisperingApi(where), delivery);
        return openPrivateSink({ api, respond, where, delivery, runtime, signal, preface: quoted });
      };
      if (unseen) return openPrivately();
      const api = whileAwake(await access.apiFor(where.team), delivery);
      const sink = await openSlackSink({
        api,
        where,
        delivery,
        runtime,
        signal,
        self: () => access.selfOf(where.team, signal),
        streaming: {
          isOff: () => (streamsOff.get(where.team) ?? 0) > runtime.clock.now(),
          turnOff: () => void streamsOff.set(where.team, runtime.clock.now() + 600_000),
        },
        pace: settings,
        stoppable: manner.stoppable === true,
        ...(manner.stopTitle === undefined ? {} : { stopTitle: manner.stopTitle }),
        preface: event.kind === 'command' ? quoted : '',
      });
      return where.respond === undefined ? sink : whereNoMember(sink, openPrivately);
    },
    say: async (to, message, signal) => sayInSlack(await access.apiFor(to.workspaceId), to, message, signal),
    whisper: async (event, markdown, signal) => {
      const whisperer = await openWhisperer(slackHandle.parse(event.handle), signal);
      for (const part of splitFor('blocks', neutralise(markdown))) {
        const sent = await whisperer.send(() => renderBody('blocks', { markdown: part }));
        if (sent === 'blocks-refused') await whisperer.send(() => renderBody('text', { markdown: part }));
      }
    },
    opensThread: ({ handle }) => isFirst(slackHandle.parse(handle)),
    earlier: async (event, limit, signal) => {
      const where = slackHandle.parse(event.handle);
      if (isFirst(where)) return [];
      const self = await access.selfOf(where.team, signal);
      return readEarlier(await access.apiFor(where.team), where, self, limit, { signal, log: runtime.log });
    },
    download: async (event, attachment, maxBytes, signal) => {
      const { team } = slackHandle.parse(event.handle);
      const token = await access.tokenFor(team);
      return downloadFile(attachment, { token, apiUrl: options.apiUrl, maxBytes, timeoutMs: 30_000, signal });
    },
    standing: async (event, signal) => {
      const where = slackHandle.parse(event.handle);
      return people.standing(await access.apiFor(where.team), where, event.author, signal);
    },
    address: async (event, signal) => {
      const where = slackHandle.parse(event.handle);
      return people.address(await access.apiFor(where.team), where, signal);
    },
    mayManage: async (event, signal, what = 'channel') => {
      const where = slackHandle.parse(event.handle);
      return people.mayManage(await access.apiFor(where.team), where, what, signal);
    },
    isShared: async (event, signal) => {
      const where = slackHandle.parse(event.handle);
      return people.isShared(await access.apiFor(where.team), where, signal);
    },
    permalink: async (event, messageId, signal) => {
      const { team, channel } = slackHandle.parse(event.handle);
      const place = placeIn(channel, messageId);
      if (place === null) return null;
      const api = await access.apiFor(team);
      const result = await api.call(
        'chat.getPermalink',
        { channel: place.channel, message_ts: place.ts },
        { signal, repeatable: true },
      );
      return result.ok && typeof result.data.permalink === 'string' ? result.data.permalink : null;
    },
    retract: async (event, messageIds, signal) => {
      const { team, channel } = slackHandle.parse(event.handle);
      const api = await access.apiFor(team);
      for (const id of messageIds) {
        const place = placeIn(channel, id);
        if (place === null) continue;
        const result = await api.call('chat.delete', place, { signal, repeatable: true });
        if (!result.ok && result.error !== 'message_not_found')
          throw new AppError('platform-failed', 'Slack did not remove the answer.', { at: result.error });
      }
    },
    capabilities: (scope) => capabilitiesIn(scope),
    joining: async () => ({
      ...(oauth === undefined || connections === undefined ? {} : { link: '/slack/install' }),
      ...(connections === undefined ? {} : { ownApp: ['botToken', 'signingSecret'] }),
    }),
    checkUp: async (connection, signal) => {
      const context = {
        now: runtime.clock.now(),
        socketConnected: options.appToken === undefined ? null : (socket?.isConnected() ?? false),
        hearsOverHttp: options.signingSecret !== undefined || (await access.signingSecretOf(connection)) !== null,
        signal,
      };
      return checkUpSlack(await access.apiFor(connection.workspaceId), connection, context);
    },
    names: async ({ workspaceId }, channelIds, signal, userIds = []) =>
      namesInSlack(await access.apiFor(workspaceId), channelIds, userIds, signal),
    stop: async () => {
      watch?.stop();
      await socket?.stop();
      socket = null;
    },
  };
};

/** Commands work in channels that we are no member of; there the answer is for the asker alone, and says why. */
const whereNoMember = (sink: AnswerSink, openPrivately: () => Promise<AnswerSink>): AnswerSink => {
  const orPrivately = async (publicly: () => Promise<void>, privately: (alone: AnswerSink) => Promise<void>) => {
    try {
      await publicly();
    } catch (thrown) {
      const at = thrown instanceof AppError ? thrown.at : undefined;
      if (at !== 'not_in_channel' && at !== 'channel_not_found') throw thrown;
      await privately(await openPrivately());
    }
  };
  return {
    ...sink,
    finish: (answer) =>
      orPrivately(
        () => sink.finish(answer),
        (alone) => alone.finish({ ...answer, markdown: `${noMember}\n\n${answer.markdown}` }),
      ),
    fail: (sentence) =>
      orPrivately(
        () => sink.fail(sentence),
        (alone) => alone.fail(sentence),
      ),
  };
};
const noMember = '_I am no member of this channel, so only you see this. Invite me, and I answer for everybody._';

/** A message's id is its time, with the channel before it where that is another; ephemeral ones cannot be reached again. */
const placeIn = (channel: string, id: string): { readonly channel: string; readonly ts: string } | null => {
  const [first = '', second] = id.split('/');
  if (second === undefined) return { channel, ts: first };
  return first === 'ephemeral' ? null : { channel: first, ts: second };
};

/** The question, where the answer stands apart from it. */
const quoteOf = ({ text }: InboundEvent): string => {
  const words = neutralise(text.replace(/\s+/g, ' ').trim());
  return words === '' ? '' : `> ${words.length > 300 ? `${words.slice(0, 299)}…` : words}\n\n`;
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
  stop: true,
});
