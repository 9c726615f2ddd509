import { fetch } from 'undici';
import type { Attachment } from '../../core/domain.ts';
import { AppError, isAppError } from '../../core/errors.ts';
import type { GuardedFetch } from '../../core/security/guarded-fetch.ts';
import { readBounded } from '../../core/security/read-bounded.ts';
import type { TeamsHandle } from './activity.ts';
import type { TeamsTokens } from './tokens.ts';

/** Where Teams keeps the files of chats; the addresses that it gives a bot let anybody in for some minutes. */
const fileHosts = ['sharepoint.com', 'sharepoint.us', 'sharepoint-mil.us', 'sharepoint.cn', 'svc.ms'];

/**
 * The bytes of a file that came with a message: from its owner's OneDrive, or from the connector for an image in the
 * text, which alone gets our token. Anywhere else nothing is fetched. Throws `too-large`, `platform-failed`.
 */
export const downloadFile = async (
  parts: { readonly guardedFetch: GuardedFetch; readonly tokens: TeamsTokens | null },
  handle: TeamsHandle,
  attachment: Attachment,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> => {
  const url = URL.parse(attachment.url ?? '');
  if (url === null) throw failed('Teams did not give an address for this file; it does so in personal chats only.');
  const ownService = url.origin === new URL(handle.serviceUrl).origin && url.pathname.includes('/v3/attachments/');
  const known = url.protocol === 'https:' && fileHosts.some((host) => url.hostname.endsWith(`.${host}`));
  if (!ownService && !known) throw failed('The file lies outside of Microsoft 365, so I did not fetch it.');
  try {
    const reply = ownService
      ? await fromService(url, parts.tokens, maxBytes, signal)
      : await parts.guardedFetch(url.href, { signal, maxBytes });
    if (reply.status !== 200)
      throw failed(
        [401, 403, 404, 410].includes(reply.status)
          ? 'The address of the file has run out; please send the file again.'
          : 'Microsoft 365 did not give the file.',
      );
    return reply.bytes;
  } catch (thrown) {
    if (isAppError(thrown) && ['too-large', 'cancelled', 'platform-failed'].includes(thrown.code)) throw thrown;
    throw new AppError('platform-failed', 'The file could not be fetched from Microsoft 365.', { cause: thrown });
  }
};

/** With our token, and therefore to nobody else: no redirects, to the address alone that was proven. */
const fromService = async (
  url: URL,
  tokens: TeamsTokens | null,
  maxBytes: number,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly bytes: Uint8Array }> => {
  const reply = await fetch(url, {
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
    ...(tokens === null ? {} : { headers: { authorization: `Bearer ${await tokens.get(signal)}` } }),
  });
  const bytes = await readBounded(reply.body, maxBytes);
  if (bytes === null)
    throw new AppError('too-large', `The image is larger than ${maxBytes.toLocaleString('en')} bytes.`);
  return { status: reply.status, bytes };
};

const failed = (sentence: string): AppError => new AppError('platform-failed', sentence);
