import type { Attachment } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { readBounded } from '../../core/security/read-bounded.ts';

const hosts = new Set(['files.slack.com', 'files.slack-gov.com']);

/**
 * The bytes of a file that came with a message. The token goes to Slack's own file hosts and to the host that
 * SLACK_API_URL names, never along a redirect: the address stands in a payload. Throws AppError `too-large`,
 * `platform-failed`.
 */
export const downloadFile = async (
  attachment: Attachment,
  options: {
    readonly token: string;
    readonly apiUrl: string | undefined;
    readonly maxBytes: number;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  },
): Promise<Uint8Array> => {
  const url = attachment.url;
  if (url === undefined) throw failed('Slack does not hand this file over.', 'no-address');
  if (!isSlacks(url, options.apiUrl)) throw failed('This file is not kept at Slack.', 'foreign-address');
  if ((attachment.bytes ?? 0) > options.maxBytes) throw tooLarge();
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]);
  try {
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${options.token}` },
      redirect: 'manual',
      signal,
    });
    if (response.status >= 300 && response.status < 400) throw signedOut();
    if (!response.ok)
      throw failed('Slack did not hand the file over.', `http_${response.status}`, response.status >= 500);
    if (isSignInPage(response, attachment)) throw signedOut();
    return await read(response, options.maxBytes);
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    if (options.signal.aborted) throw options.signal.reason;
    throw new AppError('platform-failed', 'The file could not be fetched from Slack.', {
      retryable: true,
      at: 'unreachable',
      cause: thrown,
    });
  }
};

const isSlacks = (address: string, apiUrl: string | undefined): boolean => {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname, port, username, origin } = new URL(address);
  if (protocol === 'https:' && hosts.has(hostname) && port === '' && username === '') return true;
  return apiUrl !== undefined && origin === new URL(apiUrl).origin;
};

/** Without `files:read` Slack answers 200 and its sign-in page. A real file comes as an attachment, HTML or not. */
const isSignInPage = (response: Response, attachment: Attachment): boolean =>
  (response.headers.get('content-type') ?? '').startsWith('text/html') &&
  (attachment.mediaType !== 'text/html' || response.headers.get('content-disposition') === null);

const read = async (response: Response, maxBytes: number): Promise<Uint8Array> => {
  if (Number(response.headers.get('content-length') ?? 0) > maxBytes) {
    await response.body?.cancel();
    throw tooLarge();
  }
  const bytes = await readBounded(response.body, maxBytes);
  if (bytes === null) throw tooLarge();
  return bytes;
};

const failed = (sentence: string, at: string, retryable = false): AppError =>
  new AppError('platform-failed', sentence, { at, retryable });
const signedOut = (): AppError =>
  failed('The Slack app may not read files: grant files:read and install it again.', 'missing_scope');
const tooLarge = (): AppError => new AppError('too-large', 'The file is larger than I read for a question.');
