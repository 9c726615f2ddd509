import { inviteUrl, needed } from '../../bots/discord/permissions.ts';
import { parseConfig } from '../../core/config.ts';
import { renderJson, UsageError, type Verb } from '../verb.ts';

export const discordInviteVerb: Verb = {
  name: 'discord-invite',
  about: 'Print the address with which somebody takes the bot into a Discord server.',
  options: {
    'app-id': { type: 'string', about: 'application id (DISCORD_APPLICATION_ID, else that of the bot token)' },
    server: { type: 'string', about: 'id of the one server that the address is for' },
  },
  async run(call) {
    if (call.args.length > 0) throw new UsageError('discord-invite takes options only.');
    const config = parseConfig(call.env);
    const application =
      call.text('app-id') ?? config.DISCORD_APPLICATION_ID ?? applicationOfToken(config.DISCORD_BOT_TOKEN);
    if (application === undefined || !isId(application))
      throw new UsageError(
        'The application id is missing: set DISCORD_APPLICATION_ID or DISCORD_BOT_TOKEN, or name it with --app-id.',
      );
    const server = call.text('server');
    if (server !== undefined && !isId(server)) throw new UsageError('--server needs the id of a server, a number.');
    const url = inviteUrl(application, server);
    const permissions = needed.map(({ name }) => name);
    call.terminal.out(
      call.json
        ? renderJson({ url, permissions })
        : `${url}\nIt asks for ${permissions.join(', ')}. Whoever opens it needs Manage Server; then /footnote connect there.\n`,
    );
    return 0;
  },
};

const isId = (text: string): boolean => /^\d{5,20}$/.test(text);

/** A bot's token begins with the id of its user, which is its application's. */
const applicationOfToken = (token: string | undefined): string | undefined =>
  token === undefined ? undefined : Buffer.from(token.split('.')[0] ?? '', 'base64').toString('latin1');
