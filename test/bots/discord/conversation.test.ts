import { type ConversationRig, conversationContract, type Said } from '../../contracts/conversation.ts';
import { newId } from './driving.ts';
import type { BotMessage, CallName } from './fake.ts';
import { createWorld, demoTenant, type Instance, reasonsOf } from './world.ts';

const writing: readonly CallName[] = [
  'start-thread',
  'post',
  'edit',
  'delete',
  'original',
  'follow-up',
  'direct',
  'typing',
];

const startRig = async (): Promise<ConversationRig> => {
  const world = await createWorld({
    users: [{ username: 'Asker' }, { username: 'Colleague' }, { username: 'Robot', bot: true }],
  });
  const { fake } = world;
  const idOf = async (username: string): Promise<string> =>
    (await fake.twin.prisma.user.findFirst({ where: { username } }))?.id ?? '';
  const people = { asker: await idOf('Asker'), colleague: await idOf('Colleague'), robot: await idOf('Robot') };
  const role = newId();
  await fake.twin.prisma.role.create({ data: { id: role, guildId: fake.guild, name: 'mods', permissions: '16' } });
  await fake.twin.prisma.guildMember.update({
    where: { guildId_userId: { guildId: fake.guild, userId: people.asker } },
    data: { roles: JSON.stringify([role]) },
  });
  const time = { aheadMs: 0 };
  const instances: Instance[] = [];
  const sent = new Map<string, Record<string, unknown>>();

  const contentOf = ({ text, mention = true, names }: Said): string =>
    `${mention ? `<@${fake.bot}> ` : ''}${names ? text.replace('@colleague', `<@${people.colleague}>`) : text}`;
  const pings = (message: BotMessage): boolean => message.pings.includes(people.colleague);
  const isPrivate = (message: BotMessage): boolean => message.ephemeral || fake.isDirect(message.channel);
  const isThread = async (id: string): Promise<boolean> =>
    (await fake.twin.prisma.channel.findUnique({ where: { id } })) !== null;
  const asker = () => fake.twin.channel(fake.channel).user(people.asker);

  return {
    tenantId: demoTenant.id,
    state: world.state,
    answering: world.answering,
    rules: world.rules,
    time,
    colleague: people.colleague,
    emoji: '<:party:123456789012345678>',
    robot: people.robot,
    instance: async () => {
      instances.push(await world.instance({ ahead: () => time.aheadMs }));
    },
    // Discord tells every connected instance.
    tell: async (said) => {
      const { thread, by = 'asker', file } = said;
      const inThread = thread !== undefined && (await isThread(thread));
      const message = await fake.twin
        .channel(inThread ? thread : fake.channel)
        .user(people[by])
        .sendMessage({
          content: contentOf(said),
          ...(thread === undefined || inThread
            ? {}
            : { messageReference: { message_id: thread, channel_id: fake.channel } }),
          ...(file === undefined
            ? {}
            : { attachments: [{ id: newId(), filename: file, size: 7, url: 'https://cdn.example/x', proxy_url: '' }] }),
        });
      sent.set(message.id, { ...message, guild_id: fake.guild, mentions: [] });
      return message.id;
    },
    again: async (id) => fake.dispatch('MESSAGE_CREATE', sent.get(id)),
    edit: async (id, text) => void (await asker().editMessage({ messageId: id, content: contentOf({ text }) })),
    remove: (id) => asker().deleteMessage({ messageId: id }),
    press: async (button, question) => {
      if (button === 'publish') {
        const own = fake.messages().findLast((message) => JSON.stringify(message.components).includes('fn:publish:'));
        const customId = /"(fn:publish:[^"]+)"/.exec(JSON.stringify(own?.components))?.[1];
        // The twin knows no buttons in direct messages.
        return fake.dispatch('INTERACTION_CREATE', {
          id: newId(),
          application_id: fake.bot,
          type: 3,
          token: 'from-the-direct-message',
          channel_id: own?.channel,
          user: { id: people.asker, username: 'asker' },
          message: { id: own?.id },
          data: { custom_id: customId, component_type: 2 },
        });
      }
      const messageId = fake.messages().findLast((message) => message.channel === question)?.id ?? '';
      const customId = `fn:${button}:${world.answering.asked.at(-1)?.answerId}`;
      await fake.twin.thread(question).user(people.asker).clickButton({ messageId, customId });
    },
    reasonsOf: (id) => reasonsOf(world, id),
    answersTo: (id) =>
      fake
        .messages()
        .filter(
          (message) => (message.channel === id || message.replyTo === id) && !isPrivate(message) && !pings(message),
        )
        .map(({ content }) => content),
    whispered: () =>
      fake
        .messages()
        .filter(isPrivate)
        .map(({ content }) => content),
    called: () =>
      fake
        .messages()
        .filter(pings)
        .map(({ content }) => content),
    breakDown: () => {
      for (const name of writing) fake.fault(name, { kind: 'status', status: 503 }, 1000);
    },
    vanish: (what) => {
      fake.fault('start-thread', { kind: 'error', code: what === 'thread' ? 10008 : 10003, status: 404 }, 100);
      for (const name of ['post', 'typing', 'edit'] as const)
        fake.fault(name, { kind: 'error', code: 10003, status: 404 }, 100);
    },
    heal: fake.heal,
    putBack: () =>
      instances.flatMap(({ runtime }) => runtime.logged).filter(({ event }) => event === 'event-later').length,
    close: world.close,
  };
};

conversationContract({ name: 'discord', start: startRig });
