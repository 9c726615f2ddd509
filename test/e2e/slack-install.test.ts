import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Running, startFootnote } from '../../main.ts';
import { createSlackSender, type FakeSlack, slackPayloads, startFakeSlack } from '../fakes/slack-api.ts';
import { until } from '../until.ts';

const signingSecret = 'e2e-signing-secret';
const token = 'an-operator-token-for-tests';

describe('a workspace joins by "Add to Slack"', () => {
  let dataDir: string;
  let slack: FakeSlack;
  let running: Running;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'footnote-install-'));
    slack = await startFakeSlack({ botToken: 'xoxb-somebody-else', teamId: 'T0NEW' });
    running = await startFootnote({
      PORT: '0',
      DATA_DIR: dataDir,
      FOOTNOTE_ADMIN_TOKEN: token,
      LOG_LEVEL: 'silent',
      SLACK_SIGNING_SECRET: signingSecret,
      SLACK_CLIENT_ID: 'the-client',
      SLACK_CLIENT_SECRET: 'the-client-secret',
      SLACK_API_URL: slack.url,
    });
  }, 60_000);
  afterEach(async () => {
    await running.stop();
    await slack.close();
    await rm(dataDir, { recursive: true, force: true });
  }, 60_000);

  it('asked for, installed, claimed with the code that Slack showed, answering with its own token, checked, removed', {
    timeout: 90_000,
  }, async () => {
    const begun = await fetch(`${running.url}/slack/install`, { redirect: 'manual' });
    const state = new URL(begun.headers.get('location') ?? '').searchParams.get('state') ?? '';
    const cookie = (begun.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    slack.grant('the-code', { teamId: 'T0NEW', teamName: 'Acme', userId: 'U0INSTALLER', token: 'xoxb-acme' });
    const finished = await fetch(`${running.url}/slack/oauth_redirect?code=the-code&state=${state}`, {
      headers: { cookie },
    });
    expect(finished.status).toBe(200);
    expect(finished.headers.get('content-security-policy')).toContain("default-src 'none'");

    const sender = createSlackSender({ url: `${running.url}/slack/events`, signingSecret, now: Date.now });
    const payloads = slackPayloads('T0NEW', slack.botUserId);
    const ask = async (): Promise<string> => {
      const ts = slack.nextTs();
      const text = `<@${slack.botUserId}> How many days of annual leave do I get?`;
      expect((await sender.send(payloads.appMention({ text, ts }))).status).toBe(200);
      return ts;
    };
    // Nobody's workspace: no answer from anybody's documents.
    await ask();

    const code = /[A-Z0-9]{5}-[A-Z0-9]{5}/.exec(JSON.stringify(slack.answers()[0]?.blocks))?.[0];
    const api = (path: string, body?: unknown) =>
      fetch(`${running.url}/api/v1/tenants/demo/${path}`, {
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      });
    const claimed = await api('connections', { platform: 'slack', code });
    expect(claimed.status).toBe(201);
    const { id } = (await claimed.json()) as { readonly id: string };
    expect((await api('connections', { platform: 'slack', code })).status).toBe(404);

    const ts = await ask();
    await until(() => expect(slack.answers(ts)).toHaveLength(1));
    expect(JSON.stringify(slack.answers(ts))).toContain('Sources');
    expect(new Set(slack.callsOf('chat.postMessage').map((call) => call.token))).toEqual(new Set(['xoxb-acme']));

    slack.scopes.add('mpim:history');
    const checkUp = (await (await api(`connections/${id}/check-up`)).json()) as {
      readonly items: readonly { readonly item: string; readonly ok: boolean }[];
    };
    expect(checkUp.items.length).toBeGreaterThan(10);
    expect(checkUp.items.filter(({ ok }) => !ok)).toEqual([]);

    const gone = payloads.envelope({ type: 'app_uninstalled', event_ts: slack.nextTs() });
    expect((await sender.send(gone)).status).toBe(200);
    await until(async () => {
      const listed = (await (await api('connections')).json()) as {
        readonly connections: readonly { readonly lastError?: string }[];
      };
      expect(listed.connections[0]?.lastError).toContain('removed from this workspace');
    });
  });
});
