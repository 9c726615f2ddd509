import { beforeEach, describe, expect, test } from 'vitest';
import { createHarness, type Harness, operator, publicUrl } from './harness.ts';

/** A stream that began before a key, a session or a membership was taken away ends within a second of it. */

let harness: Harness;
let base: string;
beforeEach(async () => {
  harness = await createHarness();
  base = `/api/v1/tenants/${harness.a.tenant.slug}`;
  // An answer that never ends by itself and does not heed its signal either.
  harness.core.script = async (_input, _receipt, hooks) => {
    hooks.status?.('Searching');
    return new Promise(() => undefined);
  };
});

const streaming = { accept: 'text/event-stream' };
const ask = (bearer: string) => harness.call('POST', `${base}/ask`, bearer, { question: 'train?' }, streaming);

/** What the stream says until it ends, while time passes. */
const restOf = async (response: Response): Promise<string> => {
  const text = response.text();
  await harness.runtime.clock.advance(1000);
  return text;
};

describe('a stream of the API ends', () => {
  test('when its key is revoked', async () => {
    const path = `${base}/keys`;
    const made = await harness.call('POST', path, harness.a.keys.admin, { name: 'short', scopes: ['ask'] });
    const { id, key } = (await made.json()) as { id: string; key: string };
    const response = await ask(key);
    expect(response.status).toBe(200);
    await harness.call('DELETE', `${path}/${id}`, harness.a.keys.admin);
    expect(await restOf(response)).toMatch(/event: error\ndata: .*"status":401/);
    expect(harness.runtime.clock.sleeping()).toBe(0);
  });

  test('when its tenant is deleted, the operator’s too', async () => {
    const [one, other] = [await ask(harness.a.keys.ask), await ask(operator)];
    await harness.call('DELETE', base, operator);
    expect(await restOf(one)).toMatch(/event: error\ndata: .*"status":401/);
    expect(await restOf(other)).toMatch(/event: error\ndata: .*"status":404/);
  });

  test('when a job is being followed', async () => {
    harness.core.jobs.watch = async function* (tenantId, id, signal) {
      const job = await harness.core.jobs.get(tenantId, id);
      if (job !== null) yield job;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    };
    const key = harness.a.keys.ingest;
    const response = await harness.call('GET', `${base}/jobs/${harness.a.job.id}`, key, undefined, streaming);
    const found = (await harness.core.keys.authenticate(key))?.id ?? '';
    await harness.core.keys.revoke(harness.a.tenant.id, found);
    const text = await restOf(response);
    expect(text).toMatch(/event: error\ndata: .*"status":401/);
    expect(text).not.toContain('event: done');
  });

  test('and what fails in the middle of it is noted, and nothing goes on', async () => {
    harness.core.jobs.watch = async function* (tenantId, id) {
      const job = await harness.core.jobs.get(tenantId, id);
      if (job !== null) yield job;
      throw new Error('the disk is full');
    };
    const path = `${base}/jobs/${harness.a.job.id}`;
    const text = await (await harness.call('GET', path, harness.a.keys.ingest, undefined, streaming)).text();
    expect(text).toMatch(/event: error\ndata: .*"status":500/);
    expect(text).not.toContain('the disk is full');
    expect(harness.runtime.logged).toContainEqual(
      expect.objectContaining({ event: 'request failed', fields: expect.objectContaining({ code: 'internal' }) }),
    );
    expect(harness.runtime.clock.sleeping()).toBe(0);
  });

  test('but not while its key is good, and not because the store cannot be asked', async () => {
    let finish = (): void => undefined;
    harness.core.script = (_input, receipt, hooks) => {
      hooks.status?.('Searching');
      return new Promise((resolve) => {
        finish = () => resolve(receipt);
      });
    };
    const response = await ask(harness.a.keys.ask);
    const text = response.text();
    const { authenticate } = harness.core.keys;
    harness.core.keys.authenticate = () => Promise.reject(new Error('the disk is busy'));
    await harness.runtime.clock.advance(1000);
    harness.core.keys.authenticate = authenticate;
    await harness.runtime.clock.advance(60_000);
    finish();
    expect(await text).toContain('event: done');
    expect(harness.runtime.clock.sleeping()).toBe(0);
  });
});

describe('a stream of the console ends', () => {
  const askAs = (cookie: string) =>
    harness.app.request(`/console/${harness.a.tenant.slug}/ask`, {
      method: 'POST',
      body: 'question=train',
      headers: { cookie, origin: publicUrl, 'content-type': 'application/x-www-form-urlencoded', ...streaming },
    });

  test('when the membership is gone', async () => {
    const response = await askAs(await harness.signIn('viewer'));
    harness.core.memberships.splice(0);
    expect(await restOf(response)).toContain('event: failed');
  });

  test('when the session is ended', async () => {
    const cookie = await harness.signIn('viewer');
    const response = await askAs(cookie);
    const out = await harness.app.request('/console/sign-out', {
      method: 'POST',
      headers: { cookie, origin: publicUrl },
    });
    expect(out.status).toBe(303);
    expect(await restOf(response)).toContain('event: failed');
  });
});
