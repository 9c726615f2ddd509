import type { Config } from '../core/config.ts';
import type { Lead } from '../core/ports/leader.ts';
import type { Platform, Workspaces } from '../core/ports/platform.ts';
import type { Runtime } from '../core/ports/runtime.ts';
import { createGuardedFetch } from '../core/security/guarded-fetch.ts';

/** What every platform driver is handed. */
export type PlatformParts = {
  readonly runtime: Runtime;
  /** For what one instance of several may hold at a time, such as a gateway connection. */
  readonly lead: Lead;
  /** Absent where there are no workspaces with credentials of their own (a load test with one token). */
  readonly connections?: Workspaces;
};

/** The chat platforms that the configuration sets up. One more platform is one more line. */
export const createPlatforms = async (config: Config, parts: PlatformParts): Promise<readonly Platform[]> => [
  ...(await slackFrom(config, parts)),
  ...(await discordFrom(config, parts)),
  ...(await teamsFrom(config, parts)),
];

/** Slack runs when something can reach it: a signing secret, an app token, or workspaces that bring their own app. */
const slackFrom = async (config: Config, parts: PlatformParts): Promise<readonly Platform[]> => {
  const { SLACK_SIGNING_SECRET, SLACK_BOT_TOKEN, SLACK_APP_TOKEN, SLACK_API_URL } = config;
  const { SLACK_CLIENT_ID, SLACK_CLIENT_SECRET, PUBLIC_URL } = config;
  const { connections } = parts;
  if (SLACK_SIGNING_SECRET === undefined && SLACK_APP_TOKEN === undefined && connections === undefined) return [];
  const { createSlack } = await import('./slack/slack.ts');
  return [
    createSlack({
      ...(SLACK_SIGNING_SECRET === undefined ? {} : { signingSecret: SLACK_SIGNING_SECRET }),
      ...(SLACK_BOT_TOKEN === undefined ? {} : { botToken: SLACK_BOT_TOKEN }),
      ...(SLACK_APP_TOKEN === undefined ? {} : { appToken: SLACK_APP_TOKEN }),
      ...(SLACK_API_URL === undefined ? {} : { apiUrl: SLACK_API_URL }),
      ...(SLACK_CLIENT_ID === undefined || SLACK_CLIENT_SECRET === undefined
        ? {}
        : { oauth: { clientId: SLACK_CLIENT_ID, clientSecret: SLACK_CLIENT_SECRET, publicUrl: PUBLIC_URL } }),
      ...(connections === undefined ? {} : { connections }),
      runtime: parts.runtime,
    }),
  ];
};

/** Discord runs when there is a bot token. Every instance answers; one of them holds the gateway. */
const discordFrom = async (config: Config, parts: PlatformParts): Promise<readonly Platform[]> => {
  const { DISCORD_BOT_TOKEN, DISCORD_APPLICATION_ID, DISCORD_PUBLIC_KEY, DISCORD_API_URL } = config;
  if (DISCORD_BOT_TOKEN === undefined) return [];
  const { createDiscord } = await import('./discord/discord.ts');
  return [
    createDiscord({
      botToken: DISCORD_BOT_TOKEN,
      ...(DISCORD_APPLICATION_ID === undefined ? {} : { applicationId: DISCORD_APPLICATION_ID }),
      ...(DISCORD_PUBLIC_KEY === undefined ? {} : { publicKey: DISCORD_PUBLIC_KEY }),
      ...(DISCORD_API_URL === undefined ? {} : { apiUrl: DISCORD_API_URL }),
      messageContent: config.DISCORD_MESSAGE_CONTENT === 'on',
      lead: parts.lead,
      ...(parts.connections === undefined ? {} : { connections: parts.connections }),
      runtime: parts.runtime,
    }),
  ];
};

/** Teams runs for an app registration, or on one machine without any, for trying out. */
const teamsFrom = async (config: Config, parts: PlatformParts): Promise<readonly Platform[]> => {
  const { TEAMS_APP_ID, TEAMS_APP_PASSWORD, TEAMS_TENANT_ID, TEAMS_OPENID_METADATA_URL } = config;
  const unauthenticated = config.TEAMS_ALLOW_UNAUTHENTICATED_LOOPBACK === 'on';
  if (TEAMS_APP_ID === undefined && !unauthenticated) return [];
  // Loaded only when it is used: the Bot Framework's SDK costs a second of every start, and 40 MB.
  const { createTeams } = await import('./teams/teams.ts');
  return [
    createTeams({
      app:
        TEAMS_APP_ID === undefined || TEAMS_APP_PASSWORD === undefined
          ? null
          : {
              id: TEAMS_APP_ID,
              password: TEAMS_APP_PASSWORD,
              ...(TEAMS_TENANT_ID === undefined ? {} : { tenantId: TEAMS_TENANT_ID }),
            },
      publicUrl: config.PUBLIC_URL,
      ...(TEAMS_OPENID_METADATA_URL === undefined ? {} : { metadataUrl: TEAMS_OPENID_METADATA_URL }),
      unauthenticated,
      guardedFetch: createGuardedFetch({ allow: config.FETCH_ALLOW }),
      ...(parts.connections === undefined ? {} : { connections: parts.connections }),
      runtime: parts.runtime,
    }),
  ];
};
