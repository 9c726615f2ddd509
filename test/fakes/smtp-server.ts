import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';

export type Mail = { readonly from: string; readonly to: readonly string[]; readonly text: string };

/** A mail server on a real socket that keeps what it is given. */
export type SmtpServer = {
  readonly url: string;
  /** The next mail, or one that came already. */
  next(): Promise<Mail>;
  readonly mails: readonly Mail[];
  /** Refuses every recipient from now on. */
  refuses: boolean;
  close(): Promise<void>;
};

export const startSmtpServer = async (): Promise<SmtpServer> => {
  const sockets = new Set<Socket>();
  const mails: Mail[] = [];
  const waiting: ((mail: Mail) => void)[] = [];
  let taken = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    let [from, to, data, rest]: [string, string[], string[] | null, string] = ['', [], null, ''];
    const say = (line: string): boolean => socket.write(`${line}\r\n`);
    const hear = (line: string): unknown => {
      if (data !== null) {
        if (line !== '.') return data.push(line.replace(/^\./, ''));
        const mail = { from, to, text: decode(data.join('\n')) };
        [from, to, data] = ['', [], null];
        mails.push(mail);
        const first = waiting.shift();
        if (first !== undefined) {
          taken++;
          first(mail);
        }
        return say('250 kept');
      }
      if (/^(EHLO|HELO)/i.test(line)) return say('250 fake');
      const sender = /^MAIL FROM:<(.*?)>/i.exec(line);
      if (sender !== null) {
        from = sender[1] ?? '';
        return say('250 ok');
      }
      const recipient = /^RCPT TO:<(.*?)>/i.exec(line);
      if (recipient !== null) {
        if (smtp.refuses) return say('550 no such mailbox');
        to.push(recipient[1] ?? '');
        return say('250 ok');
      }
      if (/^DATA/i.test(line)) {
        data = [];
        return say('354 go on');
      }
      if (/^QUIT/i.test(line)) return socket.end('221 bye\r\n');
      return say('250 ok');
    };
    say('220 fake');
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) hear(line);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const smtp: SmtpServer = {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mails,
    refuses: false,
    next: () => {
      const mail = mails[taken];
      if (mail === undefined) return new Promise((resolve) => void waiting.push(resolve));
      taken++;
      return Promise.resolve(mail);
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
  return smtp;
};

/** Quoted-printable, as long addresses come. */
const decode = (text: string): string =>
  /^content-transfer-encoding: quoted-printable/im.test(text)
    ? text
        .replaceAll(/=\r?\n/g, '')
        .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : text;
