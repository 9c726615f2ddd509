import { AppError } from '../../core/errors.ts';
import type { AuthParts } from './auth.ts';
import { commonOptions } from './library.ts';

/** An OpenID provider of the whole deployment. */
export type Oidc = { readonly issuer: string; readonly clientId: string; readonly clientSecret: string };

/** Why the provider's answer led to no session. */
export type SingleSignOnRefusal = 'email-not-verified' | 'not-linked' | 'denied' | 'failed';

export type SingleSignOn = {
  /** Where the browser is to go (and then to `next`, a path of the console), and the cookies that bind its return to this browser. Throws `platform-failed`. */
  start(headers: Headers, next?: string): Promise<{ readonly url: string; readonly cookies: readonly string[] }>;
  /** What the provider sent back, as the query of the callback's address. */
  finish(
    query: string,
    headers: Headers,
  ): Promise<{
    readonly cookies: readonly string[];
    readonly refusal: SingleSignOnRefusal | null;
    /** Where the person wanted to go; a path of ours. */
    readonly next: string;
  }>;
};

const provider = 'oidc';
/** For everything that one step asks of the provider. */
const stepForMs = 15_000;

/**
 * Single sign-on: discovery, state, PKCE, nonce and the check of the id token are the library's. It is an instance of its
 * own over the same tables, so that a provider which hangs holds up nobody who signs in by password.
 */
export const createSingleSignOn = (parts: AuthParts, oidc: Oidc): SingleSignOn => {
  const own = new URL(parts.publicUrl).origin;
  let opened: ReturnType<typeof openProvider> | undefined;
  const open = async () => {
    opened ??= openProvider(parts, oidc).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return within(opened);
  };
  return {
    async start(headers, next) {
      const auth = await open();
      const response = await within(
        auth.api.signInSocial({
          body: {
            provider,
            callbackURL: next !== undefined && isReturn(next) ? next : '/console',
            errorCallbackURL: signInPath,
            disableRedirect: true,
          },
          headers: requestHeaders(headers, parts.publicUrl),
          asResponse: true,
        }),
      );
      const { url } = (await response.json().catch(() => ({}))) as { readonly url?: string };
      if (!response.ok || url === undefined) throw unreachable();
      return { url, cookies: response.headers.getSetCookie() };
    },

    async finish(query, headers) {
      const auth = await open();
      const address = `${parts.publicUrl}/console/auth/callback/${provider}${query}`;
      const response = await within(
        auth.handler(new Request(address, { headers: requestHeaders(headers, parts.publicUrl) })),
      );
      const location = new URL(response.headers.get('location') ?? `${signInPath}?error=failed`, parts.publicUrl);
      const error = location.searchParams.get('error');
      const next = location.pathname + location.search;
      const isIn = response.status === 302 && error === null && location.origin === own && isReturn(next);
      return {
        cookies: response.headers.getSetCookie(),
        next: isIn ? next : '/console',
        refusal: isIn ? null : (refusals[error?.toLowerCase().replaceAll(' ', '_') ?? ''] ?? 'failed'),
      };
    },
  };
};

const signInPath = '/console/sign-in';
/** A page of the console whose address the library takes, too; and none that is on the way in. */
const isReturn = (path: string): boolean =>
  /^\/console(?:$|[/?])[\w\-.+/@]*(?:\?[\w\-.+/=&%@]*)?$/.test(path) &&
  !path.includes('//') &&
  !path.startsWith(signInPath);

const refusals: Readonly<Record<string, SingleSignOnRefusal>> = {
  email_not_verified: 'email-not-verified',
  account_not_linked: 'not-linked',
  access_denied: 'denied',
};

const unreachable = (cause?: unknown): AppError =>
  new AppError('platform-failed', 'The sign-in provider cannot be reached right now. Try again in a minute.', {
    cause,
  });

const openProvider = async (parts: AuthParts, { issuer, clientId, clientSecret }: Oidc) => {
  const [{ betterAuth }, { genericOAuth }, options] = await Promise.all([
    import('better-auth'),
    import('better-auth/plugins'),
    commonOptions(parts),
  ]);
  const auth = betterAuth({
    ...options,
    user: {
      ...options.user,
      // Before anything is written: an address that the provider has not checked could be anybody's.
      validateUserInfo: ({ user }) => (user.emailVerified === true ? undefined : { error: 'email_not_verified' }),
    },
    // The defaults said out loud: a provider's person joins an account only when both sides have proven the address.
    account: {
      ...options.account,
      accountLinking: { enabled: true, trustedProviders: [], requireLocalEmailVerified: true },
      updateAccountOnSignIn: false,
    },
    databaseHooks: {
      ...options.databaseHooks,
      // We never call the provider in somebody's name, so there is nothing to keep that could be stolen.
      account: {
        create: {
          before: async (account) => ({
            data: { ...account, accessToken: null, refreshToken: null, idToken: null, scope: null },
          }),
        },
      },
    },
    plugins: [
      genericOAuth({
        config: [
          {
            providerId: provider,
            discoveryUrl: `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`,
            clientId,
            clientSecret,
            scopes: ['openid', 'email', 'profile'],
            pkce: true,
            requireIdTokenVerification: true,
          },
        ],
      }),
    ],
  });
  const context = await auth.$context;
  const found = context.socialProviders.find(({ id }) => id === provider);
  if (found === undefined) throw unreachable();
  // The document must speak for the issuer that was configured, else another provider's tokens would pass for its own.
  if ((found as { readonly issuer?: string }).issuer?.replace(/\/+$/, '') !== issuer.replace(/\/+$/, ''))
    throw new AppError('platform-failed', 'The sign-in provider names another issuer than OIDC_ISSUER.');
  await parts.users.prepare(auth.options);
  return auth;
};

const within = async <T>(step: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unreachable()), stepForMs);
  });
  try {
    return await Promise.race([step, late]);
  } finally {
    clearTimeout(timer);
  }
};

const requestHeaders = (headers: Headers, origin: string): Headers => {
  const copy = new Headers({ origin });
  for (const name of ['user-agent', 'cookie']) {
    const value = headers.get(name);
    if (value !== null) copy.set(name, value);
  }
  return copy;
};
