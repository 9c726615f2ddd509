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
      parseConfig({ PORT: 'x', LOG_LEVEL: 'loud', SLACK_BOT_TOKEN: 'nope', MONGODB_URI: 'mongodb://127.0.0.1' }),
    ).toThrow(/4 problems[\s\S]*PORT[\s\S]*SLACK_BOT_TOKEN[\s\S]*LOG_LEVEL[\s\S]*MONGODB_URI/);
  });

  it('refuses a server that this version does not speak to instead of falling back to the embedded default', () => {
    expect(() => parseConfig({ WEAVIATE_URL: 'http://127.0.0.1:8080' })).toThrow(
      'Weaviate driver is not part of this version',
    );
  });

  it('reads a value from the file that NAME_FILE names', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'footnote-config-')), 'token');
    writeFileSync(path, 'a-token-of-sufficient-length\n');
    expect(parseConfig({ FOOTNOTE_ADMIN_TOKEN_FILE: path }).FOOTNOTE_ADMIN_TOKEN).toBe('a-token-of-sufficient-length');
    expect(() =>
      parseConfig({ FOOTNOTE_ADMIN_TOKEN_FILE: path, FOOTNOTE_ADMIN_TOKEN: 'another-token-entirely' }),
    ).toThrow('not both');
    expect(() => parseConfig({ FOOTNOTE_ADMIN_TOKEN_FILE: `${path}.absent` })).toThrow('cannot be read');
  });

  it.each([
    [{ CHAT_MODEL: 'm' }, 'CHAT_MODEL: needs'],
    [{ OPENAI_API_KEY: 'k' }, 'neither CHAT_MODEL nor EMBEDDING_MODEL'],
    [{ EMBEDDING_MODEL: 'm' }, 'EMBEDDING_MODEL: needs'],
    [{ SLACK_BOT_TOKEN: 'xoxb-1', SLACK_SIGNING_SECRET: 's' }, 'needs DEFAULT_TENANT'],
    [{ SLACK_BOT_TOKEN: 'xoxb-1', DEFAULT_TENANT: 'demo' }, 'needs SLACK_SIGNING_SECRET'],
    [{ DEFAULT_TENANT_WORKSPACES: 'discord:1' }, 'needs DEFAULT_TENANT'],
    [{ DEFAULT_TENANT_WORKSPACES: 'slack:T1', DEFAULT_TENANT: 'demo' }, 'needs discord:SERVER-ID'],
    [{ FOOTNOTE_SECRET_KEY: 'c2hvcnQ=' }, '32 bytes'],
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
    [{ OIDC_CLIENT_ID: 'x' }, 'single sign-on is not part of this version'],
  ])('says what is missing: %j', (env, sentence) => {
    expect(() => parseConfig(env)).toThrow(sentence);
  });
});
