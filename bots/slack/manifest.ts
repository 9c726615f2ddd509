import { askCommand, ownCommand } from './commands.ts';
import { shortcutCallbackId } from './interactions.ts';

/** The permissions that the app asks for, each with what is lost without it. Check-up, installation and manifest read this. */
export const slackScopes: Readonly<Record<string, string>> = {
  'app_mentions:read': 'the bot does not hear when it is mentioned',
  'chat:write': 'the bot cannot answer',
  commands: '/ask, /footnote and “Ask about this” do not exist',
  'im:history': 'the bot does not hear direct messages',
  'im:write': 'the bot cannot write to a person first: no codes, and no private answer where it is no member',
  'channels:history': 'the bot does not hear follow-ups in public channels',
  'groups:history': 'the bot does not hear follow-ups in private channels',
  'mpim:history': 'the bot does not hear group messages',
  'channels:read': 'the bot does not greet a public channel, and does not know who made it and so may change its rules',
  'groups:read': 'the bot does not greet a private channel, and does not know who made it and so may change its rules',
  'users:read':
    'the bot cannot tell members from guests and treats everybody as one, nor does it know who is an administrator',
  'users:read.email': 'people link their accounts on other platforms by a code only, not by their e-mail address',
  'files:read': 'the bot cannot read files that come with a question',
  'assistant:write': 'the bot suggests no questions where a conversation with it begins',
};

/** What the app listens to. */
export const slackEvents = [
  'app_home_opened',
  'app_mention',
  'app_uninstalled',
  'member_joined_channel',
  'message.channels',
  'message.groups',
  'message.im',
  'message.mpim',
  'tokens_revoked',
] as const;

/** What somebody who does not know the bot is offered to ask; at most four, by Slack's rule. */
export const suggestedPrompts = [{ title: 'What can I do here?', message: 'help' }] as const;

export type ManifestOptions = {
  /** PUBLIC_URL, without a slash at its end. */
  readonly publicUrl: string;
  /** Hear by Socket Mode: no address is registered. */
  readonly socket?: boolean;
  /** A tenant's own app: events go to its own address. */
  readonly connectionId?: string;
  readonly name?: string;
};

/** An app manifest as Slack takes it. https://docs.slack.dev/reference/app-manifest */
export const slackManifest = ({
  publicUrl,
  socket = false,
  connectionId,
  name = 'Footnote',
}: ManifestOptions): Readonly<Record<string, unknown>> => {
  const requestUrl = `${publicUrl}/slack/events${connectionId === undefined ? '' : `/${connectionId}`}`;
  const address = socket ? {} : { url: requestUrl };
  const request = socket ? {} : { request_url: requestUrl };
  return {
    _metadata: { major_version: 2, minor_version: 1 },
    display_information: {
      name,
      description: 'Answers from our documents, with footnotes',
      background_color: '#1f3a34',
    },
    features: {
      app_home: { home_tab_enabled: false, messages_tab_enabled: true, messages_tab_read_only_enabled: false },
      agent_view: {
        agent_description: 'Answers questions from our documents, with footnotes that say where it stands.',
        suggested_prompts: suggestedPrompts,
      },
      bot_user: { display_name: name, always_online: true },
      slash_commands: [
        {
          command: askCommand,
          description: 'Ask our documents',
          usage_hint: '[--private] your question',
          should_escape: true,
          ...address,
        },
        {
          command: ownCommand,
          description: 'Help, settings of this channel, connecting, check-up',
          usage_hint: 'help | settings | connect | check-up | link | forget-me',
          should_escape: true,
          ...address,
        },
      ],
      shortcuts: [
        {
          name: 'Ask about this',
          type: 'message',
          callback_id: shortcutCallbackId,
          description: 'Answers this message for you alone',
        },
      ],
    },
    oauth_config: {
      ...(socket ? {} : { redirect_urls: [`${publicUrl}/slack/oauth_redirect`] }),
      scopes: { bot: Object.keys(slackScopes).sort() },
    },
    settings: {
      event_subscriptions: { ...request, bot_events: [...slackEvents] },
      interactivity: { is_enabled: true, ...request },
      org_deploy_enabled: false,
      socket_mode_enabled: socket,
      token_rotation_enabled: false,
    },
  };
};
