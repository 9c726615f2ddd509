import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Home, InboundEvent, Tenant } from '../../../core/domain.ts';
import { aTenant, fresh } from '../../contracts/rows.ts';
import { createWorld, type World } from './world.ts';

/** Somebody writes to the bot directly and shares several servers with it: whose documents answer is theirs to say. */
let world: World;
let other: Tenant;
const asked: { readonly markdown: string; readonly homes: readonly Home[]; readonly messageId: string }[] = [];
const homes: readonly Home[] = [
  { workspaceId: 'g_demo', name: 'Demo' },
  { workspaceId: 'g_other', name: 'Other' },
  { workspaceId: 'g_nobody', name: 'Nobody' },
];

const connect = (tenant: Tenant, workspaceId: string) =>
  world.state.connections.create({
    id: fresh('x_'),
    tenantId: tenant.id,
    platform: 'discord',
    workspaceId,
    createdAt: 0,
  });

beforeEach(async () => {
  asked.length = 0;
  world = await createWorld({
    platform: {
      name: 'discord',
      askHome: async (event, markdown, choices) =>
        void asked.push({ markdown, homes: choices, messageId: event.messageId }),
    },
  });
  other = aTenant();
  await world.state.tenants.create(other);
  await connect(world.tenant, 'g_demo');
  await connect(other, 'g_other');
});
afterEach(() => world.close());

const direct = (over: Partial<InboundEvent> = {}): Partial<InboundEvent> => ({
  platform: 'discord',
  workspaceId: 'dm',
  channelId: 'D1',
  threadId: 'D1',
  scope: 'dm',
  addressed: 'dm',
  homes,
  ...over,
});
const choose = (workspaceId: string, messageId?: string, over: Partial<InboundEvent> = {}) =>
  world.hear(
    direct({
      kind: 'action',
      addressed: 'none',
      text: '',
      action: { name: 'choose', workspaceId, ...(messageId === undefined ? {} : { messageId }) },
      ...over,
    }),
  );
const lastWhisper = () => world.platform.whispers.at(-1)?.markdown ?? '';
const tenantsAsked = () => world.answering.asked.map(({ tenant }) => tenant.id);

describe('a direct message of somebody of several tenants', () => {
  it('is not answered by a guess: they are asked, with those that belong to somebody', async () => {
    const row = await world.hear(direct());
    expect(row.reason).toBe('which-workspace');
    expect(row.tenantId).toBeUndefined();
    expect(asked).toMatchObject([{ homes: homes.slice(0, 2), messageId: row.event.messageId }]);
    expect(asked[0]?.markdown).toContain('Which of them');
    expect(world.answering.asked).toEqual([]);
  });

  it('is answered once they chose, and so is what comes after', async () => {
    const question = await world.hear(direct({ text: 'How much leave?' }));
    expect((await choose('g_other', question.event.messageId)).reason).toBe('action-done');
    expect(lastWhisper()).toContain('“Other”');
    await vi.waitFor(
      () => expect(world.answering.asked.map((one) => one.question)).toEqual(['How much leave?']),
      10_000,
    );
    expect((await world.hear(direct({ text: 'And then?' }))).reason).toBe('answered');
    expect(tenantsAsked()).toEqual([other.id, other.id]);
    // The same button again asks nothing twice.
    await choose('g_other', question.event.messageId);
    await world.hear(direct({ text: 'The last one?' }));
    expect(world.answering.asked).toHaveLength(3);
  });

  it('goes to the other one after a switch, and the command is no question to be answered later', async () => {
    await choose('g_other');
    const row = await world.hear(direct({ text: 'switch' }));
    expect(row.reason).toBe('command-done');
    expect(asked).toHaveLength(1);
    await choose('g_demo', row.event.messageId);
    await world.hear(direct());
    expect(tenantsAsked()).toEqual([world.tenant.id]);
  });

  it('cannot choose a server that they are not in, or that is nobody’s', async () => {
    const alone = homes.slice(0, 1);
    expect((await choose('g_other', undefined, { homes: alone })).reason).toBe('not-allowed');
    expect((await choose('g_nobody')).reason).toBe('not-allowed');
    expect((await world.hear(direct())).reason).toBe('which-workspace');
  });

  it('asks again when they have left the one that they chose', async () => {
    await choose('g_other');
    const third = aTenant();
    await world.state.tenants.create(third);
    await connect(third, 'g_nobody');
    const left = homes.filter(({ workspaceId }) => workspaceId !== 'g_other');
    expect((await world.hear(direct({ homes: left }))).reason).toBe('which-workspace');
  });

  it('one person’s choice is not another’s, and forgetting somebody forgets it', async () => {
    await choose('g_demo');
    const author = { id: 'U2', isBot: false, isSelf: false };
    expect((await world.hear(direct({ author }))).reason).toBe('which-workspace');
    await world.hear(direct({ text: 'forget-me yes' }));
    expect((await world.hear(direct())).reason).toBe('which-workspace');
  });

  it('what is about an earlier answer stays with its tenant after a switch', async () => {
    await choose('g_other');
    const question = await world.hear(direct({ text: 'How much leave?' }));
    const answerId = question.answerId ?? '';
    await choose('g_demo');
    const thumb = { kind: 'feedback', addressed: 'none', text: '', feedback: { rating: 'down', answerId } } as const;
    expect((await world.hear(direct(thumb))).reason).toBe('feedback-stored');
    expect((await world.state.receipts.get(other.id, answerId))?.feedback).toMatchObject([{ rating: 'down' }]);
    const { messageId } = question.event;
    const gone = {
      kind: 'delete',
      addressed: 'none',
      text: '',
      messageId,
      targetMessageId: messageId,
      orderKey: 'z',
    } as const;
    expect(await world.hear(direct(gone))).toMatchObject({ reason: 'question-deleted', tenantId: other.id });
    expect(world.platform.retracted).toHaveLength(1);
  });

  it('is answered at once where all servers are one tenant’s', async () => {
    await connect(world.tenant, 'g_third');
    const same = [{ workspaceId: 'g_demo' }, { workspaceId: 'g_third' }];
    expect((await world.hear(direct({ homes: same }))).reason).toBe('answered');
    expect((await world.hear(direct({ homes: same, text: 'switch' }))).reason).toBe('command-done');
    expect(lastWhisper()).toContain('only one server');
    expect(tenantsAsked()).toEqual([world.tenant.id]);
  });
});

it('somebody of no shared server is told how to become known', async () => {
  expect((await world.hear(direct({ homes: [] }))).reason).toBe('unknown-workspace');
  expect(lastWhisper()).toContain('in which server we met');
});
