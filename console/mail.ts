import { AppError } from '../core/errors.ts';

/** Sends one mail of plain text. Throws AppError `platform-failed`; takes at most half a minute. */
export type SendMail = (mail: {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}) => Promise<void>;

const stepForMs = 10_000;
const mailForMs = 30_000;

/** Mail by SMTP. The library is loaded with the first mail, and each mail has a connection of its own. */
export const createSendMail =
  ({ url, from }: { readonly url: string; readonly from: string }): SendMail =>
  async ({ to, subject, text }) => {
    const { createTransport } = await import('nodemailer');
    const transport = createTransport({
      ...optionsOf(url),
      connectionTimeout: stepForMs,
      greetingTimeout: stepForMs,
      socketTimeout: stepForMs,
      dnsTimeout: stepForMs,
      // Our texts name no files and no addresses to be fetched, and none may ever come in by a name.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('The mail took too long.')), mailForMs);
    });
    try {
      // An address as an object is taken as it stands: a comma in it cannot name a second person.
      await Promise.race([
        transport.sendMail({ from, to: { name: '', address: to }, subject: oneLine(subject), text }),
        late,
      ]);
    } catch (cause) {
      throw new AppError('platform-failed', 'The mail could not be sent.', { cause });
    } finally {
      clearTimeout(timer);
      transport.close();
    }
  };

const optionsOf = (url: string) => {
  const { protocol, hostname, port, username, password } = new URL(url);
  const isSecure = protocol === 'smtps:';
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (isSecure ? 465 : 587) : Number(port),
    secure: isSecure,
    ...(username === ''
      ? {}
      : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) }, requireTLS: !isSecure }),
  };
};

/** Names that people chose, as they may stand in a mail: they add no lines of their own. */
export const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').slice(0, 200);
