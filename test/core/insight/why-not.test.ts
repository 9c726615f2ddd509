import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ReasonCode } from '../../../core/domain.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { createWhyNot } from '../../../core/insight/why-not.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { anEvent, anInboxRow, aReceipt, aTenant } from '../../contracts/rows.ts';
import { createTestRuntime, testStart as now } from '../../fakes/clock.ts';

let folder: string;
let state: StateStore;
const [tenant, other] = [aTenant(), aTenant()];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'footnote-why-'));
  state = await openSqliteState({ dataDir: folder, log: createTestRuntime().log });
  for (const one of [tenant, other]) await state.tenants.create(one);
  for (const [id, workspaceId, tenantId] of [
    ['w_1', 'W1', tenant.id],
    ['w_2', 'W2', other.id],
  ] as const)
    await state.connections.create({ id, tenantId, platform: 'slack', workspaceId, createdAt: now });
});
afterAll(async () => {
  await state.maintenance.close();
  await rm(folder, { recursive: true });
});

const heard = async (
  event: Parameters<typeof anEvent>[0],
  outcome: { reason: ReasonCode; tenantId?: string; answerId?: string },
) => {
  const row = anInboxRow(anEvent(event));
  await state.inbox.receive(row);
  const lease = await state.inbox.claimThread({ owner: 'o', now, leaseForMs: 1000 });
  if (lease === null) throw new Error('no lease');
  await state.inbox.settle(lease, row.id, now, outcome);
  await state.inbox.releaseThread(lease);
};

test('a message has its reason and its receipt, for its own tenant alone', async () => {
  const receipt = aReceipt(tenant.id, { workspaceId: 'W1', channelId: 'C1' });
  await state.receipts.put(receipt);
  await heard({ messageId: '1.1' }, { reason: 'answered', tenantId: tenant.id, answerId: receipt.answerId });
  await heard({ messageId: '1.2' }, { reason: 'not-addressed', tenantId: tenant.id });
  const whyNot = createWhyNot({ state });
  const message = { platform: 'slack', channelId: 'C1', messageId: '1.1' } as const;
  expect(await whyNot(tenant.id, message)).toMatchObject([
    { kind: 'message', settled: true, reason: 'answered', receipt },
  ]);
  expect(await whyNot(tenant.id, { ...message, messageId: '1.2' })).toMatchObject([
    { reason: 'not-addressed', receipt: null },
  ]);
  expect(await whyNot(other.id, message)).toEqual([]);
  expect(await whyNot(other.id, { ...message, workspaceId: 'W1' })).toEqual([]);
});

test('a message in a thread of Discord is found under the channel that it belongs to', async () => {
  await state.receipts.put(aReceipt(tenant.id, { platform: 'discord', workspaceId: '11', channelId: '22' }));
  const event = { platform: 'discord', workspaceId: '11', channelId: '22', messageId: '44' } as const;
  await heard(event, { reason: 'channel-off', tenantId: tenant.id });
  const link = { platform: 'discord', workspaceId: '11', channelId: '33', messageId: '44' } as const;
  expect(await createWhyNot({ state })(tenant.id, link)).toMatchObject([{ reason: 'channel-off' }]);
});
