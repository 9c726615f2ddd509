import { slackManifest } from '../../bots/slack/manifest.ts';
import { UsageError, type Verb } from '../verb.ts';

export const slackManifestVerb: Verb = {
  name: 'slack-manifest',
  about: 'Print the manifest of a Slack app: permissions, events, commands and addresses.',
  options: {
    socket: { type: 'boolean', about: 'hear by Socket Mode, without a public address' },
    connection: { type: 'string', about: "id of a connection: the manifest of a tenant's own app" },
    url: { type: 'string', about: 'address of this deployment (PUBLIC_URL)' },
    name: { type: 'string', about: 'what the bot is called (Footnote)' },
  },
  async run(call) {
    if (call.args.length > 0) throw new UsageError('slack-manifest takes options only.');
    const socket = call.flag('socket');
    const connectionId = call.text('connection');
    const name = call.text('name');
    const manifest = slackManifest({
      publicUrl: socket ? '' : publicUrlOf(call.text('url') ?? call.env.PUBLIC_URL),
      socket,
      ...(connectionId === undefined ? {} : { connectionId }),
      ...(name === undefined ? {} : { name }),
    });
    call.terminal.out(call.json ? `${JSON.stringify(manifest, null, 2)}\n` : renderYaml(manifest));
    return 0;
  },
};

/** Slack posts to https only, and from outside. Throws UsageError. */
const publicUrlOf = (given: string | undefined): string => {
  const url = (given ?? '').trim().replace(/\/+$/, '');
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:' || new URL(url).pathname !== '/')
    throw new UsageError(
      'Slack needs an https address: set PUBLIC_URL, or give --url https://footnote.example.com. Without one use --socket.',
    );
  return url;
};

type Yaml = Readonly<Record<string, unknown>>;

/** The little YAML that a manifest needs. Words are quoted as JSON quotes them, which YAML reads alike. */
export const renderYaml = (value: Yaml): string => `${linesOf(value, '').join('\n')}\n`;

const linesOf = (value: Yaml, indent: string): readonly string[] =>
  Object.entries(value).flatMap(([key, inner]) => {
    if (Array.isArray(inner)) return [`${indent}${key}:`, ...inner.flatMap((item) => itemOf(item, `${indent}  `))];
    return isMap(inner)
      ? [`${indent}${key}:`, ...linesOf(inner, `${indent}  `)]
      : [`${indent}${key}: ${JSON.stringify(inner)}`];
  });

const itemOf = (item: unknown, indent: string): readonly string[] => {
  if (!isMap(item)) return [`${indent}- ${JSON.stringify(item)}`];
  const [first = '', ...rest] = linesOf(item, `${indent}  `);
  return [`${indent}- ${first.trimStart()}`, ...rest];
};

const isMap = (value: unknown): value is Yaml => typeof value === 'object' && value !== null && !Array.isArray(value);
