import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Running, startFootnote } from '../../main.ts';

const token = 'an-operator-token-for-tests';
let dataDir: string;
let running: Running;

const start = () => startFootnote({ PORT: '0', DATA_DIR: dataDir, FOOTNOTE_ADMIN_TOKEN: token, LOG_LEVEL: 'silent' });

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'footnote-first-light-'));
  running = await start();
});
afterAll(async () => {
  await running.stop();
  await rm(dataDir, { recursive: true });
});

const call = async (method: string, path: string, body?: unknown, bearer = token) => {
  const response = await fetch(`${running.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${bearer}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
};

const collapsed = (text: string): string => text.replace(/\s+/g, ' ');

describe('a fresh deployment', () => {
  it('is ready and shows its numbers from the first moment', async () => {
    expect((await fetch(`${running.url}/readyz`)).status).toBe(200);
    const metrics = await (await fetch(`${running.url}/metrics`)).text();
    for (const name of [
      'footnote_events_total',
      'footnote_step_seconds',
      'footnote_inbox_ready 0',
      'footnote_inbox_oldest_seconds 0',
      'footnote_up 1',
    ]) {
      expect(metrics).toContain(name);
    }
  });

  it('answers from the sample documents with footnotes whose quotes are found in them', async () => {
    const { status, body } = await call('POST', '/api/v1/tenants/demo/ask', {
      question: 'How many days of annual leave do I get?',
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ kind: 'answered', citations: [{ n: 1 }] });
    for (const citation of body.citations) {
      const passages = body.retrieved.filter(
        (passage: { documentId: string }) => passage.documentId === citation.documentId,
      );
      expect(
        passages.some((passage: { text: string }) => collapsed(passage.text).includes(collapsed(citation.quote))),
      ).toBe(true);
    }
  });

  it('says when it is not in the documents, and shows no sources then', async () => {
    const { body } = await call('POST', '/api/v1/tenants/demo/ask', {
      question: 'Who won the football world cup in 1998?',
    });
    expect(body).toMatchObject({ kind: 'not-found', citations: [], reason: 'not-found' });
  });

  it('lets the first owner in by the printed link, once', async () => {
    const link = running.signInUrl!;
    const first = await fetch(link, { redirect: 'manual' });
    expect(first.status).toBe(303);
    const cookies = first.headers.getSetCookie();
    expect(cookies.length).toBeGreaterThan(0);
    for (const cookie of cookies) {
      expect(cookie).toMatch(/HttpOnly/i);
      expect(cookie).toMatch(/SameSite/i);
    }
    const page = await fetch(new URL(first.headers.get('location')!, running.url), {
      headers: { cookie: cookies.map((value) => value.split(';')[0]).join('; ') },
    });
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
    expect((await fetch(link, { redirect: 'manual' })).status).not.toBe(303);
  });

  it('keeps tenants apart, from the document to the answer', async () => {
    await call('POST', '/api/v1/tenants', { slug: 'north', name: 'North' });
    await call('POST', '/api/v1/tenants', { slug: 'south', name: 'South' });
    const { body: northKey } = await call('POST', '/api/v1/tenants/north/keys', { name: 'all', scopes: ['admin'] });
    const { body: southKey } = await call('POST', '/api/v1/tenants/south/keys', { name: 'all', scopes: ['admin'] });
    const { body: source } = await call(
      'POST',
      '/api/v1/tenants/north/sources',
      { kind: 'push', name: 'Wiki', settings: {} },
      northKey.key,
    );
    const text = '# Harbour\n\nThe harbour gate code is **7731** and changes every quarter.\n';
    const put = await call(
      'PUT',
      `/api/v1/tenants/north/sources/${source.id}/documents/harbour`,
      { title: 'Harbour', text },
      northKey.key,
    );
    expect(put.status).toBe(201);
    const question = { question: 'What is the harbour gate code?' };
    expect((await call('POST', '/api/v1/tenants/north/ask', question, northKey.key)).body).toMatchObject({
      kind: 'answered',
    });
    expect((await call('POST', '/api/v1/tenants/south/ask', question, southKey.key)).body).toMatchObject({
      kind: 'not-found',
      retrieved: [],
    });
    expect((await call('POST', '/api/v1/tenants/north/ask', question, southKey.key)).status).toBe(404);
    expect((await call('GET', `/api/v1/tenants/south/sources/${source.id}`, undefined, southKey.key)).status).toBe(404);
    expect(
      (await call('DELETE', `/api/v1/tenants/north/sources/${source.id}/documents/harbour`, undefined, northKey.key))
        .status,
    ).toBe(204);
    expect((await call('POST', '/api/v1/tenants/north/ask', question, northKey.key)).body).toMatchObject({
      kind: 'not-found',
    });
  });

  it('starts again on what it stored, without a link for a first owner who has signed in', async () => {
    const before = await call('GET', '/api/v1/tenants/demo/answers');
    await running.stop();
    running = await start();
    expect(running.signInUrl).toBeNull();
    const after = await call('GET', '/api/v1/tenants/demo/answers');
    expect(after.body.answers.map((answer: { answerId: string }) => answer.answerId)).toEqual(
      before.body.answers.map((answer: { answerId: string }) => answer.answerId),
    );
  });
});

describe('a start that cannot be', () => {
  it('ends with one message that lists every problem', async () => {
    await expect(startFootnote({ PORT: 'x', LOG_LEVEL: 'loud', DATA_DIR: dataDir })).rejects.toThrow(
      /PORT[\s\S]*LOG_LEVEL/,
    );
  });
});
