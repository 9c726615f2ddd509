import type { Workspaces } from '../ports/platform.ts';
import type { StateStore } from '../ports/state.ts';
import { isReworded, sayMessage } from '../text/messages.ts';

/** How the bot says hello where it is taken in, by the words of whoever the workspace belongs to. */
export const createGreeting =
  ({
    state,
    defaultTenant,
  }: {
    readonly state: Pick<StateStore, 'connections' | 'tenants'>;
    readonly defaultTenant: string | undefined;
  }): NonNullable<Workspaces['greeting']> =>
  async (platform, workspaceId) => {
    const connection = await state.connections.byWorkspace(platform, workspaceId);
    const tenant =
      connection !== null
        ? await state.tenants.get(connection.tenantId)
        : defaultTenant === undefined
          ? null
          : await state.tenants.bySlug(defaultTenant);
    if (tenant === null) return null;
    const { messages, language = 'en' } = tenant.settings;
    const tongue = language.toLowerCase().slice(0, 2);
    return isReworded(messages, 'greeting', tongue)
      ? sayMessage(messages, 'greeting', tongue, { organisation: tenant.name })
      : null;
  };
