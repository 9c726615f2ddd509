import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { discordRoutes } from '../../../bots/discord/routes.ts';
import { type DiscordVerdict, importPublicKey, verifyDiscordSignature } from '../../../bots/discord/verify.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { createKeys, signatureHeaders } from './driving.ts';

const keys = createKeys();
const publicKey = importPublicKey(keys.publicKey);
const now = 1_790_000_000_000;
const seconds = now / 1000;
const body = '{"id":"1410000000000000001","type":2,"token":"abc","data":{"name":"ask","options":[]}}';
const right = signatureHeaders(keys.privateKey, body, seconds);
const signature = right['x-signature-ed25519'] ?? '';

type Change = {
  readonly body?: string;
  readonly signature?: string | null;
  readonly timestamp?: string | null;
};
const judge = (change: Change = {}): DiscordVerdict =>
  verifyDiscordSignature({
    publicKey,
    rawBody: Buffer.from(change.body ?? body),
    signature: change.signature === undefined ? signature : change.signature,
    timestamp: change.timestamp === undefined ? String(seconds) : change.timestamp,
    now,
  });
const signedAt = (at: number): Change => {
  const headers = signatureHeaders(keys.privateKey, body, at);
  return { signature: headers['x-signature-ed25519'] ?? '', timestamp: String(at) };
};
const flipped = (hex: string, at: number): string => {
  const bytes = Buffer.from(hex, 'hex');
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
  return bytes.toString('hex');
};

const another = generateKeyPairSync('ed25519').privateKey;
const mutations: readonly (readonly [string, Change, DiscordVerdict])[] = [
  ...(
    [
      ['301 s old', seconds - 301, 'stale'],
      ['a day old', seconds - 86_400, 'stale'],
      ['of 1970', 1, 'stale'],
      ['301 s ahead', seconds + 301, 'future'],
      ['a day ahead', seconds + 86_400, 'future'],
      ['in milliseconds', now, 'malformed'],
    ] as const
  ).map(([how, at, verdict]) => [`signed rightly but ${how}`, signedAt(at), verdict] as const),
  ...Array.from(
    { length: 64 },
    (_, at) => [`bit ${at} of the signature changed`, { signature: flipped(signature, at) }, 'mismatch'] as const,
  ),
  ...Array.from(body, (character, at) => {
    const other = character === 'x' ? 'y' : 'x';
    const changed = body.slice(0, at) + other + body.slice(at + 1);
    return [`character ${at} of the body changed`, { body: changed }, 'mismatch'] as const;
  }),
  ['no signature', { signature: null }, 'missing'],
  ['an empty signature', { signature: '' }, 'missing'],
  ['no timestamp', { timestamp: null }, 'missing'],
  ['an empty timestamp', { timestamp: '' }, 'missing'],
  ['half a signature', { signature: signature.slice(0, 64) }, 'malformed'],
  ['a signature and a half', { signature: signature + signature.slice(0, 64) }, 'malformed'],
  ['two signatures', { signature: `${signature}, ${signature}` }, 'malformed'],
  ['a signature in capitals', { signature: signature.toUpperCase() }, 'malformed'],
  ['a signature in base64', { signature: Buffer.from(signature, 'hex').toString('base64') }, 'malformed'],
  ['a signature of zeroes', { signature: '0'.repeat(128) }, 'mismatch'],
  ['a signature with a space', { signature: ` ${signature}` }, 'malformed'],
  ['another timestamp', { timestamp: String(seconds + 1) }, 'mismatch'],
  ['a timestamp with a zero before it', { timestamp: `0${seconds}` }, 'mismatch'],
  ['a timestamp with a plus', { timestamp: `+${seconds}` }, 'malformed'],
  ['a timestamp with a fraction', { timestamp: `${seconds}.0` }, 'malformed'],
  ['a timestamp in hex', { timestamp: `0x${seconds.toString(16)}` }, 'malformed'],
  ['a timestamp that is a word', { timestamp: 'now' }, 'malformed'],
  ['two timestamps', { timestamp: `${seconds}, ${seconds}` }, 'malformed'],
  ['an empty body', { body: '' }, 'mismatch'],
  ['a body with a line break', { body: `${body}\n` }, 'mismatch'],
  ['the body with a byte order mark', { body: `\ufeff${body}` }, 'mismatch'],
  ['the body twice', { body: body + body }, 'mismatch'],
  ['a body that says the same', { body: JSON.stringify(JSON.parse(body), null, 1) }, 'mismatch'],
  [
    'the border moved between timestamp and body',
    { timestamp: String(seconds).slice(0, -1), body: `${String(seconds).slice(-1)}${body}` },
    'stale',
  ],
  [
    "another application's key",
    { signature: sign(null, Buffer.from(`${seconds}${body}`), another).toString('hex') },
    'mismatch',
  ],
  [
    'a signature over the body alone',
    { signature: sign(null, Buffer.from(body), keys.privateKey).toString('hex') },
    'mismatch',
  ],
  [
    'a signature over the timestamp alone',
    { signature: sign(null, Buffer.from(String(seconds)), keys.privateKey).toString('hex') },
    'mismatch',
  ],
];

describe("Discord's signature", () => {
  it('is accepted as it is, at both ends of five minutes', () => {
    expect(judge()).toBe('ok');
    expect(judge(signedAt(seconds - 300))).toBe('ok');
    expect(judge(signedAt(seconds + 300))).toBe('ok');
  });

  it('there are at least sixty mutations', () => {
    expect(mutations.length).toBeGreaterThanOrEqual(60);
    expect(new Set(mutations.map(([title]) => title)).size).toBe(mutations.length);
  });

  it.each(mutations)('%s: refused', (_, change, verdict) => {
    expect(judge(change)).toBe(verdict);
  });

  it('whatever is refused is 401 over HTTP, and nothing of it is heard', async () => {
    let heard = 0;
    const runtime = createTestRuntime();
    runtime.clock.set(now);
    const door = discordRoutes({ runtime, publicKey, hear: async () => ({ reply: { type: 1 } }) as never });
    const post = async (change: Change): Promise<number> => {
      const headers = new Headers();
      const values = { timestamp: String(seconds), signature, ...change };
      if (values.signature !== null) headers.set('x-signature-ed25519', values.signature);
      if (values.timestamp !== null) headers.set('x-signature-timestamp', values.timestamp);
      // HTTP itself takes the space from around a header's value.
      if (values.signature !== null && headers.get('x-signature-ed25519') !== values.signature) return 401;
      const { status } = await door.request('/discord/interactions', {
        method: 'POST',
        headers,
        body: change.body ?? body,
      });
      if (status === 200) heard += 1;
      return status;
    };
    for (const [title, change] of mutations) expect(await post(change), title).toBe(401);
    expect(heard).toBe(0);
    expect(await post({})).toBe(200);
  });
});
