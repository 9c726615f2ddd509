import { describe, expect, it } from 'vitest';
import type { Core } from '../../../core/core.ts';
import type { Connection, Tenant } from '../../../core/domain.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { createOwnerOf } from '../../../core/tenancy/resolve-tenant.ts';
import { anEvent, aTenant } from '../../contracts/rows.ts';
import { createTestRuntime } from '../../fakes/clock.ts';

const demo = aTenant({ slug: 'demo' });
const other = aTenant({ slug: 'other' });
const connected: Connection = {
  id: 'x_1',
  tenantId: other.id,
  platform: 'discord',
  workspaceId: '7',
  createdAt: 0,
};

const resolverOf = (named: readonly string[], defaultTenant: string | null = 'demo') => {
  const heard: string[] = [];
  const state = {
    connections: {
      byWorkspace: async (platform: string, workspaceId: string) =>
        platform === connected.platform && workspaceId === connected.workspaceId ? connected : null,
    },
    tenants: {
      get: async (id: string): Promise<Tenant | null> => [demo, other].find((tenant) => tenant.id === id) ?? null,
      bySlug: async (slug: string): Promise<Tenant | null> =>
        [demo, other].find((tenant) => tenant.slug === slug) ?? null,
    },
  } as unknown as StateStore;
  const connections = {
    heard: async (connection: Connection) => void heard.push(connection.id),
  } as unknown as Core['connections'];
  const resolve = createOwnerOf({
    state,
    connections,
    runtime: createTestRuntime(),
    defaultTenant: defaultTenant ?? undefined,
    defaultWorkspaces: named,
  });
  return { resolve, heard };
};

describe('whom a workspace belongs to', () => {
  it('its connection wins over everything, and it was heard', async () => {
    const { resolve, heard } = resolverOf(['discord:7']);
    expect(await resolve(anEvent({ platform: 'discord', workspaceId: '7' }))).toEqual(other);
    expect(heard).toEqual(['x_1']);
  });

  it.each([
    ['slack', 'T1', true],
    ['discord', '1', true],
    ['teams', 'aad-1', true],
    ['discord', 'dm', true],
    ['discord', '2', false],
    ['teams', '1', false],
    ['api', 'x', false],
  ] as const)('%s %s is the default tenant’s: %s', async (platform, workspaceId, isDefault) => {
    const { resolve } = resolverOf(['discord:1', 'teams:aad-1']);
    expect(await resolve(anEvent({ platform, workspaceId }))).toEqual(isDefault ? demo : null);
  });

  it('without named servers a direct message on Discord is nobody’s', async () => {
    const { resolve } = resolverOf(['teams:aad-1']);
    expect(await resolve(anEvent({ platform: 'discord', workspaceId: 'dm' }))).toBeNull();
  });

  it('without a default tenant an unknown workspace is nobody’s', async () => {
    const { resolve } = resolverOf(['discord:1'], null);
    expect(await resolve(anEvent({ platform: 'discord', workspaceId: '1' }))).toBeNull();
    expect(await resolve(anEvent({ platform: 'slack', workspaceId: 'T1' }))).toBeNull();
  });
});
