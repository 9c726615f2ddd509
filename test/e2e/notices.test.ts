import { mkdir, rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Platform } from '../../core/ports/platform.ts';
import { openReal, type Real } from '../console/real.ts';
import { startModelServer } from '../fakes/model-server.ts';
import { type Receiver, startReceiver } from '../fakes/webhook-receiver.ts';

/** What is told outside, through the whole core over its real store: to a chat platform and to a webhook. */

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

let real: Real;
let receiver: Receiver;
let model: Awaited<ReturnType<typeof startModelServer>>;
let tenantId: string;
const said: { readonly to: string; readonly markdown: string }[] = [];

/** All that the core wants of a platform that only speaks. */
const platform = {
  name: 'slack',
  start: async () => undefined,
  stop: async () => undefined,
  say: async (to, { markdown }) => {
    said.push({ to: `${to.workspaceId}/${to.channelId ?? to.userId}`, markdown });
    return 'm1';
  },
} as Pick<Platform, 'name' | 'start' | 'stop' | 'say'> as Platform;

beforeAll(async () => {
  receiver = await startReceiver();
  model = await startModelServer();
  real = await openReal({
    FETCH_ALLOW: receiver.host,
    OPENAI_BASE_URL: model.baseUrl,
    CHAT_MODEL: 'usual',
    CHAT_MODELS: 'chosen',
  });
  tenantId = (await real.core.tenants.create({ slug: 'acme', name: 'Acme' })).id;
  const source = await real.core.sources.create(tenantId, { kind: 'push', name: 'Handbook', settings: {} });
  const content = '# Leave\nThere are 30 days of paid annual leave in a year.';
  await real.core.documents.put(tenantId, source.id, { externalId: 'leave.md', content }, AbortSignal.timeout(30_000));
  await real.core.start([platform]);
});
afterAll(async () => {
  await real.close();
  await receiver.close();
  await model.close();
});

const ask = (question: string) =>
  real.core.ask(
    tenantId,
    { question, platform: 'api', user: 'ada', traceId: 't' },
    { signal: AbortSignal.timeout(60_000) },
  );
const events = () =>
  receiver.received.map(({ body }) => JSON.parse(body) as { type: string; data: Record<string, unknown> });
const eventOf = (type: string) => events().find((event) => event.type === type);

describe('what a tenant is told', () => {
  test('thresholds of a limit are said in chat and to webhooks, once each; the refusal is in the tenant’s words', async () => {
    await real.core.webhooks.create(tenantId, {
      name: 'All',
      url: receiver.url,
      events: ['quota.warning', 'question.refused'],
      text: false,
    });
    await real.core.tenants.update(tenantId, {
      settings: {
        quotaWarnings: {
          at: [50, 100],
          to: [
            { platform: 'slack', workspaceId: 'T1', channelId: 'C1' },
            { platform: 'slack', workspaceId: 'T1', userId: 'U1' },
          ],
        },
        messages: { en: { quota: 'Enough at {organisation}. {reason}' } },
      },
    });
    await real.core.quotas.put(tenantId, [
      { scope: 'member', unit: 'questions', per: 'month', limit: 2, grace: { percent: 50 } },
    ]);
    const kinds: string[] = [];
    for (const n of [1, 2, 3])
      kinds.push((await ask(`How many days of paid annual leave are there in year ${n}?`)).kind);
    expect(kinds).toEqual(['answered', 'answered', 'answered']);
    const refused = await ask('And how many days of paid annual leave in the year after?');
    expect(refused).toMatchObject({ kind: 'refused', reasonCode: 'quota' });
    expect(refused.answer).toMatch(
      /^Enough at Acme\. You have used your 2 questions for this month, and the 1 question /,
    );

    await vi.waitFor(() => expect(said).toHaveLength(4), { timeout: 60_000 });
    expect(said.map(({ to, markdown }) => `${to} ${/\d+ %/.exec(markdown)?.[0]}`).toSorted()).toEqual([
      'T1/C1 100 %',
      'T1/C1 50 %',
      'T1/U1 100 %',
      'T1/U1 50 %',
    ]);
    await vi.waitFor(
      () =>
        expect(
          events()
            .map(({ type }) => type)
            .toSorted(),
        ).toEqual(['question.refused', 'quota.warning', 'quota.warning']),
      { timeout: 60_000 },
    );
    expect(eventOf('quota.warning')?.data).toMatchObject({ scope: 'member', scopeId: 'api:ada', unit: 'questions' });
    await real.core.quotas.put(tenantId, []);
  });

  test('a sync that fails and a workspace that is lost are told', async () => {
    await real.core.webhooks.create(tenantId, {
      name: 'Health',
      url: receiver.url,
      events: ['sync.failed', 'sync.finished', 'connection.lost'],
      text: false,
    });
    const { folder, tenant } = await real.furnish('globex');
    const theirs = await real.core.webhooks.create(tenant.id, {
      name: 'Theirs',
      url: receiver.url,
      events: ['sync.finished'],
      text: false,
    });
    const place = String(folder.settings.path);
    const own = `${place}-acme`;
    await mkdir(own);
    const source = await real.core.sources.create(tenantId, { kind: 'folder', name: 'F', settings: { path: own } });
    await real.core.sources.sync(tenantId, source.id);
    await vi.waitFor(() => expect(eventOf('sync.finished')).toBeDefined(), { timeout: 60_000 });
    await rm(own, { recursive: true });
    const job = await real.core.sources.sync(tenantId, source.id);
    await vi.waitFor(() => expect(eventOf('sync.failed')).toBeDefined(), { timeout: 60_000 });
    expect(eventOf('sync.failed')?.data).toMatchObject({ tenantId, jobId: job.id, sourceId: source.id });
    await real.core.connections.create(tenantId, { platform: 'slack', workspaceId: 'T9' });
    await real.core.connections.uninstall('slack', 'T9');
    await vi.waitFor(() => expect(eventOf('connection.lost')).toBeDefined(), { timeout: 60_000 });
    expect(eventOf('connection.lost')?.data).toMatchObject({ tenantId, platform: 'slack', workspaceId: 'T9' });
    expect((await real.core.webhooks.deliveries(tenant.id, theirs.webhook.id, { limit: 9 })).items.length).toBeLessThan(
      2,
    );
  });

  test('the model that the tenant chose writes, is priced and is in the ledger', async () => {
    await real.core.tenants.update(tenantId, { settings: { chatModel: 'chosen' } });
    model.reset();
    const receipt = await ask('How many days of paid annual leave does one get?');
    expect(receipt).toMatchObject({ kind: 'answered', model: 'chosen' });
    expect(model.calls.map(({ body }) => body.model)).toEqual(['chosen']);
    const ledger = await real.core.usage.ledger(tenantId, { from: 0, to: Date.now() + 1 }, { limit: 100 });
    expect(ledger.items.filter(({ answerId }) => answerId === receipt.answerId).map((line) => line.model)).toContain(
      'chosen',
    );
    await expect(real.core.tenants.update(tenantId, { settings: { chatModel: 'other' } })).rejects.toMatchObject({
      code: 'invalid',
      at: 'chatModel',
    });
  });

  test('masked data stands in no receipt, list, search, conversation or comment', async () => {
    await real.core.tenants.update(tenantId, { settings: { masking: { kinds: ['email', 'phone'] } } });
    const receipt = await ask('How many days of paid annual leave has ada@example.com, +49 30 901820?');
    await real.core.answers.feedback(tenantId, receipt.answerId, {
      rating: 'down',
      comment: 'Tell grace@example.com.',
      user: 'ada',
    });
    const kept = await real.core.answers.get(tenantId, receipt.answerId);
    expect(kept?.question).toBe('How many days of paid annual leave has [e-mail], [phone]?');
    expect(kept?.feedback).toMatchObject([{ comment: 'Tell [e-mail].' }]);
    expect((await real.core.answers.list(tenantId, { q: 'ada@example' }, { limit: 5 })).items).toEqual([]);
    const followUp = await real.core.ask(
      tenantId,
      {
        question: 'And in two years?',
        conversationId: receipt.conversationId,
        platform: 'api',
        user: 'ada',
        traceId: 't',
      },
      { signal: AbortSignal.timeout(60_000) },
    );
    const last = JSON.stringify(model.calls.at(-1));
    expect(followUp.conversationId).toBe(receipt.conversationId);
    expect(last).not.toContain('ada@example.com');
  });
});
