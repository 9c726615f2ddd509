import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Running, startFootnote } from '../../main.ts';
import { type Playground, startPlayground } from '../bots/teams/playground.ts';

/** A fresh start as docs/teams.md describes it: the product itself, its demo tenant, and Microsoft's Agents Playground. */
let dataDir = '';
let footnote: Running;
let playground: Playground;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'footnote-e2e-teams-'));
  footnote = await startFootnote({
    PORT: '0',
    DATA_DIR: dataDir,
    LOG_LEVEL: 'silent',
    TEAMS_ALLOW_UNAUTHENTICATED_LOOPBACK: 'on',
    DEFAULT_TENANT: 'demo',
    DEFAULT_TENANT_WORKSPACES: 'teams:00000000-0000-0000-0000-0000000000001',
  });
  playground = await startPlayground(`${footnote.url.replace('localhost', '127.0.0.1')}/teams/messages`);
}, 90_000);
afterAll(async () => {
  await playground?.close();
  await footnote?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const replyTo = async (words: string): Promise<(typeof playground.happened)[number]> => {
  const count = playground.happened.length;
  await playground.say(playground.personal, words);
  return vi.waitFor(
    () => {
      const found = playground.happened
        .slice(count)
        .filter(({ message }) => message?.from?.id === playground.bot && (message.text ?? '') !== '')
        .find(({ raw }) => !raw.includes('"streamType":"informative"') && !raw.includes('"streamType":"streaming"'));
      if (found === undefined) throw new Error('no reply yet');
      return found;
    },
    { timeout: 25_000, interval: 100 },
  );
};

describe('Footnote in Teams', () => {
  it('answers from the demo documents, with a citation that opens at its source', async () => {
    const { message } = await replyTo('How many days of leave do I get?');
    expect(message?.aiEntity?.additionalType).toEqual(['AIGeneratedContent']);
    expect(message?.aiEntity?.citation?.[0]?.position).toBe(1);
    expect(message?.aiEntity?.citation?.[0]?.appearance.abstract?.length).toBeGreaterThan(0);
  });

  it('says what it can do', async () => {
    const { message } = await replyTo('help');
    expect(message?.text).toMatch(/footnote|question/i);
    expect(message?.aiEntity).toBeUndefined();
  });

  it('shows an administrator whether it is set up rightly', async () => {
    const { message } = await replyTo('check-up');
    expect(message?.text).toContain('There is no TEAMS_APP_ID');
  });
});
