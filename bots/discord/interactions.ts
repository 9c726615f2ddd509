import type { CommandName, InboundEvent } from '../../core/domain.ts';
import { customId, press, reasonGiven } from './buttons.ts';
import { aboutName, askName, commandNames, footnoteName } from './commands.ts';
import {
  ephemeralFlag,
  type Heard,
  type Interaction,
  type InteractionSurroundings,
  interaction,
  type Place,
  placeOf,
  replies,
  unknown,
  withToken,
} from './interaction.ts';
import { attachmentsOf } from './normalise.ts';
import { mayManageChannel, mayManageServer } from './permissions.ts';
import { mentionsIn, parseDiscordText, type Self } from './text.ts';

/**
 * An interaction in our words, whether it came over the gateway or by HTTP: both doors carry the same payload, and its id
 * is the dedupe key. Null: it cannot be read at all.
 */
export const hearInteraction = async (payload: unknown, around: InteractionSurroundings): Promise<Heard | null> => {
  const parsed = interaction.safeParse(payload);
  if (!parsed.success) return null;
  const body = parsed.data;
  switch (body.type) {
    case 1:
      return { event: null, reply: { type: replies.pong } };
    case 4:
      return { event: null, reply: { type: replies.choices, data: { choices: [] } }, why: 'autocomplete' };
    case 2:
    case 3:
    case 5: {
      const user = body.member?.user ?? body.user;
      if (user === undefined || body.channel_id === undefined) return unknown('no-user');
      const origin = body.type === 3 ? (customId.parse(body.data?.custom_id ?? '')?.origin ?? null) : null;
      const at = origin === null ? { guild: body.guild_id, channel: body.channel_id } : origin;
      const here = await placeOf(body, user.id, at, around);
      if (body.type === 2) return command(body, here);
      return body.type === 3 ? press(body, here) : reasonGiven(body, here);
    }
    default:
      return unknown(`type:${body.type}`);
  }
};

// ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────

const command = (body: Interaction, here: Place): Heard => {
  const said = spoken(body, here.self);
  if (said === null) return unknown('command');
  const isQuestion = said.name === 'ask';
  const ephemeral = said.private || !isQuestion;
  // Connecting is the server's business, not one channel's.
  const mayManage = said.name === 'connect' ? mayManageServer(here.permissions) : mayManageChannel(here.permissions);
  return {
    event: {
      ...here.base,
      kind: 'command',
      addressed: 'command',
      threadId: here.thread ?? `command:${body.id}`,
      author: { ...here.author, mayManage },
      text: said.text,
      ...(said.mentions.length === 0 ? {} : { mentions: said.mentions }),
      attachments: said.attachments,
      command: { name: said.name, ...(said.private ? { private: true } : {}) },
      ...(body.data?.target_id === undefined ? {} : { targetMessageId: body.data.target_id }),
      handle: withToken(body, here, 'deferred', ephemeral),
    },
    reply: { type: replies.deferredMessage, data: { flags: ephemeral ? ephemeralFlag : 0 } },
  };
};

type Spoken = {
  readonly name: CommandName;
  readonly text: string;
  readonly mentions: NonNullable<InboundEvent['mentions']>;
  readonly private: boolean;
  readonly attachments: InboundEvent['attachments'];
};

const spoken = (body: Interaction, self: Self): Spoken | null => {
  const { data } = body;
  const words = (content: string): Pick<Spoken, 'text' | 'mentions'> => ({
    text: parseDiscordText(content, self, []),
    mentions: mentionsIn(content, self, []),
  });
  if (data?.name === aboutName) {
    const target = data.resolved?.messages?.[data.target_id ?? ''];
    if (target === undefined) return null;
    // Private, because it is somebody else's message; the answer can be posted from there.
    return { name: 'ask', ...words(target.content), private: true, attachments: attachmentsOf(target.attachments) };
  }
  if (data?.name === askName) {
    const value = (name: string): unknown => data.options?.find((entry) => entry.name === name)?.value;
    const attached = data.resolved?.attachments?.[String(value('file') ?? '')];
    return {
      name: 'ask',
      ...words(String(value('question') ?? '')),
      private: value('private') === true,
      attachments: attached === undefined ? [] : attachmentsOf([attached]),
    };
  }
  const [first] = data?.options ?? [];
  if (data?.name !== footnoteName || first === undefined || !commandNames.has(first.name)) return null;
  const given = (first.options ?? []).map((entry) => String(entry.value ?? '')).join(' ');
  return { name: first.name as CommandName, ...words(given), private: false, attachments: [] };
};
