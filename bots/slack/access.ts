import type { Connection } from '../../core/domain.ts';
import { AppError, isAppError } from '../../core/errors.ts';
import type { Workspaces } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { createSlackApi, type SlackApi, type SlackApiSettings } from './api.ts';
import type { OAuth } from './oauth.ts';
import { type PostingPace, paced } from './pace.ts';

/** What a connection's sealed credentials hold for Slack. The last two only where the app rotates its tokens. */
export type SlackCredentials = {
  readonly botToken?: string;
  readonly signingSecret?: string;
  readonly refreshToken?: string;
  /** Milliseconds since the epoch, as text. */
  readonly expiresAt?: string;
};

export type AccessOptions = {
  /** Token of a single-workspace deployment; a workspace's own token wins. */
  readonly botToken?: string | undefined;
  readonly apiUrl?: string | undefined;
  readonly connections?: Workspaces | undefined;
  /** For tokens that expire. */
  readonly oauth?: OAuth | undefined;
  readonly runtime: Runtime;
  readonly settings: SlackApiSettings & PostingPace;
};

/** Which token speaks in which workspace. */
export type Access = {
  /** Throws AppError `platform-failed` when there is no token. */
  apiFor(workspaceId: string): Promise<SlackApi>;
  tokenFor(workspaceId: string): Promise<string>;
  /** The connection's own app's signing secret. */
  signingSecretOf(connection: Connection): Promise<string | null>;
  /** Our user id there, or null when Slack would not say. */
  selfOf(workspaceId: string, signal?: AbortSignal): Promise<string | null>;
  /** The same, only if it is known already. */
  knownSelf(workspaceId: string): string | null;
  /** The app was removed there, or installed anew. */
  forget(workspaceId: string): void;
};

/** A token is renewed this long before it ends. */
const renewBeforeMs = 15 * 60_000;
const revoked = new Set(['token_revoked', 'invalid_auth', 'account_inactive', 'token_expired', 'not_authed']);

export const createAccess = (options: AccessOptions): Access => {
  const { connections, oauth, runtime, settings } = options;
  const apis = new Map<string, SlackApi>();
  const selves = new Map<string, string>();
  const renewals = new Map<string, Promise<SlackCredentials>>();

  const apiOf = (token: string): SlackApi => {
    const known = apis.get(token);
    if (known !== undefined) return known;
    // Bounded: the oldest goes, and with it only its memory of what to wait for.
    const oldest = apis.keys().next();
    if (apis.size >= 1000 && !oldest.done) apis.delete(oldest.value);
    const plain = createSlackApi({
      token,
      ...(options.apiUrl === undefined ? {} : { apiUrl: options.apiUrl }),
      runtime,
      settings,
    });
    const api = paced(plain, runtime, settings);
    apis.set(token, api);
    return api;
  };

  const lookUp = async (
    workspaceId: string,
  ): Promise<{ readonly connection: Connection | null; readonly credentials: SlackCredentials }> => {
    if (connections === undefined) return { connection: null, credentials: {} };
    const connection = await connections.byWorkspace('slack', workspaceId);
    if (connection !== null) return { connection, credentials: (await connections.credentials(connection)) ?? {} };
    // Installed and not claimed yet: the bot can at least say how to connect.
    if (options.botToken !== undefined) return { connection: null, credentials: {} };
    return { connection: null, credentials: (await connections.pending('slack', workspaceId))?.credentials ?? {} };
  };

  /** One renewal at a time here; another instance may have been quicker, and then its tokens count. */
  const renew = async (workspaceId: string, credentials: SlackCredentials): Promise<SlackCredentials> => {
    if (oauth === undefined || credentials.refreshToken === undefined) return credentials;
    const renewed = await oauth.refresh(credentials.refreshToken);
    if (renewed === null) {
      const now = (await lookUp(workspaceId)).credentials;
      if (now.refreshToken !== credentials.refreshToken) return now;
      throw new AppError('platform-failed', 'Slack does not renew the token. Install the app again.', {
        at: 'refresh',
      });
    }
    const kept = { ...credentials, ...renewed };
    await connections?.install({ platform: 'slack', workspaceId, credentials: kept });
    return kept;
  };

  const fresh = async (workspaceId: string, credentials: SlackCredentials): Promise<SlackCredentials> => {
    const { expiresAt } = credentials;
    if (expiresAt === undefined || Number(expiresAt) - runtime.clock.now() > renewBeforeMs) return credentials;
    const running = renewals.get(workspaceId) ?? renew(workspaceId, credentials);
    renewals.set(workspaceId, running);
    try {
      return await running;
    } finally {
      renewals.delete(workspaceId);
    }
  };

  /** A token that Slack renews no more is a workspace that is lost, and said to be. */
  const renewed = async (
    workspaceId: string,
    credentials: SlackCredentials,
    connection: Connection | null,
  ): Promise<SlackCredentials> => {
    try {
      return await fresh(workspaceId, credentials);
    } catch (thrown) {
      if (connection !== null && isAppError(thrown) && thrown.at === 'refresh')
        await connections?.failed(connection, thrown.message, 'lost');
      throw thrown;
    }
  };

  const tokenOf = async (
    workspaceId: string,
  ): Promise<{ readonly token: string; readonly connection: Connection | null }> => {
    const { connection, credentials } = await lookUp(workspaceId);
    const token = (await renewed(workspaceId, credentials, connection)).botToken ?? options.botToken;
    if (token === undefined)
      throw new AppError('platform-failed', 'There is no Slack token for this workspace.', { at: 'no-token' });
    return { token, connection };
  };

  /** A workspace whose token stopped working says so in its check-up. */
  const watched = (api: SlackApi, connection: Connection | null): SlackApi =>
    connection === null || connections === undefined
      ? api
      : {
          call: async (method, args, how) => {
            const result = await api.call(method, args, how);
            if (!result.ok && revoked.has(result.error))
              void connections.failed(
                connection,
                `Slack does not accept the token (${result.error}). Install the app again.`,
                'lost',
              );
            return result;
          },
        };

  const access: Access = {
    apiFor: async (workspaceId) => {
      const { token, connection } = await tokenOf(workspaceId);
      return watched(apiOf(token), connection);
    },
    tokenFor: async (workspaceId) => (await tokenOf(workspaceId)).token,
    signingSecretOf: async (connection) => {
      const credentials: SlackCredentials = (await connections?.credentials(connection)) ?? {};
      return credentials.signingSecret === undefined || credentials.signingSecret === ''
        ? null
        : credentials.signingSecret;
    },
    selfOf: async (workspaceId, signal) => {
      const known = selves.get(workspaceId);
      if (known !== undefined) return known;
      const api = await access.apiFor(workspaceId);
      const result = await api.call('auth.test', {}, { repeatable: true, ...(signal === undefined ? {} : { signal }) });
      if (!result.ok || typeof result.data.user_id !== 'string') return null;
      selves.set(workspaceId, result.data.user_id);
      return result.data.user_id;
    },
    knownSelf: (workspaceId) => selves.get(workspaceId) ?? null,
    forget: (workspaceId) => {
      selves.delete(workspaceId);
    },
  };
  return access;
};
