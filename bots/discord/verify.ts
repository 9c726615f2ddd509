import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { freshnessOf } from '../../core/security/signatures.ts';

export type DiscordVerdict = 'ok' | 'missing' | 'malformed' | 'stale' | 'future' | 'mismatch';

/** Discord names no window, so that a request could be sent again for ever; ours is Slack's. */
const toleranceMs = 5 * 60_000;

/** The application's public key as the Developer Portal shows it: 64 hex digits. */
export const importPublicKey = (hex: string): KeyObject =>
  createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(hex, 'hex').toString('base64url') },
    format: 'jwk',
  });

/**
 * Ed25519 over timestamp and raw body. Discord probes an endpoint with bad signatures and removes one that takes them.
 * A header sent twice reaches us joined by a comma, which fits neither pattern and is refused.
 * https://docs.discord.com/developers/interactions/overview#validating-security-request-headers
 */
export const verifyDiscordSignature = (request: {
  readonly publicKey: KeyObject;
  readonly rawBody: Uint8Array;
  readonly signature: string | null | undefined;
  readonly timestamp: string | null | undefined;
  readonly now: number;
}): DiscordVerdict => {
  const { signature, timestamp } = request;
  if (!signature || !timestamp) return 'missing';
  if (!/^\d{1,12}$/.test(timestamp) || !/^[0-9a-f]{128}$/.test(signature)) return 'malformed';
  const freshness = freshnessOf(Number(timestamp) * 1000, request.now, toleranceMs);
  if (freshness !== 'fresh') return freshness;
  const signed = Buffer.concat([Buffer.from(timestamp), request.rawBody]);
  return verify(null, signed, request.publicKey, Buffer.from(signature, 'hex')) ? 'ok' : 'mismatch';
};
