import type { SlackResult } from './api.ts';

/** Posts to a response address. What Slack says is its word; a lost reply is not certain. */
export type Respond = (
  url: string,
  body: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
) => Promise<SlackResult>;

const hosts = new Set(['hooks.slack.com', 'hooks.slack-gov.com']);

/**
 * Slack's own hooks, or the host that SLACK_API_URL names, and nobody else: the address comes in a payload. Proven by the
 * signature it may be, but an answer is not posted anywhere on somebody's word.
 */
export const createRespond = (apiUrl: string | undefined, timeoutMs: number): Respond => {
  const ownOrigin = apiUrl === undefined ? null : new URL(apiUrl).origin;
  return async (url, body, signal) => {
    if (!isOurs(url, ownOrigin)) return { ok: false, error: 'foreign_response_url', certain: true };
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json; charset=utf-8' },
        body: JSON.stringify(body),
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      const said = (await response.text()).slice(0, 200);
      if (response.ok && !/"ok": ?false/.test(said)) return { ok: true, data: {} };
      return { ok: false, error: errorIn(said) ?? `http_${response.status}`, certain: response.status < 500 };
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      return { ok: false, error: 'unreachable', certain: !(thrown instanceof TypeError) };
    }
  };
};

const isOurs = (url: string, ownOrigin: string | null): boolean => {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, origin, port, username } = new URL(url);
  return (protocol === 'https:' && hosts.has(hostname) && port === '' && username === '') || origin === ownOrigin;
};

/** `{"ok":false,"error":"used_url"}` or the bare word. */
const errorIn = (said: string): string | null =>
  /"error": ?"([a-z_]{1,60})"/.exec(said)?.[1] ?? /^[a-z_]{1,60}$/.exec(said.trim())?.[0] ?? null;
