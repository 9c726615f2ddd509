import type { HttpApp } from '../../console/app.tsx';
import type { Auth } from '../../console/auth/auth.ts';
import { publicUrl } from './harness.ts';

/** Somebody at a browser without scripts: keeps cookies, follows nothing by itself. */
export type Visitor = {
  get(path: string): Promise<Response>;
  post(path: string, form?: Readonly<Record<string, string>>): Promise<Response>;
  readonly cookies: Map<string, string>;
};

/** A form as a browser posts it from our own pages. */
export const postForm = (
  app: HttpApp,
  path: string,
  fields: Record<string, string> | [string, string][],
  cookie: string,
): Promise<Response> =>
  Promise.resolve(
    app.request(path, {
      method: 'POST',
      headers: { cookie, origin: publicUrl, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(fields).toString(),
    }),
  );

let visitors = 0;

/** Each comes from an address of its own, so that limits by address count only what is theirs. */
export const createVisitor = (app: HttpApp, userAgent = 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0'): Visitor => {
  const cookies = new Map<string, string>();
  const at = ++visitors;
  const remoteAddress = `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`;
  const send = async (path: string, init: RequestInit): Promise<Response> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const url = new URL(path, publicUrl);
    const response = await app.request(
      url.pathname + url.search,
      {
        ...init,
        headers: { ...init.headers, 'user-agent': userAgent, origin: publicUrl, ...(cookie === '' ? {} : { cookie }) },
      },
      { incoming: { socket: { remoteAddress } } },
    );
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...rest] = line.split(';');
      const equals = pair.indexOf('=');
      if (rest.some((part) => /^\s*max-age=0$/i.test(part))) cookies.delete(pair.slice(0, equals));
      else cookies.set(pair.slice(0, equals), pair.slice(equals + 1));
    }
    return response;
  };
  return {
    cookies,
    get: (path) => send(path, {}),
    post: (path, form = {}) => {
      const body = new URLSearchParams(form).toString();
      const headers = {
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': String(Buffer.byteLength(body)),
      };
      return send(path, { method: 'POST', body, headers });
    },
  };
};

/** A visitor with an account and a password, signed in. */
export const signUp = async (
  { app, auth }: { readonly app: HttpApp; readonly auth: Auth },
  email: string,
  password = 'correct horse battery',
): Promise<Visitor & { readonly userId: string; readonly email: string; readonly password: string }> => {
  const visitor = createVisitor(app);
  const { url, userId } = await auth.issueSignInLink(email);
  await visitor.get(url);
  await visitor.post('/console/settings/account/password', { next: password });
  return { ...visitor, userId, email, password };
};
