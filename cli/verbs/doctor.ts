import { access, constants, mkdir, statfs } from 'node:fs/promises';
import type { Core } from '../../core/core.ts';
import type { Tenant } from '../../core/domain.ts';
import { isAppError } from '../../core/errors.ts';
import type { Finding } from '../../core/ports/finding.ts';
import { type Call, renderJson, type Verb } from '../verb.ts';

export const doctor: Verb = {
  name: 'doctor',
  about: 'Look at this installation and say what is wrong and what to do about it.',
  options: {},
  async run(call) {
    const findings = await examine(call);
    const ok = findings.every((finding) => finding.ok);
    if (call.json) call.terminal.out(renderJson({ ok, findings }));
    else {
      const width = Math.max(...findings.map(({ item }) => item.length));
      for (const finding of findings) {
        call.terminal.out(
          `${finding.ok ? '✓' : '✗'} ${finding.item.padEnd(width)}  ${finding.says.replaceAll('\n', '\n    ')}\n`,
        );
      }
    }
    return ok ? 0 : 1;
  },
};

/** Over all looks at servers and endpoints. */
const examineWithinMs = 30_000;

const examine = async (call: Call): Promise<Finding[]> => {
  const findings: Finding[] = [{ item: 'Node', ok: true, says: process.version }];
  const add = (item: string, ok: boolean, says: string) => findings.push({ item, ok, says });
  try {
    const { core, config } = await call.open();
    add('Configuration', true, `complete; links begin with ${config.PUBLIC_URL}`);
    const { dataDirOf } = await import('../../stores.ts');
    const dataDir = dataDirOf(config);
    if (dataDir !== null) add('Data folder', ...(await examineFolder(dataDir)));
    if (config.MONGODB_URI !== undefined && config.WEAVIATE_URL === undefined)
      add(
        'Instances',
        true,
        'on this machine only: passages are in DATA_DIR. Set WEAVIATE_URL to run several machines',
      );
    findings.push(
      ...(await core.examine(AbortSignal.any([call.terminal.signal, AbortSignal.timeout(examineWithinMs)]))),
    );
    const problems = await core.problems(call.terminal.signal);
    add('Stores', problems.length === 0, problems.length === 0 ? 'open and sound' : problems.join('\n'));
    add('Answers', true, core.modes.chatModel ?? 'quoted from the documents: no chat model is configured (CHAT_MODEL)');
    add(
      'Search',
      true,
      core.modes.embeddingModel
        ? `keywords and ${core.modes.embeddingModel}`
        : 'keywords only: no embedding model is configured (EMBEDDING_MODEL)',
    );
    const { items } = await core.tenants.list({ limit: 100 });
    const counted = items.length === 100 ? '100 or more' : String(items.length);
    add(
      'Tenants',
      // A fresh deployment has none, and nothing is wrong with it.
      true,
      items.length > 0
        ? `${counted}: ${items
            .slice(0, 5)
            .map(({ slug }) => slug)
            .join(', ')}${items.length > 5 ? ', …' : ''}`
        : 'none yet; run footnote serve once, or footnote tenant create',
    );
    add('Index', ...(await examineIndexes(core, items, call.terminal.signal)));
    add('Slack', ...(await examineSlack(config.DEFAULT_TENANT, config.SLACK_BOT_TOKEN, core.tenants.bySlug)));
    add('Service', ...(await examineService(config.HOST, config.PORT, call.terminal.signal)));
  } catch (error) {
    if (!isAppError(error)) throw error;
    add(error.code === 'config' ? 'Configuration' : 'Stores', false, error.message);
  }
  return findings;
};

type Verdict = readonly [ok: boolean, says: string];

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
  return [notes.length === 0, notes.length === 0 ? 'filled as configured' : notes.join('\n')];
};

const examineSlack = async (
  slug: string | undefined,
  token: string | undefined,
  bySlug: (slug: string) => Promise<unknown>,
): Promise<Verdict> => {
  if (token === undefined) return [true, 'not connected'];
  if (slug !== undefined && (await bySlug(slug)) === null) {
    return [false, `DEFAULT_TENANT names “${slug}”, which does not exist. Run: footnote tenant create ${slug}`];
  }
  return [true, `answers for ${slug}`];
};

const examineService = async (host: string, port: number, signal: AbortSignal): Promise<Verdict> => {
  const shown = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  try {
    const answer = await fetch(`http://${shown}:${port}/readyz`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(2_000)]),
    });
    return answer.ok
      ? [true, `serving on port ${port}`]
      : [false, `something answers ${answer.status} on port ${port}: ${(await answer.text()).slice(0, 200)}`];
  } catch {
    return [true, `not running on port ${port}`];
  }
};
