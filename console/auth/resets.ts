import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { AuthParts } from './auth.ts';
import type { Opened, OpenLibrary } from './library.ts';
import { hashToken, isToken, newToken } from './one-time.ts';

const resetLivesForMs = 60 * 60 * 1000;

/** Links that let somebody choose a new password: good once, for an hour, and only until the password changes. */
export type Resets = {
  /** `byMail`: the link goes to the person's own mailbox, which proves the address. Null for an unknown address. */
  issue(
    email: string,
    options: { readonly byMail: boolean },
  ): Promise<{ readonly url: string; readonly userId: string } | null>;
  /** Whose link this is; null when it is no (longer) good. Does not spend it. */
  look(token: string): Promise<{ readonly email: string } | null>;
  /** Spends the link, sets the password, ends every session of the person. Null when the link is no (longer) good. */
  redeem(token: string, password: string): Promise<{ readonly userId: string } | null>;
};

const record = z.object({ userId: z.string(), was: z.string(), byMail: z.boolean() });

export const createResets = (open: OpenLibrary, { publicUrl, runtime }: AuthParts): Resets => {
  const read = async ({ context }: Opened, value: string) => {
    const { userId, was, byMail } = record.parse(JSON.parse(value));
    const user = await context.internalAdapter.findUserById(userId);
    if (user === null || was !== (await fingerprint(context, userId))) return null;
    return { user, byMail };
  };

  return {
    async issue(email, { byMail }) {
      const { context } = await open();
      const found = await context.internalAdapter.findUserByEmail(email.trim().toLowerCase());
      if (found === null) return null;
      const token = newToken(runtime.random);
      const userId = found.user.id;
      await context.internalAdapter.createVerificationValue({
        identifier: identifierOf(token),
        value: JSON.stringify({ userId, was: await fingerprint(context, userId), byMail }),
        expiresAt: new Date(Date.now() + resetLivesForMs),
      });
      return { url: `${publicUrl}/console/sign-in/reset/${token}`, userId };
    },

    async look(token) {
      if (!isToken(token)) return null;
      const opened = await open();
      const found = await opened.context.internalAdapter.findVerificationValue(identifierOf(token));
      if (found === null || found.expiresAt.getTime() <= Date.now()) return null;
      const read_ = await read(opened, found.value);
      return read_ === null ? null : { email: read_.user.email };
    },

    async redeem(token, password) {
      if (!isToken(token)) return null;
      const opened = await open();
      const { internalAdapter, password: passwords } = opened.context;
      const hash = await passwords.hash(password);
      const spent = await internalAdapter.consumeVerificationValue(identifierOf(token));
      if (spent === null || spent.expiresAt.getTime() <= Date.now()) return null;
      const reset = await read(opened, spent.value);
      if (reset === null) return null;
      const userId = reset.user.id;
      // Sessions first: if the next step fails, nobody is signed in with a password that was meant to be gone.
      await internalAdapter.deleteUserSessions(userId);
      await setPassword(opened, userId, hash);
      if (reset.byMail && !reset.user.emailVerified) await internalAdapter.updateUser(userId, { emailVerified: true });
      return { userId };
    },
  };
};

/** Changes with the password, so that every link which was made before the change is void. */
const fingerprint = async ({ internalAdapter }: Opened['context'], userId: string): Promise<string> => {
  const account = await internalAdapter.findCredentialAccount(userId);
  return createHash('sha256')
    .update(account?.password ?? '')
    .digest('hex')
    .slice(0, 16);
};

/** `hash`: of the password, by the library. */
export const setPassword = async ({ context }: Opened, userId: string, hash: string): Promise<void> => {
  const { internalAdapter } = context;
  if ((await internalAdapter.findCredentialAccount(userId)) !== null)
    await internalAdapter.updatePassword(userId, hash);
  else await internalAdapter.createAccount({ userId, providerId: 'credential', accountId: userId, password: hash });
};

const identifierOf = (token: string): string => `reset:${hashToken(token)}`;
