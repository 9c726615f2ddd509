import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { emptyWeaviate, type HandMade } from '../core/drivers/chunks/weaviate/stand-in.ts';
import { footnote } from './product.ts';

/**
 * What a person at the terminal reads when a configured server is not as it has to be. The servers are stand-ins that answer
 * as Weaviate 1.39 was seen to; nothing takes their place, so no file of the embedded default comes into being.
 */
describe('a configured server that will not do', { timeout: 60_000 }, () => {
  const closers: (() => Promise<void>)[] = [];
  let folder = '';
  let opened = 0;
  /** One for each test. */
  const dataDir = (): string => join(folder, String(opened));
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'footnote-will-not-do-'));
  });
  afterEach(async () => {
    opened += 1;
    for (const close of closers.splice(0)) await close();
  });
  afterAll(() => rm(folder, { recursive: true }));

  const environment = (more: Readonly<Record<string, string>>) => ({
    PORT: '0',
    DATA_DIR: dataDir(),
    FOOTNOTE_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
    LOG_LEVEL: 'silent',
    ...more,
  });
  /** Every verb that opens the stores ends alike. */
  const said = async (env: Readonly<Record<string, string>>): Promise<string> => {
    const looked = await footnote(env, 'doctor');
    expect(looked.code).toBe(1);
    const served = await footnote(env, 'serve');
    expect(served.code).toBe(1);
    expect(served.out).toBe('');
    return `${looked.out}\n${served.err}`;
  };
  const weaviate = async (made: HandMade): Promise<Readonly<Record<string, string>>> => {
    const server = await emptyWeaviate(made);
    closers.push(server.close);
    return environment({
      WEAVIATE_URL: server.url,
      WEAVIATE_GRPC_URL: server.grpcUrl,
      WEAVIATE_API_KEY: 'sesame-1234',
    });
  };
  const twice = (sentence: string): RegExp => new RegExp(`${sentence}[^]*${sentence}`);

  it.each(['timeoutMS=5000', 'w=1&timeoutms=1', 'timeoutMode=iteration'])(
    'a MONGODB_URI with %s is refused before anything is dialled',
    async (parameter) => {
      const env = environment({
        MONGODB_URI: `mongodb://user:hush@127.0.0.1:1/footnote?${parameter}`,
        WEAVIATE_URL: 'http://127.0.0.1:9',
      });
      const words = await said(env);
      expect(words).toMatch(twice('timeoutMS'));
      expect(words).not.toContain('hush');
    },
  );

  it('a MongoDB that is not there is named by its variable, and no file takes its place', async () => {
    const env = environment({ MONGODB_URI: 'mongodb://127.0.0.1:9/footnote' });
    expect(await said(env)).toMatch(twice('check MONGODB_URI'));
    expect(existsSync(join(dataDir(), 'state.sqlite'))).toBe(false);
  });

  it('a Weaviate that is not there is named by its address, and no file takes its place', async () => {
    const env = environment({ WEAVIATE_URL: 'http://127.0.0.1:9' });
    expect(await said(env)).toMatch(twice('127\\.0\\.0\\.1:9 cannot be reached'));
    expect(existsSync(join(dataDir(), 'chunks'))).toBe(false);
  });

  it.each([
    ['a wrong key', 401, 'unauthorized: invalid api key, please provide a valid api key', 'Check WEAVIATE_API_KEY'],
    ['a key without rights', 403, "forbidden: user 'viewer' is not allowed", 'Give it the right'],
    ['a server that is starting', 503, 'not ready', 'busy or restarting'],
  ])('%s is told, without the key itself', async (_, status, message, sentence) => {
    const env = await weaviate({
      rest: (request) =>
        request === 'GET /v1/meta' ? { status, answer: JSON.stringify({ error: [{ message }] }) } : undefined,
    });
    const words = await said(env);
    expect(words).toMatch(twice(sentence));
    expect(words).not.toContain('sesame-1234');
  });

  it.each(['1.31.9', '1.32.3', '1.32.4'])('Weaviate %s is refused with the versions that do', async (version) => {
    expect(await said(await weaviate({ version }))).toMatch(
      twice('needs 1\\.32 or newer, but not 1\\.32\\.3 or 1\\.32\\.4'),
    );
  });
});
