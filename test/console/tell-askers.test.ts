import { expect, test } from 'vitest';
import { tellAskers } from '../../console/tell-askers.ts';
import type { Core } from '../../core/core.ts';
import type { Platform } from '../../core/ports/platform.ts';
import { aReceipt, aTenant } from '../contracts/rows.ts';

const tenant = aTenant();
const asked = (user: string, over = {}) =>
  aReceipt(tenant.id, { memberId: `slack:${user}`, workspaceId: 'W1', kind: 'not-found', ...over });

const world = (fails: ReadonlySet<string> = new Set()) => {
  const said: { userId: string | undefined; markdown: string }[] = [];
  const marks: string[] = [];
  const platform = {
    name: 'slack',
    say: async (to: { userId?: string }, { markdown }: { markdown: string }) => {
      if (fails.has(to.userId ?? '')) throw new Error('away');
      said.push({ userId: to.userId, markdown });
      return '1';
    },
  } as unknown as Platform;
  const taken = new Set<string>();
  const core = {
    gaps: {
      mark: async (_tenantId: string, id: string, mark: string) => {
        if (mark === 'told' && taken.has(id)) return false;
        if (mark === 'told') taken.add(id);
        else taken.delete(id);
        marks.push(mark);
        return true;
      },
    },
  } as unknown as Core;
  const tell = (receipts: readonly ReturnType<typeof asked>[]) =>
    tellAskers(
      { core, platforms: [platform] },
      tenant,
      receipts,
      ({ question }) => question,
      new AbortController().signal,
    );
  return { said, marks, tell };
};

test('each person who asked is told once, however often they asked and however often it is pressed', async () => {
  const { said, tell } = world();
  const receipts = [asked('U1'), asked('U1'), asked('U2')];
  expect(await Promise.all([tell(receipts), tell(receipts)])).toEqual(
    expect.arrayContaining([expect.objectContaining({ failed: 0 })]),
  );
  expect(said.map(({ userId }) => userId).sort()).toEqual(['U1', 'U2']);
});

test('who was told, or cannot be reached, is left alone', async () => {
  const { said, tell } = world();
  const told = { gap: { state: 'told', at: 1 } as const };
  await tell([asked('U1', told), asked('U1'), aReceipt(tenant.id, { platform: 'api', memberId: 'api:x' })]);
  await tell([asked('U3', { platform: 'discord', memberId: 'discord:U3' })]);
  expect(said).toEqual([]);
});

test('whom a message did not reach can be told later', async () => {
  const { said, marks, tell } = world(new Set(['U1']));
  expect(await tell([asked('U1'), asked('U2')])).toEqual({ told: 1, failed: 1 });
  expect(said.map(({ userId }) => userId)).toEqual(['U2']);
  expect(marks).toEqual(['told', 'written', 'told']);
});
