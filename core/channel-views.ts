import { allowedSources, memberInChannel, type Readers, readersOf } from './conversation/allowed-sources.ts';
import type { AudiencePreview, ChannelView, Core, EffectiveRules } from './core.ts';
import type { Source } from './domain.ts';
import type { StateStore } from './ports/state.ts';
import { effectiveRules } from './tenancy/channels.ts';
import { requireSources, requireTenant } from './tenancy/tenants.ts';

/** Channels as those see them who set their rules. */
export const createChannelViews = (state: StateStore): Pick<Core['channels'], 'inherited' | 'list' | 'preview'> => ({
  inherited: async (tenantId) =>
    effectiveRules(tenantId === null ? { settings: {} } : await requireTenant(state, tenantId), null),
  list: async (tenantId) => {
    const tenant = await requireTenant(state, tenantId);
    const [ruled, ...asked] = await Promise.all([
      state.channels.list(tenantId),
      ...chatPlatforms.map(async (platform) =>
        (await state.receipts.channels(tenantId, platform, answersLookedAt)).map((place) => ({ platform, ...place })),
      ),
    ]);
    const views = new Map<string, ChannelView>();
    for (const { platform, channelId, rules: own } of ruled)
      if (Object.keys(own).length > 0)
        views.set(`${platform}:${channelId}`, { platform, channelId, rules: effectiveRules(tenant, own) });
    for (const { platform, channelId, lastAt } of asked.flat()) {
      const key = `${platform}:${channelId}`;
      const rules = views.get(key)?.rules ?? effectiveRules(tenant, null);
      views.set(key, { platform, channelId, rules, lastAskedAt: lastAt });
    }
    return [...views.values()].sort((a, b) => (b.lastAskedAt ?? 0) - (a.lastAskedAt ?? 0));
  },
  preview: async (tenantId, own) => {
    const tenant = await requireTenant(state, tenantId);
    if (own.sources !== undefined) await requireSources(state, tenantId, own.sources);
    return previewOf(effectiveRules(tenant, own), await state.sources.list(tenantId));
  },
});

const chatPlatforms = ['slack', 'discord', 'teams'] as const;
/** Of each platform: enough to find the channels of the last days, few enough to read with every look at the list. */
const answersLookedAt = 200;

const previewOf = (rules: EffectiveRules, sources: readonly Source[]): AudiencePreview => {
  const readers = readersOf(memberInChannel, rules, false);
  const allowedFor = (who: Readers): ReadonlySet<string> =>
    new Set(allowedSources(sources, rules, who) ?? sources.map(({ id }) => id));
  const publicly = allowedFor(readers);
  const privately = allowedFor(readersOf(memberInChannel, rules, true));
  const named = new Set(rules.sources.origin === 'channel' ? rules.sources.value : []);
  return {
    readers,
    sources: sources.map(({ id, name, audience = 'members' }) => ({
      id,
      name,
      audience,
      publicly: publicly.has(id),
      privately: privately.has(id),
      beyond: named.has(id) && !publicly.has(id),
    })),
  };
};
