import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../core/config.ts';

describe('the configuration', () => {
  it('runs on nothing at all', () => {
    expect(parseConfig({})).toMatchObject({
      PORT: 3000,
      HOST: '127.0.0.1',
      PUBLIC_URL: 'http://localhost:3000',
      DATA_DIR: './data',
    });
  });

  it('takes an empty variable for an absent one', () => {
    expect(parseConfig({ PORT: '', METRICS_TOKEN: '', HOST: ' ' })).toMatchObject({ PORT: 3000, HOST: '127.0.0.1' });
    expect(parseConfig({ PORT: '4000\r' })).toMatchObject({ PORT: 4000 });
  });

  it('lists every problem in one message', () => {
    expect(() =>
      parseConfig({ PORT: 'x', LOG_LEVEL: 'loud', SLACK_BOT_TOKEN: 'nope', MONGODB_URI: 'localhost:27017' }),
    ).toThrow(/4 problems[\s\S]*PORT[\s\S]*MONGODB_URI[\s\S]*SLACK_BOT_TOKEN[\s\S]*LOG_LEVEL/);
  });

  it('never falls back from a configured server: what it needs is asked for', () => {
    const key = Buffer.alloc(32, 1).toString('base64');
    expect(() => parseConfig({ MONGODB_URI: 'mongodb://127.0.0.1' })).toThrow('MONGODB_URI: needs FOOTNOTE_SECRET_KEY');
    expect(parseConfig({ MONGODB_URI: 'mongodb://127.0.0.1', FOOTNOTE_SECRET_KEY: key })).toMatchObject({
      MONGODB_URI: 'mongodb://127.0.0.1',
    });
    expect(parseConfig({ WEAVIATE_URL: 'http://127.0.0.1:8080/' })).toMatchObject({
      WEAVIATE_URL: 'http://127.0.0.1:8080',
      WEAVIATE_TENANCY: 'collection',
      WEAVIATE_REPLICAS: 1,
      WEAVIATE_MAX_TENANTS: 200,
      FOOTNOTE_DEPLOYMENT: 'footnote',
    });
  });

  it('reads a value from the file that NAME_FILE names', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'footnote-config-')), 'token');
    writeFileSync(path, 'a-token-of-sufficient-length\n');
    expect(parseConfig({ FOOTNOTE_ADMIN_TOKEN_FILE: path }).FOOTNOTE_ADMIN_TOKEN).toBe('a-token-of-sufficient-length');
    expect(() =>
      parseConfig({ FOOTNOTE_ADMIN_TOKEN_FILE: path, FOOTNOTE_ADMIN_TOKEN: 'another-token-entirely' }),
    ).toThrow('not both');
    expect(() => parseConfig({ FOOTNOTE_ADMIN_TOKEN_FILE: `${path}.absent` })).toThrow('cannot be read');
    expect(() => parseConfig({ OCR_URL_FILE: `${path}.absent` })).toThrow('OCR_URL_FILE: the file cannot be read');
  });

  it.each([
    [{ CHAT_MODEL: 'm' }, 'CHAT_MODEL: needs'],
    [{ RERANK_URL: 'http://127.0.0.1' }, 'RERANK_URL: reranking is not part of this version; remove the variable'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1' }, 'OTEL_EXPORTER_OTLP_ENDPOINT: traces is not part'],
    [{ OPENAI_API_KEY: 'k' }, 'neither CHAT_MODEL nor EMBEDDING_MODEL'],
    [{ EMBEDDING_MODEL: 'm' }, 'EMBEDDING_MODEL: needs'],
    [{ SLACK_BOT_TOKEN: 'xoxb-1', SLACK_SIGNING_SECRET: 's' }, 'needs DEFAULT_TENANT'],
    [{ SLACK_BOT_TOKEN: 'xoxb-1', DEFAULT_TENANT: 'demo' }, 'needs SLACK_SIGNING_SECRET'],
    [{ SLACK_CLIENT_ID: '1.2', SLACK_SIGNING_SECRET: 's' }, 'set both or neither'],
    [{ SLACK_CLIENT_ID: '1.2', SLACK_CLIENT_SECRET: 'c' }, 'SLACK_CLIENT_ID: needs SLACK_SIGNING_SECRET'],
    [
      { SLACK_CLIENT_ID: '1.2', SLACK_CLIENT_SECRET: 'c', SLACK_SIGNING_SECRET: 's', DEFAULT_TENANT: 'demo' },
      'set one of the two',
    ],
    [{ DEFAULT_TENANT_WORKSPACES: 'discord:1' }, 'needs DEFAULT_TENANT'],
    [{ DEFAULT_TENANT_WORKSPACES: 'slack:T1', DEFAULT_TENANT: 'demo' }, 'needs discord:SERVER-ID'],
    [{ FOOTNOTE_SECRET_KEY: 'c2hvcnQ=' }, '32 bytes'],
    [{ MONGODB_URI: 'postgres://127.0.0.1' }, 'MONGODB_URI: needs an address such as mongodb://'],
    [{ MONGODB_URI: 'mongodb://127.0.0.1/x?a=b&TimeoutMS=5' }, 'MONGODB_URI: sets timeoutMS'],
    [{ WEAVIATE_URL: 'weaviate:8080' }, 'WEAVIATE_URL: needs an http or https address'],
    [{ WEAVIATE_API_KEY: 'k' }, 'WEAVIATE_API_KEY: needs WEAVIATE_URL'],
    [{ WEAVIATE_GRPC_URL: 'http://127.0.0.1:50051' }, 'WEAVIATE_GRPC_URL: needs WEAVIATE_URL'],
    [{ WEAVIATE_TENANCY: 'shared' }, 'WEAVIATE_TENANCY'],
    [{ WEAVIATE_REPLICAS: '0' }, 'WEAVIATE_REPLICAS: needs a whole number'],
    [{ FOOTNOTE_DEPLOYMENT: 'a b' }, 'FOOTNOTE_DEPLOYMENT: needs 1 to 24 letters'],
    [{ FOOTNOTE_ADMIN_TOKEN: 'short' }, '16 characters'],
    [{ FOOTNOTE_ADMIN_TOKEN: 'words that no header can carry' }, 'without spaces'],
    [{ METRICS_TOKEN: 'schlüssel' }, 'printable characters'],
    [{ TRUSTED_PROXIES: '10.0.0.0/8, proxy' }, 'TRUSTED_PROXIES: needs IP addresses'],
    [{ FETCH_ALLOW: 'http://wiki.internal' }, 'FETCH_ALLOW: needs host:port'],
    [{ PUBLIC_URL: 'https://example.com/footnote' }, 'PUBLIC_URL: needs an address without a path'],
    [{ PUBLIC_URL: 'example.com' }, 'PUBLIC_URL: needs an http or https address'],
    [{ PORT: '80a' }, 'PORT: needs a port number'],
    [{ PORT: '65536' }, 'PORT: needs a port number'],
    [{ CHAT_RPM: '-1' }, 'CHAT_RPM: needs a whole number'],
    [{ OIDC_CLIENT_ID: 'x' }, 'OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET: set all three or none'],
    [{ SMTP_URL: 'smtp://mail.example.com' }, 'SMTP_URL and MAIL_FROM: set both or neither'],
    [{ SMTP_URL: 'mail.example.com:25', MAIL_FROM: 'a@example.com' }, 'SMTP_URL: needs an address such as'],
  ])('says what is missing: %j', (env, sentence) => {
    expect(() => parseConfig(env)).toThrow(sentence);
  });
});
