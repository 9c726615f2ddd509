import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { postForm } from '../../../bots/slack/post-form.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const listen = async (answer: (request: IncomingMessage, response: ServerResponse, body: string) => void) => {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    answer(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api/chat.postMessage`);
};

const post = (url: URL, more: Partial<Parameters<typeof postForm>[0]> = {}) =>
  postForm({ url, fields: {}, token: 'xoxb-1', timeoutMs: 5000, ...more });

test('fields arrive as they were, what is no text as JSON, and the token in its header', async () => {
  let seen: { readonly fields: Record<string, string>; readonly token: string | undefined } | undefined;
  const url = await listen((request, response, body) => {
    seen = { fields: Object.fromEntries(new URLSearchParams(body)), token: request.headers.authorization };
    response.end('{}');
  });
  const text = 'a&b=c +%41 “ü” 🙂\nnew';
  await post(url, {
    fields: { text, half: 'x\ud83d', blocks: [{ type: 'markdown', text }], flag: false, none: undefined },
  });
  expect(seen).toEqual({
    fields: { text, half: 'x\ufffd', blocks: JSON.stringify([{ type: 'markdown', text }]), flag: 'false' },
    token: 'Bearer xoxb-1',
  });
});

test('the reply comes whole, with its status and headers, however it is cut', async () => {
  const url = await listen((_, response) => {
    response.writeHead(429, { 'Retry-After': '7' });
    response.write('{"ok"');
    setImmediate(() => response.end(':false}'));
  });
  expect(await post(url)).toMatchObject({ status: 429, headers: { 'retry-after': '7' }, text: '{"ok":false}' });
});

test('where nobody listens nothing was sent', async () => {
  const url = await listen(() => undefined);
  await closing.splice(0)[0]?.();
  expect(await post(url)).toBe('unsent');
});

test('a connection that is cut before the reply leaves it unsure', async () => {
  const url = await listen((request) => void request.socket.destroy());
  expect(await post(url)).toBe('unsure');
});

test('a reply that does not come in time, or does not end, leaves it unsure', async () => {
  const silent = await listen(() => undefined);
  expect(await post(silent, { timeoutMs: 50 })).toBe('unsure');
  const endless = await listen((_, response) => void response.write('{'));
  expect(await post(endless, { timeoutMs: 50 })).toBe('unsure');
});

test('a reply larger than any of Slack is not read to its end', async () => {
  const url = await listen((_, response) => {
    const piece = Buffer.alloc(1024 * 1024, 32);
    const pour = (): void => {
      while (!response.destroyed && response.write(piece));
      response.once('drain', pour);
    };
    pour();
  });
  expect(await post(url)).toBe('unsure');
});

test('a stopped call rejects with the reason at once and hangs up', async () => {
  const stop = new AbortController();
  let hungUp: Promise<unknown> | undefined;
  const url = await listen((request) => {
    hungUp = new Promise((resolve) => request.socket.once('close', resolve));
    stop.abort(new Error('enough'));
  });
  await expect(post(url, { signal: stop.signal })).rejects.toThrow('enough');
  await hungUp;
  await expect(post(url, { signal: stop.signal })).rejects.toThrow('enough');
});

test('connections are used again', async () => {
  const ports = new Set<number | undefined>();
  const url = await listen((request, response) => {
    ports.add(request.socket.remotePort);
    response.end('{}');
  });
  for (let call = 0; call < 5; call += 1) await post(url);
  // The next call may start before the last one has quite let go of its connection.
  expect(ports.size).toBeLessThanOrEqual(2);
});
