import { equalInConstantTime, freshnessOf, hmacSha256Hex } from '../../core/security/signatures.ts';

export type SlackVerdict = 'ok' | 'missing' | 'malformed' | 'stale' | 'future' | 'mismatch';

/** Slack's advice, applied in both directions: Bolt lets a time far in the future pass. */
const toleranceMs = 5 * 60_000;

/**
 * Slack's v0 signature: HMAC-SHA256 over `v0:{timestamp}:{raw body}`. A header sent twice reaches us joined by a comma,
 * which fits neither pattern and is refused. https://docs.slack.dev/authentication/verifying-requests-from-slack
 */
export const verifySlackSignature = (request: {
  readonly signingSecret: string;
  readonly rawBody: Uint8Array;
  readonly signature: string | null | undefined;
  readonly timestamp: string | null | undefined;
  readonly now: number;
}): SlackVerdict => {
  const { signature, timestamp } = request;
  if (!signature || !timestamp || request.signingSecret === '') return 'missing';
  if (!/^\d{1,12}$/.test(timestamp) || !/^v0=[0-9a-f]{64}$/.test(signature)) return 'malformed';
  const freshness = freshnessOf(Number(timestamp) * 1000, request.now, toleranceMs);
  if (freshness !== 'fresh') return freshness;
  const expected = `v0=${hmacSha256Hex(request.signingSecret, `v0:${timestamp}:`, request.rawBody)}`;
  return equalInConstantTime(expected, signature) ? 'ok' : 'mismatch';
};
