import { Agent, get, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createListener, freePort, type Listener } from '../listener.ts';

let listener: Listener;
let port: number;
let agent: Agent;
let release: () => void;

beforeEach(async () => {
  port = await freePort('127.0.0.1', 0);
  agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  listener = createListener((request, response) => {
    if (request.url === '/quick') return void response.end('quick');
    response.write('first ');
    void released.then(() => response.end('last'));
  });
  await listener.listen('127.0.0.1', port);
});
afterEach(async () => {
  agent.destroy();
  release();
  await listener.close(100);
});

const ask = (path: string): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent }, resolve).once('error', reject);
  });
const textOf = async (answer: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const piece of answer) text += String(piece);
  return text;
};

describe('the listener', () => {
  it('keeps connections longer than any proxy does, so that no request meets its end', async () => {
    const answer = await ask('/quick');
    expect(answer.headers.connection).toBe('keep-alive');
    expect(Number(/timeout=(\d+)/.exec(String(answer.headers['keep-alive']))?.[1])).toBeGreaterThan(120);
    await textOf(answer);
  });

  it('goes on serving once it is retired, and ends each connection with its answer', async () => {
    await textOf(await ask('/quick'));
    listener.retire();
    const kept = await ask('/quick');
    expect(kept.headers.connection).toBe('close');
    expect(await textOf(kept)).toBe('quick');
    expect(await textOf(await ask('/quick'))).toBe('quick');
  });

  it('finishes an answer that is under way when it is closed, and takes none any more', async () => {
    const slow = await ask('/slow');
    const closed = listener.close(10_000);
    await expect(fetch(`http://127.0.0.1:${port}/quick`)).rejects.toThrow();
    release();
    expect(await textOf(slow)).toBe('first last');
    await closed;
  });

  it('waits for no connection that only idles', async () => {
    await textOf(await ask('/quick'));
    const since = performance.now();
    await listener.close(10_000);
    expect(performance.now() - since).toBeLessThan(5_000);
  });

  it('is closed only when it has been quiet: what still comes, over kept connections and new ones, is served', async () => {
    await textOf(await ask('/quick'));
    listener.retire();
    const closed = listener.close(60_000, 1_000);
    const kept = await ask('/quick');
    expect(kept.headers.connection).toBe('close');
    expect(await textOf(kept)).toBe('quick');
    expect(await (await fetch(`http://127.0.0.1:${port}/quick`)).text()).toBe('quick');
    await closed;
    await expect(fetch(`http://127.0.0.1:${port}/quick`)).rejects.toThrow();
  });

  it('is closed though it never gets quiet, for somebody goes on sending', async () => {
    let over = false;
    const closed = listener.close(60_000, 500).then(() => {
      over = true;
    });
    while (!over) await fetch(`http://127.0.0.1:${port}/quick`, { headers: { connection: 'close' } }).catch(() => null);
    await closed;
  });

  it('ends with their answers also the connections of requests that came before it was retired', async () => {
    const { promise: released, resolve } = Promise.withResolvers<void>();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    const late = createListener((_request, response) => {
      arrive();
      void released.then(() => response.end('late'));
    });
    const place = await freePort('127.0.0.1', 0);
    await late.listen('127.0.0.1', place);
    const heard = Promise.withResolvers<IncomingMessage>();
    get({ host: '127.0.0.1', port: place, agent }, heard.resolve).once('error', heard.reject);
    await arrived;
    late.retire();
    resolve();
    const answer = await heard.promise;
    expect(answer.headers.connection).toBe('close');
    expect(await textOf(answer)).toBe('late');
    await late.close(1_000);
  });

  it('says in a sentence that the port is taken', async () => {
    await expect(freePort('127.0.0.1', port)).rejects.toMatchObject({
      code: 'config',
      message: `Port ${port} is in use. Stop the other program, or set PORT.`,
    });
  });
});
