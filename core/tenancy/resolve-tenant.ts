import type { Core, Homes } from '../core.ts';
import type { InboundEvent, Tenant } from '../domain.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';

/** How often a connection's last event is written down: a sign of life for the check-up, no count. */
const heardEveryMs = 60_000;

type Workspace = Pick<InboundEvent, 'platform' | 'workspaceId'>;

/** Who a workspace belongs to. Null: nobody yet. */
export const createOwnerOf = (parts: {
  readonly state: StateStore;
  readonly connections: Core['connections'];
  readonly runtime: Runtime;
  /** Slug of the tenant of a single-workspace deployment. */
  readonly defaultTenant?: string | undefined;
  /** Discord servers and Teams tenants that are the default tenant's, as `platform:workspaceId`. */
  readonly defaultWorkspaces?: readonly string[] | undefined;
}) => {
  const { state, connections, runtime, defaultTenant } = parts;
  const named = new Set(parts.defaultWorkspaces);
  const hasDiscord = [...named].some((workspace) => workspace.startsWith('discord:'));

  /** Slack's one token is one workspace's by itself; anybody may invite the others' bots, so theirs are named. */
  const isDefault = ({ platform, workspaceId }: Workspace): boolean =>
    platform === 'slack' ||
    named.has(`${platform}:${workspaceId}`) ||
    // A direct message on Discord comes from no server.
    (platform === 'discord' && workspaceId === 'dm' && hasDiscord);

  return async (workspace: Workspace): Promise<Tenant | null> => {
    const { platform, workspaceId } = workspace;
    if (platform === 'api' || platform === 'console') return null;
    const connection = await state.connections.byWorkspace(platform, workspaceId);
    if (connection !== null) {
      if (runtime.clock.now() - (connection.lastEventAt ?? 0) > heardEveryMs) {
        // No answer waits for it.
        connections
          .heard(connection)
          .catch((error: unknown) => runtime.log.warn('connection-touch-failed', { error: String(error) }));
      }
      return state.tenants.get(connection.tenantId);
    }
    return defaultTenant !== undefined && isDefault(workspace) ? state.tenants.bySlug(defaultTenant) : null;
  };
};

/** Who answers an event: the owner of its workspace or, where it comes from none, the one whom its author means. */
export const createResolveTenant =
  (parts: { ownerOf(workspace: Workspace): Promise<Tenant | null>; readonly homes: Pick<Homes, 'tenantOf'> }) =>
  (event: InboundEvent): Promise<Tenant | null> =>
    // Somebody of no shared workspace is from outside; the default tenant may answer them all the same.
    event.homes === undefined || event.homes.length === 0 ? parts.ownerOf(event) : parts.homes.tenantOf(event);
