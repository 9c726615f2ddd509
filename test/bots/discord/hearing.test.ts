import { expect, it, vi } from 'vitest';
import type { DiscordApi } from '../../../bots/discord/api.ts';
import type { ChannelKind } from '../../../bots/discord/channels.ts';
import { createHearing } from '../../../bots/discord/hearing.ts';
import type { InboundEvent } from '../../../core/domain.ts';
import { createTestRuntime } from '../../fakes/clock.ts';
import { newId } from './driving.ts';

const never = new Promise<never>(() => undefined);

it('a command is stored in time, though Discord does not say where it stands', async () => {
  const runtime = createTestRuntime();
  const stored: InboundEvent[] = [];
  const hearing = createHearing({
    api: { call: () => never, rest: null } as unknown as DiscordApi,
    channels: {
      of: (): Promise<ChannelKind> => never,
      learn: () => undefined,
      forget: () => undefined,
      started: () => undefined,
      originOf: () => null,
    },
    runtime,
    readsContent: () => true,
    greet: async () => undefined,
    store: async (event) => {
      stored.push(event);
      return { outcome: 'stored' };
    },
    settings: { storeForMs: 0, maxWaiting: 1, interactionWithinMs: 2000 },
  });
  const heard = hearing.interaction({
    id: newId(),
    application_id: newId(),
    type: 2,
    token: 'token',
    guild_id: newId(),
    channel_id: newId(),
    member: { user: { id: newId(), username: 'asker' } },
    data: { name: 'ask', type: 1, options: [{ name: 'question', type: 3, value: 'leave?' }] },
  });
  await vi.waitFor(() => expect(runtime.clock.sleeping()).toBe(1));
  await runtime.clock.advance(1000);
  expect(await heard).toMatchObject({ reply: { type: 5 } });
  expect(stored).toMatchObject([{ kind: 'command', text: 'leave?' }]);
});
