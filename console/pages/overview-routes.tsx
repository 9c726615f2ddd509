import type { Core, Tally } from '../../core/core.ts';
import type { Tenant, Webhook } from '../../core/domain.ts';
import type { Names } from '../names.ts';
import { texts } from '../texts.ts';
import { answersPath } from './answer-view.tsx';
import { connectionPath, isTroubled } from './connections.tsx';
import { gapsPath } from './gaps.tsx';
import { type Health, limitInWords, type Need, OverviewPage, type SourceHealth } from './overview.tsx';
import { mayPass, type Pages } from './pages.tsx';
import { quotasPath } from './quotas.tsx';
import { sourcePath, sourcesPath } from './source-state.tsx';
import { webhookPath } from './webhooks.tsx';

const dayMs = 86_400_000;
/** A page has room for so many; the rest stands in the list of sources. */
const sourcesShown = 30;
/** Counting goes on to here, then it says "and more". */
const gapsCounted = 50;
/** From this part of a limit on, somebody should look. */
const nearLimit = 0.8;
const failures: ReadonlySet<string> = new Set(['model-failed', 'failed']);
const words = texts.overview.needs;

/** How the tenant is doing: today's questions, its sources and workspaces, and what somebody should look at. */
export const addOverviewPage = (pages: Pages): void => {
  const { core, runtime } = pages.doors;

  pages.get('/console/{tenant}/overview', 'session:viewer', async (request) => {
    const { tenant } = request;
    const now = runtime.clock.now();
    const midnight = now - (now % dayMs);
    const today = { from: midnight, to: midnight + dayMs };
    const maySeeMoney = mayPass(request.roles, 'billing');
    const [tally, sources, connections, gaps, spending, webhooks] = await Promise.all([
      core.answers.tally(tenant.id, today),
      sourcesOf(core, tenant),
      core.connections.list(tenant.id),
      core.gaps.count(tenant.id, now - 30 * dayMs, gapsCounted),
      maySeeMoney ? spendingOf(core, tenant, today) : undefined,
      mayPass(request.roles, 'admin') ? core.webhooks.list(tenant.id) : [],
    ]);
    const health: Health = { tally, sources, connections, ...(spending === undefined ? {} : { spending }) };
    const names = await pages.names(
      tenant,
      spending?.quotas.flatMap(({ scope, id }) => (scope === 'channel' ? (id ?? []) : [])),
    );
    const openGaps = `${gaps.count}${gaps.complete ? '' : '+'}`;
    const needs = [
      ...needsOf(tenant, health, names),
      ...webhooksInNeed(tenant, webhooks),
      ...(gaps.count === 0 ? [] : [{ text: words.gaps(openGaps), href: gapsPath(tenant) }]),
    ];
    return request.show(
      <OverviewPage shell={await request.shell('overview')} health={health} needs={needs} names={names} />,
    );
  });
};

const sourcesOf = async (core: Core, tenant: Tenant): Promise<readonly SourceHealth[]> => {
  const sources = (await core.sources.list(tenant.id)).slice(0, sourcesShown);
  return Promise.all(
    sources.map(async (source) => ({
      source,
      last: (await core.jobs.list(tenant.id, { sourceId: source.id }, { limit: 1 })).items[0],
    })),
  );
};

const spendingOf = async (core: Core, tenant: Tenant, today: { readonly from: number; readonly to: number }) => {
  const [quotas, used] = await Promise.all([core.quotas.get(tenant.id), core.usage.report(tenant.id, today, 'day')]);
  return { quotas, used };
};

const needsOf = (tenant: Tenant, { tally, sources, connections, spending }: Health, names: Names): readonly Need[] => [
  ...(sources.length === 0 ? [{ text: words.noSource, href: sourcesPath(tenant) }] : []),
  ...sources.flatMap(({ source, last }) =>
    last?.state === 'failed'
      ? [{ text: words.syncFailed(source.name), href: sourcePath(tenant, source) }]
      : last !== undefined && last.counts.failed > 0
        ? [{ text: words.documentsFailed(source.name, last.counts.failed), href: sourcePath(tenant, source) }]
        : [],
  ),
  ...connections.filter(isTroubled).map((connection) => ({
    text: words.connection(names.connection(connection), connection.lastError ?? ''),
    href: connectionPath(tenant, connection),
  })),
  ...(spending?.quotas ?? [])
    .filter(({ used, limit }) => limit > 0 && used >= limit * nearLimit)
    .map((quota) => ({
      text: words.quota(limitInWords(quota, names), Math.floor((quota.used / quota.limit) * 100)),
      href: quotasPath(tenant),
    })),
  ...failedToday(tenant, tally),
];

/** Those that people paused are as they want them. */
const webhooksInNeed = (tenant: Tenant, webhooks: readonly Webhook[]): readonly Need[] =>
  webhooks.flatMap(({ id, name, paused, failingSince }) => {
    const href = webhookPath(tenant, id);
    if (paused?.by === 'failures') return [{ text: words.webhookPaused(name), href }];
    return paused === undefined && failingSince !== undefined ? [{ text: words.webhookFailing(name), href }] : [];
  });

const failedToday = (tenant: Tenant, tally: Tally): readonly Need[] => {
  const count = tally.outcomes.reduce((sum, one) => sum + (failures.has(one.reason) ? one.count : 0), 0);
  return count === 0 ? [] : [{ text: words.failedToday(count), href: `${answersPath(tenant)}?outcome=refused` }];
};
