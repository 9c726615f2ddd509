import { type ConversationRig, conversationContract, type Said } from '../../contracts/conversation.ts';
import type { FakeMessage } from '../../fakes/slack-api.ts';
import { createWorld, demoTenant, type Instance, reasonsOf } from './world.ts';

const people = { asker: 'U0ASKER', colleague: 'U0COLLEAGUE', robot: 'U0ROBOT' } as const;

const shownText = (message: Pick<FakeMessage, 'blocks' | 'text'>): string =>
  message.blocks.length > 0 ? JSON.stringify(message.blocks) : message.text;

const startRig = async (): Promise<ConversationRig> => {
  const world = await createWorld();
  const { fake, payloads } = world;
  const time = { aheadMs: 0 };
  const instances: Instance[] = [];
  const sent = new Map<string, unknown>();
  const mentions = new Map<string, unknown>();
  /** Message → who wrote it. */
  const authors = new Map<string, string>();
  fake.users.set(people.asker, { is_admin: true });

  const textOf = ({ text, mention = true, names }: Said): string =>
    `${mention ? `<@${fake.botUserId}> ` : ''}${names ? text.replace('@colleague', `<@${people.colleague}>`) : text}`;
  const post = async (payload: unknown, to = 0): Promise<void> => {
    const response = await instances[to]?.sender.send(payload);
    if (response?.status !== 200) throw new Error(`Slack was answered ${response?.status}`);
  };
  const click = async (payload: unknown): Promise<void> =>
    void (await instances[0]?.sender.send(payload, { form: true }));
  const standing = (): readonly FakeMessage[] => fake.answers().filter(({ channel }) => !channel.startsWith('D0U'));

  return {
    tenantId: demoTenant.id,
    state: world.state,
    answering: world.answering,
    rules: world.rules,
    time,
    colleague: people.colleague,
    emoji: ':tada:',
    robot: people.robot,
    instance: async () => {
      instances.push(await world.instance({ ahead: () => time.aheadMs }));
    },
    tell: async (said, to) => {
      const ts = fake.nextTs();
      const { by = 'asker', thread, file } = said;
      const root = thread === undefined ? undefined : authors.get(thread);
      const payload = payloads.message({
        text: textOf(said),
        ts,
        user: people[by],
        ...(thread === undefined ? {} : { thread }),
        more: {
          ...(root === undefined ? {} : { parent_user_id: root }),
          ...(by === 'robot' ? { bot_id: 'B0ROBOT' } : {}),
          ...(file === undefined ? {} : { subtype: 'file_share', files: [{ name: file, size: 7 }] }),
        },
      });
      sent.set(ts, payload);
      if (said.mention !== false && by !== 'robot')
        mentions.set(ts, payloads.appMention({ text: textOf(said), ts, user: people[by] }));
      authors.set(ts, people[by]);
      await post(payload, to);
      return ts;
    },
    // Slack tells a mention by two kinds of events, each with an id of its own.
    again: async (id, to) => {
      for (const payload of [sent.get(id), mentions.get(id)]) if (payload !== undefined) await post(payload, to);
    },
    edit: (id, text) => post(payloads.edit({ text: textOf({ text }), ts: id }, 'before', fake.nextTs())),
    remove: (id) => post(payloads.remove({ ts: id }, fake.nextTs())),
    press: async (button, question) => {
      const answerId = world.answering.asked.at(-1)?.answerId ?? '';
      const shown = { ts: fake.answers(question).at(-1)?.ts ?? '', thread: question };
      const on =
        button === 'publish'
          ? {
              ts: fake.nextTs(),
              ephemeral: true,
              responseUrl: fake.responseUrl({ channel: 'C0GENERAL', user: people.asker }),
            }
          : shown;
      await click(
        button === 'down'
          ? payloads.click(answerId, 'down', shown)
          : payloads.press(`footnote_${button}`, `${answerId} ${question}`, on),
      );
    },
    reasonsOf: (id) => reasonsOf(world, id),
    answersTo: (id) =>
      standing()
        .filter((message) => message.thread_ts === id && !shownText(message).includes(`<@${people.colleague}>`))
        .map(shownText),
    whispered: () =>
      [...fake.ephemerals, ...fake.answers().filter(({ channel }) => channel.startsWith('D0U'))].map(shownText),
    called: () =>
      standing()
        .map(shownText)
        .filter((text) => text.includes(`<@${people.colleague}>`)),
    breakDown: fake.breakDown,
    vanish: fake.vanish,
    heal: fake.heal,
    putBack: () =>
      instances.flatMap(({ runtime }) => runtime.logged).filter(({ event }) => event === 'event-later').length,
    close: world.close,
  };
};

conversationContract({ name: 'slack', start: startRig });
