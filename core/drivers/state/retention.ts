/** How long each store keeps what nobody needs for ever: the same wherever the state lives. Milliseconds. */

export const hour = 3_600_000;
export const day = 24 * hour;

/** Text of settled events is kept this long, for edits and for a look at what went wrong. */
export const textFor = 72 * hour;
/** A platform may deliver again late; reason codes answer "why did it not answer?" as long. */
export const inboxFor = 31 * day;
/** Thumbs under an old answer still find it. */
export const outboxFor = 90 * day;
export const jobsFor = 30 * day;
/** Marks of settled reservations outlive their window, so that a late repeat charges nothing. */
export const marksFor = 2 * day;
/** The log of what was told outside; longer than a month, so that a month's warning is given once. */
export const noticesFor = 35 * day;
/** Days of the record of what retention removed. */
export const runsKept = 60;
/** A run that removed nothing is written down at most so often. */
export const runEvery = 60 * 60_000;
