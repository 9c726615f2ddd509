import { createHash, createSign, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An OpenID provider on a real socket: discovery, authorization, tokens with PKCE, keys. What it says can be bent. */
export type OidcProvider = {
  readonly issuer: string;
  /** Who is signed in there. */
  person: {
    readonly sub: string;
    readonly email: string;
    readonly email_verified?: boolean | string;
    readonly name?: string;
  };
  /** Bends the claims of the next id tokens. */
  bend: (claims: Record<string, unknown>) => Record<string, unknown>;
  /** The `iss` that comes with the code; null leaves it out. */
  namedIssuer: string | null;
  /** The issuer in the discovery document. */
  documentIssuer: string;
  /** Signs with a key that the published ones do not know. */
  signsWithOtherKey: boolean;
  /** What was asked of it, by path. */
  readonly asked: string[];
  close(): Promise<void>;
};

export const oidcClient = { clientId: 'footnote', clientSecret: 'a secret of the provider' } as const;

export const startOidcProvider = async (): Promise<OidcProvider> => {
  const [own, other] = [newKey(), newKey()];
  const codes = new Map<string, { challenge: string; nonce: string | null; redirectUri: string }>();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', provider.issuer);
    provider.asked.push(url.pathname);
    const json = (body: unknown, status = 200): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (url.pathname === '/.well-known/openid-configuration')
      return json({
        issuer: provider.documentIssuer,
        authorization_endpoint: `${provider.issuer}/authorize`,
        token_endpoint: `${provider.issuer}/token`,
        jwks_uri: `${provider.issuer}/keys`,
        id_token_signing_alg_values_supported: ['RS256'],
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
      });
    if (url.pathname === '/keys')
      return json({ keys: [{ ...own.publicKey.export({ format: 'jwk' }), kid: 'own', alg: 'RS256', use: 'sig' }] });
    if (url.pathname === '/authorize') {
      const [challenge, redirectUri] = [url.searchParams.get('code_challenge'), url.searchParams.get('redirect_uri')];
      if (challenge === null || redirectUri === null || url.searchParams.get('code_challenge_method') !== 'S256')
        return json({ error: 'invalid_request' }, 400);
      const code = randomBytes(12).toString('hex');
      codes.set(code, { challenge, redirectUri, nonce: url.searchParams.get('nonce') });
      const back = new URL(redirectUri);
      back.searchParams.set('code', code);
      back.searchParams.set('state', url.searchParams.get('state') ?? '');
      if (provider.namedIssuer !== null) back.searchParams.set('iss', provider.namedIssuer);
      response.writeHead(302, { location: back.href }).end();
      return;
    }
    if (url.pathname === '/token') {
      const form = new URLSearchParams(await textOf(request));
      const grant = codes.get(form.get('code') ?? '');
      codes.delete(form.get('code') ?? '');
      const verifier = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url');
      if (grant === undefined || verifier !== grant.challenge || form.get('redirect_uri') !== grant.redirectUri)
        return json({ error: 'invalid_grant' }, 400);
      const now = Math.floor(Date.now() / 1000);
      const claims = provider.bend({
        iss: provider.issuer,
        aud: oidcClient.clientId,
        iat: now,
        exp: now + 300,
        ...(grant.nonce === null ? {} : { nonce: grant.nonce }),
        ...provider.person,
      });
      const key = provider.signsWithOtherKey ? other.privateKey : own.privateKey;
      return json({ access_token: 'opaque', token_type: 'Bearer', expires_in: 300, id_token: sign(claims, key) });
    }
    return json({ error: 'not_found' }, 404);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider: OidcProvider = {
    issuer,
    person: { sub: 'ada', email: 'ada@example.com', email_verified: true, name: 'Ada' },
    bend: (claims) => claims,
    namedIssuer: issuer,
    documentIssuer: issuer,
    signsWithOtherKey: false,
    asked: [],
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
  return provider;
};

const newKey = () => generateKeyPairSync('rsa', { modulusLength: 2048 });

const sign = (claims: Record<string, unknown>, key: KeyObject): string => {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: 'RS256', kid: 'own', typ: 'JWT' })}.${part(claims)}`;
  return `${body}.${createSign('RSA-SHA256').update(body).sign(key, 'base64url')}`;
};

const textOf = async (request: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
};
