import { type KeyObject, verify } from 'node:crypto';
import { type Cloud, isServiceUrl } from './clouds.ts';

/** A key of Microsoft's, with the channels it may speak for. */
export type SigningKey = { readonly key: KeyObject; readonly endorsements: readonly string[] };

export type TeamsVerdict =
  | 'ok'
  | 'missing'
  | 'malformed'
  | 'algorithm'
  | 'unknown-key'
  | 'not-endorsed'
  | 'mismatch'
  | 'issuer'
  | 'audience'
  | 'stale'
  | 'future'
  | 'channel'
  | 'service-url';

export type TeamsAttempt = {
  readonly authorization: string | undefined;
  /** What was posted, not yet believed. */
  readonly activity: { readonly channelId?: unknown; readonly serviceUrl?: unknown };
  readonly appId: string;
  readonly cloud: Cloud;
  /** Answers may go to this machine: a deployment for trying out. */
  readonly loopback: boolean;
  readonly keyOf: (keyId: string) => Promise<SigningKey | null>;
  readonly now: number;
};

/** Microsoft's clocks and ours may differ by this much, as in its own SDK. */
const toleranceMs = 5 * 60_000;
const channel = 'msteams';
/** Longer than any that is sent. */
const maxToken = 16_384;

/**
 * Whether Teams itself posted this activity for our app. Stricter than the SDK's own check, which lets a missing
 * `serviceUrl` and a key without endorsements pass, and takes tokens of the emulator and of other bots: here only the
 * channel's issuer, one algorithm, an endorsed key, and a service address that is both signed and Microsoft's.
 * https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication
 */
export const verifyTeamsToken = async (attempt: TeamsAttempt): Promise<TeamsVerdict> => {
  const { activity, cloud } = attempt;
  if (attempt.authorization === undefined || attempt.authorization === '') return 'missing';
  const parts =
    attempt.authorization.length > maxToken
      ? null
      : /^Bearer ([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/.exec(attempt.authorization);
  if (parts === null) return 'malformed';
  const [, head = '', body = '', signature = ''] = parts;
  const header = readPart(head);
  const claims = readPart(body);
  const signed = canonicalBytes(signature);
  if (header === null || claims === null || signed === null) return 'malformed';
  // The algorithm is ours to choose, never the token's; and an extension that we do not know is not ours to skip.
  if (header.alg !== 'RS256' || header.crit !== undefined) return 'algorithm';
  if (header.typ !== undefined && header.typ !== 'JWT') return 'malformed';
  if (activity.channelId !== channel) return 'channel';
  if (claims.iss !== cloud.issuer) return 'issuer';
  if (attempt.appId === '' || claims.aud !== attempt.appId) return 'audience';
  const times = freshness(claims, attempt.now);
  if (times !== 'ok') return times;
  // Both spellings are Microsoft's. Where two are given and differ, nobody knows which was meant.
  const claimed = claims.serviceurl ?? claims.serviceUrl;
  if (claims.serviceurl !== undefined && claims.serviceUrl !== undefined && claims.serviceurl !== claims.serviceUrl)
    return 'service-url';
  if (!isServiceUrl(activity.serviceUrl, cloud, attempt.loopback) || claimed !== activity.serviceUrl)
    return 'service-url';
  if (typeof header.kid !== 'string' || header.kid === '') return 'unknown-key';
  const key = await attempt.keyOf(header.kid);
  if (key === null) return 'unknown-key';
  if (!key.endorsements.includes(channel)) return 'not-endorsed';
  return verify('RSA-SHA256', Buffer.from(`${head}.${body}`), key.key, signed) ? 'ok' : 'mismatch';
};

const freshness = (claims: Claims, now: number): 'ok' | 'malformed' | 'stale' | 'future' => {
  const { exp, nbf, iat } = claims;
  if (!isSeconds(exp) || (nbf !== undefined && !isSeconds(nbf)) || (iat !== undefined && !isSeconds(iat)))
    return 'malformed';
  if (now >= exp * 1000 + toleranceMs) return 'stale';
  const begins = Math.max(nbf ?? 0, iat ?? 0);
  return now < begins * 1000 - toleranceMs ? 'future' : 'ok';
};

const isSeconds = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < 1e12;

type Claims = Readonly<Record<string, unknown>>;

const readPart = (part: string): Claims | null => {
  const bytes = canonicalBytes(part);
  if (bytes === null) return null;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : null;
  } catch {
    return null;
  }
};

/** Base64url has several spellings for the same bytes; only the one that is written is taken. */
const canonicalBytes = (part: string): Buffer | null => {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : null;
};
