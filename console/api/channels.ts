import type { EffectiveRules } from '../../core/core.ts';
import type { ChannelRules } from '../../core/domain.ts';
import type { HttpParts } from '../guard.ts';
import { ownRules, revisionOfRules } from '../revision.ts';
import type { Operations } from './operation.ts';
import { changedMeanwhile } from './render.ts';
import * as schemas from './schemas/channels.ts';
import { defined } from './tenants.ts';

const base = '/api/v1/tenants/{slug}';

export const addChannels = ({ add }: Operations, { core }: HttpParts): void => {
  const path = `${base}/channels/{platform}/{channel}`;
  add(
    {
      method: 'get',
      path,
      policy: 'key:admin',
      tag: 'Channels',
      summary: 'Read the rules of a channel, each value with its origin',
      params: schemas.channelPath,
      answers: { 200: schemas.rules },
    },
    async ({ c, params }) =>
      c.json(renderRules(await core.channels.rules(c.get('tenant').id, params.platform, params.channel))),
  );
  add(
    {
      method: 'put',
      path,
      policy: 'key:admin',
      tag: 'Channels',
      summary: 'Set the rules of a channel',
      audit: 'channel.rules',
      description: 'Values that are left out are inherited from the tenant.',
      params: schemas.channelPath,
      body: schemas.rulesChange,
      answers: { 200: schemas.rules },
    },
    async ({ c, params: { platform, channel }, body: { rev, ...body } }) => {
      const tenantId = c.get('tenant').id;
      const rules: ChannelRules = defined(body);
      const stands = rev === undefined ? undefined : ownRules(await core.channels.rules(tenantId, platform, channel));
      if (stands !== undefined && rev !== revisionOfRules(stands)) throw changedMeanwhile('The rules of this channel');
      return c.json(renderRules(await core.channels.put(tenantId, platform, channel, rules, stands)));
    },
  );
};

const renderRules = (rules: EffectiveRules) => ({
  ...Object.fromEntries(
    Object.entries(rules).map(([name, { value, origin }]) => [name, { value: value ?? null, origin }]),
  ),
  rev: revisionOfRules(ownRules(rules)),
});
