import { z } from 'zod';
import type { ActionName, InboundEvent } from '../../core/domain.ts';
import { common, event, type Here, ignored, keyOf, maybe, type Normalised } from './activity.ts';
import { verbPrefix } from './messages.ts';
import { textOfHtml } from './text.ts';

const feedbackValue = z.object({
  actionName: z.literal('feedback'),
  actionValue: z.object({ reaction: z.enum(['like', 'dislike']), feedback: z.unknown().optional() }),
});
const cardValue = z.object({ action: z.object({ verb: maybe, data: z.unknown().optional() }) });
const buttonData = z.object({
  footnote: z.enum(['stop', 'publish', 'solved', 'human']),
  answerId: maybe,
  deliveryId: maybe,
});
const extensionValue = z.object({
  commandId: z.literal('ask'),
  data: z
    .object({ question: z.string().max(30_000).optional().catch(undefined) })
    .nullish()
    .catch(null),
  messagePayload: z
    .object({
      body: z
        .object({ content: z.string().max(200_000), contentType: maybe })
        .optional()
        .catch(undefined),
    })
    .nullish()
    .catch(null),
});

/** Thumbs, buttons and "Ask about this": what Teams waits for on the line. */
export const invoked = (here: Here): Normalised => {
  const { name, value } = here.body;
  switch (name) {
    case 'message/submitAction':
      return rated(here, value);
    case 'adaptiveCard/action': {
      const parsed = cardValue.safeParse(value);
      return parsed.success && parsed.data.action.verb?.startsWith(verbPrefix)
        ? pressed(here, parsed.data.action.data)
        : ignored('foreign-button');
    }
    case 'composeExtension/submitAction':
      return askedAbout(here, value);
    default:
      return ignored(`invoke:${(name ?? 'none').slice(0, 60)}`);
  }
};

/** Teams' own thumbs. They carry no answer's id; the message under which they stand says whose they are. */
const rated = (here: Here, value: unknown): Normalised => {
  const parsed = feedbackValue.safeParse(value);
  const { id, replyToId } = here.body;
  if (!parsed.success || replyToId === undefined) return ignored('feedback-value');
  const { reaction, feedback } = parsed.data.actionValue;
  const comment = commentIn(feedback);
  const own = `${replyToId}:feedback:${here.body.from.id}:${id ?? here.at}`;
  return event({
    ...common(here),
    kind: 'feedback',
    messageId: own,
    targetMessageId: replyToId,
    feedback: { rating: reaction === 'like' ? 'up' : 'down', ...(comment === null ? {} : { comment }) },
    dedupeKeys: [keyOf(here, own)],
  });
};

const given = z.object({ reason: maybe, feedbackText: maybe }).catch({});

/** `{"feedbackText": "…"}` as a string, from Teams' own form; with the choice of ours beside it. */
const commentIn = (feedback: unknown): string | null => {
  let form: unknown = feedback;
  try {
    if (typeof feedback === 'string') form = JSON.parse(feedback);
  } catch {
    return null;
  }
  const { reason, feedbackText } = given.parse(form);
  const words = [reason, feedbackText].filter((part) => part !== undefined && part.trim() !== '').join(': ');
  return words === '' ? null : words.slice(0, 2000);
};

/** A button of ours. Other apps' buttons, and values that we did not write, are ignored. */
export const pressed = (here: Here, data: unknown): Normalised => {
  const parsed = buttonData.safeParse(data);
  if (!parsed.success) return ignored('button-value');
  const { footnote: name, answerId, deliveryId } = parsed.data;
  const known = name === 'stop' ? isId(deliveryId) : isId(answerId);
  if (!known) return ignored('button-value');
  const target = here.body.replyToId;
  const own = `${target ?? ''}:${name}:${here.body.from.id}:${here.body.id ?? here.at}`;
  return event({
    ...common(here),
    kind: 'action',
    messageId: own,
    ...(target === undefined ? {} : { targetMessageId: target }),
    action: actionOf(name, answerId, deliveryId),
    dedupeKeys: [keyOf(here, own)],
  });
};
const isId = (id: string | undefined): boolean => id !== undefined && /^[a-z]_[0-9a-z_]{1,80}$/.test(id);
const actionOf = (
  name: ActionName,
  answerId: string | undefined,
  deliveryId: string | undefined,
): NonNullable<InboundEvent['action']> => ({
  name,
  ...(name === 'stop' && deliveryId !== undefined ? { deliveryId } : {}),
  ...(name !== 'stop' && answerId !== undefined ? { answerId } : {}),
});

/** "Ask about this" on a message: what the person typed about its words, or its words themselves. For them alone. */
const askedAbout = (here: Here, value: unknown): Normalised => {
  const parsed = extensionValue.safeParse(value);
  const { id } = here.body;
  if (!parsed.success || id === undefined) return ignored('extension-value');
  const payload = parsed.data.messagePayload?.body;
  const message =
    payload === undefined ? '' : payload.contentType === 'text' ? payload.content.trim() : textOfHtml(payload.content);
  const question = parsed.data.data?.question?.trim() ?? '';
  const quoted = message
    .split('\n')
    .map((line) => `> ${line}`)
    .join('\n');
  const text = question === '' ? message : message === '' ? question : `${question}\n\n${quoted}`;
  return event({
    ...common(here),
    kind: 'command',
    addressed: 'command',
    command: { name: 'ask', private: true },
    text,
    messageId: id,
    dedupeKeys: [keyOf(here, id)],
  });
};
