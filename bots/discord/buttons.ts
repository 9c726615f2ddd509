import { z } from 'zod';
import type { ActionName, InboundEvent } from '../../core/domain.ts';
import {
  ephemeralFlag,
  type Heard,
  type Interaction,
  type Place,
  type Reply,
  replies,
  unknown,
  withToken,
} from './interaction.ts';
import { mayManageChannel } from './permissions.ts';

type ButtonName = ActionName | 'up' | 'down' | 'why';

/** The question's place, for a button that stands elsewhere: a private answer in a direct message. */
export type Origin = { readonly guild: string; readonly channel: string; readonly message: string };

/**
 * Buttons and forms of ours; what is in them was written by us and comes back as it was. At most 100 characters, so that
 * the ids of an origin are shortened.
 */
export const customId = {
  of: (name: ButtonName, subject: string, origin?: Origin): string =>
    `fn:${name}:${subject}${origin === undefined ? '' : `:${[origin.guild, origin.channel, origin.message].map((one) => BigInt(one).toString(36)).join('.')}`}`,
  parse: (
    text: string,
  ): { readonly name: ButtonName; readonly subject: string; readonly origin: Origin | null } | null => {
    const found =
      /^fn:(stop|publish|solved|human|choose|up|down|why):([\w-]{1,80})(?::([0-9a-z]{1,14})\.([0-9a-z]{1,14})\.([0-9a-z]{1,14}))?$/.exec(
        text,
      );
    if (found === null) return null;
    const [guild = '', channel = '', message = ''] = found
      .slice(3)
      .map((one) => (one === undefined ? '' : fromShort(one)));
    return {
      name: found[1] as ButtonName,
      subject: found[2] ?? '',
      origin: guild === '' ? null : { guild, channel, message },
    };
  },
};

const fromShort = (text: string): string =>
  [...text].reduce((sum, digit) => sum * 36n + BigInt(Number.parseInt(digit, 36)), 0n).toString();

/** The thread of the answer under which a button stands: that of the question. */
const threadUnder = (body: Interaction, here: Place): string => {
  if (here.thread !== null) return here.thread;
  const asked = body.message?.interaction_metadata?.id;
  return asked === undefined
    ? (body.message?.message_reference?.message_id ?? body.message?.id ?? body.id)
    : `command:${asked}`;
};

const pressed = (body: Interaction, here: Place): Omit<InboundEvent, 'kind'> => ({
  ...here.base,
  addressed: 'none',
  threadId: threadUnder(body, here),
  author: { ...here.author, mayManage: mayManageChannel(here.permissions) },
  text: '',
  ...(body.message === undefined ? {} : { targetMessageId: `${here.handle.channel}/${body.message.id}` }),
  handle: withToken(body, here, 'update', true),
});

/** A button of ours. */
export const press = (body: Interaction, here: Place): Heard => {
  const button = customId.parse(body.data?.custom_id ?? '');
  if (button === null || button.name === 'why') return unknown('button');
  const event = pressed(body, here);
  const seen: Reply = { type: replies.deferredUpdate };
  switch (button.name) {
    case 'stop':
      return { event: { ...event, kind: 'action', action: { name: 'stop', deliveryId: button.subject } }, reply: seen };
    case 'choose': {
      const [, workspaceId, messageId] = /^(\d{1,20})-(\d{1,20})$/.exec(button.subject) ?? [];
      if (workspaceId === undefined || messageId === undefined) return unknown('button');
      return {
        event: { ...event, kind: 'action', action: { name: 'choose', workspaceId, messageId } },
        reply: seen,
      };
    }
    case 'up':
      return {
        event: { ...event, kind: 'feedback', feedback: { rating: 'up', answerId: button.subject } },
        reply: seen,
      };
    case 'down':
      return {
        event: { ...event, kind: 'feedback', feedback: { rating: 'down', answerId: button.subject } },
        reply: { type: replies.modal, data: whyForm(button.subject) },
      };
    default:
      return {
        event: { ...event, kind: 'action', action: { name: button.name, answerId: button.subject } },
        reply: seen,
      };
  }
};

const reasonField = 'reason';

/** Asked at once, because a form can only be the first reply. The verdict itself is stored before it is shown. */
const whyForm = (answerId: string): Readonly<Record<string, unknown>> => ({
  custom_id: customId.of('why', answerId),
  title: 'What was wrong?',
  components: [
    {
      type: 1,
      components: [
        {
          type: 4,
          custom_id: reasonField,
          style: 2,
          label: 'It helps to make the answers better',
          required: false,
          max_length: 1000,
        },
      ],
    },
  ],
});

/** The form behind the thumb. */
export const reasonGiven = (body: Interaction, here: Place): Heard => {
  const form = customId.parse(body.data?.custom_id ?? '');
  if (form?.name !== 'why') return unknown('form');
  const comment =
    fieldOf(body.data?.components ?? [], reasonField)
      ?.trim()
      .slice(0, 2000) ?? '';
  return {
    event: {
      ...pressed(body, here),
      kind: 'feedback',
      feedback: { rating: 'down', answerId: form.subject, ...(comment === '' ? {} : { comment }) },
    },
    reply: { type: replies.message, data: { content: 'Thank you, I have noted that.', flags: ephemeralFlag } },
  };
};

const formField = z.object({
  custom_id: z.string().optional(),
  value: z.string().optional(),
  components: z.array(z.unknown()).optional(),
  component: z.unknown().optional(),
});

/** In rows of old and in labels of late: wherever the field stands, three levels deep. */
const fieldOf = (components: readonly unknown[], field: string, depth = 0): string | null => {
  for (const component of components) {
    const found = formField.safeParse(component);
    if (!found.success) continue;
    if (found.data.custom_id === field && found.data.value !== undefined) return found.data.value;
    if (depth >= 3) continue;
    const inner = fieldOf(
      [...(found.data.components ?? []), found.data.component].filter((one) => one !== undefined),
      field,
      depth + 1,
    );
    if (inner !== null) return inner;
  }
  return null;
};
