import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { slackRoutes } from '../../../bots/slack/routes.ts';
import { type SlackVerdict, verifySlackSignature } from '../../../bots/slack/verify.ts';
import { createTestRuntime } from '../../fakes/clock.ts';

/** The example in Slack's documentation of the scheme. */
const known = {
  signingSecret: '8f742231b10e8888abcd99yyyzzz85a5',
  timestamp: '1531420618',
  signature: 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
  body: 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
};
const signedAt = 1_531_420_618_000;
const minute = 60_000;

type Attempt = {
  readonly signingSecret?: string;
  readonly timestamp?: string | null;
  readonly signature?: string | null;
  readonly body?: string | Uint8Array;
  readonly now?: number;
};
const verdictOf = (attempt: Attempt): SlackVerdict =>
  verifySlackSignature({
    signingSecret: attempt.signingSecret ?? known.signingSecret,
    timestamp: attempt.timestamp === undefined ? known.timestamp : attempt.timestamp,
    signature: attempt.signature === undefined ? known.signature : attempt.signature,
    rawBody: typeof attempt.body === 'object' ? attempt.body : Buffer.from(attempt.body ?? known.body),
    now: attempt.now ?? signedAt,
  });
const sign = (secret: string, base: string): string => createHmac('sha256', secret).update(base).digest('hex');
const flipBit = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));

describe("Slack's signature", () => {
  it("accepts the example of Slack's documentation", () => {
    expect(verdictOf({})).toBe('ok');
  });

  it.each([
    ['just now', signedAt],
    ['five minutes old, to the second', signedAt + 5 * minute],
    ['five minutes ahead, to the second', signedAt - 5 * minute],
  ])('accepts a signature that is %s', (_, now) => {
    expect(verdictOf({ now })).toBe('ok');
  });

  const hex = known.signature.slice(3);
  const mutations: readonly (readonly [string, Attempt])[] = [
    ...Array.from({ length: 32 }, (_, index) => {
      const at = index * 2;
      const other = hex[at] === '0' ? '1' : '0';
      return [
        `digit ${at} of the signature changed`,
        { signature: `v0=${hex.slice(0, at)}${other}${hex.slice(at + 1)}` },
      ] as const;
    }),
    ...Array.from(
      { length: 12 },
      (_, index) =>
        [
          `one bit of byte ${index * 30} of the body changed`,
          { body: flipBit(Buffer.from(known.body), index * 30) },
        ] as const,
    ),
    ['no signature', { signature: null }],
    ['an empty signature', { signature: '' }],
    ['no time', { timestamp: null }],
    ['an empty time', { timestamp: '' }],
    ['a signature without version', { signature: hex }],
    ['another version', { signature: `v1=${hex}` }],
    ['an upper-case version', { signature: `V0=${hex}` }],
    ['upper-case digits', { signature: `v0=${hex.toUpperCase()}` }],
    ['a digit too few', { signature: `v0=${hex.slice(1)}` }],
    ['a digit too many', { signature: `v0=${hex}0` }],
    ['two signatures, the right one first', { signature: `${known.signature}, v0=${'0'.repeat(64)}` }],
    ['two signatures, the right one last', { signature: `v0=${'0'.repeat(64)}, ${known.signature}` }],
    ['two equal signatures', { signature: `${known.signature}, ${known.signature}` }],
    ['white space around', { signature: ` ${known.signature}` }],
    ['a line break after it', { signature: `${known.signature}\n` }],
    ['letters that are no digits', { signature: `v0=${'g'.repeat(64)}` }],
    ['two times', { timestamp: `${known.timestamp}, ${known.timestamp}` }],
    ['a time with a fraction', { timestamp: `${known.timestamp}.0` }],
    ['a time in milliseconds', { timestamp: `${known.timestamp}000` }],
    ['a negative time', { timestamp: `-${known.timestamp}` }],
    ['a time in hexadecimal', { timestamp: '0x5b478c0a' }],
    ['a time with an exponent', { timestamp: '1.531420618e9' }],
    ['a time that is a word', { timestamp: 'now' }],
    ['a time with a leading zero', { timestamp: `0${known.timestamp}` }],
    ['a time one second later', { timestamp: '1531420619' }],
    ['a time one second earlier', { timestamp: '1531420617' }],
    ['another secret', { signingSecret: 'another-secret' }],
    [
      "another tenant's signature of the same body",
      { signature: `v0=${sign('secret-of-another-tenant', `v0:${known.timestamp}:${known.body}`)}` },
    ],
    [
      'an empty secret',
      {
        signingSecret: '',
        signature: `v0=${createHmac('sha256', '').update(`v0:${known.timestamp}:${known.body}`).digest('hex')}`,
      },
    ],
    ['the body alone signed', { signature: `v0=${sign(known.signingSecret, known.body)}` }],
    ['the time left out of what is signed', { signature: `v0=${sign(known.signingSecret, `v0::${known.body}`)}` }],
    ['another version signed', { signature: `v0=${sign(known.signingSecret, `v1:${known.timestamp}:${known.body}`)}` }],
    ['an empty body', { body: '' }],
    ['a byte added to the body', { body: `${known.body} ` }],
    ['a byte taken from the body', { body: known.body.slice(0, -1) }],
    ['the body decoded', { body: decodeURIComponent(known.body) }],
    ['a second more than five minutes old', { now: signedAt + 5 * minute + 1000 }],
    ['an hour old', { now: signedAt + 60 * minute }],
    ['replayed a day later', { now: signedAt + 24 * 60 * minute }],
    ['a second more than five minutes ahead', { now: signedAt - 5 * minute - 1000 }],
    ['a year ahead', { now: signedAt - 365 * 24 * 60 * minute }],
  ];

  it('there are at least sixty mutations', () => {
    expect(mutations.length).toBeGreaterThanOrEqual(60);
    expect(new Set(mutations.map(([title]) => title)).size).toBe(mutations.length);
  });

  it.each(mutations)('refuses: %s', (_, attempt) => {
    expect(verdictOf(attempt)).not.toBe('ok');
  });

  it('whatever is refused is 401 over HTTP, and nothing of it is heard', async () => {
    const heard: unknown[] = [];
    const post = async (attempt: Attempt): Promise<number> => {
      const runtime = createTestRuntime();
      runtime.clock.set(attempt.now ?? signedAt);
      const door = slackRoutes({
        runtime,
        signingSecret: attempt.signingSecret ?? known.signingSecret,
        ownApp: async () => null,
        botUserId: () => null,
        take: async (normalised) => {
          heard.push(normalised);
          return null;
        },
      });
      const headers = new Headers({ 'content-type': 'application/x-www-form-urlencoded' });
      const { signature = known.signature, timestamp = known.timestamp, body = known.body } = attempt;
      for (const [name, value] of [
        ['x-slack-signature', signature],
        ['x-slack-request-timestamp', timestamp],
      ] as const) {
        if (value !== null) headers.set(name, value);
        // HTTP itself takes the space from around a header's value.
        if (value !== null && headers.get(name) !== value) return 401;
      }
      return (await door.request('/slack/events', { method: 'POST', headers, body: body as string })).status;
    };
    for (const [title, attempt] of mutations) expect(await post(attempt), title).toBe(401);
    expect(heard).toEqual([]);
    expect(await post({})).toBe(200);
    expect(heard).toHaveLength(1);
  });

  it('says why', () => {
    expect(verdictOf({ now: signedAt + 5 * minute + 1000 })).toBe('stale');
    expect(verdictOf({ now: signedAt - 5 * minute - 1000 })).toBe('future');
    expect(verdictOf({ signature: null })).toBe('missing');
    expect(verdictOf({ body: '' })).toBe('mismatch');
  });
});
