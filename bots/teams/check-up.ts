import type { Connection } from '../../core/domain.ts';
import { isAppError } from '../../core/errors.ts';
import type { CheckUpLine } from '../../core/ports/platform.ts';
import type { TeamsTokens } from './tokens.ts';

const guid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What an organisation's connection can and cannot do, and what to do about it. */
export const checkUpTeams = async (
  parts: {
    readonly app: { readonly id: string; readonly tenantId?: string } | null;
    readonly tokens: TeamsTokens | null;
    readonly heardUnasked: boolean;
  },
  connection: Connection,
  signal: AbortSignal,
): Promise<readonly CheckUpLine[]> => [
  appLine(parts.app),
  await tokenLine(parts.tokens, signal),
  guid.test(connection.workspaceId)
    ? { item: 'tenant', ok: true }
    : {
        item: 'tenant',
        ok: false,
        advice: 'The workspace is not the id of a Microsoft 365 tenant; connect it again with the code from `connect`.',
      },
  // When something was heard last, and what went wrong, the core says for every platform.
  ...(connection.lastEventAt === undefined
    ? [
        {
          item: 'messaging endpoint',
          ok: false,
          advice:
            'Nothing was heard from this tenant yet. Is the messaging endpoint of the bot resource {PUBLIC_URL}/teams/messages, is the Teams channel switched on, and is the app package uploaded?',
        },
      ]
    : []),
  parts.heardUnasked
    ? { item: 'messages without a mention', ok: true }
    : {
        item: 'messages without a mention',
        // Nothing is wrong: this is how Teams treats every bot. But whoever set "every" or "question" wants to know.
        ok: true,
        advice:
          'In channels and group chats only messages that mention the bot were heard so far. To hear all, and follow-ups in a thread too, build the package with --hear-all and let an owner of the team consent.',
      },
];

const appLine = (app: { readonly id: string } | null): CheckUpLine =>
  app === null
    ? {
        item: 'app',
        ok: false,
        advice: 'There is no TEAMS_APP_ID: only the Agents Playground on this machine can talk to the bot.',
      }
    : { item: 'app', ok: true, advice: app.id };

const tokenLine = async (tokens: TeamsTokens | null, signal: AbortSignal): Promise<CheckUpLine> => {
  if (tokens === null) return { item: 'credentials', ok: false, advice: 'Set TEAMS_APP_ID and TEAMS_APP_PASSWORD.' };
  try {
    tokens.drop();
    await tokens.get(signal);
    return { item: 'credentials', ok: true };
  } catch (thrown) {
    return { item: 'credentials', ok: false, advice: isAppError(thrown) ? thrown.message : 'No token was given.' };
  }
};
