import { AppError } from '../../../core/errors.ts';
import { isLoopbackHost } from '../clouds.ts';
import { colourIcon, outlineIcon } from './icons.ts';
import { writeZip } from './zip.ts';

export type PackageOptions = {
  readonly appId: string;
  /** PUBLIC_URL; Teams takes nothing but https. */
  readonly publicUrl: string;
  readonly name?: string;
  /** Of the app, `1.0.0`: Teams takes an update only with a higher one. */
  readonly version?: string;
  readonly developer?: string;
  readonly websiteUrl?: string;
  readonly privacyUrl?: string;
  readonly termsUrl?: string;
  /** Ask the owners of teams and chats for consent to hear what does not mention the bot. */
  readonly hearAll?: boolean;
};

const schema = '1.29';

/** What people see when they type to the bot; the core understands them in any message. */
const commands = [
  { title: 'help', description: 'What I can do here' },
  { title: 'settings', description: 'How I answer in this channel, and how to change it' },
  { title: 'connect', description: 'For administrators: a code that connects this organisation' },
  { title: 'check-up', description: 'Whether I am set up rightly, and what I cannot hear' },
  { title: 'link', description: 'Share your history and allowance between platforms' },
  { title: 'forget-me', description: 'Delete what I keep about you' },
];

/**
 * The app's manifest.
 * https://learn.microsoft.com/microsoft-365/extensibility/schema/
 */
export const teamsManifest = (options: PackageOptions): Readonly<Record<string, unknown>> => {
  const { appId, publicUrl, name = 'Footnote', hearAll = false } = options;
  const site = options.websiteUrl ?? publicUrl;
  const { hostname } = new URL(publicUrl);
  const scopes = ['personal', 'team', 'groupChat'];
  return {
    $schema: `https://developer.microsoft.com/json-schemas/teams/v${schema}/MicrosoftTeams.schema.json`,
    manifestVersion: schema,
    version: options.version ?? '1.0.0',
    id: appId,
    developer: {
      name: options.developer ?? name,
      websiteUrl: site,
      privacyUrl: options.privacyUrl ?? site,
      termsOfUseUrl: options.termsUrl ?? site,
    },
    name: { short: name, full: `${name}, answers from your documents` },
    description: {
      short: 'Answers from your documents, with footnotes',
      full: `Ask ${name} a question, in its own chat or by mentioning it in a channel or group chat. It answers from your organisation’s documents, says where it stands, and says so when it finds nothing.`,
    },
    icons: { color: 'color.png', outline: 'outline.png' },
    accentColor: '#23407A',
    bots: [
      {
        botId: appId,
        scopes,
        supportsFiles: true,
        isNotificationOnly: false,
        commandLists: [{ scopes, commands }],
      },
    ],
    composeExtensions: [
      {
        botId: appId,
        commands: [
          {
            id: 'ask',
            type: 'action',
            context: ['message'],
            title: 'Ask about this',
            description: 'Answers this message for you alone',
            fetchTask: false,
            parameters: [
              {
                name: 'question',
                title: 'Your question',
                description: 'Leave it empty when the message is the question',
                inputType: 'textarea',
              },
            ],
          },
        ],
      },
    ],
    permissions: ['identity', 'messageTeamMembers'],
    validDomains: [hostname],
    // Private and shared channels too; without it the bot can be added to standard ones only.
    supportsChannelFeatures: 'tier1',
    ...(hearAll ? consents(appId) : {}),
  };
};

/** Resource-specific consent, given by the owner of each team or chat. https://learn.microsoft.com/microsoftteams/platform/graph-api/rsc/resource-specific-consent */
const consents = (appId: string): Readonly<Record<string, unknown>> => ({
  webApplicationInfo: { id: appId, resource: 'https://RscBasedStoreApp' },
  authorization: {
    permissions: {
      resourceSpecific: [
        { name: 'ChannelMessage.Read.Group', type: 'Application' },
        { name: 'ChatMessage.Read.Chat', type: 'Application' },
        // Who owns a team, and so may change how the bot behaves in its channels: Teams does not tell that to bots.
        { name: 'TeamMember.Read.Group', type: 'Application' },
      ],
    },
  },
});

/** The app package: the manifest and two icons of our own. Throws AppError `config` for an address that Teams refuses. */
export const teamsPackage = (options: PackageOptions): Buffer => {
  for (const url of [options.publicUrl, options.websiteUrl, options.privacyUrl, options.termsUrl]) {
    if (url === undefined) continue;
    const parsed = URL.parse(url);
    if (parsed?.protocol !== 'https:' || isLoopbackHost(parsed.hostname))
      throw new AppError(
        'config',
        `${url} is no address that Teams takes; it must be public and begin with https://. Set PUBLIC_URL.`,
      );
  }
  return writeZip([
    { name: 'manifest.json', bytes: Buffer.from(`${JSON.stringify(teamsManifest(options), null, 2)}\n`) },
    { name: 'color.png', bytes: colourIcon() },
    { name: 'outline.png', bytes: outlineIcon() },
  ]);
};
