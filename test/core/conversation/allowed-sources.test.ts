import { describe, expect, it } from 'vitest';
import { allowedSources, readersOf, requestedSources } from '../../../core/conversation/allowed-sources.ts';
import type { ChannelRules, Standing, TenantSettings } from '../../../core/domain.ts';
import { effectiveRules } from '../../../core/tenancy/channels.ts';
import { anEvent, aTenant } from '../../contracts/rows.ts';

const rulesOf = (channel: ChannelRules, channels?: TenantSettings['channels']) =>
  effectiveRules(aTenant({ settings: channels === undefined ? {} : { channels } }), channel);

describe('who reads an answer', () => {
  const asked = (standing: Standing | undefined, over: object = {}) =>
    anEvent({ author: { id: 'U1', isBot: false, isSelf: false, ...(standing ? { standing } : {}) }, ...over });
  it.each([
    ['a member, publicly', asked('member'), {}, false, 'members'],
    ['somebody whose platform does not say', asked(undefined), {}, false, 'members'],
    ['a member in a channel that guests read', asked('member'), { audience: 'everybody' }, false, 'everybody'],
    ['a member in a channel shared with others', asked('member', { shared: true }), {}, false, 'everybody'],
    [
      'a member, privately, in such a channel',
      asked('member', { shared: true }),
      { audience: 'everybody' },
      true,
      'members',
    ],
    ['a member in a direct message', asked('member', { scope: 'dm' }), { audience: 'everybody' }, false, 'members'],
    ['a guest, publicly', asked('guest'), {}, false, 'everybody'],
    ['a guest, privately', asked('guest'), {}, true, 'everybody'],
    ['an outsider in a direct message', asked('outsider', { scope: 'dm' }), {}, false, 'everybody'],
  ] as const)('%s', (_, event, rules, isPrivate, readers) => {
    expect(readersOf(event, rulesOf(rules), isPrivate)).toBe(readers);
  });
});

describe('which sources may be quoted', () => {
  const sources = [
    { id: 'open', audience: 'everybody' },
    { id: 'plain' },
    { id: 'staff', audience: 'members' },
    { id: 'secret', audience: 'named' },
  ] as const;
  it.each([
    ['members, no rules', {}, undefined, 'members', ['open', 'plain', 'staff']],
    ['everybody, no rules', {}, undefined, 'everybody', ['open']],
    ['members, the channel names one', { sources: ['secret', 'plain'] }, undefined, 'members', ['plain', 'secret']],
    ['everybody, the channel names one', { sources: ['secret', 'plain'] }, undefined, 'everybody', []],
    ['members, the tenant names one', {}, { sources: ['secret', 'plain'] }, 'members', ['plain']],
    ['members, all named', { sources: ['open', 'plain', 'staff', 'secret'] }, undefined, 'members', undefined],
    ['members, an empty list', { sources: [] }, undefined, 'members', []],
    ['members, a list of what is gone', { sources: ['s_gone'] }, undefined, 'members', []],
  ] as const)('%s', (_, channel, tenant, readers, allowed) => {
    expect(allowedSources(sources, rulesOf(channel, tenant), readers)).toEqual(allowed);
  });

  it('all of them are told as no limit at all', () => {
    expect(allowedSources([{ id: 'a' }], rulesOf({}), 'members')).toBeUndefined();
    expect(allowedSources([], rulesOf({}), 'everybody')).toBeUndefined();
  });

  it('a request gets what it names, and nothing that wants to be named without', () => {
    expect(requestedSources(sources, ['secret'])).toEqual(['secret']);
    expect(requestedSources(sources, undefined)).toEqual(['open', 'plain', 'staff']);
    expect(requestedSources([{ id: 'a' }], undefined)).toBeUndefined();
  });
});
