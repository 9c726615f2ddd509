import { CloudAdapter, ConfigurationBotFrameworkAuthentication, type TurnContext } from 'botbuilder';
import { Agent } from 'undici';
import { AppError } from '../../../core/errors.ts';
import type { Cloud } from '../clouds.ts';
import type { TeamsTokens } from '../tokens.ts';
import { letEntitiesThrough, teamsOf } from './entities.ts';
import { createHttpClient, refusalIn } from './http-client.ts';

/** An activity as it goes over the wire. */
export type OutgoingActivity = Readonly<Record<string, unknown>>;

/** Where something is sent: a conversation, at the service address that the token of its last activity proved. */
export type Place = { readonly serviceUrl: string; readonly conversationId: string };

export type Member = {
  readonly id: string;
  readonly name?: string;
  readonly aadObjectId?: string;
  /** `owner`, `user`, `guest`, `anonymous`, as far as Teams says. */
  readonly role?: string;
  readonly email?: string;
  /** The name with which they sign in, at a domain of their organisation. */
  readonly userPrincipalName?: string;
};

/**
 * All that the driver knows of the Bot Framework SDK. The SDK is archived: whoever replaces it replaces this folder.
 * Calls throw AppError `platform-failed` with a Refusal as its cause, and what the signal gives as its reason.
 */
export type Connector = {
  post(place: Place, activity: OutgoingActivity, signal: AbortSignal): Promise<string | null>;
  update(place: Place, activityId: string, activity: OutgoingActivity, signal: AbortSignal): Promise<void>;
  remove(place: Place, activityId: string, signal: AbortSignal): Promise<void>;
  /** Begins a conversation: with a person, or a new thread of a channel. */
  open(
    serviceUrl: string,
    parameters: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<{ readonly conversationId: string; readonly activityId: string | null }>;
  member(place: Place, memberId: string, signal: AbortSignal): Promise<Member | null>;
  /** Of a team, by its thread's id; the first one of a team has no name of its own. */
  channels(
    serviceUrl: string,
    teamId: string,
    signal: AbortSignal,
  ): Promise<readonly { readonly id?: string; readonly name?: string }[]>;
  close(): Promise<void>;
};

/** The part of the SDK's connector client that is used; its own types are not among our dependencies. */
type Conversations = {
  sendToConversation(id: string, activity: unknown, options: CallOptions): Promise<{ readonly id?: string }>;
  updateActivity(id: string, activityId: string, activity: unknown, options: CallOptions): Promise<unknown>;
  deleteActivity(id: string, activityId: string, options: CallOptions): Promise<unknown>;
  createConversation(
    parameters: unknown,
    options: CallOptions,
  ): Promise<{ readonly id?: string; readonly activityId?: string }>;
  getConversationMember(id: string, memberId: string, options: CallOptions): Promise<Readonly<Record<string, unknown>>>;
};
type CallOptions = { readonly abortSignal: AbortSignal };
type Credentials = NonNullable<ConstructorParameters<typeof ConfigurationBotFrameworkAuthentication>[1]>;
type ClientOptions = NonNullable<ConstructorParameters<typeof ConfigurationBotFrameworkAuthentication>[4]>;

export const createConnector = (options: {
  /** Null: a deployment on this machine that nobody signs in to; nothing is verified and no token is sent. */
  readonly app: { readonly id: string; readonly tokens: TeamsTokens } | null;
  readonly cloud: Cloud;
  readonly timeoutMs: number;
  /** Unauthenticated posts name addresses of this machine: they get no token of ours. */
  readonly tokenless: (url: string) => boolean;
}): Connector => {
  letEntitiesThrough();
  const { app, cloud } = options;
  const dispatcher = new Agent({ connect: { timeout: 5000 }, connections: 64, keepAliveTimeout: 30_000 });
  const httpClient = createHttpClient({ timeoutMs: options.timeoutMs, dispatcher });
  const adapter = new CloudAdapter(
    new ConfigurationBotFrameworkAuthentication(
      {
        ValidateAuthority: 'true',
        ToBotFromChannelOpenIdMetadataUrl: cloud.metadataUrl,
        ToBotFromChannelTokenIssuer: cloud.issuer,
        ToBotFromEmulatorOpenIdMetadataUrl: cloud.metadataUrl,
        ToChannelFromBotLoginUrl: `${cloud.loginUrl}/${cloud.loginTenant}`,
        ToChannelFromBotOAuthScope: cloud.audience,
        OAuthUrl: 'https://token.invalid',
        CallerId: 'urn:botframework:azure',
      },
      credentialsOf(app, options.tokenless),
      undefined,
      undefined,
      { httpClient } as unknown as ClientOptions,
    ),
  );

  /** Service address → the client that speaks to it; making one costs more than a call. */
  const clients = new Map<string, Conversations>();
  /** `continueConversationAsync` makes the client that carries our token to an address; it signs each call anew. */
  const clientOf = async ({ serviceUrl, conversationId }: Place): Promise<Conversations> => {
    const known = clients.get(serviceUrl);
    if (known !== undefined) return known;
    let made: Conversations | null = null;
    await adapter.continueConversationAsync(
      app?.id ?? '',
      { serviceUrl, channelId: 'msteams', conversation: { id: conversationId } as never, bot: {} as never },
      async (context: TurnContext) => {
        made = (context.turnState.get(adapter.ConnectorClientKey) as { readonly conversations: Conversations })
          .conversations;
      },
    );
    if (made === null) throw new AppError('internal', 'The Bot Framework SDK gave no client.');
    // Microsoft has a handful of addresses.
    if (clients.size >= 100) clients.clear();
    clients.set(serviceUrl, made);
    return made;
  };
  const within = async <T>(place: Place, call: (conversations: Conversations) => Promise<T>): Promise<T> =>
    call(await clientOf(place));

  return {
    post: (place, activity, signal) =>
      within(place, async (conversations) => {
        const { id } = await conversations.sendToConversation(place.conversationId, activity, { abortSignal: signal });
        return id ?? null;
      }),
    update: (place, activityId, activity, signal) =>
      within(place, async (conversations) => {
        await conversations.updateActivity(place.conversationId, activityId, activity, { abortSignal: signal });
      }),
    remove: (place, activityId, signal) =>
      within(place, async (conversations) => {
        await conversations.deleteActivity(place.conversationId, activityId, { abortSignal: signal });
      }),
    open: (serviceUrl, parameters, signal) =>
      within({ serviceUrl, conversationId: 'new' }, async (conversations) => {
        const made = await conversations.createConversation(parameters, { abortSignal: signal });
        return { conversationId: made.id ?? '', activityId: made.activityId ?? null };
      }),
    member: (place, memberId, signal) =>
      within(place, async (conversations) => {
        try {
          return memberOf(
            await conversations.getConversationMember(place.conversationId, memberId, { abortSignal: signal }),
          );
        } catch (thrown) {
          if (refusalIn(thrown)?.status === 404) return null;
          throw thrown;
        }
      }),
    channels: (serviceUrl, teamId, signal) =>
      within({ serviceUrl, conversationId: teamId }, async (conversations) => {
        const { conversations: listed = [] } = await teamsOf(conversations).fetchChannelList(teamId, {
          abortSignal: signal,
        });
        return listed;
      }),
    close: () => dispatcher.close(),
  };
};

const memberOf = (found: Readonly<Record<string, unknown>>): Member | null => {
  const text = (name: string): string | undefined => (typeof found[name] === 'string' ? found[name] : undefined);
  const id = text('id');
  if (id === undefined) return null;
  const name = text('name');
  const aadObjectId = text('aadObjectId') ?? text('objectId');
  const role = text('userRole') ?? text('role');
  const email = text('email');
  const userPrincipalName = text('userPrincipalName');
  return {
    id,
    ...(name === undefined ? {} : { name }),
    ...(aadObjectId === undefined ? {} : { aadObjectId }),
    ...(role === undefined ? {} : { role }),
    ...(email === undefined ? {} : { email }),
    ...(userPrincipalName === undefined ? {} : { userPrincipalName }),
  };
};

/** Our own tokens instead of the SDK's, which brings a library of a megabyte for one form post. */
const credentialsOf = (
  app: { readonly id: string; readonly tokens: TeamsTokens } | null,
  tokenless: (url: string) => boolean,
): Credentials =>
  ({
    isValidAppId: async (appId: string) => app !== null && appId === app.id,
    isAuthenticationDisabled: async () => app === null,
    createCredentials: async () => ({
      signRequest: async (request: { url: string; headers: { set(name: string, value: string): void } }) => {
        if (app !== null && !tokenless(request.url))
          request.headers.set('authorization', `Bearer ${await app.tokens.get()}`);
        return request;
      },
    }),
  }) as unknown as Credentials;
