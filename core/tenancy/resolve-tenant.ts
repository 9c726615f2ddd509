import type { Core } from '../core.ts';
import type { InboundEvent, Tenant } from '../domain.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';

/** How often a connection's last event is written down: a sign of life for the check-up, no count. */
const heardEveryMs = 60_000;

/** Who answers an event. Null: the workspace belongs to nobody yet. */
export const createResolveTenant = (parts: {
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
  const isDefault = ({ platform, workspaceId }: InboundEvent): boolean =>
    platform === 'slack' ||
    named.has(`${platform}:${workspaceId}`) ||
    // A direct message on Discord comes from no server.
    (platform === 'discord' && workspaceId === 'dm' && hasDiscord);

  return async (event: InboundEvent): Promise<Tenant | null> => {
    if (event.platform === 'api' || event.platform === 'console') return null;
    const connection = await state.connections.byWorkspace(event.platform, event.workspaceId);
    if (connection !== null) {
      if (runtime.clock.now() - (connection.lastEventAt ?? 0) > heardEveryMs) {
        // No answer waits for it.
        connections
          .heard(connection)
          .catch((error: unknown) => runtime.log.warn('connection-touch-failed', { error: String(error) }));
      }
      return state.tenants.get(connection.tenantId);
    }
    return defaultTenant !== undefined && isDefault(event) ? state.tenants.bySlug(defaultTenant) : null;
  };
};
