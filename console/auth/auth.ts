import type { Core } from '../../core/core.ts';
import { AppError } from '../../core/errors.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { type Accounts, createAccounts } from './accounts.ts';
import { createEmailChanges, type EmailChanges } from './email-changes.ts';
import { createInvitations, type Invitations } from './invitations.ts';
import { linkLivesForMs, openLibrary } from './library.ts';
import { createResets, type Resets } from './resets.ts';
import { createRoster, type Roster } from './roster.ts';
import { createSingleSignOn, type Oidc, type SingleSignOn } from './single-sign-on.ts';
import type { UserDatabase } from './users.ts';

/** A person who is signed in. What they may do is ours (`core.members`), not the library's. */
export type Person = { readonly userId: string; readonly email: string; readonly name: string };
export type SignInLink = { readonly url: string; readonly userId: string; readonly expiresAt: number };

/** What a password led to. `second-factor`: a session begins only when `secondFactor` has been passed as well. */
export type SignIn = { readonly kind: 'in' | 'second-factor'; readonly cookies: readonly string[] };

/** Users, sessions and sign-in links. Every session is made, read and ended by the library. */
export type Auth = {
  readonly accounts: Accounts;
  readonly invitations: Invitations;
  readonly resets: Resets;
  readonly emailChanges: EmailChanges;
  readonly roster: Roster;
  /** Null when no provider is configured. */
  readonly singleSignOn: SingleSignOn | null;
  /** Null alike for an unknown address, one without a password, and a wrong password; it takes as long. */
  signIn(email: string, password: string, headers: Headers): Promise<SignIn | null>;
  /**
   * The second step: a code of the app, or a backup code, which is spent. Null when it is not right, `over` when the
   * first step is too long ago or too many codes were wrong.
   */
  secondFactor(code: string, headers: Headers): Promise<readonly string[] | 'over' | null>;
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
  readonly oidc?: Oidc | undefined;
};

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
    accounts: createAccounts(open),
    invitations: createInvitations(open, parts),
    resets: createResets(open, parts),
    emailChanges: createEmailChanges(open, parts),
    roster: createRoster(open),
    singleSignOn: parts.oidc === undefined ? null : createSingleSignOn(parts, parts.oidc),

    async signIn(email, password, headers) {
      const response = await (await open()).library.signInEmail(email.trim().toLowerCase(), password, headers);
      if (!response.ok) return null;
      const { twoFactorRedirect } = (await response.json()) as { readonly twoFactorRedirect?: boolean };
      return { kind: twoFactorRedirect === true ? 'second-factor' : 'in', cookies: response.headers.getSetCookie() };
    },

    async secondFactor(code, headers) {
      const response = await (await open()).library.verifySecondFactor(code, headers);
      if (response.ok) return response.headers.getSetCookie();
      const problem = (await response.json().catch(() => ({}))) as { readonly code?: string };
      return problem.code === 'INVALID_CODE' || problem.code === 'INVALID_BACKUP_CODE' ? null : 'over';
    },

    issueSignInLink,

    async person(headers) {
      if (!headers.has('cookie')) return null;
      const session = await (await open()).library.getSession(headers);
      return session ? { userId: session.user.id, email: session.user.email, name: session.user.name } : null;
    },

    async redeem(token, headers) {
      if (!/^[0-9a-f]{48}$/.test(token)) return null;
      const response = await (await open()).library.verifyLink(token, headers);
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
