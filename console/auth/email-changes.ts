import { z } from 'zod';
import type { AuthParts } from './auth.ts';
import type { OpenLibrary } from './library.ts';
import { hashToken, isToken, newToken } from './one-time.ts';

const changeLivesForMs = 24 * 60 * 60 * 1000;

/** Links that give an account another e-mail address: good once, for a day, and only while the old address still holds. */
export type EmailChanges = {
  /** `byMail`: the link goes to the new mailbox alone, which proves the address. Null when the address is taken. */
  issue(
    userId: string,
    email: string,
    options: { readonly byMail: boolean },
  ): Promise<{ readonly url: string; readonly to: string } | null>;
  /** Null when the link is no (longer) good. Does not spend it. */
  look(token: string): Promise<{ readonly from: string; readonly to: string } | null>;
  /** Spends the link. Null when it is no (longer) good, or the address was taken meanwhile. */
  redeem(token: string): Promise<{ readonly userId: string; readonly from: string; readonly to: string } | null>;
};

const record = z.object({ userId: z.string(), from: z.string(), to: z.string(), byMail: z.boolean() });
type Change = z.infer<typeof record>;

export const createEmailChanges = (open: OpenLibrary, { publicUrl, runtime }: AuthParts): EmailChanges => {
  /** What a kept link says, if that can still be done. */
  const read = async (kept: { readonly value: string; readonly expiresAt: Date } | null): Promise<Change | null> => {
    if (kept === null || kept.expiresAt.getTime() <= Date.now()) return null;
    const { internalAdapter } = (await open()).context;
    const change = record.parse(JSON.parse(kept.value));
    const [user, taken] = await Promise.all([
      internalAdapter.findUserById(change.userId),
      internalAdapter.findUserByEmail(change.to),
    ]);
    return user?.email === change.from && taken === null ? change : null;
  };

  return {
    async issue(userId, given, { byMail }) {
      const { internalAdapter } = (await open()).context;
      const to = given.trim().toLowerCase();
      const user = await internalAdapter.findUserById(userId);
      if (user === null || (await internalAdapter.findUserByEmail(to)) !== null) return null;
      const token = newToken(runtime.random);
      await internalAdapter.createVerificationValue({
        identifier: identifierOf(token),
        value: JSON.stringify({ userId, from: user.email, to, byMail } satisfies Change),
        expiresAt: new Date(Date.now() + changeLivesForMs),
      });
      return { url: `${publicUrl}/console/sign-in/email/${token}`, to };
    },

    async look(token) {
      if (!isToken(token)) return null;
      const { internalAdapter } = (await open()).context;
      return read(await internalAdapter.findVerificationValue(identifierOf(token)));
    },

    async redeem(token) {
      if (!isToken(token)) return null;
      const { internalAdapter } = (await open()).context;
      const change = await read(await internalAdapter.consumeVerificationValue(identifierOf(token)));
      if (change === null) return null;
      const { userId, from, to, byMail } = change;
      try {
        await internalAdapter.updateUser(userId, { email: to, emailVerified: byMail });
      } catch (error) {
        // Two links to one address, opened at once: the address is unique in the store, so one of them fails.
        if ((await internalAdapter.findUserByEmail(to)) === null) throw error;
      }
      const holder = await internalAdapter.findUserByEmail(to);
      return holder?.user.id === userId ? { userId, from, to } : null;
    },
  };
};

const identifierOf = (token: string): string => `email:${hashToken(token)}`;
