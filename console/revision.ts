import { createHash } from 'node:crypto';
import type { EffectiveRules } from '../core/core.ts';
import type { ChannelRules, QuotaLimit } from '../core/domain.ts';

/** The same for the same plain value: tells whether somebody else has changed it since it was shown. */
export const revisionOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);

/** What a channel says itself. */
export const ownRules = (rules: EffectiveRules): ChannelRules =>
  Object.fromEntries(
    Object.entries(rules).flatMap(([name, { value, origin }]) => (origin === 'channel' ? [[name, value]] : [])),
  ) as ChannelRules;

export const revisionOfRules = (own: ChannelRules): string => revisionOf(Object.entries(own).sort());

/** Limits as they are kept; what is used of them grows meanwhile and does not count. */
export const keptLimits = (
  states: readonly (QuotaLimit & { readonly used: number; readonly resetsAt: number })[],
): readonly QuotaLimit[] => states.map(({ used: _used, resetsAt: _resetsAt, ...limit }) => limit);
