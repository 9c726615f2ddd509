import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { cloudOf } from '../../../bots/teams/clouds.ts';
import { teamsRoutes } from '../../../bots/teams/routes.ts';
import { type SigningKey, type TeamsVerdict, verifyTeamsToken } from '../../../bots/teams/verify.ts';
import { createTestRuntime } from '../../fakes/clock.ts';

const appId = '11111111-2222-3333-4444-555555555555';
const serviceUrl = 'https://smba.trafficmanager.net/emea/';
const now = Date.UTC(2026, 10, 22, 9, 0, 0);
const seconds = now / 1000;
const minute = 60;

const ours = generateKeyPairSync('rsa', { modulusLength: 2048 });
const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 });
const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const keys = new Map<string, SigningKey>([
  ['good', { key: ours.publicKey, endorsements: ['msteams', 'webchat'] }],
  ['bare', { key: ours.publicKey, endorsements: [] }],
  ['other-channel', { key: ours.publicKey, endorsements: ['webchat', 'skype'] }],
  ['almost', { key: ours.publicKey, endorsements: ['msteams2', 'MSTEAMS', ' msteams'] }],
  ['another', { key: foreign.publicKey, endorsements: ['msteams'] }],
]);

type Json = Readonly<Record<string, unknown>>;
const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const header: Json = { alg: 'RS256', kid: 'good', typ: 'JWT' };
const claims: Json = {
  serviceurl: serviceUrl,
  nbf: seconds - minute,
  exp: seconds + 60 * minute,
  iss: 'https://api.botframework.com',
  aud: appId,
};
const jwt = (head: unknown, body: unknown, key: KeyObject = ours.privateKey, digest = 'RSA-SHA256'): string => {
  const signed = `${encode(head)}.${encode(body)}`;
  return `${signed}.${sign(digest, Buffer.from(signed), key).toString('base64url')}`;
};
const without = (from: Json, name: string): Json =>
  Object.fromEntries(Object.entries(from).filter(([key]) => key !== name));
const good = jwt(header, claims);
const [head = '', body = '', signature = ''] = good.split('.');

type Attempt = {
  readonly authorization?: string | undefined;
  readonly activity?: { readonly channelId?: unknown; readonly serviceUrl?: unknown };
  readonly appId?: string;
  readonly now?: number;
  readonly loopback?: boolean;
  readonly metadataUrl?: string;
};
const verdictOf = (attempt: Attempt): Promise<TeamsVerdict> =>
  verifyTeamsToken({
    authorization: 'authorization' in attempt ? attempt.authorization : `Bearer ${good}`,
    activity: attempt.activity ?? { channelId: 'msteams', serviceUrl },
    appId: attempt.appId ?? appId,
    cloud: cloudOf(attempt.metadataUrl),
    loopback: attempt.loopback ?? false,
    keyOf: async (keyId) => keys.get(keyId) ?? null,
    now: attempt.now ?? now,
  });
const bearer = (token: string): Attempt => ({ authorization: `Bearer ${token}` });
const signedWith = (change: Json): Attempt => bearer(jwt(header, { ...claims, ...change }));
const headedBy = (change: Json): Attempt => bearer(jwt({ ...header, ...change }, claims));
/** The token and the activity agree on this address. */
const servedFrom = (address: unknown): Attempt => ({
  ...bearer(jwt(header, { ...claims, serviceurl: address })),
  activity: { channelId: 'msteams', serviceUrl: address },
});

const replaced = (text: string, at: number): string =>
  `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
/** Base64 has bits at its end that mean nothing. */
const respelled = (text: string): string => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const same = `${text.slice(0, -1)}${alphabet[alphabet.indexOf(text.at(-1) ?? '') ^ 1] ?? ''}`;
  expect(Buffer.from(same, 'base64url').equals(Buffer.from(text, 'base64url'))).toBe(true);
  return same;
};
const hmacWithPublicKey = (): string => {
  const pem = ours.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const signed = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', pem).update(signed).digest('base64url')}`;
};

const mutations: readonly (readonly [string, Attempt])[] = [
  ...Array.from({ length: 12 }, (_, index) => {
    const at = index * 28;
    return [`character ${at} of the signature changed`, bearer(`${head}.${body}.${replaced(signature, at)}`)] as const;
  }),
  [
    'the last character of the signature changed',
    bearer(`${head}.${body}.${signature.slice(0, -1)}${signature.endsWith('A') ? 'B' : 'A'}`),
  ],
  ...Array.from({ length: 6 }, (_, index) => {
    const at = 5 + index * 25;
    return [`character ${at} of the claims changed`, bearer(`${head}.${replaced(body, at)}.${signature}`)] as const;
  }),
  ['a character of the header changed', bearer(`${replaced(head, 3)}.${body}.${signature}`)],
  ['another spelling of the same signature', bearer(`${head}.${body}.${respelled(signature)}`)],
  ['no header', { authorization: undefined }],
  ['an empty header', { authorization: '' }],
  ['only the word Bearer', { authorization: 'Bearer ' }],
  ['the token without Bearer', { authorization: good }],
  ['bearer in lower case', { authorization: `bearer ${good}` }],
  ['another scheme', { authorization: `Basic ${good}` }],
  ['two spaces', { authorization: `Bearer  ${good}` }],
  ['a space after it', { authorization: `Bearer ${good} ` }],
  ['a line break after it', { authorization: `Bearer ${good}\n` }],
  ['two tokens', { authorization: `Bearer ${good}, Bearer ${good}` }],
  ['a token of two parts', bearer(`${head}.${body}`)],
  ['a token with an empty signature', bearer(`${head}.${body}.`)],
  ['a token of four parts', bearer(`${good}.${signature}`)],
  ['padding', bearer(`${good}=`)],
  ['base64 instead of base64url', bearer(`${head}.${body}.${Buffer.from(signature, 'base64url').toString('base64')}`)],
  ['a token as long as a book', bearer(`${head}.${body}.${'A'.repeat(20_000)}`)],
  ['a header that is no JSON', bearer(`${encode('{')}.${body}.${signature}`)],
  ['claims that are a list', bearer(jwt(header, [claims]))],
  ['claims that are null', bearer(jwt(header, 'null'))],
  ['alg none, not signed', bearer(`${encode({ ...header, alg: 'none' })}.${body}.${signature}`)],
  ['alg None', headedBy({ alg: 'None' })],
  ['alg HS256 with the public key', bearer(hmacWithPublicKey())],
  ['alg RS384', bearer(jwt({ ...header, alg: 'RS384' }, claims, ours.privateKey, 'RSA-SHA384'))],
  ['alg ES256', bearer(jwt({ ...header, alg: 'ES256' }, claims, curve.privateKey, 'SHA256'))],
  ['alg missing', bearer(jwt(without(header, 'alg'), claims))],
  ['alg a list', headedBy({ alg: ['RS256'] })],
  ['an extension that must be understood', headedBy({ crit: ['exp'] })],
  ['another type', headedBy({ typ: 'at+jwt' })],
  ['a key in the header', headedBy({ kid: undefined, jwk: foreign.publicKey.export({ format: 'jwk' }) })],
  ['no key id', bearer(jwt(without(header, 'kid'), claims))],
  ['a key id that nobody knows', headedBy({ kid: 'unknown' })],
  ['a key id that is a path', headedBy({ kid: '../../good' })],
  ['a key id of the object itself', headedBy({ kid: '__proto__' })],
  ['a key id that is a number', headedBy({ kid: 7 })],
  ['signed by a stranger', bearer(jwt(header, claims, foreign.privateKey))],
  ["signed by us, under another's key id", headedBy({ kid: 'another' })],
  ['a key without endorsements', headedBy({ kid: 'bare' })],
  ['a key that is endorsed for other channels', headedBy({ kid: 'other-channel' })],
  ['a key that is endorsed for almost this channel', headedBy({ kid: 'almost' })],
  ["another app's token", signedWith({ aud: '99999999-2222-3333-4444-555555555555' })],
  ['an audience that is a list with us in it', signedWith({ aud: [appId] })],
  ['no audience', bearer(jwt(header, without(claims, 'aud')))],
  ['an empty audience for an empty app id', { ...signedWith({ aud: '' }), appId: '' }],
  [
    'the app id in other letters',
    { ...signedWith({ aud: 'ABCDEF00-2222-3333-4444-555555555555' }), appId: 'abcdef00-2222-3333-4444-555555555555' },
  ],
  ['no issuer', bearer(jwt(header, without(claims, 'iss')))],
  ["another cloud's issuer", signedWith({ iss: 'https://api.botframework.us' })],
  ['an issuer with a slash', signedWith({ iss: 'https://api.botframework.com/' })],
  [
    'the issuer of bots and the emulator',
    signedWith({ iss: 'https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/', appid: appId }),
  ],
  ['a list of issuers', signedWith({ iss: ['https://api.botframework.com'] })],
  ['expired for more than five minutes', { now: now + 65 * minute * 1000 }],
  ['expired a day ago', { now: now + 24 * 60 * minute * 1000 }],
  ['not valid for more than five minutes', signedWith({ nbf: seconds + 5 * minute + 1 })],
  ['issued in more than five minutes', signedWith({ iat: seconds + 5 * minute + 1 })],
  ['no expiry', bearer(jwt(header, without(claims, 'exp')))],
  ['an expiry in words', signedWith({ exp: String(seconds + 3600) })],
  ['an expiry that is null', signedWith({ exp: null })],
  ['an expiry in milliseconds', signedWith({ exp: (seconds + 3600) * 1000 })],
  ['a negative expiry', signedWith({ exp: -1 })],
  ['a beginning in words', signedWith({ nbf: 'now' })],
  ['no signed service address', bearer(jwt(header, without(claims, 'serviceurl')))],
  ['another signed service address', signedWith({ serviceurl: 'https://smba.trafficmanager.net/amer/' })],
  ['two signed service addresses', signedWith({ serviceUrl: 'https://smba.trafficmanager.net/amer/' })],
  ['no service address in what was posted', { activity: { channelId: 'msteams' } }],
  ['an empty service address', servedFrom('')],
  ['a service address that is none', servedFrom('smba.trafficmanager.net')],
  ['a service address that is a number', servedFrom(7)],
  [
    'another service address in what was posted',
    { activity: { channelId: 'msteams', serviceUrl: 'https://evil.example/' } },
  ],
  ['a foreign service address, signed', servedFrom('https://evil.example/')],
  ["somebody's sub-domain of Microsoft's", servedFrom('https://evil.trafficmanager.net/emea/')],
  ["Microsoft's name within another", servedFrom('https://smba.trafficmanager.net.evil.example/')],
  ["Microsoft's name before an @", servedFrom('https://smba.trafficmanager.net@evil.example/')],
  ['a service address without TLS', servedFrom('http://smba.trafficmanager.net/emea/')],
  ['a service address with a port', servedFrom('https://smba.trafficmanager.net:8443/emea/')],
  ['a service address with a query', servedFrom('https://smba.trafficmanager.net/emea/?to=evil')],
  ["another cloud's service address", servedFrom('https://smba.infra.gov.teams.microsoft.us/')],
  ['a service address on this machine', servedFrom('http://127.0.0.1:3978/')],
  ['a service address inside the network', { ...servedFrom('http://10.0.0.7/'), loopback: true }],
  ['the metadata service of the machine', { ...servedFrom('http://169.254.169.254/'), loopback: true }],
  ['another channel', { activity: { channelId: 'emulator', serviceUrl } }],
  ['the channel that skips every check', { activity: { channelId: 'AseChannel', serviceUrl } }],
  ['no channel', { activity: { serviceUrl } }],
];

describe("Teams' tokens", () => {
  it.each<readonly [string, Attempt]>([
    ['as Teams sends them', {}],
    ['expired less than five minutes ago', signedWith({ exp: seconds - 5 * minute + 1 })],
    ['valid in less than five minutes', signedWith({ nbf: seconds + 5 * minute })],
    ['without a beginning', bearer(jwt(header, without(claims, 'nbf')))],
    [
      'with the other spelling of the service address',
      bearer(jwt(header, { ...without(claims, 'serviceurl'), serviceUrl })),
    ],
    [
      'from the part of the cloud that is for the government',
      servedFrom('https://smba.infra.gcc.teams.microsoft.com/teams/'),
    ],
    ['from this machine, where that is wanted', { ...servedFrom('http://127.0.0.1:3978/'), loopback: true }],
    [
      "in the government's own cloud",
      {
        ...bearer(
          jwt(header, {
            ...claims,
            iss: 'https://api.botframework.us',
            serviceurl: 'https://smba.infra.gov.teams.microsoft.us/x/',
          }),
        ),
        activity: { channelId: 'msteams', serviceUrl: 'https://smba.infra.gov.teams.microsoft.us/x/' },
        metadataUrl: 'https://login.botframework.azure.us/v1/.well-known/openidconfiguration',
      },
    ],
  ])('are taken %s', async (_, attempt) => {
    expect(await verdictOf(attempt)).toBe('ok');
  });

  it('there are at least sixty mutations', () => {
    expect(mutations.length).toBeGreaterThanOrEqual(60);
    expect(new Set(mutations.map(([title]) => title)).size).toBe(mutations.length);
  });

  it.each(mutations)('refused: %s', async (_, attempt) => {
    expect(await verdictOf(attempt)).not.toBe('ok');
  });

  it('whatever is refused is 401 over HTTP, and nothing of it is heard', async () => {
    const heard: unknown[] = [];
    const post = async (attempt: Attempt): Promise<number> => {
      const runtime = createTestRuntime();
      runtime.clock.set(attempt.now ?? now);
      const door = teamsRoutes({
        runtime,
        cloud: cloudOf(attempt.metadataUrl),
        appId: attempt.appId ?? appId,
        loopback: attempt.loopback ?? false,
        unauthenticated: false,
        keyOf: async (keyId) => keys.get(keyId) ?? null,
        take: async (normalised) => {
          heard.push(normalised);
          return null;
        },
      });
      const authorization = 'authorization' in attempt ? attempt.authorization : `Bearer ${good}`;
      const headers = new Headers({ 'content-type': 'application/json' });
      if (authorization !== undefined) headers.set('authorization', authorization);
      // HTTP itself takes the space from around a header's value.
      if (authorization !== undefined && headers.get('authorization') !== authorization) return 401;
      const posted = attempt.activity ?? { channelId: 'msteams', serviceUrl };
      return (await door.request('/teams/messages', { method: 'POST', headers, body: JSON.stringify(posted) })).status;
    };
    for (const [title, attempt] of mutations) expect(await post(attempt), title).toBe(401);
    expect(heard).toEqual([]);
    expect(await post({})).toBe(200);
    expect(heard).toHaveLength(1);
  });

  it('says why', async () => {
    expect(await verdictOf({ now: now + 66 * minute * 1000 })).toBe('stale');
    expect(await verdictOf(signedWith({ nbf: seconds + 3600 }))).toBe('future');
    expect(await verdictOf(headedBy({ kid: 'bare' }))).toBe('not-endorsed');
    expect(await verdictOf(bearer(jwt(header, claims, foreign.privateKey)))).toBe('mismatch');
    expect(await verdictOf({ activity: { channelId: 'msteams' } })).toBe('service-url');
  });
});
