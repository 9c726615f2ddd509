import { describe, expect, it, vi } from 'vitest';
import { type CrashRig, crashContract } from '../../contracts/crash.ts';
import { teamsIds } from '../../fakes/teams-service.ts';
import { demoTenant } from '../slack/world.ts';
import { createWorld, type Instance } from './world.ts';

const startRig = async (scope: 'channel' | 'personal', signAfterMs = 0): Promise<CrashRig> => {
  const taken: (() => void)[] = [];
  const world = await createWorld({
    onTaken: ({ body }) => {
      // A sign of life is no message.
      if (body.type === 'message' || body.entities !== undefined) for (const resolve of taken.splice(0)) resolve();
    },
  });
  const { fake, activities } = world;
  const instances: Instance[] = [];
  let before = 0;
  return {
    tenantId: demoTenant.id,
    state: world.state,
    answering: world.answering,
    instance: async (options) => {
      const made = await world.instance({ ...options, teams: { settings: { signAfterMs } } });
      instances.push(made);
      return made;
    },
    ask: async (text) => {
      const id = fake.nextId();
      before = fake.messages().length;
      await instances.at(-1)?.send(activities.message({ id, text, scope }));
      return id;
    },
    reasonsOf: (id) => world.reasonsOf(id, teamsIds[scope]),
    // A personal chat is one conversation, so that what stood before it is left out.
    answersTo: () =>
      fake
        .messages()
        .slice(before)
        .map(({ activity, streaming }) => ({ text: String(activity.text), whole: !streaming })),
    taken: () => new Promise<void>((resolve) => void taken.push(resolve)),
    close: world.close,
  };
};

// Teams neither tells what stands nor takes the same message for one: whatever it took and we did not write down stays.
for (const scope of ['channel', 'personal'] as const) {
  crashContract({ name: `teams, in a ${scope}`, grows: false, mostInTheWindow: 2, start: () => startRig(scope) });
  crashContract({
    name: `teams, growing in a ${scope}`,
    grows: true,
    mostInTheWindow: 2,
    start: () => startRig(scope),
  });
  crashContract({
    name: `teams, in a ${scope}, quicker than a sign of life`,
    grows: false,
    mostInTheWindow: 2,
    start: () => startRig(scope, 60_000),
  });
}

describe('stopping', () => {
  it('a stop button under the placeholder stops the answer that is being written', async () => {
    const world = await createWorld();
    try {
      const bot = await world.instance();
      world.answering.next(async (_, { update, stop }) => {
        update?.('Leave is');
        await new Promise<void>((resolve) => stop?.addEventListener('abort', () => resolve(), { once: true }));
        throw stop?.reason;
      });
      const id = world.fake.nextId();
      await bot.send(world.activities.message({ id, text: 'leave?' }));
      const standing = await vi.waitFor(() => {
        const found = world.fake.messages().find(({ activity }) => JSON.stringify(activity).includes('footnote.stop'));
        if (found === undefined) throw new Error('no stop button');
        return found;
      }, 20_000);
      const [card] = standing.activity.attachments as { content: { actions: { verb: string; data: unknown }[] } }[];
      const action = card?.content.actions[0];
      const press = world.activities.invoke('f:stop', 'adaptiveCard/action', { action }, { replyToId: standing.id });
      const response = await bot.send({ ...press, conversation: { ...press.conversation, id: standing.conversation } });
      expect(response.status).toBe(200);
      await vi.waitFor(async () => expect(await world.reasonsOf(id)).toEqual(['cancelled']), 20_000);
      expect(JSON.stringify(world.fake.messages())).not.toContain('footnote.stop');
    } finally {
      await world.close();
    }
  });
});
