import { deviceOf } from './device.ts';
import type { Opened, OpenLibrary } from './library.ts';
import { setPassword } from './resets.ts';

export type SessionSeen = {
  readonly id: string;
  /** In words: "Firefox on Windows". */
  readonly device: string;
  readonly createdAt: number;
  /** To within ten minutes. */
  readonly lastSeenAt: number;
  /** The one that the request came with. */
  readonly isThis: boolean;
};

export type AccountState = {
  readonly hasPassword: boolean;
  readonly hasSecondFactor: boolean;
  /** The address was proven: by a mail, a provider, or whoever runs the deployment. */
  readonly isEmailProven: boolean;
};

export type KnownPerson = {
  readonly email: string;
  readonly name: string;
  /** Absent for somebody without a living session. */
  readonly lastSeenAt?: number;
};

/** What a person keeps about themselves. `headers` are those of the person's own request: its cookie names the session. */
export type Accounts = {
  look(userId: string): Promise<AccountState>;
  rename(userId: string, name: string): Promise<void>;
  /** Whether it is the person's password; true as well for somebody who has none. */
  knowsPassword(userId: string, password: string): Promise<boolean>;
  /** False: `current` is wrong; it is not asked for while there is no password. Ends every other session. */
  changePassword(
    userId: string,
    passwords: { readonly current: string; readonly next: string },
    headers: Headers,
  ): Promise<boolean>;
  /** Makes a secret that counts only once it is confirmed. False: the password is wrong. */
  beginSecondFactor(password: string, headers: Headers): Promise<boolean>;
  /** The `otpauth:` address that an app reads; null when nothing waits to be confirmed. */
  pendingSecondFactor(person: { readonly userId: string; readonly email: string }): Promise<string | null>;
  /** Turns it on and ends every other session. The codes are shown this once. Null: the code is not right. */
  confirmSecondFactor(
    userId: string,
    code: string,
    headers: Headers,
  ): Promise<{ readonly cookies: readonly string[]; readonly backupCodes: readonly string[] } | null>;
  /** The `Set-Cookie` values of the session that goes on; null: the password is wrong. */
  endSecondFactor(password: string, headers: Headers): Promise<readonly string[] | null>;
  /** Voids the older codes. Null: the password is wrong. */
  newBackupCodes(password: string, headers: Headers): Promise<readonly string[] | null>;
  /** Living ones, the last seen first. */
  sessions(userId: string, headers: Headers): Promise<readonly SessionSeen[]>;
  endSession(userId: string, sessionId: string): Promise<boolean>;
  endOtherSessions(userId: string, headers: Headers): Promise<void>;
  /** By id; unknown ids are left out. At most 1,000 are looked up. */
  known(userIds: readonly string[]): Promise<ReadonlyMap<string, KnownPerson>>;
  idOf(email: string): Promise<string | null>;
};

const maxKnown = 1000;

export const createAccounts = (open: OpenLibrary): Accounts => {
  const tokenOf = async ({ library }: Opened, headers: Headers): Promise<string | undefined> =>
    (await library.getSession(headers))?.session.token;

  const endOthers = async (opened: Opened, userId: string, kept: string | undefined): Promise<void> => {
    const { internalAdapter } = opened.context;
    for (const { token } of await internalAdapter.listSessions(userId))
      if (token !== kept) await internalAdapter.deleteSession(token);
  };

  const knows = async ({ context }: Opened, userId: string, given: string): Promise<boolean> => {
    const hash = (await context.internalAdapter.findCredentialAccount(userId))?.password;
    return typeof hash !== 'string' || context.password.verify({ hash, password: given });
  };

  return {
    async look(userId) {
      const { internalAdapter } = (await open()).context;
      const [user, account] = await Promise.all([
        internalAdapter.findUserById(userId),
        internalAdapter.findCredentialAccount(userId),
      ]);
      return {
        hasPassword: (account?.password ?? null) !== null,
        hasSecondFactor: (user as { twoFactorEnabled?: boolean | null } | null)?.twoFactorEnabled === true,
        isEmailProven: user?.emailVerified === true,
      };
    },

    async rename(userId, name) {
      await (await open()).context.internalAdapter.updateUser(userId, { name });
    },

    async knowsPassword(userId, password) {
      return knows(await open(), userId, password);
    },

    async changePassword(userId, { current, next }, headers) {
      const opened = await open();
      const { password } = opened.context;
      if (!(await knows(opened, userId, current))) return false;
      await endOthers(opened, userId, await tokenOf(opened, headers));
      await setPassword(opened, userId, await password.hash(next));
      return true;
    },

    async beginSecondFactor(password, headers) {
      return (await (await open()).library.enableSecondFactor(password, headers)).ok;
    },

    async pendingSecondFactor({ userId, email }) {
      const { library, context } = await open();
      const row = await context.adapter.findOne<{ secret: string; verified?: boolean | null }>({
        model: 'twoFactor',
        where: [{ field: 'userId', value: userId }],
      });
      return row === null || row.verified !== false ? null : otpauth(await library.decrypt(row.secret), email);
    },

    async confirmSecondFactor(userId, code, headers) {
      const opened = await open();
      const before = await opened.context.internalAdapter.listSessions(userId);
      const response = await opened.library.confirmSecondFactor(code, headers);
      if (!response.ok) return null;
      // The library has begun a new session for this browser; none of those from before has passed the second factor.
      for (const { token } of before) await opened.context.internalAdapter.deleteSession(token);
      const { backupCodes } = await opened.library.backupCodes(userId);
      return { cookies: response.headers.getSetCookie(), backupCodes };
    },

    async endSecondFactor(password, headers) {
      const response = await (await open()).library.disableSecondFactor(password, headers);
      return response.ok ? response.headers.getSetCookie() : null;
    },

    async newBackupCodes(password, headers) {
      const response = await (await open()).library.newBackupCodes(password, headers);
      return response.ok ? ((await response.json()) as { readonly backupCodes: readonly string[] }).backupCodes : null;
    },

    async sessions(userId, headers) {
      const opened = await open();
      const [own, all] = await Promise.all([
        tokenOf(opened, headers),
        opened.context.internalAdapter.listSessions(userId, { onlyActiveSessions: true }),
      ]);
      return all
        .filter(({ expiresAt }) => expiresAt.getTime() > Date.now())
        .map(({ id, token, userAgent, createdAt, updatedAt }) => ({
          id,
          device: deviceOf(userAgent),
          createdAt: createdAt.getTime(),
          lastSeenAt: updatedAt.getTime(),
          isThis: token === own,
        }))
        .sort((a, b) => Number(b.isThis) - Number(a.isThis) || b.lastSeenAt - a.lastSeenAt);
    },

    async endSession(userId, sessionId) {
      const { internalAdapter } = (await open()).context;
      const found = (await internalAdapter.listSessions(userId)).find(({ id }) => id === sessionId);
      if (found === undefined) return false;
      await internalAdapter.deleteSession(found.token);
      return true;
    },

    async endOtherSessions(userId, headers) {
      const opened = await open();
      await endOthers(opened, userId, await tokenOf(opened, headers));
    },

    async known(userIds) {
      if (userIds.length === 0) return new Map();
      const { adapter } = (await open()).context;
      const ids = userIds.slice(0, maxKnown);
      const [users, sessions] = await Promise.all([
        adapter.findMany<{ id: string; email: string; name: string }>({
          model: 'user',
          where: [{ field: 'id', operator: 'in', value: ids }],
          limit: maxKnown,
        }),
        adapter.findMany<{ userId: string; updatedAt: Date }>({
          model: 'session',
          where: [{ field: 'userId', operator: 'in', value: ids }],
          sortBy: { field: 'updatedAt', direction: 'asc' },
          limit: 10 * maxKnown,
        }),
      ]);
      const seen = new Map(sessions.map(({ userId, updatedAt }) => [userId, new Date(updatedAt).getTime()]));
      return new Map(
        users.map(({ id, email, name }) => {
          const lastSeenAt = seen.get(id);
          return [id, { email, name, ...(lastSeenAt === undefined ? {} : { lastSeenAt }) }];
        }),
      );
    },

    async idOf(email) {
      const found = await (await open()).context.internalAdapter.findUserByEmail(email.trim().toLowerCase());
      return found?.user.id ?? null;
    },
  };
};

const otpauth = (secret: string, email: string): string => {
  const query = new URLSearchParams({ secret: base32(secret), issuer: 'Footnote', digits: '6', period: '30' });
  return `otpauth://totp/Footnote:${encodeURIComponent(email)}?${query}`;
};

/** RFC 4648, without padding. */
const base32 = (text: string): string => {
  let bits = '';
  for (const byte of new TextEncoder().encode(text)) bits += byte.toString(2).padStart(8, '0');
  return (bits.match(/.{1,5}/g) ?? [])
    .map((group) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(group.padEnd(5, '0'), 2)])
    .join('');
};
