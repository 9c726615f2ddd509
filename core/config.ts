import { readFileSync } from 'node:fs';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { AppError } from './errors.ts';

/** The only schema of the environment. Every variable may also come as NAME_FILE, a path whose content is the value. */

const wholeNumber = (atLeast: number, atMost: number, sentence: string) =>
  z
    .string()
    .regex(/^\d{1,15}$/, sentence)
    .transform(Number)
    .refine((value) => value >= atLeast && value <= atMost, sentence);
const port = wholeNumber(0, 65_535, 'needs a port number, 0 to 65535');
const count = wholeNumber(1, Number.MAX_SAFE_INTEGER, 'needs a whole number above 0');
const url = z
  .url({ protocol: /^https?$/, error: 'needs an http or https address, such as https://footnote.example.com' })
  .transform((value) => value.replace(/\/+$/, ''));
/** Our routes stand at the root, so that nothing but an origin can be the public address. */
const origin = url.refine((value) => {
  const { pathname, search, hash, username, password } = new URL(value);
  return pathname === '/' && `${search}${hash}${username}${password}` === '';
}, 'needs an address without a path, such as https://footnote.example.com');
/** What fits into an Authorization header; anything else could never be sent back to us. */
const bearer = z.string().regex(/^[\x21-\x7e]{1,512}$/, 'needs 1 to 512 printable characters without spaces');
const secret = z.string().min(1);
const guid = z
  .string()
  .regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'needs an id such as 00000000-1111-2222-3333-444444444444')
  .transform((value) => value.toLowerCase());
const list = z.string().transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

const isAddressRange = (text: string): boolean => ipaddr.isValid(text) || ipaddr.isValidCIDR(text);
const hostAndPort = /^(\[[0-9a-f:.]+\]|[^\s:/@]+):\d{1,5}$/i;

/** Description and default appear in .env.example, which a test compares with this schema. */
export const environment = {
  PORT: { schema: port.prefault('3000'), about: 'port to listen on' },
  HOST: { schema: z.string().default('127.0.0.1'), about: 'address to listen on (0.0.0.0 in the image)' },
  PUBLIC_URL: {
    schema: origin.optional(),
    about: 'address under which people and platforms reach this deployment (default: http://localhost:PORT)',
  },
  TRUSTED_PROXIES: {
    schema: list
      .refine((items) => items.every(isAddressRange), 'needs IP addresses or CIDR ranges, such as 10.0.0.0/8,::1')
      .prefault(''),
    about: 'comma-separated addresses or CIDR ranges whose forwarded headers count',
  },
  DATA_DIR: {
    schema: z.string().default('./data'),
    about:
      'folder of the embedded default; a local disk, never a network file system; not used when both stores are servers',
  },
  FOOTNOTE_DEPLOYMENT: {
    schema: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,24}$/, 'needs 1 to 24 letters, digits, dots, dashes or underscores')
      .default('footnote'),
    about:
      'name of this deployment: part of every name in Weaviate, so that several may share one server; never change it',
  },
  MONGODB_URI: {
    schema: z
      .string()
      .regex(/^mongodb(\+srv)?:\/\//, 'needs an address such as mongodb://user:password@host:27017/footnote')
      .refine(
        (value) => !/[?&]timeoutm(s|ode)=/i.test(value),
        'sets timeoutMS, which has led drivers to mix up replies; take it out, Footnote sets its own limits',
      )
      .optional(),
    about: 'state store; the database is the path, or `footnote` (none: SQLite in DATA_DIR); needs FOOTNOTE_SECRET_KEY',
  },
  WEAVIATE_URL: {
    schema: url.optional(),
    about: 'chunk store, 1.32 or newer, such as http://weaviate:8080 (none: SQLite in DATA_DIR)',
  },
  WEAVIATE_GRPC_URL: {
    schema: z
      .url({ protocol: /^(https?|grpcs?)$/, error: 'needs an address such as http://weaviate:50051' })
      .optional(),
    about: 'its gRPC address (default: port 50051 of the host of WEAVIATE_URL)',
  },
  WEAVIATE_API_KEY: { schema: bearer.optional(), about: 'its key' },
  WEAVIATE_TENANCY: {
    schema: z.enum(['collection', 'native']).default('collection'),
    about: "a collection for each tenant, or Weaviate's own tenants inside shared ones (many small tenants)",
  },
  WEAVIATE_REPLICAS: {
    schema: wholeNumber(1, 15, 'needs a whole number from 1 to 15').prefault('1'),
    about: 'copies of each index; fixed when an index is made',
  },
  WEAVIATE_CONSISTENCY: {
    schema: z.enum(['ONE', 'QUORUM', 'ALL']).optional(),
    about: 'copies that must answer: ONE, QUORUM or ALL (default: QUORUM when there are several, else ONE)',
  },
  WEAVIATE_MAX_TENANTS: {
    schema: count.prefault('200'),
    about: 'tenants that may have an index in this Weaviate; each costs it memory, empty or not',
  },
  DEMO: {
    schema: z.enum(['on', 'off']).default('on'),
    about: 'fill a `demo` tenant with sample documents at the first start',
  },
  FOOTNOTE_ADMIN_TOKEN: {
    schema: bearer.min(16, 'needs at least 16 characters').optional(),
    about: "operator's bearer token for the API (none: operator API off)",
  },
  FOOTNOTE_SECRET_KEY: {
    schema: z
      .string()
      .refine(
        (value) => Buffer.from(value, 'base64').length === 32,
        'needs 32 bytes in base64 (openssl rand -base64 32)',
      )
      .optional(),
    about: '32 bytes base64, seals stored credentials (generated into DATA_DIR when absent; required with MONGODB_URI)',
  },
  METRICS_TOKEN: { schema: bearer.optional(), about: 'bearer token for /metrics (none: loopback callers only)' },
  OPENAI_API_KEY: {
    schema: secret.optional(),
    about: 'key of an OpenAI-compatible endpoint (none: extractive answers, quoted from the documents)',
  },
  OPENAI_BASE_URL: { schema: url.optional(), about: 'address of the endpoint (default: the vendor’s)' },
  CHAT_MODEL: { schema: z.string().min(1).optional(), about: 'model that writes the answers' },
  CHAT_MODEL_SMALL: {
    schema: z.string().min(1).optional(),
    about: 'smaller model for condensing follow-ups and other light work',
  },
  CHAT_MODELS: {
    schema: list.prefault(''),
    about: 'comma-separated further models of the same endpoint that a tenant may choose in its settings',
  },
  CHAT_RPM: { schema: count.optional(), about: "the provider's requests per minute" },
  CHAT_TPM: { schema: count.optional(), about: "the provider's tokens per minute" },
  EMBEDDING_MODEL: {
    schema: z.string().min(1).optional(),
    about: 'model that embeds passages and questions (none: keyword search only)',
  },
  EMBEDDING_BASE_URL: { schema: url.optional(), about: 'address of the embedding endpoint (default: OPENAI_BASE_URL)' },
  EMBEDDING_API_KEY: { schema: secret.optional(), about: 'its key (default: OPENAI_API_KEY)' },
  SLACK_SIGNING_SECRET: { schema: secret.optional(), about: 'verifies what Slack sends over HTTP' },
  SLACK_BOT_TOKEN: {
    schema: z.string().startsWith('xoxb-').optional(),
    about: 'token of a single-workspace installation',
  },
  SLACK_CLIENT_ID: {
    schema: secret.optional(),
    about: 'the app’s client id: any workspace may install it at PUBLIC_URL/slack/install',
  },
  SLACK_CLIENT_SECRET: { schema: secret.optional(), about: 'its secret' },
  SLACK_APP_TOKEN: {
    schema: z.string().startsWith('xapp-').optional(),
    about: 'app-level token: hear by Socket Mode, no public address needed',
  },
  SLACK_API_URL: { schema: url.optional(), about: "address of Slack's Web API (default: Slack's)" },
  DISCORD_BOT_TOKEN: {
    schema: z
      .string()
      .regex(/^[\x21-\x7e]+$/, 'needs the token alone, without the word Bot before it')
      .optional(),
    about: "the Discord bot's token: hear and answer on Discord",
  },
  DISCORD_APPLICATION_ID: {
    schema: z
      .string()
      .regex(/^\d{15,20}$/, 'needs the application id, 15 to 20 digits')
      .optional(),
    about: "the application's id; the check-up compares it with the token's",
  },
  DISCORD_PUBLIC_KEY: {
    schema: z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/, 'needs 64 hexadecimal digits')
      .transform((value) => value.toLowerCase())
      .optional(),
    about: "the application's public key: take commands at /discord/interactions too",
  },
  DISCORD_API_URL: { schema: url.optional(), about: "address of Discord's API (default: Discord's)" },
  DISCORD_MESSAGE_CONTENT: {
    schema: z.enum(['on', 'off']).default('off'),
    about: 'hear messages that do not mention the bot; needs the privileged Message Content Intent',
  },
  TEAMS_APP_ID: {
    schema: guid.optional(),
    about: 'application (client) id of the Teams bot’s app registration',
  },
  TEAMS_APP_PASSWORD: { schema: secret.optional(), about: 'value of a client secret of that registration' },
  TEAMS_TENANT_ID: {
    schema: guid.optional(),
    about: 'directory (tenant) id of a single-tenant bot resource; people of other tenants may still use it',
  },
  TEAMS_OPENID_METADATA_URL: {
    schema: url.optional(),
    about: 'OpenID document of the keys that sign what Teams posts: another cloud, a key server of one’s own',
  },
  TEAMS_ALLOW_UNAUTHENTICATED_LOOPBACK: {
    schema: z
      .enum(['on', 'off', 'true', 'false', '1', '0'], 'needs on or off')
      .default('off')
      .transform((value): 'on' | 'off' => (['on', 'true', '1'].includes(value) ? 'on' : 'off')),
    about: 'on: hear Teams posts without a token from this machine, for trying out with the Agents Playground',
  },
  DEFAULT_TENANT: {
    schema: z.string().min(1).optional(),
    about:
      'slug of the tenant of a single-workspace deployment: whom SLACK_BOT_TOKEN and DEFAULT_TENANT_WORKSPACES answer for',
  },
  DEFAULT_TENANT_WORKSPACES: {
    schema: list
      .refine(
        (items) => items.every((item) => /^(discord|teams):[\w.-]+$/.test(item)),
        'needs discord:SERVER-ID or teams:TENANT-ID',
      )
      .prefault(''),
    about:
      'comma-separated Discord servers and Teams tenants that belong to DEFAULT_TENANT, such as discord:81384788765712384',
  },
  SMTP_URL: {
    schema: z
      .url({
        protocol: /^smtps?$/,
        error: 'needs an address such as smtps://user:password@mail.example.com:465 (smtp:// for STARTTLS)',
      })
      .optional(),
    about: 'mail server for invitations and password resets (none: links to copy); needs MAIL_FROM',
  },
  MAIL_FROM: {
    schema: z
      .string()
      .regex(/^[^\r\n]*@[^\r\n]*$/, 'needs an address such as Footnote <footnote@example.com>')
      .max(200)
      .optional(),
    about: 'sender of these mails',
  },
  OIDC_ISSUER: {
    schema: url.optional(),
    about:
      'issuer of an OpenID provider: people may sign in there; its callback is PUBLIC_URL/console/auth/callback/oidc',
  },
  OIDC_CLIENT_ID: { schema: secret.optional(), about: 'the client id that it gave this deployment' },
  OIDC_CLIENT_SECRET: { schema: secret.optional(), about: 'its secret' },
  FOLDER_ROOTS: {
    schema: list.default([]),
    about: 'comma-separated folders that `folder` sources may read (none: only the command line may ingest a folder)',
  },
  FETCH_ALLOW: {
    schema: list
      .refine((items) => items.every((item) => hostAndPort.test(item)), 'needs host:port, such as wiki.internal:443')
      .prefault(''),
    about: 'comma-separated host:port that guarded fetches may reach although private',
  },
  LOG_LEVEL: {
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    about: 'least level of the JSON log on standard output',
  },
  LOG_TEXT: {
    schema: z.enum(['on', 'off']).default('off'),
    about: 'put the text of questions and answers into the log',
  },
} as const satisfies Record<string, { readonly schema: z.ZodType; readonly about: string }>;

/** Names of the surface that this version does not serve yet: setting one stops the start instead of being ignored. */
const notYet: Readonly<Record<string, string>> = {
  RERANK_URL: 'reranking',
  RERANK_MODEL: 'reranking',
  OCR_URL: 'reading scanned pages',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'traces',
};

type Names = keyof typeof environment;
export type Config = Readonly<{ [K in Names]: z.output<(typeof environment)[K]['schema']> }> & {
  readonly PUBLIC_URL: string;
};

/** Reads every variable, resolves NAME_FILE, and throws one AppError `config` that lists every problem. */
export const parseConfig = (env: Readonly<Record<string, string | undefined>>): Config => {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, { schema }] of Object.entries(environment)) {
    const raw = readVariable(env, name, problems);
    const parsed = schema.safeParse(raw);
    if (parsed.success) values[name] = parsed.data;
    else problems.push(`${name}: ${parsed.error.issues[0]?.message ?? 'does not fit'}`);
  }
  for (const [name, what] of Object.entries(notYet)) {
    if (readVariable(env, name, problems) !== undefined)
      problems.push(`${name}: ${what} is not part of this version; remove the variable`);
  }
  problems.push(...contradictions(values));
  if (problems.length > 0) {
    throw new AppError(
      'config',
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${problems.map((line) => `  - ${line}`).join('\n')}`,
    );
  }
  values.PUBLIC_URL ??= `http://localhost:${String(values.PORT)}`;
  return values as Config;
};

const readVariable = (
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  problems: string[],
): string | undefined => {
  const direct = env[name];
  const path = env[`${name}_FILE`];
  if (path !== undefined && path !== '') {
    if (direct !== undefined && direct !== '') problems.push(`${name}: set either ${name} or ${name}_FILE, not both`);
    try {
      return readFileSync(path, 'utf8').trim();
    } catch {
      problems.push(`${name}_FILE: the file cannot be read`);
      return undefined;
    }
  }
  // A line of an .env file written on Windows ends in a carriage return, which no value means.
  const value = direct?.trim();
  return value === '' ? undefined : value;
};

const contradictions = (values: Readonly<Record<string, unknown>>): string[] => {
  const problems: string[] = [];
  const has = (name: Names): boolean => values[name] !== undefined;
  if (has('MONGODB_URI') && !has('FOOTNOTE_SECRET_KEY'))
    problems.push(
      'MONGODB_URI: needs FOOTNOTE_SECRET_KEY, the same on every instance (openssl rand -base64 32); without it stored credentials could be opened by one machine only',
    );
  for (const name of ['WEAVIATE_GRPC_URL', 'WEAVIATE_API_KEY', 'WEAVIATE_CONSISTENCY'] as const)
    if (has(name) && !has('WEAVIATE_URL')) problems.push(`${name}: needs WEAVIATE_URL`);
  if (has('CHAT_MODEL') && !has('OPENAI_API_KEY') && !has('OPENAI_BASE_URL'))
    problems.push('CHAT_MODEL: needs OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint without a key');
  if ((has('OPENAI_API_KEY') || has('OPENAI_BASE_URL')) && !has('CHAT_MODEL') && !has('EMBEDDING_MODEL'))
    problems.push(
      'OPENAI_API_KEY or OPENAI_BASE_URL is set, but neither CHAT_MODEL nor EMBEDDING_MODEL says what to use it for',
    );
  if (has('SMTP_URL') !== has('MAIL_FROM')) problems.push('SMTP_URL and MAIL_FROM: set both or neither');
  const oidc = ['OIDC_ISSUER', 'OIDC_CLIENT_ID', 'OIDC_CLIENT_SECRET'] as const;
  if (oidc.some(has) && !oidc.every(has))
    problems.push('OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET: set all three or none');
  if ((values.CHAT_MODELS as readonly string[] | undefined)?.length && !has('CHAT_MODEL'))
    problems.push('CHAT_MODELS: needs CHAT_MODEL, the one that answers where nothing is chosen');
  if (has('CHAT_MODEL_SMALL') && !has('CHAT_MODEL')) problems.push('CHAT_MODEL_SMALL: needs CHAT_MODEL');
  if (
    has('EMBEDDING_MODEL') &&
    !has('OPENAI_API_KEY') &&
    !has('OPENAI_BASE_URL') &&
    !has('EMBEDDING_BASE_URL') &&
    !has('EMBEDDING_API_KEY')
  )
    problems.push('EMBEDDING_MODEL: needs EMBEDDING_API_KEY or EMBEDDING_BASE_URL (or their OPENAI_ twins)');
  problems.push(...teamsContradictions(values));
  if (has('SLACK_BOT_TOKEN') && !has('DEFAULT_TENANT'))
    problems.push('SLACK_BOT_TOKEN: needs DEFAULT_TENANT, the slug of the tenant to answer for');
  if ((values.DEFAULT_TENANT_WORKSPACES as readonly string[] | undefined)?.length && !has('DEFAULT_TENANT'))
    problems.push('DEFAULT_TENANT_WORKSPACES: needs DEFAULT_TENANT, the slug of the tenant that they belong to');
  for (const name of ['DISCORD_APPLICATION_ID', 'DISCORD_PUBLIC_KEY', 'DISCORD_API_URL'] as const)
    if (has(name) && !has('DISCORD_BOT_TOKEN')) problems.push(`${name}: needs DISCORD_BOT_TOKEN`);
  if (values.DISCORD_MESSAGE_CONTENT === 'on' && !has('DISCORD_BOT_TOKEN'))
    problems.push('DISCORD_MESSAGE_CONTENT: needs DISCORD_BOT_TOKEN');
  if (has('SLACK_CLIENT_ID') !== has('SLACK_CLIENT_SECRET'))
    problems.push('SLACK_CLIENT_ID and SLACK_CLIENT_SECRET: set both or neither');
  if (has('SLACK_CLIENT_ID') && has('DEFAULT_TENANT'))
    problems.push(
      'SLACK_CLIENT_ID: with DEFAULT_TENANT anybody who installs the app would read that tenant’s documents; set one of the two',
    );
  if (has('SLACK_CLIENT_ID') && !has('SLACK_SIGNING_SECRET') && !has('SLACK_APP_TOKEN'))
    problems.push('SLACK_CLIENT_ID: needs SLACK_SIGNING_SECRET (events over HTTP) or SLACK_APP_TOKEN (Socket Mode)');
  if (has('SLACK_BOT_TOKEN') && !has('SLACK_SIGNING_SECRET') && !has('SLACK_APP_TOKEN'))
    problems.push('SLACK_BOT_TOKEN: needs SLACK_SIGNING_SECRET (events over HTTP) or SLACK_APP_TOKEN (Socket Mode)');
  return problems;
};

const teamsContradictions = (values: Readonly<Record<string, unknown>>): string[] => {
  const problems: string[] = [];
  const has = (name: Names): boolean => values[name] !== undefined;
  if (has('TEAMS_APP_ID') && !has('TEAMS_APP_PASSWORD')) problems.push('TEAMS_APP_ID: needs TEAMS_APP_PASSWORD');
  for (const name of ['TEAMS_APP_PASSWORD', 'TEAMS_TENANT_ID', 'TEAMS_OPENID_METADATA_URL'] as const)
    if (has(name) && !has('TEAMS_APP_ID')) problems.push(`${name}: needs TEAMS_APP_ID`);
  if (values.TEAMS_ALLOW_UNAUTHENTICATED_LOOPBACK !== 'on') return problems;
  const publicHost = typeof values.PUBLIC_URL === 'string' ? new URL(values.PUBLIC_URL).hostname : 'localhost';
  if (!isLoopback(String(values.HOST)) || !isLoopback(publicHost))
    problems.push(
      'TEAMS_ALLOW_UNAUTHENTICATED_LOOPBACK: only where HOST and PUBLIC_URL are this machine’s own (127.0.0.1, localhost); anybody could write to the bot otherwise',
    );
  return problems;
};

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
