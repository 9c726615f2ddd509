import type { BetterAuthOptions } from 'better-auth';
import { AppError } from '../../core/errors.ts';
import type { AuthParts } from './auth.ts';
import { userTables } from './users.ts';

/** How long a one-time sign-in link is good. */
export const linkLivesForMs = 24 * 60 * 60 * 1000;
export const passwordLength = { least: 10, most: 128 } as const;
const minuteInSeconds = 60;

export type Opened = Awaited<ReturnType<typeof openLibrary>>;
export type OpenLibrary = () => Promise<Opened>;

export const openLibrary = async (parts: AuthParts) => {
  const library = await createLibrary(parts);
  await parts.users.prepare(library.options);
  return { library, context: await library.$context };
};

/** What every instance of the library is told, whatever it is used for: one set of tables, one kind of session. */
export const commonOptions = async (parts: AuthParts) => {
  const { users, runtime, publicUrl } = parts;
  const store = await users.options();
  return {
    database: store.database,
    secret: parts.secret,
    baseURL: publicUrl,
    basePath: '/console/auth',
    telemetry: { enabled: false },
    logger: {
      // The library's own words may hold an address or a token: that something failed is enough.
      log: (level: string, message: string) =>
        level === 'error' ? runtime.log.error('auth', { error: message.slice(0, 200) }) : undefined,
    },
    user: {
      modelName: userTables.user,
      additionalFields: { signedInAt: { type: 'date', required: false, input: false } },
    },
    session: {
      modelName: userTables.session,
      expiresIn: 14 * 24 * 60 * minuteInSeconds,
      // How exactly "last seen" is known: one write a session in so long.
      updateAge: 10 * minuteInSeconds,
      // Without the cookie cache each request asks the store, so a revoked session is refused at once.
      cookieCache: { enabled: false },
    },
    account: { modelName: userTables.account },
    verification: { modelName: userTables.verification },
    advanced: {
      ...store.advanced,
      cookiePrefix: 'footnote',
      useSecureCookies: publicUrl.startsWith('https:'),
      // Lax, not Strict: the sign-in link is opened from a mail or a terminal and is followed by a redirect.
      defaultCookieAttributes: { httpOnly: true, sameSite: 'lax' },
    },
    // Limits are ours (`core.hit`), shared by all instances and keyed by an address that cannot be forged.
    rateLimit: { enabled: false },
    databaseHooks: {
      session: {
        create: {
          after: (session: { readonly userId: string }) => users.signedIn(session.userId, new Date()),
        },
      },
    },
  } satisfies BetterAuthOptions;
};

/** The library with our settings, narrowed to the calls that we make. Its HTTP handler is deliberately not mounted. */
const createLibrary = async (parts: AuthParts) => {
  const [{ betterAuth }, { magicLink, twoFactor }, { symmetricDecrypt }, options] = await Promise.all([
    import('better-auth'),
    import('better-auth/plugins'),
    import('better-auth/crypto'),
    commonOptions(parts),
  ]);
  /** Tokens that are about to be stored, by e-mail: how our token gets into the library's own record. */
  const pending = new Map<string, string>();
  const auth = betterAuth({
    ...options,
    appName: 'Footnote',
    // Its own sign-up stays closed: people come by an invitation, a link, or single sign-on.
    emailAndPassword: {
      enabled: true,
      disableSignUp: true,
      minPasswordLength: passwordLength.least,
      maxPasswordLength: passwordLength.most,
    },
    plugins: [
      magicLink({
        expiresIn: linkLivesForMs / 1000,
        storeToken: 'hashed',
        disableSignUp: true,
        generateToken: (email) => {
          const token = pending.get(email);
          if (token === undefined) throw new AppError('internal', 'Sign-in links are issued by the deployment only.');
          return token;
        },
        sendMagicLink: () => undefined,
      }),
      twoFactor({
        issuer: 'Footnote',
        twoFactorCookieMaxAge: 10 * minuteInSeconds,
        schema: { twoFactor: { modelName: userTables.twoFactor } },
      }),
    ],
  });
  const context = await auth.$context;
  const origin = new Headers({ origin: parts.publicUrl });
  const secondFactorCookie = context.createAuthCookie('two_factor').name;
  return {
    pending,
    options: auth.options,
    $context: auth.$context,
    decrypt: (data: string) => symmetricDecrypt({ key: context.secretConfig, data }),
    signInMagicLink: (email: string) => auth.api.signInMagicLink({ body: { email }, headers: origin }),
    verifyLink: (token: string, headers: Headers) =>
      auth.api.magicLinkVerify({ query: { token }, headers: onlyCookies(headers, []), asResponse: true }),
    signInEmail: (email: string, password: string, headers: Headers) =>
      auth.api.signInEmail({ body: { email, password }, headers: onlyCookies(headers, []), asResponse: true }),
    /** With the first step's cookie only: beside a living session the library would check the code without counting. */
    verifySecondFactor: (code: string, headers: Headers) => {
      const request = {
        body: { code },
        headers: onlyCookies(headers, [secondFactorCookie]),
        asResponse: true as const,
      };
      return /^\d{6}$/.test(code) ? auth.api.verifyTOTP(request) : auth.api.verifyBackupCode(request);
    },
    getSession: (headers: Headers) => auth.api.getSession({ headers }),
    signOut: (headers: Headers) => auth.api.signOut({ headers, asResponse: true }),
    enableSecondFactor: (password: string, headers: Headers) =>
      auth.api.enableTwoFactor({ body: { password }, headers, asResponse: true }),
    confirmSecondFactor: (code: string, headers: Headers) =>
      auth.api.verifyTOTP({ body: { code }, headers, asResponse: true }),
    disableSecondFactor: (password: string, headers: Headers) =>
      auth.api.disableTwoFactor({ body: { password }, headers, asResponse: true }),
    backupCodes: (userId: string) => auth.api.viewBackupCodes({ body: { userId } }),
    newBackupCodes: (password: string, headers: Headers) =>
      auth.api.generateBackupCodes({ body: { password }, headers, asResponse: true }),
  };
};

/** A fresh sign-in must not depend on what an older session left in the browser. */
const onlyCookies = (headers: Headers, names: readonly string[]): Headers => {
  const copy = new Headers();
  for (const name of ['user-agent', 'origin']) {
    const value = headers.get(name);
    if (value !== null) copy.set(name, value);
  }
  const kept = (headers.get('cookie') ?? '')
    .split(';')
    .map((cookie) => cookie.trim())
    .filter((cookie) => names.some((name) => cookie.startsWith(`${name}=`)));
  if (kept.length > 0) copy.set('cookie', kept.join('; '));
  return copy;
};
