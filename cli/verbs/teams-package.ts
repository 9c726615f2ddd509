import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { teamsManifest, teamsPackage } from '../../bots/teams/app-package/manifest.ts';
import { parseConfig } from '../../core/config.ts';
import { renderJson, UsageError, type Verb } from '../verb.ts';

export const teamsPackageVerb: Verb = {
  name: 'teams-package',
  about: 'The app package that an administrator uploads to Microsoft Teams.',
  args: '[file.zip]',
  options: {
    'app-id': { type: 'string', about: 'application id of the bot (TEAMS_APP_ID)' },
    name: { type: 'string', about: 'what people call the bot, at most 30 characters (Footnote)' },
    'app-version': { type: 'string', about: 'version of the package; raise it for an update (1.0.0)' },
    developer: { type: 'string', about: 'who offers it, at most 32 characters (the name)' },
    website: { type: 'string', about: 'address for support (PUBLIC_URL)' },
    privacy: { type: 'string', about: 'address of the privacy statement (the website)' },
    terms: { type: 'string', about: 'address of the terms of use (the website)' },
    'hear-all': { type: 'boolean', about: 'ask owners for consent to hear messages that do not mention the bot' },
    force: { type: 'boolean', short: 'f', about: 'replace a file that is there' },
  },
  async run(call) {
    if (call.args.length > 1) throw new UsageError('One file is written.');
    const config = parseConfig(call.env);
    const appId = call.text('app-id')?.toLowerCase() ?? config.TEAMS_APP_ID;
    if (appId === undefined || !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(appId))
      throw new UsageError('The application id is missing: set TEAMS_APP_ID, or name it with --app-id.');
    const text = (option: string, limit: number): string | undefined => {
      const value = call.text(option);
      if (value !== undefined && (value === '' || value.length > limit))
        throw new UsageError(`--${option} needs 1 to ${limit} characters.`);
      return value;
    };
    const version = call.text('app-version');
    if (version !== undefined && !/^\d{1,5}\.\d{1,5}\.\d{1,5}$/.test(version))
      throw new UsageError('--app-version needs three numbers, such as 1.0.1.');
    const given = {
      name: text('name', 30),
      version,
      developer: text('developer', 32),
      websiteUrl: text('website', 2048),
      privacyUrl: text('privacy', 2048),
      termsUrl: text('terms', 2048),
    };
    const options = {
      appId,
      publicUrl: config.PUBLIC_URL,
      hearAll: call.flag('hear-all'),
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    };
    const bytes = teamsPackage(options);
    const file = resolve(call.args[0] ?? 'footnote-teams.zip');
    await writeFile(file, bytes, { flag: call.flag('force') ? 'w' : 'wx' }).catch((error: NodeJS.ErrnoException) => {
      throw new UsageError(
        error.code === 'EEXIST'
          ? `${file} is there already; --force replaces it.`
          : `${file} cannot be written (${error.code ?? error.message}).`,
      );
    });
    call.terminal.out(
      call.json
        ? renderJson({ file, bytes: bytes.length, manifest: teamsManifest(options) })
        : `Wrote ${file}.\nUpload it in the Teams admin center (Teams apps, Manage apps, Upload new app), then add the app to a team or chat.\n`,
    );
    return 0;
  },
};
