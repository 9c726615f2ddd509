import { isDeepStrictEqual } from 'node:util';
import type { Core, EffectiveRules } from '../core.ts';
import type { ChannelRules, PlatformName, Tenant } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { StateStore } from '../ports/state.ts';
import { requireSources, requireTenant } from './tenants.ts';

const defaults = {
  enabled: true,
  answerWhen: 'mention',
  replies: 'public',
  audience: 'members',
  guests: 'limit',
} as const satisfies ChannelRules;
const names = [
  'enabled',
  'answerWhen',
  'sources',
  'instructions',
  'language',
  'replies',
  'whoMayAsk',
  'audience',
  'guests',
  'bots',
  'humans',
] as const satisfies readonly (keyof ChannelRules)[];

/** Each rule with where it comes from: the channel, else the tenant's settings, else our default. */
export const effectiveRules = (tenant: Pick<Tenant, 'settings'>, channel: ChannelRules | null): EffectiveRules => {
  const inherited: ChannelRules = {
    ...tenant.settings.channels,
    ...(tenant.settings.instructions === undefined ? {} : { instructions: tenant.settings.instructions }),
    ...(tenant.settings.language === undefined ? {} : { language: tenant.settings.language }),
  };
  const entries = names.map((name) => {
    if (channel?.[name] !== undefined) return [name, { value: channel[name], origin: 'channel' }] as const;
    if (inherited[name] !== undefined) return [name, { value: inherited[name], origin: 'tenant' }] as const;
    return [name, { value: (defaults as ChannelRules)[name], origin: 'default' }] as const;
  });
  return Object.fromEntries(entries) as EffectiveRules;
};

export const createChannels = (state: StateStore): Pick<Core['channels'], 'rules' | 'put'> => {
  const rules = async (tenantId: string, platform: PlatformName, channelId: string): Promise<EffectiveRules> =>
    effectiveRules(await requireTenant(state, tenantId), await state.channels.get(tenantId, platform, channelId));
  return {
    rules,
    put: async (tenantId, platform, channelId, given, expected) => {
      if (given.sources !== undefined) await requireSources(state, tenantId, given.sources);
      const before =
        expected === undefined ? undefined : ((await state.channels.get(tenantId, platform, channelId)) ?? {});
      if (
        (before !== undefined && !isDeepStrictEqual(before, expected)) ||
        !(await state.channels.put(tenantId, platform, channelId, given, before))
      )
        throw new AppError(
          'conflict',
          'Somebody else changed the rules of this channel meanwhile. Look at what they are now, and repeat your change.',
        );
      return rules(tenantId, platform, channelId);
    },
  };
};
