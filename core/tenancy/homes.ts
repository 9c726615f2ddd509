import type { Homes } from '../core.ts';
import type { Home, InboundEvent, Tenant } from '../domain.ts';
import type { StateStore } from '../ports/state.ts';

type OwnedHome = Home & { readonly tenant: Tenant };

/** More than one tenant: then the author must say which. */
const isAmbiguous = (homes: readonly OwnedHome[]): boolean => new Set(homes.map(({ tenant }) => tenant.id)).size > 1;

export const createHomes = (parts: {
  readonly state: Pick<StateStore, 'connections'>;
  ownerOf(workspace: Pick<InboundEvent, 'platform' | 'workspaceId'>): Promise<Tenant | null>;
}): Homes => {
  const { connections } = parts.state;

  const known = async ({ platform, homes = [] }: InboundEvent): Promise<readonly OwnedHome[]> => {
    const owners = await Promise.all(homes.map(({ workspaceId }) => parts.ownerOf({ platform, workspaceId })));
    return homes.flatMap((home, index) => {
      const tenant = owners[index] ?? null;
      return tenant === null ? [] : [{ ...home, tenant }];
    });
  };

  return {
    choices: async (event) => {
      const homes = await known(event);
      return isAmbiguous(homes) ? homes.map(({ tenant: _, ...home }) => home) : [];
    },
    tenantOf: async (event) => {
      const homes = await known(event);
      if (!isAmbiguous(homes)) return homes[0]?.tenant ?? null;
      const { platform, author } = event;
      if (platform === 'api' || platform === 'console') return null;
      // A choice of a workspace that the person has left since is no choice any more.
      const chosen = await connections.chosenHome(platform, author.id);
      return homes.find(({ workspaceId }) => workspaceId === chosen)?.tenant ?? null;
    },
    choose: async (event, workspaceId) => {
      const { platform, author } = event;
      const home = (await known(event)).find((one) => one.workspaceId === workspaceId);
      if (home === undefined || platform === 'api' || platform === 'console') return null;
      await connections.chooseHome(platform, author.id, workspaceId);
      return home;
    },
  };
};
