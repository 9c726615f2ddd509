import { createHmac, timingSafeEqual } from 'node:crypto';

/** HMAC-SHA256 over the parts in order, as lower-case hex. Bytes go in as they came: never a re-serialised body. */
export const hmacSha256Hex = (secret: string, ...parts: readonly (string | Uint8Array)[]): string => {
  const mac = createHmac('sha256', secret);
  for (const part of parts) mac.update(part);
  return mac.digest('hex');
};

/** Compares in a time that depends only on the length of `expected`. */
export const equalInConstantTime = (expected: string, given: string): boolean => {
  const left = Buffer.from(expected);
  const right = Buffer.from(given);
  // timingSafeEqual throws on different lengths; comparing with itself keeps the time the same.
  return left.length === right.length ? timingSafeEqual(left, right) : !timingSafeEqual(left, left);
};

export type Freshness = 'fresh' | 'stale' | 'future';

/** Whether a signed time lies within the tolerance of our clock, in both directions. */
export const freshnessOf = (signedAtMs: number, now: number, toleranceMs: number): Freshness => {
  if (signedAtMs < now - toleranceMs) return 'stale';
  return signedAtMs > now + toleranceMs ? 'future' : 'fresh';
};
