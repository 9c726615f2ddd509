import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Tenant, WebhookEvent } from '../../../core/domain.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { AppError } from '../../../core/errors.ts';
import { createDeliverer, type Deliverer } from '../../../core/notices/deliver.ts';
import { createNotices, type Notices } from '../../../core/notices/notices.ts';
import { createWebhooks } from '../../../core/notices/webhooks.ts';
import type { Platform } from '../../../core/ports/platform.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { createGuardedFetch } from '../../../core/security/guarded-fetch.ts';
import { createSealer } from '../../../core/security/seal.ts';
import { aTenant } from '../../contracts/rows.ts';
import { createTestRuntime, type TestRuntime, testStart } from '../../fakes/clock.ts';
import { isSignedWith, type Receiver, startReceiver } from '../../fakes/webhook-receiver.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

let folder: string;
let state: StateStore;
let receiver: Receiver;
let runtime: TestRuntime;
let tenant: Tenant;
let notices: Notices;
let webhooks: ReturnType<typeof createWebhooks>;
let deliverer: Deliverer;
let seed = 0;

const sealer = createSealer(new Uint8Array(32));
const begin = (platforms: readonly Platform[] = [], allow: readonly string[] = [receiver.host]): void => {
  deliverer = createDeliverer({ state, runtime, sealer, notices, fetch: createGuardedFetch({ allow }) });
  deliverer.start(platforms);
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'footnote-notices-'));
  state = await openSqliteState({ dataDir: folder, log: createTestRuntime().log });
});
afterAll(async () => {
  await state.maintenance.close();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  receiver = await startReceiver();
  runtime = createTestRuntime({ seed: ++seed });
  tenant = aTenant();
  await state.tenants.create(tenant);
  notices = createNotices({ state, runtime });
  webhooks = createWebhooks({ state, runtime, sealer, notices });
});
afterEach(async () => {
  await deliverer.stop(1_000);
  await receiver.close();
  await state.tenants.markDeleted(tenant.id, testStart);
});

/** Looks again and again; each time `stepMs` have passed for the deliverer, whose store answers in time of its own. */
const until = (holds: () => boolean | Promise<boolean>, stepMs = 0): Promise<void> =>
  vi.waitFor(
    async () => {
      await runtime.clock.advance(stepMs);
      if (!(await holds())) throw new Error('not yet');
    },
    { timeout: 30_000, interval: 5 },
  );
const make = (events: readonly WebhookEvent[] = ['question.not_found'], text = false) =>
  webhooks.create(tenant.id, { name: 'Tickets', url: receiver.url, events, text });
const happen = (id = 'a_1', event: WebhookEvent = 'question.not_found') =>
  notices.tell({
    id,
    tenantId: tenant.id,
    event,
    at: runtime.clock.now(),
    data: { answerId: id },
    text: { question: 'Where is xyzzy?' },
    memberId: 'slack:U1',
  });
const log = async (webhookId: string) => (await webhooks.deliveries(tenant.id, webhookId, { limit: 50 })).items;
/** The one line of the log, once it says so. */
const settled = async (
  webhookId: string,
  holds: (line: Awaited<ReturnType<typeof log>>[number]) => boolean,
  stepMs = 0,
) => {
  await until(async () => {
    const [line] = await log(webhookId);
    return line !== undefined && holds(line);
  }, stepMs);
  return (await log(webhookId))[0]!;
};

describe('a webhook', () => {
  test('gets what it chose, signed, without a word of anybody', async () => {
    const { webhook, secret } = await make();
    begin();
    await happen('a_0', 'question.answered');
    await happen();
    const line = await settled(webhook.id, ({ state }) => state === 'delivered');
    expect(line).toMatchObject({ status: 204, attempts: 1, event: 'question.not_found' });
    expect(receiver.received).toHaveLength(1);
    const [message] = receiver.received;
    expect(message?.headers['webhook-id']).toBe(line.id);
    expect(message?.headers['webhook-timestamp']).toBe(String(testStart / 1000));
    expect(isSignedWith(secret, message!)).toBe(true);
    expect(isSignedWith(secret, { ...message!, body: `${message?.body} ` })).toBe(false);
    expect(JSON.parse(message?.body ?? '')).toEqual({
      type: 'question.not_found',
      timestamp: '2026-11-22T09:00:00.000Z',
      data: { tenantId: tenant.id, answerId: 'a_1' },
    });
    expect((await webhooks.get(tenant.id, webhook.id))?.sealedSecret).not.toContain(secret.slice(6, 20));
    expect(runtime.counted('notices_total', { kind: 'webhook', outcome: 'delivered' })).toBe(1);
    expect(runtime.measured('webhook_seconds', { outcome: 'delivered' })).toHaveLength(1);
  });

  test('gets words only where the tenant switched them on, and the log keeps none of them', async () => {
    const { webhook } = await make(['question.not_found'], true);
    begin();
    await happen();
    await settled(webhook.id, ({ state }) => state === 'delivered');
    expect(receiver.received[0]?.body).toContain('xyzzy');
    expect(JSON.stringify(await log(webhook.id))).not.toContain('xyzzy');
  });

  test('is told once of what happened once, however often it is said', async () => {
    const { webhook } = await make();
    begin();
    await Promise.all([happen(), happen(), happen()]);
    await settled(webhook.id, ({ state }) => state === 'delivered');
    await happen();
    await happen('a_2');
    await until(async () => (await log(webhook.id)).filter(({ state }) => state === 'delivered').length === 2);
    expect(receiver.received).toHaveLength(2);
  });

  test('is tried again with growing waits, under the same id, until it takes the message', async () => {
    const { webhook } = await make();
    receiver.answer = 503;
    begin();
    await happen();
    const first = await settled(webhook.id, ({ attempts, status }) => attempts === 1 && status === 503);
    expect(first).toMatchObject({ state: 'waiting', problem: 'The receiver answered 503.' });
    expect(first.nextAt - testStart).toBeGreaterThanOrEqual(27_000);
    await runtime.clock.advance(first.nextAt - testStart - 1_000);
    expect(receiver.received).toHaveLength(1);
    // Claiming moves the next try too; only the outcome moves it by more than a claim lasts.
    const second = await settled(
      webhook.id,
      ({ attempts, lastAt }) => attempts === 2 && lastAt !== undefined && lastAt > first.lastAt!,
      1_000,
    );
    expect(second.nextAt - second.lastAt!).toBeGreaterThan(100_000);
    expect((await webhooks.get(tenant.id, webhook.id))?.failingSince).toBe(testStart);
    receiver.answer = 200;
    await settled(webhook.id, ({ state }) => state === 'delivered', 5_000);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([first.id]));
    expect(receiver.received).toHaveLength(3);
    await until(async () => (await webhooks.get(tenant.id, webhook.id))?.failingSince === undefined);
  });

  test('that is not answered in time is tried again by another process after a crash', async () => {
    const { webhook } = await make();
    // Claimed by a process that died before it sent anything.
    await happen();
    const claimed = await state.notices.claim({ now: testStart, leaseForMs: 60_000, except: [] });
    expect(claimed?.receiver).toBe(webhook.id);
    begin();
    await runtime.clock.advance(30_000);
    expect(receiver.received).toHaveLength(0);
    expect(await settled(webhook.id, ({ state }) => state === 'delivered', 5_000)).toMatchObject({ attempts: 2 });
    expect(runtime.clock.now()).toBeGreaterThanOrEqual(testStart + 60_000);
  });

  test('that takes nothing for three days is paused by itself, and says so', async () => {
    const { webhook } = await make();
    await state.webhooks.note(tenant.id, webhook.id, testStart - 3 * day, false);
    receiver.answer = 500;
    begin();
    await happen();
    await until(async () => (await webhooks.get(tenant.id, webhook.id))?.paused !== undefined);
    const paused = (await webhooks.get(tenant.id, webhook.id))?.paused;
    expect(paused).toMatchObject({ by: 'failures', at: testStart });
    expect(paused?.why).toContain('The receiver answered 500.');
    const audit = await state.audit.list(tenant.id, { q: 'webhook.pause' }, { limit: 5 });
    expect(audit.items).toMatchObject([{ actor: 'footnote', subject: webhook.id }]);
    await happen('a_2');
    expect(await log(webhook.id), 'nothing is kept for later').toHaveLength(1);
  });

  test('that answers that it is gone is paused at once', async () => {
    const { webhook } = await make();
    receiver.answer = 410;
    begin();
    await happen();
    await until(async () => (await webhooks.get(tenant.id, webhook.id))?.paused?.by === 'failures');
    await until(() => runtime.counted('webhooks_paused_total', { why: 'gone' }) === 1);
    expect(runtime.measured('webhook_seconds', { outcome: 'refused' })).toHaveLength(1);
  });

  test('that is paused waits with what it has, and goes on where it was', async () => {
    const { webhook } = await make();
    await happen();
    await webhooks.pause(tenant.id, webhook.id);
    begin();
    await settled(webhook.id, ({ nextAt }) => nextAt > testStart + minute);
    expect(receiver.received).toHaveLength(0);
    await webhooks.resume(tenant.id, webhook.id);
    expect(await settled(webhook.id, ({ state }) => state === 'delivered', 5_000)).toMatchObject({ attempts: 1 });
  });

  test('is given up after three days', async () => {
    const { webhook } = await make();
    await happen();
    receiver.answer = 500;
    runtime.clock.set(testStart + 3 * day);
    begin();
    const line = await settled(webhook.id, ({ state }) => state === 'failed');
    expect(line).toMatchObject({ problem: 'The receiver answered 500.' });
  });

  test('a test is sent at once, also while it is paused, and tried once', async () => {
    const { webhook, secret } = await make();
    await webhooks.pause(tenant.id, webhook.id);
    receiver.answer = 500;
    begin();
    await webhooks.test(tenant.id, webhook.id);
    expect(await settled(webhook.id, ({ state }) => state === 'failed')).toMatchObject({
      event: 'webhook.test',
      attempts: 1,
      status: 500,
    });
    expect(isSignedWith(secret, receiver.received[0]!)).toBe(true);
    expect(await webhooks.get(tenant.id, webhook.id), 'says nothing of how it fares').not.toHaveProperty(
      'failingSince',
    );
  });

  test('at a private address is refused unless it is permitted, and the log says so', async () => {
    const { webhook } = await make();
    begin([], []);
    await happen();
    const line = await settled(webhook.id, ({ problem }) => problem !== undefined);
    expect(line.problem).toContain('address not allowed');
    expect(receiver.received).toHaveLength(0);
  });

  test('a redirect is not followed', async () => {
    const { webhook } = await make();
    receiver.answer = 302;
    begin();
    await happen();
    const line = await settled(webhook.id, ({ status }) => status === 302);
    expect(line.problem).toContain('redirect');
    expect(receiver.received.map(({ path }) => path)).toEqual(['/hooks']);
  });

  test('a silent receiver holds up nobody else', async () => {
    const quick = await startReceiver();
    receiver.answer = 'silent';
    const { webhook: slow } = await make();
    begin([], [receiver.host, quick.host]);
    for (const id of ['a_1', 'a_2', 'a_3', 'a_4']) await happen(id);
    await until(() => receiver.received.length === 2);
    const other = await webhooks.create(tenant.id, { name: 'B', url: quick.url, events: ['sync.failed'], text: false });
    await happen('j_1', 'sync.failed');
    await settled(other.webhook.id, ({ state }) => state === 'delivered');
    expect(receiver.received, 'two at once and no more').toHaveLength(2);
    expect((await log(slow.id)).filter(({ state }) => state === 'delivered')).toHaveLength(0);
    await quick.close();
  });

  test('its address must be one, its name its own, and there are at most twenty', async () => {
    begin();
    const input = { name: 'A', url: 'https://example.com/x', events: ['sync.failed'] as const, text: false };
    const refused = async (work: Promise<unknown>) => ((await work.catch((error: unknown) => error)) as AppError).at;
    expect(await refused(webhooks.create(tenant.id, { ...input, url: 'ftp://example.com' }))).toBe('url');
    expect(await refused(webhooks.create(tenant.id, { ...input, url: 'https://a:b@example.com' }))).toBe('url');
    expect(await refused(webhooks.create(tenant.id, { ...input, events: [] }))).toBe('events');
    await webhooks.create(tenant.id, input);
    expect(await refused(webhooks.create(tenant.id, input))).toBe('name');
    for (let n = 1; n < 20; n += 1) await webhooks.create(tenant.id, { ...input, name: `A${n}` });
    await expect(webhooks.create(tenant.id, { ...input, name: 'One more' })).rejects.toMatchObject({
      code: 'conflict',
    });
  });
});

describe('a chat message', () => {
  const to = { platform: 'slack', workspaceId: 'T1', channelId: 'C1' } as const;
  const platform = (say: NonNullable<Platform['say']>): Platform => ({ name: 'slack', say }) as unknown as Platform;

  test('is said once to each receiver, whoever says the same, and again until the platform takes it', async () => {
    const said: string[] = [];
    let down = true;
    begin([
      platform(async (destination, { markdown }) => {
        if (down) throw new AppError('platform-failed', 'Slack is down.', { retryable: true });
        said.push(`${destination.channelId ?? destination.userId}: ${markdown}`);
        return 'm1';
      }),
    ]);
    const person = { platform: 'slack', workspaceId: 'T1', userId: 'U1' } as const;
    await Promise.all([1, 2, 3].map(() => notices.say(tenant.id, 'warning:1', [to, person], 'Four fifths are used.')));
    const chat = async () => (await state.notices.list(tenant.id, 'chat', { limit: 9 })).items;
    await until(async () => (await chat()).every(({ problem }) => problem === 'Slack is down.'));
    expect(await chat()).toHaveLength(2);
    down = false;
    await until(async () => (await chat()).every(({ state }) => state === 'delivered'), 5_000);
    await notices.say(tenant.id, 'warning:1', [to, person], 'Four fifths are used.');
    expect((await chat()).every(({ state }) => state === 'delivered')).toBe(true);
    expect(said.toSorted()).toEqual(['C1: Four fifths are used.', 'U1: Four fifths are used.']);
  });
});
