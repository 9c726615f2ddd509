import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFootnote } from '../../main.ts';

const token = 'an-operator-token-for-tests';
let dataDir: string;
let model: Server;

/** A model that takes longer than connections used to be given after a stop began. */
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'footnote-stop-'));
  model = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const part = (delta: object, more: object = {}) =>
      response.write(
        `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: null }], ...more })}\n\n`,
      );
    part({ content: 'Everyone has 28 days of paid annual leave a year ' });
    setTimeout(() => {
      part({ content: '[1].' });
      part({}, { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
      response.end('data: [DONE]\n\n');
    }, 4500);
  });
  await new Promise<void>((done) => model.listen(0, '127.0.0.1', done));
});
afterAll(async () => {
  model.closeAllConnections();
  model.close();
  await rm(dataDir, { recursive: true });
});

it('a stop lets an answer on the line come to its end', { timeout: 60_000 }, async () => {
  const running = await startFootnote({
    PORT: '0',
    DATA_DIR: dataDir,
    FOOTNOTE_ADMIN_TOKEN: token,
    LOG_LEVEL: 'silent',
    OPENAI_BASE_URL: `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`,
    CHAT_MODEL: 'm',
  });
  const response = await fetch(`${running.url}/api/v1/tenants/demo/ask`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ question: 'How many days of annual leave do I get?' }),
  });
  expect(response.status).toBe(200);
  const text = response.text();
  const startedAt = performance.now();
  await running.stop();
  expect(await text).toContain('event: done');
  // And nobody waits for connections that only idle.
  expect(performance.now() - startedAt).toBeLessThan(20_000);
  await expect(fetch(`${running.url}/healthz`)).rejects.toThrow();
});
