import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { AppError } from '../errors.ts';

/** Seals credentials at rest; the context (tenant and field) is bound in, so that a blob moved elsewhere does not open. */
export type Sealer = {
  seal(plain: string, context: string): string;
  /** Throws AppError `internal` when the key, the context or the blob is another one. */
  open(sealed: string, context: string): string;
};

const version = 'v1';
/** Said on both sides: a tag that was cut short is otherwise taken for what is left of it. */
const authTagLength = 16;

/** AES-256-GCM; `v1.<key id>.<iv>.<tag>.<cipher text>`, base64url. `key` is 32 bytes. */
export const createSealer = (key: Uint8Array): Sealer => {
  const keyId = createHash('sha256').update('footnote key id').update(key).digest('hex').slice(0, 8);
  return {
    seal: (plain, context) => {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength }).setAAD(Buffer.from(context));
      const text = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      return [version, keyId, ...[iv, cipher.getAuthTag(), text].map((part) => part.toString('base64url'))].join('.');
    },
    open: (sealed, context) => {
      const [seen, sealedBy, iv, tag, text] = sealed.split('.');
      if (seen !== version || iv === undefined || tag === undefined || text === undefined) {
        throw new AppError('internal', 'A stored credential is damaged; connect the workspace again.');
      }
      if (sealedBy !== keyId) {
        throw new AppError(
          'internal',
          'A stored credential was sealed with another FOOTNOTE_SECRET_KEY; restore that key or connect the workspace again.',
        );
      }
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'), { authTagLength })
          .setAAD(Buffer.from(context))
          .setAuthTag(Buffer.from(tag, 'base64url'));
        return Buffer.concat([decipher.update(Buffer.from(text, 'base64url')), decipher.final()]).toString('utf8');
      } catch (cause) {
        throw new AppError('internal', 'A stored credential does not open; connect the workspace again.', { cause });
      }
    },
  };
};
