import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports/runtime.ts';
import type { SlackCredentials } from './access.ts';

export type OAuthOptions = {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly apiUrl?: string | undefined;
  readonly clock: Clock;
};

export type Installed = {
  readonly workspaceId: string;
  readonly workspaceName: string;
  /** Who installed it. */
  readonly userId: string;
  readonly appId: string;
  readonly credentials: { readonly botToken: string } & SlackCredentials;
};

/** Slack's OAuth, version 2. */
export type OAuth = {
  /** Where a browser goes to be asked. */
  authorizeUrl(state: string, redirectUri: string, scopes: readonly string[]): string;
  /** `organisation`: installed for a whole Enterprise organisation, which belongs to no one workspace. Throws `platform-failed`. */
  exchange(code: string, redirectUri: string): Promise<Installed | 'refused' | 'organisation'>;
  /** Null: Slack does not renew it. Throws `platform-failed` when Slack cannot be asked. */
  refresh(refreshToken: string): Promise<SlackCredentials | null>;
};

const tokens = z.object({
  access_token: z.string().startsWith('xox'),
  refresh_token: z.string().min(1).optional(),
  expires_in: z.number().positive().optional(),
});
const installed = tokens.extend({
  app_id: z.string().default(''),
  team: z.object({ id: z.string().min(1), name: z.string().default('') }),
  authed_user: z.object({ id: z.string().min(1) }),
});

export const createOAuth = ({ clientId, clientSecret, apiUrl, clock }: OAuthOptions): OAuth => {
  const api = (apiUrl ?? 'https://slack.com/api/').replace(/\/?$/, '/');
  const site = apiUrl === undefined ? 'https://slack.com' : new URL(apiUrl).origin;

  const access = async (fields: Readonly<Record<string, string>>): Promise<Readonly<Record<string, unknown>>> => {
    try {
      const response = await fetch(`${api}oauth.v2.access`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: new URLSearchParams(fields),
        redirect: 'error',
        signal: AbortSignal.timeout(10_000),
      });
      if (response.status >= 500 || response.status === 429) throw new Error(`status ${response.status}`);
      const data: unknown = JSON.parse((await response.text()).slice(0, 100_000));
      return typeof data === 'object' && data !== null ? (data as Readonly<Record<string, unknown>>) : {};
    } catch (cause) {
      throw new AppError('platform-failed', 'Slack could not be reached. Please try again.', {
        retryable: true,
        cause,
      });
    }
  };

  const credentialsIn = (data: z.output<typeof tokens>) => ({
    botToken: data.access_token,
    ...(data.refresh_token === undefined ? {} : { refreshToken: data.refresh_token }),
    ...(data.expires_in === undefined ? {} : { expiresAt: String(clock.now() + data.expires_in * 1000) }),
  });

  return {
    authorizeUrl: (state, redirectUri, scopes) => {
      const url = new URL('/oauth/v2/authorize', site);
      url.search = new URLSearchParams({
        client_id: clientId,
        scope: scopes.join(','),
        state,
        redirect_uri: redirectUri,
      }).toString();
      return url.href;
    },
    exchange: async (code, redirectUri) => {
      const data = await access({ code, redirect_uri: redirectUri });
      if (data.ok !== true) return 'refused';
      if (data.is_enterprise_install === true || data.team === null) return 'organisation';
      const parsed = installed.safeParse(data);
      if (!parsed.success) return 'refused';
      const { team, authed_user: user, app_id: appId } = parsed.data;
      return {
        workspaceId: team.id,
        workspaceName: team.name,
        userId: user.id,
        appId,
        credentials: credentialsIn(parsed.data),
      };
    },
    refresh: async (refreshToken) => {
      const data = await access({ grant_type: 'refresh_token', refresh_token: refreshToken });
      const parsed = data.ok === true ? tokens.safeParse(data) : null;
      return parsed?.success ? credentialsIn(parsed.data) : null;
    },
  };
};
