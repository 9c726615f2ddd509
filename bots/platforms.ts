import type { Config } from '../core/config.ts';
import type { Lead } from '../core/ports/leader.ts';
import type { Platform } from '../core/ports/platform.ts';
import type { Runtime } from '../core/ports/runtime.ts';
import type { SlackOptions } from './slack/slack.ts';

/** What every platform driver may be handed to find a workspace's own credentials. */
export type PlatformParts = {
  readonly runtime: Runtime;
  /** For what one instance of several may hold at a time, such as a gateway connection. */
  readonly lead: Lead;
  readonly slackConnections?: NonNullable<SlackOptions['connections']>;
};

/** The chat platforms that the configuration sets up. One more platform is one more line. */
export const createPlatforms = async (config: Config, parts: PlatformParts): Promise<readonly Platform[]> => [
  ...(await slackFrom(config, parts)),
];

/** Slack runs when something can reach it: a signing secret, an app token, or workspaces that bring their own app. */
const slackFrom = async (config: Config, parts: PlatformParts): Promise<readonly Platform[]> => {
  const { SLACK_SIGNING_SECRET, SLACK_BOT_TOKEN, SLACK_APP_TOKEN, SLACK_API_URL } = config;
  if (SLACK_SIGNING_SECRET === undefined && SLACK_APP_TOKEN === undefined && parts.slackConnections === undefined)
    return [];
  // Loaded only when it is used: Slack's SDK costs a few hundred milliseconds of every start.
  const { createSlack } = await import('./slack/slack.ts');
  return [
    createSlack({
      ...(SLACK_SIGNING_SECRET === undefined ? {} : { signingSecret: SLACK_SIGNING_SECRET }),
      ...(SLACK_BOT_TOKEN === undefined ? {} : { botToken: SLACK_BOT_TOKEN }),
      ...(SLACK_APP_TOKEN === undefined ? {} : { appToken: SLACK_APP_TOKEN }),
      ...(SLACK_API_URL === undefined ? {} : { apiUrl: SLACK_API_URL }),
      ...(parts.slackConnections === undefined ? {} : { connections: parts.slackConnections }),
      runtime: parts.runtime,
    }),
  ];
};
