import type { Homes } from '../core.ts';
import type { Home, InboundEvent, Tenant } from '../domain.ts';
import type { StateStore } from '../ports/state.ts';

type OwnedHome = Home & { readonly tenant: Tenant };

/** More than one tenant: then the author must say which. */
const isAmbiguous = (homes: readonly OwnedHome[]): boolean => new Set(homes.map(({ tenant }) => tenant.id)).size > 1;

export const createHomes = (parts: {
  readonly state: Pick<StateStore, 'connections' | 'receipts' | 'outbox' | 'inbox'>;
  ownerOf(workspace: Pick<InboundEvent, 'platform' | 'workspaceId'>): Promise<Tenant | null>;
}): Homes => {
  const { connections, receipts, outbox, inbox } = parts.state;

  const known = async ({ platform, homes = [] }: InboundEvent): Promise<readonly OwnedHome[]> => {
    const owners = await Promise.all(homes.map(({ workspaceId }) => parts.ownerOf({ platform, workspaceId })));
    return homes.flatMap((home, index) => {
      const tenant = owners[index] ?? null;
      return tenant === null ? [] : [{ ...home, tenant }];
    });
  };

  /** What is about an earlier question or its answer belongs to whoever that belongs to, whatever was chosen since. */
  const tenantOfOrigin = async (event: InboundEvent, homes: readonly OwnedHome[]): Promise<Tenant | null> => {
    const { action, feedback, kind } = event;
    const answerId = action?.answerId ?? feedback?.answerId;
    for (const { tenant } of homes) {
      if (answerId !== undefined && (await receipts.get(tenant.id, answerId)) !== null) return tenant;
      if (action?.deliveryId !== undefined && (await outbox.get(tenant.id, action.deliveryId)) !== null) return tenant;
    }
    if (kind !== 'edit' && kind !== 'delete') return null;
    const rows = await inbox.byMessage(event.platform, event.workspaceId, event.channelId, event.messageId);
    const owner = rows.find(({ tenantId }) => tenantId !== undefined)?.tenantId;
    return homes.find(({ tenant }) => tenant.id === owner)?.tenant ?? null;
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
      const origin = await tenantOfOrigin(event, homes);
      if (origin !== null) return origin;
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
