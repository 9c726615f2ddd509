import { AppError } from '../../core/errors.ts';
import type { SlackResult } from './api.ts';

export type Refused = Extract<SlackResult, { readonly ok: false }>;

const blockRefusals = new Set([
  'invalid_blocks',
  'invalid_blocks_format',
  'msg_blocks_too_long',
  'msg_too_long',
  'invalid_arguments',
  'block_mismatch',
  'markdown_text_too_long',
]);
export const isBlockRefusal = (result: Refused): boolean => blockRefusals.has(result.error);

const goneMessages = new Set(['message_not_found', 'cant_update_message', 'edit_window_closed']);
export const isMessageGone = (result: Refused): boolean => goneMessages.has(result.error);

/** The person cannot be shown an ephemeral message there, or we cannot be there at all; a direct message may still reach them. */
const unseen = new Set([
  'user_not_in_channel',
  'not_in_channel',
  'channel_not_found',
  'is_archived',
  'restricted_action',
  'cannot_reply_to_message',
  'messages_tab_disabled',
]);
export const isUnseen = (result: Refused): boolean => unseen.has(result.error);

/** Why Slack will never take it, in words for the operator. */
const hopeless: Readonly<Record<string, string>> = {
  channel_not_found: 'The channel no longer exists, or the bot cannot see it.',
  is_archived: 'The channel is archived.',
  not_in_channel: 'The bot is no longer a member of the channel.',
  thread_not_found: 'The thread was deleted.',
  message_not_found: 'The thread was deleted.',
  cannot_reply_to_message: 'The thread was deleted.',
  token_revoked: 'The Slack token was revoked.',
  token_expired: 'The Slack token has expired.',
  invalid_auth: 'Slack does not accept the token.',
  account_inactive: 'The Slack app was removed from the workspace.',
  missing_scope: 'The Slack app lacks a permission.',
  restricted_action: 'The workspace does not let the bot post in this channel.',
  user_not_in_channel: 'The person is no longer a member of the channel.',
  user_not_found: 'Slack does not know this person.',
  cannot_dm_bot: 'Slack lets nobody write to this person.',
};

export const refusal = (result: Refused): AppError => {
  const retryable = !result.certain || result.error === 'ratelimited' || result.error === 'unreachable';
  return new AppError(
    'platform-failed',
    hopeless[result.error] ?? (retryable ? 'Slack could not be reached.' : 'Slack refused the message.'),
    {
      retryable,
      at: result.error,
      ...(result.retryAfterMs === undefined ? {} : { retryAfterMs: result.retryAfterMs }),
    },
  );
};
