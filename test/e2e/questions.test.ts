import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openSqliteState, stateFileIn } from '../../core/drivers/state/sqlite/state.ts';
import type { StateStore } from '../../core/ports/state.ts';
import { type Running, startFootnote } from '../../main.ts';
import { createTestRuntime } from '../fakes/clock.ts';
import { type ModelServer, startModelServer } from '../fakes/model-server.ts';
import {
  createSlackSender,
  type FakeSlack,
  type SlackSender,
  slackPayloads,
  startFakeSlack,
} from '../fakes/slack-api.ts';

/** Everything real but Slack and the model, which are real sockets: the path of a question under load and under failure. */
const signingSecret = 'e2e-signing-secret';
/** Longer than a writer waits for another process. */
const outageForMs = Number(process.env.OUTAGE_MS ?? 12_000);
const token = 'an-operator-token-for-tests';

describe('questions from Slack through the whole house, with a model', () => {
  let dataDir: string;
  let slack: FakeSlack;
  let model: ModelServer;
  let running: Running;
  let sender: SlackSender;
  let payloads: ReturnType<typeof slackPayloads>;
  let state: StateStore;
  let tenantId: string;
  const rejections: unknown[] = [];
  const onRejection = (reason: unknown): void => void rejections.push(reason);

  beforeEach(async () => {
    process.on('unhandledRejection', onRejection);
    dataDir = await mkdtemp(join(tmpdir(), 'footnote-questions-'));
    [slack, model] = await Promise.all([startFakeSlack(), startModelServer({ latencyMs: 20 })]);
    running = await startFootnote({
      PORT: '0',
      DATA_DIR: dataDir,
      FOOTNOTE_ADMIN_TOKEN: token,
      LOG_LEVEL: 'silent',
      SLACK_SIGNING_SECRET: signingSecret,
      SLACK_BOT_TOKEN: 'xoxb-fake',
      SLACK_API_URL: slack.url,
      DEFAULT_TENANT: 'demo',
      OPENAI_BASE_URL: model.baseUrl,
      OPENAI_API_KEY: 'sk-test',
      CHAT_MODEL: 'gpt-4o-mini',
    });
    sender = createSlackSender({ url: `${running.url}/slack/events`, signingSecret, now: Date.now });
    payloads = slackPayloads(slack.teamId, slack.botUserId);
    state = await openSqliteState({ dataDir, log: createTestRuntime().log });
    tenantId = (await running.core.tenants.bySlug('demo'))?.id ?? '';
  }, 60_000);
  afterEach(async () => {
    await running.stop();
    await Promise.all([slack.close(), model.close(), state.maintenance.close()]);
    await rm(dataDir, { recursive: true, force: true });
    process.off('unhandledRejection', onRejection);
    expect(rejections.splice(0)).toEqual([]);
  }, 60_000);

  /** Many rooms: in one, answers wait for each other by the second, as Slack wants it. */
  const channelOf = (ts: string): string => `C0ROOM${(Number(ts.slice(-6)) / 100) % 40}`;
  const ask = (text: string, ts = slack.nextTs(), user = 'U1'): Promise<string> =>
    sender
      .send(payloads.appMention({ text: `<@${slack.botUserId}> ${text}`, ts, user, channel: channelOf(ts) }))
      .then((response) => {
        expect(response.status).toBe(200);
        return ts;
      });
  const settledAll = async (tss: readonly string[], withinMs: number): Promise<readonly string[]> => {
    const reasons = async () =>
      (await Promise.all(tss.map((ts) => state.inbox.byMessage('slack', slack.teamId, channelOf(ts), ts)))).flatMap(
        (rows) => rows.map((row) => row.reason ?? 'waiting'),
      );
    return vi.waitFor(
      async () => {
        const found = await reasons();
        expect(found).toHaveLength(tss.length);
        expect(found).not.toContain('waiting');
        return found;
      },
      { timeout: withinMs, interval: 200 },
    );
  };
  const ledger = async () =>
    (await state.ledger.list(tenantId, { from: 0, to: Date.now() + 1_000 }, { limit: 5_000 })).items;

  it('200 at once at a limit of 20 are 20 answers and 180 refusals, not one more, and nothing is held afterwards', {
    timeout: 120_000,
  }, async () => {
    await running.core.quotas.put(tenantId, [{ scope: 'tenant', unit: 'questions', per: 'day', limit: 20 }]);
    const tss = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        ask(
          `How many days of annual leave do I get? (${createHash('sha1').update(`${index}`).digest('hex').slice(0, 5)})`,
          slack.nextTs(),
          `U${index % 7}`,
        ),
      ),
    );
    const reasons = await settledAll(tss, 100_000);
    expect(reasons.filter((reason) => reason === 'quota')).toHaveLength(180);
    expect(reasons.filter((reason) => reason !== 'quota')).toHaveLength(20);
    const [limit] = await running.core.quotas.get(tenantId);
    expect(limit?.used).toBe(20);
    const bucket = `tenant:${tenantId}:questions:${new Date().toISOString().slice(0, 10)}`;
    expect(await state.metering.counters(tenantId, [bucket], Date.now())).toMatchObject([{ used: 20, held: 0 }]);
    expect((await ledger()).filter((line) => line.kind === 'question')).toHaveLength(20);
    expect(slack.answers()).toHaveLength(200);
  });

  it('a state store that nobody can write to loses nothing, acknowledges nothing, and all is well within ten seconds', {
    timeout: 120_000,
  }, async () => {
    const first = await ask('How long is parental leave?');
    await settledAll([first], 20_000);
    const lock = new DatabaseSync(stateFileIn(dataDir));
    lock.exec('PRAGMA busy_timeout = 5000');
    lock.exec('BEGIN IMMEDIATE');
    const sent = Array.from({ length: 12 }, (_, index) => ({ ts: slack.nextTs(), index }));
    const statuses = new Map<string, number>();
    const deliver = async ({ ts, index }: (typeof sent)[number]): Promise<void> => {
      const text = `<@${slack.botUserId}> How many days of annual leave do I get? ${index}`;
      statuses.set(ts, (await sender.send(payloads.appMention({ text, ts, channel: channelOf(ts) }))).status);
    };
    const deliveries = Promise.all(sent.map(deliver));
    await new Promise((resolve) => setTimeout(resolve, outageForMs));
    const during = new Map(statuses);
    lock.exec('ROLLBACK');
    lock.close();
    const back = Date.now();
    await deliveries;
    // Nothing was told to be taken while nothing could be stored.
    expect([...during.values()].filter((status) => status === 200)).toEqual([]);
    // Slack sends again what was not acknowledged.
    for (const each of sent) if (statuses.get(each.ts) !== 200) await deliver(each);
    expect(new Set(statuses.values())).toEqual(new Set([200]));
    const reasons = await settledAll(
      sent.map(({ ts }) => ts),
      20_000,
    );
    expect(new Set(reasons)).toEqual(new Set(['answered']));
    console.info('all answered', Date.now() - back, 'ms after the store came back; statuses meanwhile', [
      ...during.values(),
    ]);
    expect(Date.now() - back).toBeLessThan(20_000);
    expect(slack.answers()).toHaveLength(13);
  });

  it('a model that is broken in every way is said so, charged to nobody, and used again when it is well', {
    timeout: 120_000,
  }, async () => {
    await running.core.quotas.put(tenantId, [{ scope: 'tenant', unit: 'tokens', per: 'day', limit: 1_000_000 }]);
    for (const fault of [
      { kind: 'status', status: 401 },
      { kind: 'status', status: 400 },
      { kind: 'truncate' },
      { kind: 'invalid-chunk' },
      { kind: 'flood', bytes: 10_000_000 },
    ] as const) {
      const before = await ledger();
      model.failAlways(fault);
      const [reason] = await settledAll([await ask(`Can I take a sabbatical? ${fault.kind}`)], 60_000);
      expect([fault.kind, reason]).toEqual([fault.kind, 'model-failed']);
      expect(await ledger()).toEqual(before);
      const [limit] = await running.core.quotas.get(tenantId);
      expect(limit?.used).toBe(0);
      model.failAlways(null);
    }
    // The breaker may be open for a while.
    await vi.waitFor(
      async () => expect(await settledAll([await ask('Can I take a sabbatical?')], 30_000)).toEqual(['answered']),
      { timeout: 40_000, interval: 2_000 },
    );
    const [limit] = await running.core.quotas.get(tenantId);
    expect(limit?.used).toBeGreaterThan(0);
  });
});
