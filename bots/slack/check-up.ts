import type { Connection } from '../../core/domain.ts';
import type { CheckUpLine } from '../../core/ports/platform.ts';
import type { SlackApi } from './api.ts';
import { slackScopes } from './manifest.ts';

export type CheckUpContext = {
  readonly now: number;
  /** Null: this deployment does not use Socket Mode. */
  readonly socketConnected: boolean | null;
  /** The deployment's own app or the connection's has a signing secret. */
  readonly hearsOverHttp: boolean;
  readonly signal: AbortSignal;
};

const quietForMs = 7 * 24 * 3_600_000;

/** What is granted, what is missing and what that means, in plain words. */
export const checkUpSlack = async (
  api: SlackApi,
  connection: Connection,
  context: CheckUpContext,
): Promise<readonly CheckUpLine[]> => {
  const result = await api.call('auth.test', {}, { signal: context.signal, repeatable: true });
  if (!result.ok)
    return [
      result.certain && result.error !== 'ratelimited'
        ? line('token', `Slack does not accept the token (${result.error}). Install the app again.`)
        : line('token', 'Slack could not be reached. Look at https://slack-status.com and at this server’s network.'),
      ...hearing(connection, context),
    ];
  const { team_id: team, app_id: app } = result.data;
  return [
    line('token', null),
    line(
      'workspace',
      team === connection.workspaceId
        ? null
        : `The token belongs to another workspace (${String(team)}). Install the app in ${connection.workspaceId}.`,
    ),
    ...(typeof app === 'string' ? [{ item: 'app', ok: true, advice: app }] : []),
    ...hearing(connection, context),
    ...granted(result.data),
  ];
};

const line = (item: string, advice: string | null): CheckUpLine =>
  advice === null ? { item, ok: true } : { item, ok: false, advice };

const granted = (data: Readonly<Record<string, unknown>>): readonly CheckUpLine[] => {
  const metadata = data.response_metadata as { readonly scopes?: readonly string[] } | undefined;
  const scopes = metadata?.scopes;
  if (scopes === undefined) return [];
  return Object.entries(slackScopes).map(([scope, loss]) =>
    line(scope, scopes.includes(scope) ? null : `Grant ${scope} and install the app again; without it ${loss}.`),
  );
};

const hearing = (connection: Connection, context: CheckUpContext): readonly CheckUpLine[] => {
  const { socketConnected, hearsOverHttp, now } = context;
  const door =
    socketConnected === false && !hearsOverHttp
      ? line('socket', 'Socket Mode is not connected. Is SLACK_APP_TOKEN of this app, with connections:write?')
      : socketConnected === null && !hearsOverHttp
        ? line('events', 'Nothing hears: set SLACK_SIGNING_SECRET (events over HTTP) or SLACK_APP_TOKEN (Socket Mode).')
        : line(socketConnected === null ? 'events' : 'socket', null);
  const last = connection.lastEventAt;
  const heard =
    last === undefined
      ? line(
          'last event',
          'Nothing was heard yet. Write to the bot; if it stays silent, look at the request URL in the app’s settings.',
        )
      : now - last > quietForMs
        ? line(
            'last event',
            `The last event came ${new Date(last).toISOString()}. Write to the bot to see whether it hears.`,
          )
        : { item: 'last event', ok: true, advice: new Date(last).toISOString() };
  return [door, heard];
};
