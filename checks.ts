import { existsSync, readFileSync } from 'node:fs';
import { access, constants, mkdir, statfs } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Config } from './core/config.ts';
import type { Core } from './core/core.ts';
import type { Tenant } from './core/domain.ts';
import type { Finding } from './core/ports/finding.ts';
import { dataDirOf } from './stores.ts';

/** Over all looks at servers and endpoints. */
const examineWithinMs = 30_000;
/** Each is looked at; a deployment of thousands is sampled. */
const tenantsLookedAt = 100;

type Verdict = readonly [ok: boolean, says: string, warns?: boolean];

/**
 * What can be said of a deployment from inside of it: its stores, models, indexes. Shown by `footnote doctor` and by the
 * operator's page on health. May ask the embedding endpoint for one word.
 */
export const examineDeployment = async (
  { core, config }: { readonly core: Core; readonly config: Config },
  stop: AbortSignal,
): Promise<readonly Finding[]> => {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(examineWithinMs)]);
  const findings: Finding[] = [];
  const add = (item: string, ok: boolean, says: string, warns = false) =>
    findings.push({ item, ok, ...(warns ? { warns } : {}), says });
  add('Configuration', true, `complete; links begin with ${config.PUBLIC_URL}`);
  const dataDir = dataDirOf(config);
  if (dataDir !== null) add('Data folder', ...(await examineFolder(dataDir)));
  if (config.MONGODB_URI !== undefined && config.WEAVIATE_URL === undefined)
    add('Instances', true, 'on this machine only: passages are in DATA_DIR. Set WEAVIATE_URL to run several machines');
  findings.push(...(await core.examine(signal)));
  const problems = await core.problems(signal);
  add('Stores', problems.length === 0, problems.length === 0 ? 'open and sound' : problems.join('\n'));
  add('Answers', true, core.modes.chatModel ?? 'quoted from the documents: no chat model is configured (CHAT_MODEL)');
  add(
    'Search',
    true,
    core.modes.embeddingModel
      ? `keywords and ${core.modes.embeddingModel}`
      : 'keywords only: no embedding model is configured (EMBEDDING_MODEL)',
  );
  const { items } = await core.tenants.list({ limit: tenantsLookedAt });
  // A fresh deployment has none, and nothing is wrong with it.
  add('Tenants', true, tenantsInWords(items));
  // Counts every document, which may take longer than servers may.
  add('Index', ...(await examineIndexes(core, items, stop)));
  const { DEFAULT_TENANT: slug } = config;
  if (slug !== undefined) add('Default tenant', ...(await examineDefaultTenant(slug, core.tenants.bySlug)));
  add('Slack', true, config.SLACK_BOT_TOKEN === undefined ? 'not connected' : `answers for ${slug}`);
  return findings;
};

const tenantsInWords = (tenants: readonly Tenant[]): string => {
  if (tenants.length === 0) return 'none yet; run footnote serve once, or footnote tenant create';
  const counted = tenants.length === tenantsLookedAt ? `${tenantsLookedAt} or more` : String(tenants.length);
  const first = tenants.slice(0, 5).map(({ slug }) => slug);
  return `${counted}: ${first.join(', ')}${tenants.length > 5 ? ', …' : ''}`;
};

const examineFolder = async (folder: string): Promise<Verdict> => {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await access(folder, constants.R_OK | constants.W_OK);
    const { bavail, bsize } = await statfs(folder);
    const free = (bavail * bsize) / 1e9;
    return [
      free >= 0.5,
      `${folder}, ${free.toFixed(1)} GB free${free < 0.5 ? '; make room, or writes will begin to fail' : ''}`,
    ];
  } catch (error) {
    return [false, `${folder} cannot be written: ${error instanceof Error ? error.message : String(error)}`];
  }
};

/** Not wrong as such: it answers by its words, and is built anew by itself. But a person should know. */
const examineIndexes = async (core: Core, tenants: readonly Tenant[], signal: AbortSignal): Promise<Verdict> => {
  const notes: string[] = [];
  for (const { id, slug } of tenants) {
    const live = (await core.reindex.generations(id)).find(({ state }) => state === 'live');
    if (live?.fits === true && (await core.reindex.condition(id, signal)) === 'lost')
      notes.push(`${slug}: the passages are gone; run: footnote reindex --tenant ${slug}`);
    if (live === undefined || live.fits) continue;
    const filledWith = live.profile.embeddingModel ?? 'no embedding model';
    notes.push(
      live.held
        ? `${slug}: went back to generation ${live.number} (${filledWith}); run: footnote reindex --tenant ${slug}`
        : `${slug}: was filled with other settings (${filledWith}); answers by keywords until the service has built it anew, or run: footnote reindex --tenant ${slug}`,
    );
  }
  return notes.length === 0 ? [true, 'filled as configured'] : [true, notes.join('\n'), true];
};

/** On a fresh deployment it cannot be there yet: the look comes before the first start. So this is no failure. */
const examineDefaultTenant = async (slug: string, bySlug: (slug: string) => Promise<unknown>): Promise<Verdict> =>
  (await bySlug(slug)) === null
    ? [
        true,
        `DEFAULT_TENANT names “${slug}”, which does not exist yet, so its workspaces get no answers. Run: footnote tenant create ${slug}`,
        true,
      ]
    : [true, slug];

/** As package.json has it, which stands beside this file in the source tree and above the compiled one. */
export const versionOfThis = (): string => {
  const [beside, above] = ['./package.json', '../package.json'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const path = beside !== undefined && existsSync(beside) ? beside : (above ?? '');
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string }).version;
};
