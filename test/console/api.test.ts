import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { testStart } from '../fakes/clock.ts';
import { createHarness, type Harness, operator } from './harness.ts';
import { fill, idsOf, nameOf, sampleFor } from './routes.ts';

let harness: Harness;
let base: string;
beforeEach(async () => {
  harness = await createHarness();
  base = `/api/v1/tenants/${harness.a.tenant.slug}`;
});
const admin = () => harness.a.keys.admin;
const json = async <T = Record<string, unknown>>(response: Response): Promise<T> => (await response.json()) as T;

describe('every operation', () => {
  test('answers its declared success, in the declared shape, to the operator and to an admin key', async () => {
    for (const route of harness.app.declaredRoutes.filter(({ path }) => path.startsWith('/api/'))) {
      for (const who of route.policy === 'operator' ? ['operator'] : ['admin', 'operator']) {
        const fresh = await createHarness();
        const ids = idsOf(fresh.a);
        // Only a folder has anything to sync, only an upload source takes files.
        const source = route.path.endsWith('/sync')
          ? fresh.a.folder.id
          : route.path.endsWith('/files')
            ? fresh.a.upload.id
            : ids.source;
        const byCode = nameOf(route).endsWith('/connections') && route.method === 'POST' && who === 'admin';
        const { body, headers } = byCode ? { body: { platform: 'slack', code: 'GOOD-CODE' } } : sampleFor(route);
        const path = fill(route.path, { ...ids, source: source ?? '' });
        const response = await fresh.call(
          route.method,
          path,
          who === 'operator' ? operator : fresh.a.keys.admin,
          body,
          headers,
        );
        const text = await response.text();
        const schema = route.answers?.[response.status];
        expect(schema, `${nameOf(route)} answered ${response.status} ${text}`).toBeDefined();
        if (schema === null) expect(text).toBe('');
        else expect(z.safeParse(schema as z.ZodType, JSON.parse(text)).error?.issues ?? [], nameOf(route)).toEqual([]);
        expect(response.headers.get('cache-control')).toBe('no-store');
        expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f]{24}$/);
      }
    }
  });

  test('that changes something is written to the audit log with its actor', async () => {
    await harness.call('POST', '/api/v1/tenants', operator, { slug: 'audited', name: 'Audited' });
    await harness.call('POST', `${base}/keys`, admin(), { name: 'k', scopes: ['ask'] });
    await harness.call('PUT', `${base}/quotas`, harness.a.keys.ask, { limits: [] });
    expect(harness.core.audited.map(({ action, actor }) => [action, actor.split(':')[0]])).toEqual([
      ['tenant.create', 'operator'],
      ['key.create', 'key'],
    ]);
    // What was made is named by its own id, a channel with its platform.
    const made = await harness.call('POST', `${base}/sources`, admin(), { kind: 'push', name: 'Audited' });
    await harness.call('PUT', `${base}/channels/slack/C1`, admin(), {});
    const { id } = (await made.json()) as { id: string };
    expect(harness.core.audited.slice(-2).map(({ subject }) => subject)).toEqual([id, 'slack:C1']);
  });
});

describe('credentials', () => {
  test.each([
    ['no header', {}],
    ['an empty token', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: `Basic ${operator}` }],
    ['another scheme with the word in it', { authorization: `X-Bearer ${operator}` }],
    ['two tokens', { authorization: `Bearer ${operator} ${operator}` }],
    ['a query instead', { 'x-api-key': operator }],
    ['null', { authorization: 'Bearer null' }],
    ['undefined', { authorization: 'Bearer undefined' }],
    ['an array', { authorization: 'Bearer []' }],
    ['SQL', { authorization: "Bearer '--" }],
    ['a very long one', { authorization: `Bearer ${'a'.repeat(5000)}` }],
  ])('with %s are answered 401 with the way to do it', async (_name, headers) => {
    const response = await harness.app.request(`${base}?access_token=${operator}&key=${admin()}`, {
      headers: headers as Record<string, string>,
    });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('Bearer');
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(await json(response)).toMatchObject({
      type: 'about:blank',
      status: 401,
      code: 'unauthenticated',
      instance: base,
    });
  });

  test('of a session do not open the API', async () => {
    const cookie = await harness.signIn('operator');
    expect((await harness.app.request(base, { headers: { cookie } })).status).toBe(401);
  });

  test('of the API do not open the console', async () => {
    expect((await harness.call('GET', '/console', operator)).status).toBe(401);
  });

  test('are limited per key with Retry-After; the operator is exempt', async () => {
    harness = await createHarness({ requestsPerMinute: 3 });
    const path = `/api/v1/tenants/${harness.a.tenant.slug}`;
    const statuses = [];
    for (let call = 0; call < 5; call++) statuses.push((await harness.call('GET', path, admin())).status);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    const limited = await harness.call('GET', path, admin());
    expect(limited.headers.get('retry-after')).toBe('30');
    expect((await harness.call('GET', path, harness.a.keys.ask)).status).toBe(200);
    for (let call = 0; call < 10; call++) expect((await harness.call('GET', path, operator)).status).toBe(200);
  });
});

describe('tenants and keys', () => {
  test('a slug is unique for ever', async () => {
    const created = await harness.call('POST', '/api/v1/tenants', operator, {
      slug: 'fresh',
      name: 'Fresh',
      id: 't_mine',
      role: 'operator',
    });
    expect(created.status).toBe(201);
    const tenant = await json(created);
    expect(tenant).toMatchObject({ slug: 'fresh', name: 'Fresh' });
    expect(tenant.id).not.toBe('t_mine');
    expect((await harness.call('POST', '/api/v1/tenants', operator, { slug: 'fresh', name: 'Again' })).status).toBe(
      409,
    );
    expect((await harness.call('DELETE', '/api/v1/tenants/fresh', operator)).status).toBe(204);
    expect((await harness.call('GET', '/api/v1/tenants/fresh', operator)).status).toBe(404);
    expect((await harness.call('POST', '/api/v1/tenants', operator, { slug: 'fresh', name: 'Again' })).status).toBe(
      409,
    );
  });

  test.each(['', 'Upper', 'with space', '-dash', 'a/b', '../x', 'sign-in', 'assets', 'a'.repeat(64), 'ünicode'])(
    'the slug %j is refused',
    async (slug) => {
      expect((await harness.call('POST', '/api/v1/tenants', operator, { slug, name: 'X' })).status).toBe(422);
    },
  );

  test('what does not fit is said in words', async () => {
    const path = `${base}/ask`;
    const detail = async (body: unknown) => {
      const response = await harness.call('POST', path, operator, body);
      expect(response.status).toBe(422);
      return ((await response.json()) as { detail: string }).detail;
    };
    expect(await detail({})).toBe('question: is missing (a string is expected)');
    expect(await detail({ question: ' ' })).toBe('question: must not be empty');
    expect(await detail({ question: 5 })).toBe('question: must be of the type string');
    expect(await detail({ question: 'x'.repeat(200_001) })).toBe('question: must be at most 200000 characters');
  });

  test('a limit that is given twice is refused', async () => {
    const limit = { scope: 'tenant', unit: 'questions', per: 'day', limit: 1 };
    const put = (limits: unknown) => harness.call('PUT', `${base}/quotas`, operator, { limits });
    expect((await put([limit, { ...limit, limit: 2 }])).status).toBe(422);
    expect((await put([limit, { ...limit, per: 'month' }, { ...limit, scope: 'member' }])).status).toBe(200);
  });

  test('id, slug, tenant and role in a patch are ignored', async () => {
    const patched = await harness.call('PATCH', base, admin(), {
      name: 'New name',
      id: 't_other',
      slug: 'other',
      tenantId: harness.b.tenant.id,
      role: 'operator',
      settings: { keepText: false, rev: 99 },
    });
    expect(await json(patched)).toMatchObject({
      id: harness.a.tenant.id,
      slug: 'acme',
      name: 'New name',
      settings: { keepText: false },
    });
    const source = await json(
      await harness.call('POST', `${base}/sources`, admin(), {
        kind: 'push',
        name: 'S',
        id: harness.b.push.id,
        tenantId: harness.b.tenant.id,
      }),
    );
    expect(source.id).not.toBe(harness.b.push.id);
    expect((await harness.core.sources.list(harness.b.tenant.id)).length).toBe(3);
  });

  test('a key is shown once and then never again', async () => {
    const { id, key } = await json<{ id: string; key: string }>(
      await harness.call('POST', `${base}/keys`, admin(), { name: 'ci', scopes: ['ask', 'ask'] }),
    );
    const text = await (await harness.call('GET', `${base}/keys`, admin())).text();
    expect(text).toContain(id);
    expect(text).not.toContain(key);
    expect(text).not.toContain('secret');
  });

  test('lists are read page by page', async () => {
    for (const slug of ['t1', 't2', 't3'])
      await harness.call('POST', '/api/v1/tenants', operator, { slug, name: slug });
    const slugs: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: { tenants: { slug: string }[]; nextCursor: string | null } = await json(
        await harness.call('GET', `/api/v1/tenants?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`, operator),
      );
      slugs.push(...page.tenants.map(({ slug }) => slug));
      cursor = page.nextCursor;
    }
    expect(slugs).toEqual(['acme', 'globex', 't1', 't2', 't3']);
  });
});

describe('documents', () => {
  const at = (id: string) => `${base}/sources/${harness.a.push.id}/documents/${encodeURIComponent(id)}`;

  test('answer 201 when new, 200 when changed, and keep ids with slashes', async () => {
    const created = await harness.call('PUT', at('guide/intro.md'), admin(), { title: 'Intro', text: '# Intro' });
    expect(created.status).toBe(201);
    expect(await json(created)).toMatchObject({ outcome: 'created', document: { externalId: 'guide/intro.md' } });
    const changed = await harness.call('PUT', at('guide/intro.md'), admin(), { title: 'Intro', text: '# Other' });
    expect([changed.status, (await json(changed)).outcome]).toEqual([200, 'updated']);
    expect(
      (await json(await harness.call('PUT', at('guide/intro.md'), admin(), { title: 'Intro', text: '# Other' })))
        .outcome,
    ).toBe('unchanged');
  });

  test.each(['javascript:alert(1)', 'data:text/html,x', 'ftp://x', '//x', 'not a url'])(
    'refuse the address %j',
    async (url) => {
      expect((await harness.call('PUT', at('x'), admin(), { text: 'x', url })).status).toBe(422);
    },
  );

  test('are deleted by their own id under the source, by ours, or by their own where it is unique', async () => {
    expect((await harness.call('DELETE', at('travel.md'), admin())).status).toBe(204);
    expect((await harness.call('DELETE', at('travel.md'), admin())).status).toBe(404);
    await harness.call('PUT', at('one.md'), admin(), { text: 'x' });
    expect((await harness.call('DELETE', `${base}/documents/one.md`, admin())).status).toBe(204);
    await harness.call('PUT', at('two.md'), admin(), { text: 'x' });
    const { documents } = await json<{ documents: { id: string }[] }>(
      await harness.call('GET', `${base}/documents`, admin()),
    );
    expect((await harness.call('DELETE', `${base}/documents/${documents[0]?.id}`, admin())).status).toBe(204);
    const other = await json<{ id: string }>(
      await harness.call('POST', `${base}/sources`, admin(), { kind: 'push', name: 'Other' }),
    );
    await harness.call('PUT', at('twice.md'), admin(), { text: 'x' });
    await harness.call('PUT', `${base}/sources/${other.id}/documents/twice.md`, admin(), { text: 'x' });
    expect((await harness.call('DELETE', `${base}/documents/twice.md`, admin())).status).toBe(409);
  });

  const batch = (body: string, headers: Record<string, string> = { 'content-type': 'application/x-ndjson' }) =>
    harness.call('POST', `${base}/sources/${harness.a.push.id}/documents:batch`, admin(), body, headers);

  test('in a batch go in although some lines are broken, and each broken line is named', async () => {
    const lines = [
      JSON.stringify({ id: 'a', text: 'A' }),
      '{broken',
      '',
      JSON.stringify({ id: 'b' }),
      JSON.stringify({ id: 'c', text: 'UNREADABLE' }),
      JSON.stringify({ text: 'no id' }),
      '['.repeat(100_000),
      JSON.stringify({ id: 'd', text: 'D', url: 'javascript:x' }),
      JSON.stringify({ id: 'e', title: 'E', text: 'E' }),
      'null',
    ];
    const result = await json<{ upserted: number; unchanged: number; failed: { id: string; problem: string }[] }>(
      await batch(lines.join('\r\n')),
    );
    expect(result).toMatchObject({ upserted: 2, unchanged: 0 });
    expect(result.failed.map(({ id }) => id)).toEqual(['line 2', 'b', 'line 6', 'line 7', 'd', 'line 10', 'c']);
    for (const { problem } of result.failed) expect(problem.length).toBeGreaterThan(5);
  });

  test('in a batch are at most 1,000 and 16 MB, as NDJSON', async () => {
    const line = JSON.stringify({ id: 'a', text: 'A' });
    expect(
      (await batch(Array.from({ length: 1000 }, (_, n) => line.replace('"a"', `"a${n}"`)).join('\n'))).status,
    ).toBe(200);
    expect((await batch(Array.from({ length: 1001 }, () => line).join('\n'))).status).toBe(413);
    expect((await batch('x'.repeat(16 * 1024 * 1024 + 1))).status).toBe(413);
    expect((await batch(line, { 'content-type': 'application/json' })).status).toBe(415);
    expect((await batch('')).status).toBe(200);
  });

  test('can be uploaded as files; one that cannot be read does not stop the others', async () => {
    const form = new FormData();
    form.append('file', new File(['Good'], 'good.txt'));
    form.append('file', new File(['UNREADABLE'], 'bad.pdf'));
    form.append('other', new File(['Fine'], '../../etc/passwd'));
    const at = (source: string) => `${base}/sources/${source}/files`;
    const response = await harness.call('POST', at(harness.a.upload.id), admin(), form);
    expect(await json(response)).toEqual({
      upserted: 2,
      unchanged: 0,
      failed: [{ id: 'bad.pdf', problem: 'The document cannot be read.' }],
    });
    const { documents } = await json<{ documents: { externalId: string }[] }>(
      await harness.call('GET', `${base}/documents?source=${harness.a.upload.id}`, admin()),
    );
    expect(documents.map(({ externalId }) => externalId).sort()).toEqual(['good.txt', 'passwd']);
    expect((await harness.call('POST', at(harness.a.push.id), admin(), form)).status).toBe(422);
    expect((await harness.call('POST', at(harness.a.upload.id), admin(), new FormData())).status).toBe(422);
    expect((await harness.call('POST', at(harness.a.upload.id), admin(), { file: 'x' })).status).toBe(415);
    expect(
      (
        await harness.call('POST', at(harness.a.upload.id), admin(), 'broken', {
          'content-type': 'multipart/form-data; boundary=x',
        })
      ).status,
    ).toBe(400);
  });
});

type Sent = { event: string; data: Record<string, unknown> };
const eventsOf = async (response: Response): Promise<Sent[]> =>
  (await response.text())
    .split('\n\n')
    .filter((block) => block.includes('event: '))
    .map((block) => ({
      event: /^event: (.*)$/m.exec(block)?.[1] ?? '',
      data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? 'null'),
    }));
const sse = { accept: 'text/event-stream' };

describe('questions', () => {
  const question = 'Which class do we book for train journeys?';

  test('are answered with footnotes, usage, timings and Server-Timing', async () => {
    const response = await harness.call('POST', `${base}/ask`, harness.a.keys.ask, { question });
    expect(response.status).toBe(200);
    expect(response.headers.get('server-timing')).toContain('compose;dur=812.5');
    const body = await json(response);
    expect(body).toMatchObject({
      kind: 'answered',
      citations: [{ n: 1, externalId: 'travel.md', url: 'https://handbook.example/travel' }],
      usage: { cost: { amount: '0.000412', currency: 'USD' } },
    });
    expect(body).not.toHaveProperty('tenantId');
    expect(body).not.toHaveProperty('inPrompt');
  });

  test('stream status, deltas, citations and the whole body, in this order', async () => {
    const response = await harness.call('POST', `${base}/ask`, harness.a.keys.ask, { question }, sse);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const events = await eventsOf(response);
    expect(events.map(({ event }) => event).filter((event, index, all) => event !== all[index - 1])).toEqual([
      'status',
      'delta',
      'citations',
      'done',
    ]);
    const done = events.at(-1)?.data;
    expect(
      events
        .filter(({ event }) => event === 'delta')
        .map(({ data }) => data.text)
        .join(''),
    ).toBe(done?.answer);
    expect(done).toMatchObject({ kind: 'answered', citations: [{ n: 1 }] });
  });

  test('that fail before the first word get a status, after it the event error', async () => {
    const early = await harness.call(
      'POST',
      `${base}/ask`,
      harness.a.keys.ask,
      { question, conversationId: 'v_unknown' },
      sse,
    );
    expect(early.status).toBe(404);
    harness.core.script = async (_input, _receipt, hooks) => {
      hooks.delta?.('Half an');
      throw new AppError('model-failed', 'The model broke off.');
    };
    const late = await eventsOf(await harness.call('POST', `${base}/ask`, harness.a.keys.ask, { question }, sse));
    expect(late.map(({ event }) => event)).toEqual(['delta', 'error']);
    expect(late[1]?.data).toMatchObject({ status: 502, code: 'model-failed', detail: 'The model broke off.' });
    const plain = await harness.call('POST', `${base}/ask`, harness.a.keys.ask, { question });
    expect(plain.status).toBe(502);
  });

  test('stop when the caller goes away', async () => {
    let stopped = (): void => undefined;
    const seen = new Promise<void>((resolve) => {
      stopped = resolve;
    });
    harness.core.script = (_input, receipt, hooks) =>
      new Promise((resolve) => {
        hooks.status?.('Searching');
        hooks.signal.addEventListener('abort', () => {
          stopped();
          resolve(receipt);
        });
      });
    const response = await harness.call('POST', `${base}/ask`, harness.a.keys.ask, { question }, sse);
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await seen;
  });

  test('over a used-up allowance are answered 200 with the reason and the time', async () => {
    harness.core.script = (_input, receipt) => ({
      ...receipt,
      kind: 'refused',
      reason: 'quota',
      reasonCode: 'quota',
      retryAt: testStart,
      citations: [],
      retrieved: [],
    });
    const response = await harness.call('POST', `${base}/ask`, harness.a.keys.ask, { question });
    expect(response.status).toBe(200);
    expect(await json(response)).toMatchObject({
      kind: 'refused',
      reason: 'quota',
      retryAt: '2026-11-22T09:00:00.000Z',
    });
  });

  test('an unexpected error gives away nothing', async () => {
    harness.core.script = () => {
      throw new Error('secret of the database: hunter2 /srv/path');
    };
    const response = await harness.call('POST', `${base}/ask`, harness.a.keys.ask, { question });
    expect(response.status).toBe(500);
    expect(await response.text()).not.toMatch(/hunter2|srv|at /);
  });

  test('search carries Server-Timing and scores', async () => {
    const response = await harness.call('POST', `${base}/search`, harness.a.keys.ask, {
      query: 'train journeys',
      limit: 1,
    });
    expect(response.headers.get('server-timing')).toBe('search_text;dur=1.3, total;dur=1.5');
    expect((await json<{ passages: object[] }>(response)).passages).toMatchObject([
      { externalId: 'travel.md', score: expect.any(Number) },
    ]);
  });

  test('feedback reaches the receipt', async () => {
    const path = `${base}/answers/${harness.a.receipt.answerId}`;
    expect(
      (
        await harness.call('POST', `${path}/feedback`, harness.a.keys.ask, {
          rating: 'down',
          comment: 'no',
          user: 'ada',
        })
      ).status,
    ).toBe(204);
    expect(await json(await harness.call('GET', path, admin()))).toMatchObject({
      feedback: [{ rating: 'down', comment: 'no', user: 'ada', at: '2026-11-22T09:00:00.000Z' }],
    });
  });
});

describe('jobs', () => {
  test('are followed to their last state', async () => {
    const events = await eventsOf(
      await harness.call('GET', `${base}/jobs/${harness.a.job.id}`, admin(), undefined, sse),
    );
    expect(events.map(({ event, data }) => [event, data.state])).toEqual([
      ['progress', 'queued'],
      ['progress', 'running'],
      ['progress', 'done'],
      ['done', 'done'],
    ]);
  });

  test('of another tenant are not found, not even as a stream', async () => {
    expect((await harness.call('GET', `${base}/jobs/${harness.b.job.id}`, admin(), undefined, sse)).status).toBe(404);
  });

  test('do not exist for what has nothing to sync', async () => {
    expect((await harness.call('POST', `${base}/sources/${harness.a.push.id}/sync`, admin())).status).toBe(422);
  });
});

describe('connections', () => {
  test('without a code are the operator’s; with one, a tenant’s', async () => {
    const path = `${base}/connections`;
    expect((await harness.call('POST', path, admin(), { platform: 'slack', workspaceId: 'T-NEW' })).status).toBe(403);
    expect((await harness.call('POST', path, admin(), { platform: 'slack', code: 'WRONG' })).status).toBe(404);
    expect((await harness.call('POST', path, admin(), { platform: 'slack', code: 'GOOD-CODE' })).status).toBe(201);
    expect((await harness.call('POST', path, operator, { platform: 'slack', workspaceId: 'T-globex' })).status).toBe(
      409,
    );
    expect((await harness.call('POST', path, operator, { platform: 'slack' })).status).toBe(422);
  });

  test('never show credentials', async () => {
    const text = await (await harness.call('GET', `${base}/connections`, admin())).text();
    expect(text).toContain('"ownCredentials":true');
    expect(text).not.toMatch(/xoxb|sealed|SECRET/);
  });
});

describe('rules of a channel', () => {
  const rules = {
    answerWhen: 'question',
    audience: 'everybody',
    guests: 'refuse',
    bots: ['B1'],
    humans: ['#C9'],
  };

  test('are kept as they were put, each with its origin', async () => {
    const response = await harness.call('PUT', `${base}/channels/slack/C1`, admin(), rules);
    expect(response.status).toBe(200);
    const read = await json<Record<string, { value: unknown; origin: string }>>(
      await harness.call('GET', `${base}/channels/slack/C1`, admin()),
    );
    for (const [name, value] of Object.entries(rules)) expect(read[name]).toEqual({ value, origin: 'channel' });
    expect(read.enabled).toMatchObject({ origin: 'default' });
  });

  test('may be given to all channels of a tenant', async () => {
    const response = await harness.call('PATCH', base, admin(), { settings: { channels: rules } });
    expect(await json(response)).toMatchObject({ settings: { channels: rules } });
    expect((await harness.call('PATCH', base, admin(), { settings: { channels: { guests: 'maybe' } } })).status).toBe(
      422,
    );
  });

  test('a source says whom it is meant for', async () => {
    const made = await json<{ id: string; audience: string }>(
      await harness.call('POST', `${base}/sources`, admin(), { kind: 'push', name: 'Board', audience: 'named' }),
    );
    expect(made.audience).toBe('named');
    const changed = await harness.call('PATCH', `${base}/sources/${made.id}`, admin(), { audience: 'everybody' });
    expect(await json(changed)).toMatchObject({ audience: 'everybody' });
    expect((await harness.call('PATCH', `${base}/sources/${made.id}`, admin(), { audience: 'nobody' })).status).toBe(
      422,
    );
  });
});

describe('money and time', () => {
  test('limits in money are decimal strings in the tenant’s currency', async () => {
    const put = await harness.call('PUT', `${base}/quotas`, admin(), {
      limits: [
        { scope: 'tenant', unit: 'money', per: 'month', limit: '12.5' },
        { scope: 'member', id: 'slack:U1', unit: 'questions', per: 'day', limit: 20 },
      ],
    });
    expect(await json(put)).toEqual({
      limits: [
        {
          scope: 'tenant',
          unit: 'money',
          per: 'month',
          limit: { amount: '12.5', currency: 'USD' },
          used: { amount: '0', currency: 'USD' },
          resetsAt: '2026-12-01T00:00:00.000Z',
        },
        {
          scope: 'member',
          id: 'slack:U1',
          unit: 'questions',
          per: 'day',
          limit: 20,
          used: 0,
          resetsAt: '2026-12-01T00:00:00.000Z',
        },
      ],
      rev: expect.any(String),
    });
    for (const limit of [
      '-1',
      '1e3',
      'NaN',
      '1.0000000001',
      '',
      12.5,
      '99999999999',
      { amount: '1', currency: 'EUR' },
    ]) {
      expect(
        (
          await harness.call('PUT', `${base}/quotas`, admin(), {
            limits: [{ scope: 'tenant', unit: 'money', per: 'month', limit }],
          })
        ).status,
        JSON.stringify(limit),
      ).toBe(422);
    }
  });

  const row = {
    key: '2026-11-01',
    questions: 3,
    promptTokens: 10,
    completionTokens: 5,
    embeddingTokens: 0,
    costNanos: 1_234_567_891,
    costUnknown: false,
  };

  test('usage adds up to the unit; an unknown price is null, never 0', async () => {
    harness.core.rows.push(row, { ...row, key: '2026-11-02', costNanos: 0, costUnknown: true });
    const range = 'from=2026-11-01&to=2026-11-03';
    const path = `${base}/usage?${range}`;
    const report = await json(await harness.call('GET', path, harness.a.keys.billing));
    expect(report).toMatchObject({
      from: '2026-11-01T00:00:00.000Z',
      rows: [
        { cost: { amount: '1.234567891', currency: 'USD' }, costIncomplete: false },
        { cost: null, costIncomplete: true },
      ],
      total: { questions: 6, cost: { amount: '1.234567891' }, costIncomplete: true },
    });
    const once = await (await harness.call('GET', `${path}&format=csv`, harness.a.keys.billing)).text();
    expect(await (await harness.call('GET', `${path}&format=csv`, harness.a.keys.billing)).text()).toBe(once);
    expect(once.split('\r\n')[1]).toBe('2026-11-01,3,10,5,0,1.234567891,USD,false');
    expect(once.split('\r\n')[2]).toBe('2026-11-02,3,10,5,0,,USD,true');
  });

  test('no cell of the CSV is a formula', async () => {
    harness.core.rows.push(
      { ...row, key: '=HYPERLINK("https://evil.example")' },
      { ...row, key: '+1' },
      { ...row, key: 'a,"b"\nc' },
    );
    const text = await (await harness.call('GET', `${base}/usage?format=csv&group=member`, admin())).text();
    expect(text).toContain(`"'=HYPERLINK(""https://evil.example"")"`);
    expect(text).toContain(`'+1,`);
    expect(text).toContain('"a,""b""\nc"');
  });

  test('a period that ends before it begins is refused', async () => {
    expect((await harness.call('GET', `${base}/usage?from=2026-12-01&to=2026-11-01`, admin())).status).toBe(422);
    expect((await harness.call('GET', `${base}/usage?from=yesterday`, admin())).status).toBe(422);
  });
});

describe('the edge', () => {
  beforeAll(async () => {
    harness = await createHarness();
  });

  test('answers 404 and 405 as problems, with the methods that are taken', async () => {
    const missing = await harness.app.request('/api/v1/nothing');
    expect([missing.status, missing.headers.get('content-type')]).toEqual([
      404,
      'application/problem+json; charset=utf-8',
    ]);
    const wrong = await harness.app.request('/api/v1/tenants', { method: 'PATCH' });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get('allow')).toBe('GET, HEAD, POST');
    expect((await harness.app.request('/healthz', { method: 'POST' })).status).toBe(405);
  });

  test('refuses what it cannot read: 400, 413, 415, 422', async () => {
    const path = `${base}/ask`;
    const raw = (body: string, type = 'application/json') =>
      harness.call('POST', path, admin(), body, { 'content-type': type });
    expect((await raw('{"question":')).status).toBe(400);
    expect((await raw(`{"question":${'['.repeat(50)}${']'.repeat(50)}}`)).status).toBe(400);
    expect((await raw(JSON.stringify({ question: 'x'.repeat(1024 * 1024) }))).status).toBe(413);
    expect((await raw('question=x', 'application/x-www-form-urlencoded')).status).toBe(415);
    expect((await raw('{"question":"x"}', 'text/plain')).status).toBe(415);
    const unfit = await raw('{"question":7}');
    expect(unfit.status).toBe(422);
    expect(await json(unfit)).toMatchObject({ code: 'invalid', errors: [{ at: 'question' }] });
  });

  test('takes a sane request id and replaces any other', async () => {
    const given = await harness.call('GET', '/healthz', undefined, undefined, { 'x-request-id': 'abc-123-def' });
    expect(given.headers.get('x-request-id')).toBe('abc-123-def');
    const odd = await harness.call('GET', '/healthz', undefined, undefined, { 'x-request-id': 'a b<script>' });
    expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f]{24}$/);
  });

  test('sends secure headers with every answer', async () => {
    for (const path of ['/healthz', '/api/v1/tenants', '/console', '/nothing']) {
      const { headers } = await harness.app.request(path);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain('unsafe');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('same-origin');
    }
  });

  test('readiness lists what is wrong', async () => {
    expect((await harness.app.request('/readyz')).status).toBe(200);
    harness.core.failing.push('The disk is full.');
    const response = await harness.app.request('/readyz');
    expect([response.status, await response.json()]).toEqual([
      503,
      { status: 'not-ready', problems: ['The disk is full.'] },
    ]);
  });

  describe('metrics', () => {
    const from = (remoteAddress: string, headers: Record<string, string> = {}, config = {}) =>
      createHarness(config).then(({ app }) =>
        app.request('/metrics', { headers }, { incoming: { socket: { remoteAddress } } }),
      );

    test.each(['127.0.0.1', '::1', '::ffff:127.0.0.1', '0:0:0:0:0:ffff:7f00:1', '127.9.9.9'])(
      'are shown to the loopback caller %s',
      async (address) => {
        expect((await from(address)).status).toBe(200);
      },
    );
    test.each(['10.0.0.1', '::ffff:10.0.0.1', '192.168.1.1', '2001:db8::1', '0.0.0.0', '::', 'unknown'])(
      'are not shown to %s',
      async (address) => {
        expect((await from(address)).status).toBe(403);
      },
    );
    test.each(['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host'])(
      'are not shown to a proxied caller (%s)',
      async (name) => {
        expect((await from('127.0.0.1', { [name]: '127.0.0.1' })).status).toBe(403);
      },
    );
    test('need the token when there is one, from anywhere', async () => {
      const config = { metricsToken: 'metrics-token' };
      expect((await from('127.0.0.1', {}, config)).status).toBe(401);
      expect((await from('127.0.0.1', { authorization: 'Bearer metrics-toke' }, config)).status).toBe(401);
      expect((await from('10.0.0.1', { authorization: 'Bearer metrics-token' }, config)).status).toBe(200);
    });
  });
});

describe('webhooks and settings', () => {
  const base = '/api/v1/tenants/acme';

  test('a webhook is made with its secret, changed, paused, tried and listed without it', async () => {
    const { a, call } = await createHarness();
    const input = { name: 'More', url: 'https://hooks.example/more', events: ['sync.failed'] };
    const made = await call('POST', `${base}/webhooks`, a.keys.admin, input);
    expect(made.status).toBe(201);
    const webhook = await made.json();
    expect(webhook).toMatchObject({ ...input, text: false, paused: null, secret: expect.stringMatching(/^whsec_/) });
    const listed = await (await call('GET', `${base}/webhooks`, a.keys.admin)).text();
    expect(listed).toContain(webhook.id);
    expect(listed).not.toMatch(/whsec_|sealed/);
    const at = `${base}/webhooks/${webhook.id}`;
    expect((await call('PATCH', at, a.keys.admin, { paused: true })).status).toBe(200);
    expect((await call('POST', `${at}/test`, a.keys.admin)).status).toBe(202);
    const log = await (await call('GET', `${at}/deliveries`, a.keys.admin)).json();
    expect(log.deliveries[0]).toMatchObject({ state: 'delivered', status: 204, nextAt: null });
    expect((await call('POST', `${base}/webhooks`, a.keys.admin, { ...input, events: ['webhook.test'] })).status).toBe(
      422,
    );
    expect((await call('POST', `${base}/webhooks`, a.keys.admin, { ...input, url: 'ftp://x' })).status).toBe(422);
    for (const key of [a.keys.ask, a.keys.ingest, a.keys.billing])
      expect((await call('GET', `${base}/webhooks`, key)).status).toBe(403);
  });

  test('settings are replaced each as a whole and taken away with null; out of bounds is refused', async () => {
    const { a, call } = await createHarness();
    const patch = (settings: object) => call('PATCH', base, a.keys.admin, { settings });
    const settings = {
      messages: { de: { notFound: 'Nichts.' } },
      retrieval: { passages: 5 },
      masking: { kinds: ['email'] },
      quotaWarnings: { at: [80], to: [{ platform: 'slack', workspaceId: 'T1', channelId: 'C1' }] },
    };
    expect((await (await patch(settings)).json()).settings).toEqual(settings);
    expect((await (await patch({ retrieval: null, masking: null })).json()).settings).toEqual({
      messages: settings.messages,
      quotaWarnings: settings.quotaWarnings,
    });
    for (const bad of [
      { retrieval: { passages: 2 } },
      { retrieval: { meaning: 1 } },
      { masking: { kinds: ['name'] } },
      { quotaWarnings: { at: [], to: [] } },
      { quotaWarnings: { at: [101], to: [] } },
      { messages: { DE: {} } },
    ])
      expect((await patch(bad)).status, JSON.stringify(bad)).toBe(422);
  });

  test('a limit’s grace goes in and comes out; retention tells its runs', async () => {
    const { a, call } = await createHarness();
    const limits = [
      {
        scope: 'tenant',
        unit: 'questions',
        per: 'day',
        limit: 5,
        grace: { percent: 10, until: '2026-12-24T00:00:00.000Z' },
      },
    ];
    const put = await call('PUT', `${base}/quotas`, a.keys.admin, { limits });
    expect((await put.json()).limits).toMatchObject(limits);
    const grace = { percent: 101 };
    expect((await call('PUT', `${base}/quotas`, a.keys.admin, { limits: [{ ...limits[0], grace }] })).status).toBe(422);
    const retention = await (await call('GET', `${base}/retention`, a.keys.admin)).json();
    expect(retention).toMatchObject({ days: null, runs: [{ day: '2026-11-21', answers: 3, turns: 6 }] });
  });
});
