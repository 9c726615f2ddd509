import { fetch } from 'undici';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import type { Cloud } from './clouds.ts';

export type TeamsTokens = {
  /** A token with which Teams takes our answers. Throws `platform-failed` with a sentence for the operator. */
  get(signal?: AbortSignal): Promise<string>;
  /** The next `get` asks anew: Teams did not accept this one. */
  drop(): void;
};

const timeoutMs = 10_000;
/** Renewed this long before it runs out, so that none runs out on its way. */
const marginMs = 5 * 60_000;

const granted = z.object({ access_token: z.string().min(1), expires_in: z.coerce.number().positive() });
const refused = z.object({ error: z.string().optional(), error_description: z.string().optional() });

/** What Microsoft's login says most, and what to do about it. https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
const advice: Readonly<Record<string, string>> = {
  AADSTS7000215: 'TEAMS_APP_PASSWORD is not the secret’s value; copy the value of a new client secret, not its id.',
  AADSTS7000222: 'The client secret of the app registration has expired; make a new one and set TEAMS_APP_PASSWORD.',
  AADSTS700016:
    'Microsoft does not know TEAMS_APP_ID in that directory; check TEAMS_APP_ID, and TEAMS_TENANT_ID for a single-tenant bot.',
  AADSTS90002: 'Microsoft does not know the directory TEAMS_TENANT_ID.',
};

/** Tokens of the app registration by client credentials: of TEAMS_TENANT_ID's directory, else of the Bot Framework's own. */
export const createTeamsTokens = (options: {
  readonly appId: string;
  readonly password: string;
  readonly tenantId?: string;
  readonly cloud: Cloud;
  readonly runtime: Runtime;
}): TeamsTokens => {
  const { appId, password, cloud, runtime } = options;
  const url = `${cloud.loginUrl}/${encodeURIComponent(options.tenantId ?? cloud.loginTenant)}/oauth2/v2.0/token`;
  let current: { readonly token: string; readonly until: number } | null = null;
  let running: Promise<string> | null = null;

  const ask = async (): Promise<string> => {
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: appId,
      client_secret: password,
      scope: `${cloud.audience}/.default`,
    });
    const reply = await fetch(url, {
      method: 'POST',
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((cause: unknown) => {
      throw new AppError('platform-failed', "Microsoft's login could not be reached.", { retryable: true, cause });
    });
    const text = (await reply.text()).slice(0, 100_000);
    if (!reply.ok) throw refusalOf(reply.status, text);
    const parsed = granted.safeParse(jsonOf(text));
    if (!parsed.success)
      throw new AppError('platform-failed', "Microsoft's login gave no token.", { retryable: true, at: 'no-token' });
    const { access_token, expires_in } = parsed.data;
    const lastsMs = expires_in * 1000;
    current = { token: access_token, until: runtime.clock.now() + Math.max(lastsMs - marginMs, lastsMs / 2) };
    return access_token;
  };

  return {
    get: async (signal) => {
      signal?.throwIfAborted();
      if (current !== null && current.until > runtime.clock.now()) return current.token;
      running ??= ask().finally(() => {
        running = null;
      });
      return running;
    },
    drop: () => {
      current = null;
    },
  };
};

/** The login itself refuses the app: nothing works until somebody gives it other credentials. */
export const isRefusedLogin = ({ at = '' }: AppError): boolean =>
  /^AADSTS\d+$|^(?:invalid|unauthorized)_client$/.test(at);

const refusalOf = (status: number, text: string): AppError => {
  const { error, error_description } = refused.catch({}).parse(jsonOf(text));
  const code = /\bAADSTS\d+/.exec(error_description ?? '')?.[0] ?? error ?? String(status);
  return new AppError(
    'platform-failed',
    advice[code] ?? `Microsoft's login refused the app’s credentials (${code.slice(0, 60)}).`,
    { at: code.slice(0, 60), retryable: status === 429 || status >= 500 },
  );
};

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
