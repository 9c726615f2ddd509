import type { BetterAuthOptions } from 'better-auth';

/** Where the sign-in library keeps users, sessions and links, and the two questions that we ask past it. */
export type UserDatabase = {
  /** What the library is told to use. */
  options(): Promise<Pick<BetterAuthOptions, 'database' | 'advanced'>>;
  /** Makes the tables that the library wants. Throws AppError `store-unavailable`. */
  prepare(options: BetterAuthOptions): Promise<void>;
  hasAnybodySignedIn(): Promise<boolean>;
  /** Notes it; those of the person's sessions that ended before go, which the library itself leaves lying. */
  signedIn(userId: string, at: Date): Promise<void>;
  close(): void;
};

/** Names of the library's tables or collections; ours are called otherwise. */
export const userTables = {
  user: 'auth_user',
  session: 'auth_session',
  account: 'auth_account',
  verification: 'auth_verification',
  twoFactor: 'auth_two_factor',
} as const;
