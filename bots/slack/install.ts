import type { Context } from 'hono';
import { Hono } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { html } from 'hono/html';
import { toAppError } from '../../core/errors.ts';
import type { Workspaces } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { equalInConstantTime, hmacSha256Hex } from '../../core/security/signatures.ts';
import { slackScopes } from './manifest.ts';
import type { Installed, OAuth } from './oauth.ts';

export type InstallOptions = {
  readonly oauth: OAuth;
  /** Key of the state's signature; the same in every instance. */
  readonly secret: string;
  readonly publicUrl: string;
  readonly runtime: Runtime;
  readonly connections: Pick<Workspaces, 'install' | 'offerCode'>;
  /** Tells the installer, in a direct message and nowhere else, the code. Rejects when Slack does not take it. */
  tell(installed: Installed, markdown: string): Promise<void>;
  /** What was known of the workspace is out of date. */
  forget(workspaceId: string): void;
};

const cookieName = 'footnote_slack_install';
const stateForMs = 10 * 60_000;

/**
 * "Add to Slack" for any workspace. The state is signed, short-lived and bound to the browser that began, so that nobody
 * can be made to finish an installation that somebody else started. An installation connects nothing by itself: it waits
 * until a tenant's administrator types the code that only the installer is told, inside Slack.
 */
export const installRoutes = (options: InstallOptions): Hono => {
  const { oauth, publicUrl, runtime } = options;
  const app = new Hono();
  const redirectUri = `${publicUrl}/slack/oauth_redirect`;
  const isSecure = publicUrl.startsWith('https:');
  const cookiePath = { path: '/slack/oauth_redirect' };

  const signOf = (expiresAt: number, nonce: string): string =>
    hmacSha256Hex(options.secret, `footnote:slack-install:${expiresAt}:${nonce}`);

  const isOurState = (state: string | undefined, nonce: string | undefined): boolean => {
    const [, expiresAt, signature] = /^(\d{10,16})\.([0-9a-f]{64})$/.exec(state ?? '') ?? [];
    if (expiresAt === undefined || signature === undefined || nonce === undefined || !/^[0-9a-f]{32}$/.test(nonce))
      return false;
    const now = runtime.clock.now();
    // No longer than we ever grant: a state "valid" for years was not made by us.
    if (Number(expiresAt) <= now || Number(expiresAt) > now + stateForMs) return false;
    return equalInConstantTime(signOf(Number(expiresAt), nonce), signature);
  };

  app.get('/slack/install', (c) => {
    const nonce = runtime.random.hex(16);
    const expiresAt = runtime.clock.now() + stateForMs;
    // Lax: Slack sends the browser back by a link, and Strict would hold the cookie back then.
    setCookie(c, cookieName, nonce, {
      ...cookiePath,
      httpOnly: true,
      sameSite: 'Lax',
      secure: isSecure,
      maxAge: stateForMs / 1000,
    });
    c.header('Cache-Control', 'no-store');
    const state = `${expiresAt}.${signOf(expiresAt, nonce)}`;
    return c.redirect(oauth.authorizeUrl(state, redirectUri, Object.keys(slackScopes).sort()), 302);
  });

  app.get('/slack/oauth_redirect', async (c) => {
    c.header('Cache-Control', 'no-store');
    c.header('Referrer-Policy', 'no-referrer');
    const nonce = getCookie(c, cookieName);
    deleteCookie(c, cookieName, { ...cookiePath, secure: isSecure });
    const { state, code, error } = c.req.query();
    if (!isOurState(state, nonce)) return page(c, 400, ...pages.stale);
    if (error !== undefined || code === undefined) return page(c, 200, ...pages.declined);
    try {
      const installed = await oauth.exchange(code, redirectUri);
      if (installed === 'refused') return page(c, 400, ...pages.refused);
      if (installed === 'organisation') return page(c, 400, ...pages.organisation);
      return await welcome(c, installed);
    } catch (thrown) {
      const problem = toAppError(thrown);
      runtime.log.warn('slack-install-failed', { code: problem.code });
      return page(
        c,
        502,
        'Slack could not be reached',
        'Nothing was changed. Please open the installation again in a moment.',
      );
    }
  });

  const welcome = async (c: Context, installed: Installed): Promise<Response> => {
    const { workspaceId, workspaceName, userId, appId, credentials } = installed;
    const connection = await options.connections.install({
      platform: 'slack',
      workspaceId,
      credentials,
      info: { name: workspaceName, installer: userId, appId },
      by: `slack:${userId}`,
    });
    options.forget(workspaceId);
    runtime.log.info('slack-installed', { workspaceId, connected: connection !== null });
    const name = workspaceName || workspaceId;
    if (connection !== null)
      return page(
        c,
        200,
        `Footnote is back in ${name}`,
        'The workspace is connected as before, with the permissions that you just granted.',
      );
    const { code } = await options.connections.offerCode('slack', workspaceId);
    try {
      await options.tell(installed, codeMessage(code, publicUrl));
    } catch (thrown) {
      runtime.log.warn('slack-code-not-told', { workspaceId, code: toAppError(thrown).code });
      return page(
        c,
        200,
        `Footnote is installed in ${name}`,
        'One step is left: type /footnote connect in Slack. You get a code there; enter it in Footnote’s console under Connections.',
      );
    }
    return page(
      c,
      200,
      `Footnote is installed in ${name}`,
      'One step is left: I sent you a code in Slack, as a direct message. Enter it in Footnote’s console under Connections within a quarter of an hour. A later one you get by typing /footnote connect in Slack.',
    );
  };

  return app;
};

const pages = {
  stale: [
    'This installation cannot be finished',
    'It was begun in another browser, or more than ten minutes ago. Please open the installation again.',
  ],
  declined: ['Nothing was installed', 'You said no, or Slack did. Whenever you want it, open the installation again.'],
  refused: [
    'Slack did not grant the installation',
    'The permission that Slack gave was used before or is out of date. Please open the installation again.',
  ],
  organisation: [
    'Please choose one workspace',
    'Footnote was to be installed for a whole organisation. It belongs to one workspace at a time: remove it, open the installation again and choose a workspace.',
  ],
} as const;

const codeMessage = (code: string, publicUrl: string): string =>
  [
    `Thank you for installing me. This code connects the workspace to your organisation’s documents:\n\n\`${code}\``,
    `An administrator enters it at ${publicUrl}/console under *Connections*, or sends it to \`POST /api/v1/tenants/{slug}/connections\` as \`{"platform": "slack", "code": "${code}"}\`.`,
    'It works once, for a quarter of an hour. Whoever has it decides whose documents I answer from, so do not pass it on. `/footnote connect` gives a new one.',
  ].join('\n\n');

const page = (c: Context, status: 200 | 400 | 502, title: string, text: string): Response | Promise<Response> =>
  c.html(
    html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>${title}</title>
  </head>
  <body>
    <main>
      <h1>${title}</h1>
      <p>${text}</p>
    </main>
  </body>
</html>`,
    status,
  );
