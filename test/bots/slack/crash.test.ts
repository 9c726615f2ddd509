import { type CrashRig, crashContract } from '../../contracts/crash.ts';
import { createWorld, demoTenant, type Instance, reasonsOf } from './world.ts';

const startRig = async (): Promise<CrashRig> => {
  const world = await createWorld();
  const { fake } = world;
  const instances: Instance[] = [];
  return {
    tenantId: demoTenant.id,
    state: world.state,
    answering: world.answering,
    instance: async (options) => {
      const made = await world.instance(options);
      instances.push(made);
      return made;
    },
    ask: async (text) => {
      const ts = fake.nextTs();
      await instances.at(-1)?.sender.send(world.payloads.appMention({ text: `<@${fake.botUserId}> ${text}`, ts }));
      return ts;
    },
    reasonsOf: (id) => reasonsOf(world, id),
    answersTo: (id) =>
      fake.answers(id).map((message) => ({ text: JSON.stringify(message), whole: message.streaming === false })),
    taken: () => Promise.race(['chat.startStream', 'chat.update', 'chat.postMessage'].map(fake.nextCall)),
    close: world.close,
  };
};

// What stands is looked up by the metadata that every message of ours carries.
crashContract({ name: 'slack, posted at once', grows: false, mostInTheWindow: 1, start: startRig });
crashContract({ name: 'slack, streamed', grows: true, mostInTheWindow: 1, start: startRig });
