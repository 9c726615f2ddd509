import type { Mention } from '../../core/domain.ts';
import type { TeamsApi } from './api.ts';
import type { Member, Place } from './connector/connector.ts';

const mostNamed = 20;

/**
 * People of mentions under the ids that they have as authors: Teams names somebody by one id in a mention and by their
 * directory object when they write. Whom it does not know in that conversation keeps the id of the mention.
 */
export const mentionedPeople = (
  api: TeamsApi,
  place: Place,
  mentions: readonly Mention[],
  signal: AbortSignal,
): Promise<readonly Mention[]> =>
  Promise.all(
    mentions.slice(0, mostNamed).map(async (mention) => {
      if (mention.kind !== 'person' || !mention.id.startsWith('29:')) return mention;
      const member = await api.member(place, mention.id, signal);
      return member?.aadObjectId === undefined ? mention : { ...mention, id: member.aadObjectId };
    }),
  );

/**
 * The address for which a person's organisation vouches. Anybody who administers a directory can write any address into
 * a profile; a name to sign in with, though, only at a domain that the organisation has proven to be its own. So the
 * address counts at that domain alone, and the name itself otherwise. Guests are vouched for by nobody here.
 */
export const vouchedAddress = (member: Member | null): string | null => {
  const role = member?.role?.toLowerCase();
  const name = member?.userPrincipalName?.toLowerCase();
  if (name === undefined || name.includes('#ext#') || role === 'guest' || role === 'anonymous') return null;
  const domain = domainOf(name);
  if (domain === null) return null;
  const email = member?.email?.toLowerCase();
  return email !== undefined && domainOf(email) === domain ? email : name;
};

const domainOf = (address: string): string | null => /^[^@\s]+@([^@\s]+\.[^@\s]+)$/.exec(address)?.[1] ?? null;
