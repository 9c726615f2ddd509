import { describe, expect, it } from 'vitest';
import { handleRow } from '../../../core/conversation/handle-event.ts';
import type { Handling, Hold } from '../../../core/conversation/handling.ts';
import type { InboundEvent } from '../../../core/domain.ts';
import { anEvent, anInboxRow, aTenant } from '../../contracts/rows.ts';

const tenant = aTenant();
const parts = { resolveTenant: async () => tenant, platformOf: () => null } as unknown as Handling;
const reasonOf = async (over: Partial<InboundEvent>, attempts = 1) => {
  const handled = await handleRow(parts, { ...anInboxRow(anEvent(over)), attempts }, {} as Hold);
  return handled.outcome === 'settle' ? handled.reason : handled.outcome;
};

describe('what becomes of an event', () => {
  it('a button, a thumb or a command that fails time and again is given up', async () => {
    for (const kind of ['action', 'feedback'] as const)
      expect(await reasonOf({ kind, addressed: 'none' }, 41)).toBe('failed');
    expect(await reasonOf({ kind: 'command', addressed: 'command', command: { name: 'help' } }, 41)).toBe('failed');
  });

  it('a question is not: it ends in a sentence by itself', async () => {
    for (const kind of ['message', 'command'] as const) {
      const hold = { alone: true } as Hold;
      const row = { ...anInboxRow(anEvent({ kind })), attempts: 41 };
      // Nobody has its platform any more.
      expect(await handleRow(parts, row, hold)).toMatchObject({ outcome: 'settle', reason: 'unsupported' });
    }
  });

  it.each([
    ['an action without its name', { kind: 'action' }],
    ['feedback without a verdict', { kind: 'feedback' }],
    ['a command without its name and without words', { kind: 'command', text: '', addressed: 'command' }],
    [
      'a command of a bot',
      { kind: 'command', command: { name: 'settings' }, author: { id: 'B', isBot: true, isSelf: false } },
    ],
  ] as const)('%s is unsupported, and no crash', async (_, over) => {
    // Nobody who has its platform came for it.
    const row = { ...anInboxRow(anEvent(over)), attempts: 40 };
    const handled = await handleRow(parts, row, { alone: true } as Hold);
    expect(handled).toMatchObject({ outcome: 'settle', reason: 'unsupported' });
  });

  it.each([
    ['a kind of event', { kind: 'poll' }, 'platform'],
    ['a command', { kind: 'command', command: { name: 'translate' } }, 'platform'],
    ['a button', { kind: 'action', action: { name: 'translate' } }, 'platform'],
    ['a platform', { platform: 'matrix' }, null],
    ['a platform that is configured elsewhere only', { platform: 'discord' }, null],
  ])('%s of a newer version is left to an instance that knows it, for a while', async (_, over, platform) => {
    const older = { ...parts, platformOf: () => platform } as unknown as Handling;
    const handle = (attempts: number) =>
      handleRow(older, { ...anInboxRow(anEvent(over as Partial<InboundEvent>)), attempts }, { alone: true } as Hold);
    const waits: number[] = [];
    for (let attempt = 1; attempt < 40; attempt += 1) {
      const handled = await handle(attempt);
      expect(handled.outcome).toBe('later');
      if (handled.outcome === 'later') waits.push(handled.afterMs);
    }
    const minutes = waits.reduce((sum, ms) => sum + ms, 0) / 60_000;
    expect(minutes).toBeGreaterThan(2);
    expect(minutes).toBeLessThan(10);
    expect(await handle(40)).toMatchObject({ outcome: 'settle', reason: 'unsupported' });
  });
});
