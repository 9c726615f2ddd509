import { z } from 'zod';
import type { Role, TenantId } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { AuthParts } from './auth.ts';
import type { Opened, OpenLibrary } from './library.ts';
import { hashToken, isToken, newToken } from './one-time.ts';
import { setPassword } from './resets.ts';

const invitationLivesForMs = 7 * 24 * 60 * 60 * 1000;
/** Of one tenant at a time: more than anybody waits for, and a bound on what one page shows. */
const maxPending = 200;

export type Invitation = {
  /** Not the token: what is needed to take it back. */
  readonly id: string;
  readonly tenantId: TenantId;
  readonly email: string;
  readonly role: Exclude<Role, 'operator'>;
  readonly invitedBy: string;
  readonly expiresAt: number;
};

/** Invitations to a tenant, kept as hashed one-time records beside the users. Each binds to one address. */
export type Invitations = {
  /** `byMail`: the link goes to the address alone, so that who opens it has proven it. Throws `conflict` above 200. */
  issue(
    input: Pick<Invitation, 'tenantId' | 'email' | 'role' | 'invitedBy'> & { readonly byMail: boolean },
  ): Promise<{ readonly id: string; readonly url: string }>;
  /** Living ones, the newest first. */
  list(tenantId: TenantId): Promise<readonly Invitation[]>;
  revoke(tenantId: TenantId, id: string): Promise<boolean>;
  /** `isNew`: nobody has an account with this address yet. Null when the link is no (longer) good. Does not spend it. */
  look(token: string): Promise<{ readonly invitation: Invitation; readonly isNew: boolean } | null>;
  /** Spends the link. Exactly one of several callers gets the invitation. */
  accept(token: string): Promise<Invitation | null>;
  /**
   * Spends the link and makes the account of a new person, with a password. Null when the link is no (longer) good;
   * throws `conflict` when the address has an account meanwhile, and leaves the link unspent.
   */
  acceptAsNew(
    token: string,
    person: { readonly name: string; readonly password: string },
  ): Promise<{ readonly invitation: Invitation; readonly userId: string } | null>;
};

const record = z.object({
  email: z.string(),
  role: z.enum(['owner', 'admin', 'billing', 'viewer']),
  invitedBy: z.string(),
  byMail: z.boolean(),
});

export const createInvitations = (open: OpenLibrary, { publicUrl, runtime }: AuthParts): Invitations => {
  const find = async ({ context }: Opened, token: string): Promise<Kept | null> => {
    const split = splitLink(token);
    if (split === null) return null;
    const found = await context.internalAdapter.findVerificationValue(identifierOf(split.tenantId, split.id));
    return found === null ? null : keptOf(found);
  };
  const spend = async ({ context }: Opened, token: string): Promise<Kept | null> => {
    const split = splitLink(token);
    if (split === null) return null;
    const spent = await context.internalAdapter.consumeVerificationValue(identifierOf(split.tenantId, split.id));
    return spent === null ? null : keptOf(spent);
  };

  const list: Invitations['list'] = async (tenantId) => {
    const { context } = await open();
    const rows = await context.adapter.findMany<{ identifier: string; value: string; expiresAt: Date }>({
      model: 'verification',
      where: [
        { field: 'identifier', operator: 'starts_with', value: identifierOf(tenantId, '') },
        { field: 'expiresAt', operator: 'gt', value: new Date() },
      ],
      limit: maxPending,
    });
    return rows
      .flatMap((row) => keptOf(row) ?? [])
      .filter((invitation) => invitation.tenantId === tenantId)
      .map(({ byMail: _, ...invitation }) => invitation)
      .sort((a, b) => b.expiresAt - a.expiresAt);
  };

  return {
    list,

    async issue({ tenantId, email: given, ...rest }) {
      const email = given.trim().toLowerCase();
      const pending = await list(tenantId);
      if (pending.length >= maxPending)
        throw new AppError('conflict', `There are ${maxPending} open invitations. Take some of them back first.`);
      const { context } = await open();
      // A new invitation replaces the older ones to the same address.
      for (const older of pending.filter((invitation) => invitation.email === email))
        await context.internalAdapter.deleteVerificationByIdentifier(identifierOf(tenantId, older.id));
      const token = newToken(runtime.random);
      const id = hashToken(token);
      await context.internalAdapter.createVerificationValue({
        identifier: identifierOf(tenantId, id),
        value: JSON.stringify({ email, ...rest } satisfies z.input<typeof record>),
        expiresAt: new Date(Date.now() + invitationLivesForMs),
      });
      return { id, url: `${publicUrl}/console/invitations/${tenantId}.${token}` };
    },

    async revoke(tenantId, id) {
      if (!/^[0-9a-f]{64}$/.test(id)) return false;
      const { context } = await open();
      return (await context.internalAdapter.consumeVerificationValue(identifierOf(tenantId, id))) !== null;
    },

    async look(token) {
      const opened = await open();
      const found = await find(opened, token);
      if (found === null) return null;
      const { byMail: _, ...invitation } = found;
      const known = await opened.context.internalAdapter.findUserByEmail(invitation.email);
      return { invitation, isNew: known === null };
    },

    async accept(token) {
      const spent = await spend(await open(), token);
      if (spent === null) return null;
      const { byMail: _, ...invitation } = spent;
      return invitation;
    },

    async acceptAsNew(token, { name, password }) {
      const opened = await open();
      const { internalAdapter, password: passwords } = opened.context;
      const found = await find(opened, token);
      if (found === null) return null;
      if ((await internalAdapter.findUserByEmail(found.email)) !== null)
        throw new AppError('conflict', 'This address has an account by now. Please sign in with it.');
      const hash = await passwords.hash(password);
      const spent = await spend(opened, token);
      if (spent === null) return null;
      const { byMail, ...invitation } = spent;
      // A link that was handed over by hand proves nothing about the mailbox: whoever holds it could have opened it.
      const user = await internalAdapter.createUser(
        { email: invitation.email, name, emailVerified: byMail },
        { method: 'email-password' },
      );
      if (!user) throw new AppError('internal', 'The user could not be created.');
      await setPassword(opened, user.id, hash);
      return { invitation, userId: user.id };
    },
  };
};

type Kept = Invitation & { readonly byMail: boolean };

const prefix = 'invitation:';
/** The tenant stands in front, so that its invitations can be listed. */
const identifierOf = (tenantId: TenantId, id: string): string => `${prefix}${tenantId}:${id}`;

const keptOf = (row: {
  readonly identifier: string;
  readonly value: string;
  readonly expiresAt: Date;
}): Kept | null => {
  const [tenantId, id] = row.identifier.slice(prefix.length).split(':');
  const expiresAt = new Date(row.expiresAt).getTime();
  if (!row.identifier.startsWith(prefix) || tenantId === undefined || id === undefined || expiresAt <= Date.now())
    return null;
  return { id, tenantId, expiresAt, ...record.parse(JSON.parse(row.value)) };
};

const splitLink = (link: string): { readonly tenantId: TenantId; readonly id: string } | null => {
  const [tenantId = '', token = '', ...rest] = link.split('.');
  return rest.length === 0 && /^[\w-]{1,64}$/.test(tenantId) && isToken(token)
    ? { tenantId, id: hashToken(token) }
    : null;
};
