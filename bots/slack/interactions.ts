import { z } from 'zod';
import type { ActionName, InboundEvent } from '../../core/domain.ts';
import { attachmentsOf, fileShape } from './events.ts';
import {
  ignored,
  maybe,
  type NormaliseContext,
  type Normalised,
  type Opening,
  respondOf,
  type SlackHandle,
  stamp,
  stampOf,
} from './handle.ts';
import { parseSlackText } from './mrkdwn.ts';

/** `action_id`s of our buttons, `callback_id`s of our shortcut and our modal. */
export const feedbackActionId = 'footnote_feedback';
export const buttonActionId = (name: ActionName): string => `footnote_${name}`;
export const shortcutCallbackId = 'footnote_ask_about';
const reasonCallbackId = 'footnote_reason';

const person = z.object({ id: z.string(), team_id: maybe, name: maybe, username: maybe });
const team = z.object({ id: z.string() }).nullish().catch(null);
const channel = z.object({ id: z.string() }).nullish().catch(null);

const blockActions = z.object({
  type: z.literal('block_actions'),
  team,
  user: person,
  channel,
  trigger_id: maybe,
  response_url: maybe,
  container: z
    .object({ message_ts: stamp.optional(), channel_id: maybe, thread_ts: stamp.optional() })
    .nullish()
    .catch(null),
  message: z
    .object({ ts: stamp, thread_ts: stamp.optional().catch(undefined) })
    .nullish()
    .catch(null),
  actions: z.array(z.object({ action_id: maybe, value: maybe, action_ts: maybe })).min(1),
});

const messageAction = z.object({
  type: z.literal('message_action'),
  callback_id: z.string(),
  team,
  user: person,
  channel,
  trigger_id: maybe,
  response_url: maybe,
  action_ts: maybe,
  message: z.object({
    ts: stamp,
    thread_ts: stamp.optional().catch(undefined),
    text: z.string().catch(''),
    files: z.array(fileShape).max(50).optional().catch(undefined),
  }),
});

const viewSubmission = z.object({
  type: z.literal('view_submission'),
  team,
  user: person,
  view: z.object({
    id: z.string(),
    callback_id: z.string(),
    private_metadata: z.string(),
    state: z.object({ values: z.record(z.string(), z.record(z.string(), z.object({ value: z.string().nullish() }))) }),
  }),
});

const anyInteraction = z.object({ team, user: z.object({ team_id: maybe }).optional().catch(undefined) });

/** The workspace that a click, a shortcut or a form comes from; null when it names none. */
export const workspaceOfInteraction = (payload: unknown): string | null => {
  const parsed = anyInteraction.safeParse(payload);
  return parsed.success ? (parsed.data.team?.id ?? parsed.data.user?.team_id ?? null) : null;
};

/** Buttons, the shortcut and the form with the reason. Other people's, and values that we did not write, are ignored. */
export const normaliseInteraction = (payload: unknown, context: NormaliseContext): Normalised => {
  const pressed = blockActions.safeParse(payload);
  if (pressed.success) return normalisePress(pressed.data, context);
  const shortcut = messageAction.safeParse(payload);
  if (shortcut.success) return normaliseShortcut(shortcut.data, context);
  const submitted = viewSubmission.safeParse(payload);
  return submitted.success ? normaliseReason(submitted.data, context) : ignored('interaction');
};

type Place = { readonly team: string; readonly channel: string; readonly ts: string; readonly thread: string };

/** What every event of this kind has in common. */
const eventAt = (
  place: Place,
  user: z.output<typeof person>,
  context: NormaliseContext,
): Omit<InboundEvent, 'kind' | 'messageId' | 'dedupeKeys' | 'orderKey' | 'handle'> => ({
  platform: 'slack',
  workspaceId: place.team,
  channelId: place.channel,
  threadId: place.thread,
  scope: place.channel.startsWith('D') ? 'dm' : 'channel',
  addressed: 'none',
  author: { id: user.id, isBot: false, isSelf: false, ...nameOf(user) },
  text: '',
  attachments: [],
  receivedAt: context.receivedAt,
});

const nameOf = (user: z.output<typeof person>): { readonly name?: string } => {
  const name = user.name ?? user.username;
  return name === undefined ? {} : { name };
};

/** A direct conversation has no thread at its top level; its channel stands for it. */
const handleAt = (place: Place, user: z.output<typeof person>): SlackHandle => ({
  team: place.team,
  channel: place.channel,
  ...(/^\d+\.\d+$/.test(place.thread) ? { thread: place.thread } : {}),
  ts: place.ts,
  user: user.id,
  ...(user.team_id === undefined ? {} : { userTeam: user.team_id }),
});

// ── buttons ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const answerValue = /^(a_[0-9a-f]{8,64})(?: (\d{1,16}\.\d{1,9}))?$/;
const deliveryValue = /^[\w-]{1,80}$/;
const ratingValue = /^(up|down):(a_[0-9a-f]{8,64})(?: (\d{1,16}\.\d{1,9}))?$/;

const normalisePress = (body: z.output<typeof blockActions>, context: NormaliseContext): Normalised => {
  const workspace = body.team?.id ?? body.user.team_id;
  const channelId = body.channel?.id ?? body.container?.channel_id;
  const ts = body.message?.ts ?? body.container?.message_ts;
  const action = body.actions.find((entry) => entry.action_id?.startsWith('footnote_'));
  if (workspace === undefined || channelId === undefined || ts === undefined || action === undefined)
    return ignored('interaction');
  const at = action.action_ts ?? stampOf(context.receivedAt);
  const thread = body.message?.thread_ts ?? body.container?.thread_ts;
  const press = { workspace, channelId, ts, at, thread, value: action.value ?? '' };
  if (action.action_id?.startsWith(feedbackActionId)) return normaliseThumb(body, press, context);
  const name = actionNames.find((each) => action.action_id === buttonActionId(each));
  return name === undefined ? ignored('action-id') : normaliseButton(body, press, name, context);
};

const actionNames: readonly ActionName[] = ['stop', 'publish', 'solved', 'human'];

type Press = {
  readonly workspace: string;
  readonly channelId: string;
  readonly ts: string;
  readonly at: string;
  readonly thread: string | undefined;
  readonly value: string;
};

/** Ephemeral messages do not tell their thread, so the button's own value does. */
const placeOf = (press: Press, written: string | undefined): Place => ({
  team: press.workspace,
  channel: press.channelId,
  ts: press.ts,
  thread: press.thread ?? written ?? (press.channelId.startsWith('D') ? press.channelId : press.ts),
});

/** What a press on anything of ours has in common; `of` names the kind of press in its keys. */
const pressAt = (
  body: z.output<typeof blockActions>,
  press: Press,
  place: Place,
  of: string,
  context: NormaliseContext,
): Omit<InboundEvent, 'kind'> => {
  const own = `${press.ts}:${of}:${body.user.id}:${press.at}`;
  return {
    ...eventAt(place, body.user, context),
    messageId: own,
    dedupeKeys: [`slack:${place.team}:${place.channel}:${own}`],
    orderKey: press.at,
    targetMessageId: press.ts,
    handle: { ...handleAt(place, body.user), ...respondOf(body.response_url, context.receivedAt) },
  };
};

const normaliseThumb = (body: z.output<typeof blockActions>, press: Press, context: NormaliseContext): Normalised => {
  const value = ratingValue.exec(press.value);
  if (value === null) return ignored('feedback-value');
  const [, rating, answerId = '', written] = value;
  const place = placeOf(press, written);
  return {
    kind: 'event',
    event: {
      ...pressAt(body, press, place, 'feedback', context),
      kind: 'feedback',
      feedback: { rating: rating === 'up' ? 'up' : 'down', answerId },
    },
    ...(rating === 'down' && body.trigger_id !== undefined
      ? { opens: reasonForm(body.trigger_id, place, answerId) }
      : {}),
  };
};

const normaliseButton = (
  body: z.output<typeof blockActions>,
  press: Press,
  name: ActionName,
  context: NormaliseContext,
): Normalised => {
  const answer = name === 'stop' ? null : answerValue.exec(press.value);
  if (name === 'stop' ? !deliveryValue.test(press.value) : answer === null) return ignored('action-value');
  return {
    kind: 'event',
    event: {
      ...pressAt(body, press, placeOf(press, answer?.[2]), name, context),
      kind: 'action',
      action: name === 'stop' ? { name, deliveryId: press.value } : { name, answerId: answer?.[1] ?? '' },
    },
  };
};

// ── the reason of a thumbs down ─────────────────────────────────────────────────────────────────────────────────────

const metadata = z.object({
  team: z.string(),
  channel: z.string(),
  ts: stamp,
  thread: z.string(),
  answerId: z.string(),
});

/** Three seconds are all that Slack gives; the thumb itself is stored whether or not anything is written here. */
const reasonForm = (triggerId: string, place: Place, answerId: string): Opening => ({
  triggerId,
  view: {
    type: 'modal',
    callback_id: reasonCallbackId,
    private_metadata: JSON.stringify({ ...place, answerId }),
    title: { type: 'plain_text', text: 'What was wrong?' },
    submit: { type: 'plain_text', text: 'Send' },
    close: { type: 'plain_text', text: 'Skip' },
    blocks: [
      {
        type: 'input',
        block_id: 'reason',
        label: { type: 'plain_text', text: 'What should the answer have said?' },
        element: { type: 'plain_text_input', action_id: 'text', multiline: true, max_length: 2000 },
      },
    ],
  },
});

const normaliseReason = (body: z.output<typeof viewSubmission>, context: NormaliseContext): Normalised => {
  if (body.view.callback_id !== reasonCallbackId) return ignored('view');
  const about = metadata.safeParse(parseJson(body.view.private_metadata));
  const comment = body.view.state.values.reason?.text?.value?.trim().slice(0, 2000) ?? '';
  const workspace = body.team?.id ?? body.user.team_id;
  if (!about.success || !ratingValue.test(`down:${about.data.answerId}`) || about.data.team !== workspace)
    return ignored('view-metadata');
  if (comment === '') return ignored('no-reason');
  const place: Place = about.data;
  const own = `${place.ts}:reason:${body.user.id}:${body.view.id}`;
  return {
    kind: 'event',
    event: {
      ...eventAt(place, body.user, context),
      messageId: own,
      dedupeKeys: [`slack:${place.team}:${place.channel}:${own}`],
      orderKey: stampOf(context.receivedAt),
      kind: 'feedback',
      targetMessageId: place.ts,
      feedback: { rating: 'down', answerId: about.data.answerId, comment },
      handle: handleAt(place, body.user),
    },
  };
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

// ── ask about this ──────────────────────────────────────────────────────────────────────────────────────────────────

/** The message's words are the question, and the answer is for whoever pressed: nobody else asked for one. */
const normaliseShortcut = (body: z.output<typeof messageAction>, context: NormaliseContext): Normalised => {
  const workspace = body.team?.id ?? body.user.team_id;
  if (body.callback_id !== shortcutCallbackId || workspace === undefined || !body.channel) return ignored('shortcut');
  const { message } = body;
  const at = body.action_ts ?? stampOf(context.receivedAt);
  const own = `${message.ts}:ask:${body.user.id}:${at}`;
  const place: Place = { team: workspace, channel: body.channel.id, ts: message.ts, thread: `ask:${own}` };
  return {
    kind: 'event',
    event: {
      ...eventAt(place, body.user, context),
      messageId: own,
      dedupeKeys: [`slack:${place.team}:${place.channel}:${own}`],
      orderKey: at,
      kind: 'command',
      addressed: 'command',
      command: { name: 'ask', private: true },
      targetMessageId: message.ts,
      text: parseSlackText(message.text, context.botUserId(workspace)),
      attachments: attachmentsOf(message),
      handle: {
        ...handleAt(place, body.user),
        ...(message.thread_ts === undefined ? {} : { thread: message.thread_ts }),
        ...respondOf(body.response_url, context.receivedAt),
      },
    },
  };
};
