import { createPublicKey } from 'node:crypto';
import { fetch } from 'undici';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { readBounded } from '../../core/security/read-bounded.ts';
import type { SigningKey } from './verify.ts';

export type SigningKeys = {
  /** Null for a key that is not among Microsoft's. Throws `platform-failed` when nobody can say. */
  keyOf(keyId: string): Promise<SigningKey | null>;
};

/** Microsoft rolls its keys over at most daily and asks to look again that often. */
const freshForMs = 24 * 3_600_000;
/** A key id that nobody knows makes us look again, but no stranger may make us do so all day. */
const askAgainAfterMs = 60_000;
const timeoutMs = 10_000;
const maxBytes = 1_048_576;

const metadata = z.object({ jwks_uri: z.url({ protocol: /^https?$/ }) });
const keySet = z.object({
  keys: z
    .array(
      z.object({
        kty: z.string(),
        kid: z.string().optional(),
        n: z.string().optional(),
        e: z.string().optional(),
        endorsements: z.array(z.string()).optional().catch(undefined),
      }),
    )
    .max(200),
});

/** The keys with which Teams signs, as its OpenID document names them; kept for a day, old ones for as long as no new ones come. */
export const createSigningKeys = (metadataUrl: string, runtime: Runtime): SigningKeys => {
  const { clock, log } = runtime;
  let known: ReadonlyMap<string, SigningKey> | null = null;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | null = null;

  const refresh = async (): Promise<void> => {
    triedAt = clock.now();
    const { jwks_uri } = metadata.parse(await fetchJson(metadataUrl));
    // An https document must not send us to keys that anybody on the way can change.
    if (metadataUrl.startsWith('https:') && !jwks_uri.startsWith('https:'))
      throw new AppError('platform-failed', 'The address of the signing keys is not secure.');
    const { keys } = keySet.parse(await fetchJson(jwks_uri));
    known = new Map(
      keys.flatMap((key) => {
        if (key.kty !== 'RSA' || key.kid === undefined || key.n === undefined || key.e === undefined) return [];
        const jwk = { kty: 'RSA', n: key.n, e: key.e };
        return [[key.kid, { key: createPublicKey({ key: jwk, format: 'jwk' }), endorsements: key.endorsements ?? [] }]];
      }),
    );
    fetchedAt = clock.now();
  };

  /** Everybody who waits shares one fetch. */
  const refreshed = (): Promise<void> => {
    running ??= refresh().finally(() => {
      running = null;
    });
    return running;
  };

  return {
    keyOf: async (keyId) => {
      const now = clock.now();
      const due = now - fetchedAt > freshForMs || known?.has(keyId) !== true;
      if (due && (known === null || now - triedAt > askAgainAfterMs || running !== null)) {
        try {
          await refreshed();
        } catch (cause) {
          log.warn('teams-keys-unreachable', { error: cause instanceof Error ? cause.name : 'unknown' });
          if (known === null)
            throw new AppError('platform-failed', "Microsoft's signing keys could not be fetched.", {
              retryable: true,
              cause,
            });
        }
      }
      return known?.get(keyId) ?? null;
    },
  };
};

const fetchJson = async (url: string): Promise<unknown> => {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' });
  if (!response.ok || Number(response.headers.get('content-length') ?? 0) > maxBytes) {
    await response.body?.cancel();
    throw new AppError('platform-failed', `The signing keys were answered with ${response.status}.`);
  }
  const body = await readBounded(response.body, maxBytes);
  if (body === null) throw new AppError('platform-failed', 'The signing keys are too large to be true.');
  return JSON.parse(body.toString('utf8'));
};
