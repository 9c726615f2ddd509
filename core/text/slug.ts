/** The one rule for a tenant's slug, for every door: fit for a path and a host label, and never an address of our own. */

const form = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Names that can be no tenant's slug, because the console's own addresses begin with them. */
export const reservedSlugs: readonly string[] = [
  'assets',
  'auth',
  'invitations',
  'operator',
  'settings',
  'sign-in',
  'sign-out',
];

export const slugSentence =
  'A slug holds 1 to 63 lower-case letters, digits and inner hyphens, for example "acme-europe".';

/** Why this text can be no slug, as a sentence; null when it can. */
export const problemOfSlug = (slug: string): string | null => {
  if (!form.test(slug)) return slugSentence;
  return reservedSlugs.includes(slug)
    ? `The slug "${slug}" is reserved for addresses of the console. Choose another one.`
    : null;
};
