import type { Connection, InboundEvent, Scope } from '../../core/domain.ts';
import { AppError, isAppError } from '../../core/errors.ts';
import type {
  AnswerSink,
  Capabilities,
  Delivery,
  Manner,
  Platform,
  Received,
  Workspaces,
} from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import type { GuardedFetch } from '../../core/security/guarded-fetch.ts';
import { splitMarkdown } from '../markdown.ts';
import { type TeamsHandle, teamsHandle } from './activity.ts';
import { createTeamsApi, type TeamsApiSettings, whileAwake } from './api.ts';
import { checkUpTeams } from './check-up.ts';
import { type Cloud, cloudOf, isLoopbackUrl } from './clouds.ts';
import { createConnector } from './connector/connector.ts';
import { downloadFile } from './download.ts';
import { createGraph } from './graph.ts';
import { createSigningKeys } from './keys.ts';
import { mentionPeople } from './mentions.ts';
import { messageActivity, renderTeamsText, textLimit } from './messages.ts';
import { namesInTeams } from './names.ts';
import { mentionedPeople, vouchedAddress } from './people.ts';
import { createPlaces } from './places.ts';
import { takeWith, teamsRoutes } from './routes.ts';
import { openTeamsSink, refusal, type SinkPace } from './sink.ts';
import { createTeamsTokens, isRefusedLogin } from './tokens.ts';

export type TeamsOptions = {
  /** Null: a deployment for trying out on one machine, with Microsoft's Agents Playground. */
  readonly app: { readonly id: string; readonly password: string; readonly tenantId?: string } | null;
  /** Where this deployment stands for the world; the app package names it. */
  readonly publicUrl?: string;
  /** OpenID document of the signing keys; another cloud of Microsoft's, or a key server of one's own. */
  readonly metadataUrl?: string;
  /** Posts without a token are heard from this machine. */
  readonly unauthenticated?: boolean;
  readonly connections?: Pick<Workspaces, 'byWorkspace' | 'failed' | 'greeting' | 'keep' | 'kept'>;
  readonly guardedFetch: GuardedFetch;
  readonly runtime: Runtime;
  readonly settings?: Partial<TeamsSettings>;
  /** Parts of the cloud that stand elsewhere: a login of one's own, in tests. */
  readonly cloud?: Partial<Cloud>;
};

export type TeamsSettings = TeamsApiSettings & SinkPace & { readonly timeoutMs: number };

const defaults: TeamsSettings = {
  timeoutMs: 15_000,
  paceMs: 1000,
  maxWaitMs: 60_000,
  signAfterMs: 600,
  firstAfterMs: 150,
  streamMs: 1000,
  editMs: 3000,
  typingMs: 3000,
};

const hello =
  'Hello! I answer questions from your organisation’s documents, with footnotes. Ask me here, or mention me in a channel or chat that I am in. `help` says what else I can do.';

/** Microsoft Teams as a platform: activities in over HTTP, answers out through the Bot Connector. */
export const createTeams = (options: TeamsOptions): Platform => {
  const { runtime, app } = options;
  const settings = { ...defaults, ...options.settings };
  const cloud: Cloud = { ...cloudOf(options.metadataUrl), ...options.cloud };
  const unauthenticated = options.unauthenticated === true;
  // Who names a key server of this machine tries things out on it, and may be answered there.
  const loopback = unauthenticated || (options.metadataUrl !== undefined && isLoopbackUrl(options.metadataUrl));
  const tokens =
    app === null
      ? null
      : createTeamsTokens({
          appId: app.id,
          password: app.password,
          ...(app.tenantId === undefined ? {} : { tenantId: app.tenantId }),
          cloud,
          runtime,
        });
  const connector = createConnector({
    app: app === null || tokens === null ? null : { id: app.id, tokens },
    cloud,
    timeoutMs: settings.timeoutMs,
    tokenless: (url) => unauthenticated && isLoopbackUrl(url),
  });
  const api = createTeamsApi(connector, runtime, settings, () => tokens?.drop());
  const places = createPlaces({
    api,
    cloud,
    appId: app?.id ?? null,
    loopback,
    memory: options.connections ?? {},
    log: runtime.log,
  });
  const graph = app === null ? null : createGraph({ app, cloud, runtime });
  const keys = createSigningKeys(cloud.metadataUrl, runtime);
  /** Organisations where streaming does not work, until when that is believed. */
  const streamsOff = new Map<string, number>();
  /** Ends what nobody waits for. */
  const stopping = new AbortController();
  let receiver: ((event: InboundEvent) => Promise<Received>) | null = null;

  const helloIn = async ({ workspaceId }: InboundEvent): Promise<string> =>
    (await options.connections?.greeting?.('teams', workspaceId)) ?? hello;

  const greet = async (event: InboundEvent): Promise<void> => {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(30_000)]);
    try {
      await api.post(places.of(teamsHandle.parse(event.handle)), messageActivity({ text: await helloIn(event) }), {
        signal,
      });
    } catch (thrown) {
      runtime.log.debug('teams-greeting-failed', { code: isAppError(thrown) ? thrown.code : 'internal' });
    }
  };

  const take = takeWith(runtime, async (event) => {
    if (receiver === null) throw new AppError('platform-failed', 'Not started yet.', { retryable: true });
    const received = await receiver(event);
    places.note(event);
    if (event.kind === 'install' && received.outcome === 'stored') void greet(event);
    return received;
  });

  /** What went wrong for good is kept for the check-up; everything is thrown on. */
  const noting = async <T>(tenant: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      if (isAppError(thrown) && thrown.code === 'platform-failed' && !thrown.retryable) {
        const connection = await options.connections?.byWorkspace('teams', tenant).catch(() => null);
        if (connection !== null && connection !== undefined)
          await options.connections?.failed(
            connection,
            thrown.message,
            ...(isRefusedLogin(thrown) ? (['lost'] as const) : []),
          );
      }
      throw thrown;
    }
  };

  const openAnswer = async (
    event: InboundEvent,
    delivery: Delivery,
    signal: AbortSignal,
    manner: Manner = {},
  ): Promise<AnswerSink> => {
    const handle = teamsHandle.parse(event.handle);
    const sinkAt = (place: Parameters<typeof openTeamsSink>[0]['place'], how: Manner): AnswerSink =>
      openTeamsSink({
        api: whileAwake(api, delivery),
        place,
        delivery,
        manner: how,
        runtime,
        signal,
        streaming: {
          isOff: () => (streamsOff.get(handle.tenant) ?? 0) > runtime.clock.now(),
          turnOff: () => void streamsOff.set(handle.tenant, runtime.clock.now() + 600_000),
        },
        pace: settings,
      });
    const withNotes = (sink: AnswerSink): AnswerSink => ({
      ...sink,
      finish: (answer) => noting(handle.tenant, sink.finish(answer)),
      fail: (sentence) => noting(handle.tenant, sink.fail(sentence)),
    });
    if (manner.private !== true || handle.kind === 'personal')
      return withNotes(sinkAt({ ...places.of(handle), kind: handle.kind }, manner));
    const own = await places.privately(handle, signal);
    if (own.ok) return withNotes(sinkAt({ ...own.place, kind: 'personal' }, manner));
    if (own.result.status === 429 || !own.result.certain) throw refusal(own.result);
    // Nothing of the answer may stand where others read it; that there is one may.
    const aloud = sinkAt({ ...places.of(handle), kind: handle.kind }, {});
    const sentence =
      'I may answer this only to you, and I cannot write to you: add me to your own apps in Teams first, then ask again.';
    return withNotes({
      status: async () => undefined,
      update: async () => undefined,
      finish: () => aloud.fail(sentence),
      fail: () => aloud.fail(sentence),
      cancelled: aloud.cancelled,
    });
  };

  return {
    name: 'teams',
    routes: teamsRoutes({
      runtime,
      cloud,
      appId: app?.id ?? null,
      loopback,
      unauthenticated,
      keyOf: keys.keyOf,
      take,
    }),
    start: async (receive) => {
      receiver = receive;
    },
    openAnswer,
    say: async (to, message, signal) => {
      const place = await places.to(to, signal);
      const people = await mentionPeople(api, place, message.people ?? [], signal);
      const [first = '…', ...rest] = splitMarkdown(renderTeamsText(message.markdown), textLimit);
      const begins = { ...messageActivity({ text: `${people.text}${first}` }), entities: people.entities };
      const result = await api.post(place, begins, { signal });
      if (!result.ok) throw refusal(result);
      for (const text of rest) {
        const more = await api.post(place, messageActivity({ text }), { signal });
        if (!more.ok) throw refusal(more);
      }
      return result.id ?? message.id;
    },
    whisper: async (event, markdown, signal) => {
      const handle = teamsHandle.parse(event.handle);
      const own = await places.privately(handle, signal);
      if (!own.ok) throw refusal(own.result);
      for (const text of splitMarkdown(renderTeamsText(markdown), textLimit)) {
        const result = await api.post(own.place, messageActivity({ text }), { signal });
        if (!result.ok) throw refusal(result);
      }
    },
    opensThread: (event) => graph === null || event.threadId === event.messageId,
    earlier: async (event, limit, signal) => {
      // A question that opens its thread has nothing before it.
      if (graph === null || event.scope === 'dm' || event.threadId === event.messageId) return [];
      return graph.earlier(teamsHandle.parse(event.handle), Number(event.orderKey), limit, signal);
    },
    download: (event, attachment, maxBytes, signal) =>
      downloadFile(
        { guardedFetch: options.guardedFetch, tokens },
        teamsHandle.parse(event.handle),
        attachment,
        maxBytes,
        signal,
      ),
    mentioned: (event, signal) =>
      mentionedPeople(api, places.of(teamsHandle.parse(event.handle)), event.mentions ?? [], signal),
    address: async (event, signal) => {
      const handle = teamsHandle.parse(event.handle);
      const isOurs = event.author.standing === undefined || event.author.standing === 'member';
      return handle.user === undefined || !isOurs
        ? null
        : vouchedAddress(await api.member(places.of(handle), handle.user, signal));
    },
    mayManage: async (event, signal, what = 'channel') => {
      const { author } = event;
      if (author.isBot || author.standing === 'guest' || author.standing === 'outsider') return false;
      const handle = teamsHandle.parse(event.handle);
      if (handle.user === undefined) return false;
      // Anybody can make a team, and own it: whom an organisation belongs to is for its administrators.
      if (what === 'workspace')
        return graph !== null && (await graph.isAdministrator(handle.tenant, author.id, signal));
      const role = (await api.member(places.of(handle), handle.user, signal))?.role?.toLowerCase();
      if (role === 'guest' || role === 'anonymous') return false;
      // Their own chat is theirs.
      if (role === 'owner' || role === 'admin' || handle.kind === 'personal') return true;
      return (
        graph !== null &&
        handle.team !== undefined &&
        (await graph.isOwner(handle.tenant, handle.team, author.id, signal))
      );
    },
    permalink: async (event, messageId) => permalink(event, teamsHandle.parse(event.handle), messageId),
    retract: async (event, messageIds, signal) => {
      const handle = teamsHandle.parse(event.handle);
      for (const id of messageIds) {
        let result = await api.remove(places.of(handle), id, { signal });
        if (!result.ok && result.status === 404 && handle.kind !== 'personal') {
          const own = await places.privately(handle, signal);
          if (own.ok) result = await api.remove(own.place, id, { signal });
        }
        if (!result.ok && result.status !== 404) throw refusal(result);
      }
    },
    names: ({ workspaceId }, channelIds, signal, userIds = []) =>
      namesInTeams({ api, places, graph }, workspaceId, channelIds, userIds, signal),
    capabilities: capabilitiesIn,
    joining: async () => {
      if (app === null || options.publicUrl?.startsWith('https://') !== true) return {};
      const { teamsPackage } = await import('./app-package/manifest.ts');
      try {
        const bytes = teamsPackage({ appId: app.id, publicUrl: options.publicUrl });
        return { file: { name: 'footnote-teams.zip', mediaType: 'application/zip', bytes } };
      } catch {
        // An address that Teams does not take: there is nothing to offer.
        return {};
      }
    },
    checkUp: async (connection: Connection, signal) =>
      checkUpTeams(
        { app, tokens, heardUnasked: await places.heardUnasked(connection.workspaceId) },
        connection,
        signal,
      ),
    stop: async () => {
      stopping.abort();
      await connector.close();
    },
  };
};

const capabilitiesIn = (scope: Scope): Capabilities => ({
  nativeStream: scope === 'dm',
  edit: true,
  maxCharacters: textLimit,
  minUpdateIntervalMs: scope === 'dm' ? defaults.streamMs : defaults.editMs,
  status: true,
  feedback: true,
  nativeCitations: true,
  ephemeral: false,
  tables: true,
  stop: true,
});

/** https://learn.microsoft.com/microsoftteams/platform/concepts/build-and-test/deep-link-teams */
const permalink = (event: InboundEvent, handle: TeamsHandle, messageId: string): string => {
  const url = new URL(
    `https://teams.microsoft.com/l/message/${encodeURIComponent(event.channelId)}/${encodeURIComponent(messageId)}`,
  );
  if (handle.kind !== 'channel') {
    url.searchParams.set('context', JSON.stringify({ contextType: 'chat' }));
    return url.href;
  }
  url.searchParams.set('tenantId', handle.tenant);
  if (handle.team !== undefined) url.searchParams.set('groupId', handle.team);
  url.searchParams.set('parentMessageId', event.threadId);
  return url.href;
};
