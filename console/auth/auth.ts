import type { Core } from '../../core/core.ts';
import { AppError } from '../../core/errors.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { type UserDatabase, userTables } from './users.ts';

/** A person who is signed in. What they may do is ours (`core.members`), not the library's. */
export type Person = { readonly userId: string; readonly email: string; readonly name: string };
export type SignInLink = { readonly url: string; readonly userId: string; readonly expiresAt: number };

/** Users, sessions and sign-in links. Every session is made, read and ended by the library. */
export type Auth = {
  /** The person behind a request's cookies, asked of the store each time: a revoked session ends at once. */
  person(headers: Headers): Promise<Person | null>;
  /** Spends a sign-in token. The answer is the `Set-Cookie` values of a new session, or null for a token that is no (longer) good. */
  redeem(token: string, headers: Headers): Promise<readonly string[] | null>;
  /** Ends the session; the answer is the `Set-Cookie` values that clear it. */
  signOut(headers: Headers): Promise<readonly string[]>;
  revokeSessions(userId: string): Promise<void>;
  /** A one-time link for this e-mail address; the user is created when new. Good for 24 hours. */
  issueSignInLink(email: string): Promise<SignInLink>;
  /** A link for the person at the terminal, with the operator's role given. */
  ownerLink(members: Pick<Core['members'], 'put'>): Promise<SignInLink>;
  /** The same for the first owner; null once anybody has ever signed in. */
  firstOwnerLink(members: Pick<Core['members'], 'put'>): Promise<SignInLink | null>;
  close(): void;
};

export type AuthParts = {
  readonly users: UserDatabase;
  readonly publicUrl: string;
  /** At least 32 characters; signs the session cookies. */
  readonly secret: string;
  readonly runtime: Runtime;
};

const linkLivesForMs = 24 * 60 * 60 * 1000;
/** Stands for the person at the terminal until they give an address; `.internal` never resolves. */
const ownerEmail = 'owner@footnote.internal';

/**
 * Opens the door. The library costs half a second and 50 MB, so it is loaded, and its tables migrated, when somebody
 * first signs in or comes with a cookie.
 */
export const createAuth = (parts: AuthParts): Auth => {
  const { users } = parts;
  let opened: ReturnType<typeof openLibrary> | undefined;
  const open = (): ReturnType<typeof openLibrary> => {
    opened ??= openLibrary(parts).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };

  const userFor = async (email: string): Promise<string> => {
    const { internalAdapter } = (await open()).context;
    const found = await internalAdapter.findUserByEmail(email);
    if (found) return found.user.id;
    const name = email === ownerEmail ? 'Owner' : email;
    // Only someone with access to the machine or an operator can issue a link, so the address counts as proven.
    const created = await internalAdapter.createUser({ email, name, emailVerified: true }, { method: 'magic-link' });
    if (!created) throw new AppError('internal', 'The user could not be created.');
    return created.id;
  };

  const issueSignInLink = async (given: string): Promise<SignInLink> => {
    const email = given.trim().toLowerCase();
    const userId = await userFor(email);
    const token = parts.runtime.random.hex(24);
    const { library } = await open();
    library.pending.set(email, token);
    try {
      await library.signInMagicLink(email);
    } finally {
      library.pending.delete(email);
    }
    return { url: `${parts.publicUrl}/console/sign-in/${token}`, userId, expiresAt: Date.now() + linkLivesForMs };
  };

  const ownerLink: Auth['ownerLink'] = async (members) => {
    const link = await issueSignInLink(ownerEmail);
    await members.put(link.userId, null, 'operator');
    return link;
  };

  return {
    issueSignInLink,

    async person(headers) {
      if (!headers.has('cookie')) return null;
      const session = await (await open()).library.getSession(headers);
      return session ? { userId: session.user.id, email: session.user.email, name: session.user.name } : null;
    },

    async redeem(token, headers) {
      if (!/^[0-9a-f]{48}$/.test(token)) return null;
      const response = await (await open()).library.verify(token, headers);
      return response.ok ? response.headers.getSetCookie() : null;
    },

    async signOut(headers) {
      return (await (await open()).library.signOut(headers)).headers.getSetCookie();
    },

    async revokeSessions(userId) {
      await (await open()).context.internalAdapter.deleteUserSessions(userId);
    },

    ownerLink,

    async firstOwnerLink(members) {
      return (await users.hasAnybodySignedIn()) ? null : ownerLink(members);
    },

    close: () => users.close(),
  };
};

const openLibrary = async (parts: AuthParts) => {
  const library = await createLibrary(parts);
  await parts.users.prepare(library.options);
  return { library, context: await library.$context };
};

/** The library with our settings, narrowed to the calls that we make. Its HTTP handler is deliberately not mounted. */
const createLibrary = async (parts: AuthParts) => {
  const { users } = parts;
  const [{ betterAuth }, { magicLink }, store] = await Promise.all([
    import('better-auth'),
    import('better-auth/plugins'),
    users.options(),
  ]);
  /** Tokens that are about to be stored, by e-mail: how our token gets into the library's own record. */
  const pending = new Map<string, string>();
  const auth = betterAuth({
    database: store.database,
    secret: parts.secret,
    baseURL: parts.publicUrl,
    basePath: '/console/auth',
    telemetry: { enabled: false },
    logger: {
      log: (level, message) => (level === 'error' ? parts.runtime.log.error('auth', { error: message }) : undefined),
    },
    user: {
      modelName: userTables.user,
      additionalFields: { signedInAt: { type: 'date', required: false, input: false } },
    },
    // Without the cookie cache each request asks the store, so a revoked session is refused at once.
    session: { modelName: userTables.session, expiresIn: 14 * 24 * 60 * 60, cookieCache: { enabled: false } },
    account: { modelName: userTables.account },
    verification: { modelName: userTables.verification },
    advanced: {
      ...store.advanced,
      cookiePrefix: 'footnote',
      useSecureCookies: parts.publicUrl.startsWith('https:'),
      // Lax, not Strict: the sign-in link is opened from a mail or a terminal and is followed by a redirect.
      defaultCookieAttributes: { httpOnly: true, sameSite: 'lax' },
    },
    // Limits are ours (`core.hit`), shared by all instances and keyed by an address that cannot be forged.
    rateLimit: { enabled: false },
    databaseHooks: {
      session: {
        create: {
          after: (session) => users.signedIn(session.userId, new Date()),
        },
      },
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
    ],
  });
  const origin = new Headers({ origin: parts.publicUrl });
  return {
    pending,
    options: auth.options,
    $context: auth.$context,
    signInMagicLink: (email: string) => auth.api.signInMagicLink({ body: { email }, headers: origin }),
    verify: (token: string, headers: Headers) =>
      auth.api.magicLinkVerify({ query: { token }, headers: withoutCookies(headers), asResponse: true }),
    getSession: (headers: Headers) => auth.api.getSession({ headers }),
    signOut: (headers: Headers) => auth.api.signOut({ headers, asResponse: true }),
  };
};

/** A fresh sign-in must not depend on what an older session left in the browser. */
const withoutCookies = (headers: Headers): Headers => {
  const copy = new Headers();
  for (const name of ['user-agent', 'origin']) {
    const value = headers.get(name);
    if (value !== null) copy.set(name, value);
  }
  return copy;
};
