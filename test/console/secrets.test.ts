import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/**
 * S5: a real process at LOG_LEVEL=debug, every kind of secret used, rightly and wrongly, with a model that fails; then
 * everything it printed and every file it wrote is searched for them.
 */

const secrets = {
  'operator token': 'operator-token-that-nobody-else-knows',
  'metrics token': 'metrics-token-that-nobody-else-knows',
  'model key': 'sk-model-key-that-nobody-else-knows',
  'Slack bot token': 'xoxb-bot-token-that-nobody-else-knows',
  'Slack signing secret': 'signing-secret-that-nobody-else-knows',
  'text of a question': 'zanzibarquestion',
};

let root: string;
let child: ChildProcess;
let model: Server;
let printed = '';
let url = '';
const found: Record<string, string> = { ...secrets };

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'footnote-secrets-'));
  // A model that repeats the key it was given, as some gateways do in their errors.
  model = createServer((request, response) => {
    response.writeHead(401, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ error: { message: `Incorrect API key provided: ${request.headers.authorization}` } }),
    );
  });
  await new Promise<void>((done) => model.listen(0, '127.0.0.1', done));
  child = spawn(process.execPath, [fileURLToPath(new URL('../../bin/footnote.js', import.meta.url)), 'serve'], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      DATA_DIR: join(root, 'data'),
      LOG_LEVEL: 'debug',
      FOOTNOTE_ADMIN_TOKEN: secrets['operator token'],
      METRICS_TOKEN: secrets['metrics token'],
      OPENAI_API_KEY: secrets['model key'],
      OPENAI_BASE_URL: `http://127.0.0.1:${(model.address() as AddressInfo).port}`,
      CHAT_MODEL: 'test-model',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await new Promise<void>((ready, failed) => {
    child.on('exit', () => failed(new Error(printed)));
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (part: Buffer) => {
        printed += part.toString();
        if (printed.includes('"event":"ready"')) ready();
      });
  });
  const [address = '', link = ''] = printed.split('\n');
  url = address;
  found['sign-in token'] = link.split('/').at(-1) ?? '';
  // Printing the link is what it is for; whatever comes after it is not.
  printed = printed.split('\n').slice(2).join('\n');
}, 60_000);
afterAll(async () => {
  child.kill('SIGKILL');
  model.close();
  await rm(root, { recursive: true });
});

const call = (method: string, path: string, bearer: string, body?: unknown, headers: Record<string, string> = {}) =>
  fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    redirect: 'manual',
  });

const filesIn = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('no secret', () => {
  test('is in what the process prints, answers or keeps, after all of them were used', {
    timeout: 60_000,
  }, async () => {
    const operator = secrets['operator token'];
    const demo = '/api/v1/tenants/demo';
    const answers: string[] = [];
    const keep = async (response: Response): Promise<string> => {
      const text = await response.text();
      answers.push(text, JSON.stringify([...response.headers].filter(([name]) => name !== 'set-cookie')));
      return text;
    };
    const made = JSON.parse(
      await (await call('POST', `${demo}/keys`, operator, { name: 'all', scopes: ['admin'] })).text(),
    );
    found['API key'] = made.key;
    const credentials = { botToken: secrets['Slack bot token'], signingSecret: secrets['Slack signing secret'] };
    const connected = await call('POST', `${demo}/connections`, made.key, {
      platform: 'slack',
      workspaceId: 'T1',
      credentials,
    });
    expect(connected.status).toBe(403);
    await keep(connected);
    const connection = JSON.parse(
      await keep(
        await call('POST', `${demo}/connections`, operator, { platform: 'slack', workspaceId: 'T1', credentials }),
      ),
    );
    await keep(await call('GET', `${demo}/connections`, made.key));
    await keep(await call('GET', `${demo}/connections/${connection.id}/check-up`, made.key));
    await keep(await call('GET', '/metrics', secrets['metrics token']));
    await keep(await call('GET', '/metrics', operator));
    // The model fails, and says the key back.
    for (const accept of ['application/json', 'text/event-stream']) {
      const question = `How many days of annual leave? ${secrets['text of a question']}`;
      await keep(await call('POST', `${demo}/ask`, made.key, { question }, { accept }));
    }
    await keep(await call('POST', `${demo}/ask`, made.key, { question: 5 }));
    await keep(await call('GET', `${demo}/keys`, made.key));
    // Wrong carriers, wrong places.
    await keep(await call('GET', `${demo}?key=${made.key}`, 'nothing'));
    await keep(await call('GET', `/${made.key}`, made.key));
    await keep(await call('GET', demo, made.key, undefined, { 'x-request-id': 'a request id' }));
    const signIn = await call('GET', `/console/sign-in/${found['sign-in token']}`, 'nothing');
    expect(signIn.status).toBe(303);
    const cookie = signIn.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    found['session cookie'] = decodeURIComponent(cookie.split('=')[1] ?? '');
    await keep(await call('GET', '/console/demo/ask', 'nothing', undefined, { cookie }));
    await keep(await call('GET', '/console/demo/answers', 'nothing', undefined, { cookie }));
    await keep(await call('DELETE', `${demo}/keys/${made.id}`, operator));

    const exited = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    await exited;
    expect(printed).toContain('"event":"stopped"');
    expect(printed).toContain('"level":"debug"');

    const { 'text of a question': text, ...keys } = found;
    for (const [name, secret] of Object.entries(keys)) {
      expect(secret.length, name).toBeGreaterThan(15);
      expect(printed.includes(secret), `the ${name} was printed`).toBe(false);
      // The page of keys shows none, a path that holds one is echoed only to whoever sent it.
      const echoed = answers.filter((answer) => answer.includes(secret) && !answer.includes(`"instance":"/${secret}"`));
      expect(echoed, `the ${name} was answered`).toEqual([]);
    }
    expect(printed.includes(text ?? ''), 'the text of a question was printed').toBe(false);
    const files = await filesIn(join(root, 'data'));
    expect(files.some((file) => file.includes('.db') || file.includes('sqlite'))).toBe(true);
    for (const file of files) {
      const content = await readFile(file);
      for (const [name, secret] of Object.entries(keys))
        expect(content.includes(secret), `the ${name} is in ${file}`).toBe(false);
    }
  });
});
