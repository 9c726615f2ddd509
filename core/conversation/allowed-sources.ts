import type { EffectiveRules } from '../core.ts';
import type { InboundEvent, Source } from '../domain.ts';

type Bearing = Pick<Source, 'id' | 'audience'>;

/** Who will read an answer. */
export type Readers =
  /** Anybody: guests, outsiders, everyone in a channel that such people read. */
  | 'everybody'
  /** People of the organisation. */
  | 'members';

/** A private answer is read by the asker alone, a public one by everybody who can open the channel. */
export const readersOf = (
  event: Pick<InboundEvent, 'scope' | 'shared'> & { readonly author: Pick<InboundEvent['author'], 'standing'> },
  rules: Pick<EffectiveRules, 'audience'>,
  isPrivate: boolean,
): Readers => {
  // Absent: the platform does not tell its people apart.
  const asker: Readers =
    event.author.standing === undefined || event.author.standing === 'member' ? 'members' : 'everybody';
  if (isPrivate || event.scope === 'dm' || asker === 'everybody') return asker;
  return event.shared === true || rules.audience.value === 'everybody' ? 'everybody' : 'members';
};

/** What a person of the organisation writes in a channel, as far as readers go; for whoever asks about one from outside. */
export const memberInChannel = { author: { standing: 'member' }, scope: 'channel' } as const;

/**
 * The sources that may be quoted to these readers under these rules; undefined: all of them, empty: none. The one place
 * that decides it, for answers and for publishing them.
 *
 * - `everybody` sources go to all readers, the others only to members.
 * - `named` sources go only where the channel's own rules name them; a list inherited from the tenant names nothing.
 * - A list of sources in the rules narrows, wherever it comes from.
 */
export const allowedSources = (
  sources: readonly Bearing[],
  rules: Pick<EffectiveRules, 'sources'>,
  readers: Readers,
): readonly string[] | undefined => {
  const { value: listed, origin } = rules.sources;
  const namedHere = new Set(origin === 'channel' ? listed : []);
  const allowed = sources.filter(({ id, audience = 'members' }) => {
    if (listed !== undefined && !listed.includes(id)) return false;
    if (audience === 'everybody') return true;
    return readers === 'members' && (audience === 'members' || namedHere.has(id));
  });
  return allowed.length === sources.length ? undefined : allowed.map(({ id }) => id);
};

/** A request that names its sources gets them; one that names none gets all but those that want to be named. */
export const requestedSources = (
  sources: readonly Bearing[],
  requested: readonly string[] | undefined,
): readonly string[] | undefined => {
  if (requested !== undefined) return requested;
  const open = sources.filter(({ audience }) => audience !== 'named');
  return open.length === sources.length ? undefined : open.map(({ id }) => id);
};
