import { createHash, timingSafeEqual } from 'node:crypto';
import type { Core } from '../core.ts';
import { AppError } from '../errors.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';

/** `fn_` + 48 hex: 192 bits, so that a plain hash at rest is enough. */
const keyForm = /^fn_[0-9a-f]{48}$/;
const touchEveryMs = 60_000;

const hashKey = (key: string): string => createHash('sha256').update(key).digest('hex');

export const createKeys = (parts: {
  readonly state: StateStore;
  readonly runtime: Runtime;
  /** FOOTNOTE_ADMIN_TOKEN; absent: nobody is the operator by token. */
  readonly operatorToken: string | undefined;
}): Core['keys'] => {
  const { state, runtime, operatorToken } = parts;
  const operatorHash = operatorToken === undefined ? null : createHash('sha256').update(operatorToken).digest();
  return {
    create: async (tenantId, { name, scopes }) => {
      if (scopes.length === 0)
        throw new AppError('invalid', 'A key needs at least one scope: ask, ingest, billing or admin.', {
          at: 'scopes',
        });
      const key = `fn_${runtime.random.hex(24)}`;
      const id = `k_${runtime.random.hex(8)}`;
      await state.keys.create(
        { id, tenantId, name, scopes: [...new Set(scopes)], createdAt: runtime.clock.now() },
        hashKey(key),
      );
      return { id, key };
    },
    list: (tenantId) => state.keys.list(tenantId),
    revoke: async (tenantId, keyId) => {
      if (!(await state.keys.revoke(tenantId, keyId))) throw new AppError('not-found', 'There is no such key.');
    },
    authenticate: async (bearer) => {
      if (!keyForm.test(bearer)) return null;
      // Looked up by hash: what a caller can time is the hash of its own guess, never the secret.
      const found = await state.keys.byHash(hashKey(bearer));
      const now = runtime.clock.now();
      if (found !== null && now - (found.lastUsedAt ?? 0) > touchEveryMs) {
        state.keys
          .touch(found.tenantId, found.id, now)
          .catch((error: unknown) => runtime.log.warn('key-touch-failed', { error: String(error) }));
      }
      return found;
    },
    isOperator: (bearer) =>
      operatorHash !== null && timingSafeEqual(operatorHash, createHash('sha256').update(bearer).digest()),
  };
};
