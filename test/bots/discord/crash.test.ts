import { type CrashRig, crashContract } from '../../contracts/crash.ts';
import { createWorld, demoTenant, reasonsOf } from './world.ts';

const startRig = async (remembersNonces = true, mayRead = true): Promise<CrashRig> => {
  const world = await createWorld();
  const { fake } = world;
  if (!mayRead) fake.fault('history', { kind: 'error', code: 50001, status: 403 }, 10_000);
  return {
    tenantId: demoTenant.id,
    state: world.state,
    answering: world.answering,
    instance: world.instance,
    ask: async (text) =>
      (
        await fake.twin
          .channel(fake.channel)
          .user(fake.user)
          .sendMessage({ content: `<@${fake.bot}> ${text}` })
      ).id,
    reasonsOf: (id) => reasonsOf(world, id),
    answersTo: (id) =>
      fake
        .messages()
        .filter((message) => message.channel === id)
        .map(({ content, components }) => ({
          text: content,
          whole: JSON.stringify(components).includes('fn:up:'),
        })),
    taken: () => fake.nextCall('post'),
    ...(remembersNonces ? {} : { meanwhile: fake.forgetNonces }),
    close: world.close,
  };
};

// The same message has the same nonce; and what stands is looked up when Discord has forgotten it.
crashContract({ name: 'discord, posted at once', grows: false, mostInTheWindow: 1, start: () => startRig() });
crashContract({ name: 'discord, edited as it grows', grows: true, mostInTheWindow: 1, start: () => startRig() });
crashContract({
  name: 'discord, edited as it grows, and Discord has forgotten the nonces',
  grows: true,
  mostInTheWindow: 1,
  start: () => startRig(false),
});
crashContract({
  name: 'discord, posted at once, where the bot may not read what stands',
  grows: false,
  mostInTheWindow: 1,
  start: () => startRig(true, false),
});
