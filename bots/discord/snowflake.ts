/** Discord's ids carry their time: milliseconds since 2015 above 22 bits of worker and counter. */
const epoch = 1_420_070_400_000;

export const isSnowflake = (text: string): boolean => /^\d{15,20}$/.test(text);

export const timeOfSnowflake = (id: string): number => Number(BigInt(id) >> 22n) + epoch;

/** The lowest id of that millisecond. */
export const snowflakeAt = (ms: number): string => (BigInt(Math.max(0, Math.round(ms) - epoch)) << 22n).toString();

/** Ids as text sort like numbers only when they are equally long. */
export const padded = (id: string): string => id.padStart(20, '0');
