import { AppError } from '../../core/errors.ts';
import type { Page, Paged } from '../../core/ports/state.ts';
import type { KnownPerson } from './accounts.ts';
import type { Opened, OpenLibrary } from './library.ts';

/** An account as the operator sees it. */
export type RosterEntry = KnownPerson & {
  readonly userId: string;
  readonly createdAt: number;
  readonly hasSecondFactor: boolean;
  readonly isEmailProven: boolean;
};

/** Everybody who has an account, whatever they belong to. */
export type Roster = {
  /** By e-mail address. `q` is looked for in address and name, whatever its case. */
  list(filter: { readonly q?: string }, page: Page): Promise<Paged<RosterEntry>>;
  get(userId: string): Promise<RosterEntry | null>;
  /** For somebody whose phone and codes are gone: the password alone opens the account, and every session ends. */
  resetSecondFactor(userId: string): Promise<void>;
  /** Sessions, password, second factor and the account itself. What the person belongs to is the caller's to end. */
  remove(userId: string): Promise<void>;
};

type UserRow = {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly emailVerified?: boolean | null;
  readonly twoFactorEnabled?: boolean | null;
};

/** Sessions of one page of people that are looked at for the last sign of life. */
const maxSessions = 2_000;

export const createRoster = (open: OpenLibrary): Roster => {
  const entriesOf = async ({ context }: Opened, rows: readonly UserRow[]): Promise<readonly RosterEntry[]> => {
    if (rows.length === 0) return [];
    const sessions = await context.adapter.findMany<{ userId: string; updatedAt: Date }>({
      model: 'session',
      where: [{ field: 'userId', operator: 'in', value: rows.map(({ id }) => id) }],
      sortBy: { field: 'updatedAt', direction: 'asc' },
      limit: maxSessions,
    });
    const seen = new Map(sessions.map(({ userId, updatedAt }) => [userId, new Date(updatedAt).getTime()]));
    return rows.map(({ id, email, name, createdAt, emailVerified, twoFactorEnabled }) => {
      const lastSeenAt = seen.get(id);
      return {
        userId: id,
        email,
        name,
        createdAt: new Date(createdAt).getTime(),
        isEmailProven: emailVerified === true,
        hasSecondFactor: twoFactorEnabled === true,
        ...(lastSeenAt === undefined ? {} : { lastSeenAt }),
      };
    });
  };

  return {
    async list({ q }, { limit, cursor }) {
      const opened = await open();
      const rows = await opened.context.adapter.findMany<UserRow>({
        model: 'user',
        where: [
          // Addresses are kept in lower case, so that their order is one.
          { field: 'email', operator: 'gt', value: afterIn(cursor) },
          ...(q === undefined
            ? []
            : ([
                { field: 'email', operator: 'contains', value: q.toLowerCase(), connector: 'OR' },
                { field: 'name', operator: 'contains', value: q, mode: 'insensitive', connector: 'OR' },
              ] as const)),
        ],
        sortBy: { field: 'email', direction: 'asc' },
        limit: limit + 1,
      });
      const items = await entriesOf(opened, rows.slice(0, limit));
      const last = items.at(-1);
      return rows.length > limit && last !== undefined
        ? { items, nextCursor: Buffer.from(last.email).toString('base64url') }
        : { items };
    },

    async get(userId) {
      const opened = await open();
      const user = await opened.context.internalAdapter.findUserById(userId);
      if (user === null) return null;
      const [entry] = await entriesOf(opened, [user as UserRow]);
      return entry ?? null;
    },

    async resetSecondFactor(userId) {
      const { adapter, internalAdapter } = (await open()).context;
      // Sessions first: none of them may outlive what it was opened with.
      await internalAdapter.deleteUserSessions(userId);
      await internalAdapter.updateUser(userId, { twoFactorEnabled: false });
      await adapter.deleteMany({ model: 'twoFactor', where: [{ field: 'userId', value: userId }] });
    },

    async remove(userId) {
      const { adapter, internalAdapter } = (await open()).context;
      await internalAdapter.deleteUserSessions(userId);
      await adapter.deleteMany({ model: 'twoFactor', where: [{ field: 'userId', value: userId }] });
      await internalAdapter.deleteUser(userId);
    },
  };
};

/** The address after which the next page begins. Throws AppError `invalid` for what this list did not give out. */
const afterIn = (cursor: string | undefined): string => {
  if (cursor === undefined) return '';
  const email = Buffer.from(cursor, 'base64url').toString('utf8');
  if (email.includes('@') && Buffer.from(email).toString('base64url') === cursor) return email;
  throw new AppError(
    'invalid',
    'This cursor was not given out by this list. Leave it out to begin at the first page.',
    {
      at: 'cursor',
    },
  );
};
