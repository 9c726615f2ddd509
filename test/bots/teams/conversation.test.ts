import { type ConversationRig, conversationContract, type Said } from '../../contracts/conversation.ts';
import { type FakeTeamsMessage, teamsIds } from '../../fakes/teams-service.ts';
import { demoTenant } from '../slack/world.ts';
import { createWorld, type Instance } from './world.ts';

const people = {
  asker: { id: teamsIds.asker, name: 'Ada Asker', aadObjectId: teamsIds.askerObject },
  colleague: { id: teamsIds.colleague, name: 'Bob Builder', aadObjectId: teamsIds.colleagueObject },
  robot: { id: '28:robot', name: 'Robot', role: 'bot' },
} as const;

const named = {
  type: 'mention',
  mentioned: { id: teamsIds.colleague, name: 'Bob Builder' },
  text: '<at>Bob Builder</at>',
};
const textOf = ({ activity }: FakeTeamsMessage): string => String(activity.text ?? '');
const pings = ({ activity }: FakeTeamsMessage): boolean =>
  JSON.stringify(activity.entities ?? []).includes(teamsIds.colleague);
const isPrivate = ({ conversation }: FakeTeamsMessage): boolean => conversation.startsWith('a:');

const startRig = async (): Promise<ConversationRig> => {
  const world = await createWorld();
  const { fake, activities } = world;
  const time = { aheadMs: 0 };
  const instances: Instance[] = [];
  const sent = new Map<string, unknown>();
  fake.roles.set(teamsIds.channel, 'owner');

  const post = async (activity: unknown, to = 0): Promise<void> => {
    const response = await instances[to]?.send(activity);
    if (response?.status !== 200) throw new Error(`Teams was answered ${response?.status}`);
  };
  const messageOf = (id: string, { text, mention = true, thread, by = 'asker', file, names = false }: Said) => {
    const message = activities.message({ id, text, mention, ...(thread === undefined ? {} : { root: thread }) });
    return {
      ...message,
      from: people[by],
      text: names ? message.text.replace('@colleague', named.text) : message.text,
      entities: [...message.entities, ...(names ? [named] : [])],
      attachments: [...message.attachments, ...(file === undefined ? [] : [{ contentType: 'reference', name: file }])],
    };
  };
  /** What happened to a message, with the time of its happening. */
  const change = (id: string, type: string, eventType: string, text = '') => ({
    ...messageOf(id, { text }),
    type,
    timestamp: new Date(Number(fake.nextId())).toISOString(),
    channelData: { tenant: { id: teamsIds.tenant }, eventType },
  });
  const underAnswer = (question: string) => {
    const answer = fake.messages(`${teamsIds.channel};messageid=${question}`).at(-1);
    return { ...activities.base('invoke', fake.nextId(), 'channel', question), replyToId: answer?.id };
  };
  /** In the personal chat, where answers for one person stand. */
  const underPrivate = () => {
    const answer = fake.messages().findLast((message) => JSON.stringify(message.activity).includes('footnote.publish'));
    const pressed = activities.base('invoke', fake.nextId(), 'personal');
    return { ...pressed, conversation: { ...pressed.conversation, id: answer?.conversation }, replyToId: answer?.id };
  };

  return {
    tenantId: demoTenant.id,
    state: world.state,
    answering: world.answering,
    rules: world.rules,
    time,
    colleague: teamsIds.colleagueObject,
    emoji: '🎉👍🏽',
    robot: people.robot.id,
    instance: async () => {
      instances.push(await world.instance({ ahead: () => time.aheadMs }));
    },
    tell: async (said, to) => {
      const id = fake.nextId();
      sent.set(id, messageOf(id, said));
      await post(sent.get(id), to);
      return id;
    },
    again: (id, to) => post(sent.get(id), to),
    edit: (id, text) => post(change(id, 'messageUpdate', 'editMessage', text)),
    remove: (id) => post(change(id, 'messageDelete', 'softDeleteMessage')),
    restore: (id, text) => post(change(id, 'messageUpdate', 'undeleteMessage', text)),
    press: async (button, question) => {
      const answerId = world.answering.asked.at(-1)?.answerId;
      await post(
        button === 'down'
          ? {
              ...underAnswer(question),
              name: 'message/submitAction',
              value: { actionName: 'feedback', actionValue: { reaction: 'dislike' } },
            }
          : {
              ...(button === 'publish' ? underPrivate() : underAnswer(question)),
              name: 'adaptiveCard/action',
              value: { action: { verb: `footnote.${button}`, data: { footnote: button, answerId } } },
            },
      );
    },
    reasonsOf: (id) => world.reasonsOf(id),
    answersTo: (id) =>
      fake
        .messages(`${teamsIds.channel};messageid=${id}`)
        .filter((message) => !pings(message))
        .map(textOf),
    whispered: () => fake.messages().filter(isPrivate).map(textOf),
    called: () => fake.messages().filter(pings).map(textOf),
    breakDown: fake.breakDown,
    vanish: (what) => {
      if (what === 'channel') fake.gone.add(teamsIds.channel);
      else fake.threadsGone = true;
    },
    heal: fake.heal,
    putBack: () =>
      instances.flatMap(({ runtime }) => runtime.logged).filter(({ event }) => event === 'event-later').length,
    close: world.close,
  };
};

conversationContract({ name: 'teams', start: startRig });
