import { createHash } from 'node:crypto';
import type { Core } from '../core.ts';
import type { Connection } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import type { Sealer } from '../security/seal.ts';

const sealContext = ({
  tenantId,
  platform,
  workspaceId,
}: Pick<Connection, 'tenantId' | 'platform' | 'workspaceId'>): string =>
  `connection:${tenantId}:${platform}:${workspaceId}`;

export const createConnections = (parts: {
  readonly state: StateStore;
  readonly sealer: Sealer;
  readonly runtime: Runtime;
}): Core['connections'] => {
  const { state, sealer, runtime } = parts;
  const create: Core['connections']['create'] = async (tenantId, { platform, workspaceId, credentials }) => {
    const connection: Connection = {
      id: `x_${runtime.random.hex(12)}`,
      tenantId,
      platform,
      workspaceId,
      createdAt: runtime.clock.now(),
      ...(credentials === undefined
        ? {}
        : {
            sealedCredentials: sealer.seal(
              JSON.stringify(credentials),
              sealContext({ tenantId, platform, workspaceId }),
            ),
          }),
    };
    if ((await state.connections.create(connection)) === 'taken') {
      throw new AppError(
        'conflict',
        'This workspace already belongs to a tenant. It must be disconnected there first.',
        { at: 'workspaceId' },
      );
    }
    return connection;
  };
  return {
    create,
    claim: async (tenantId, { platform, code }) => {
      const found = await state.connections.takeCode(
        createHash('sha256').update(code.trim()).digest('hex'),
        runtime.clock.now(),
      );
      if (found === null || found.platform !== platform) {
        throw new AppError(
          'not-found',
          'This code is not valid any more. Ask the bot inside the workspace for a new one.',
          { at: 'code' },
        );
      }
      return create(tenantId, { platform, workspaceId: found.workspaceId });
    },
    list: (tenantId) => state.connections.list(tenantId),
    get: (tenantId, connectionId) => state.connections.get(tenantId, connectionId),
    remove: async (tenantId, connectionId) => {
      if (!(await state.connections.remove(tenantId, connectionId)))
        throw new AppError('not-found', 'There is no such connection.');
    },
    byId: (connectionId) => state.connections.byId(connectionId),
    byWorkspace: (platform, workspaceId) => state.connections.byWorkspace(platform, workspaceId),
    credentials: async (connection) =>
      connection.sealedCredentials === undefined
        ? null
        : (JSON.parse(sealer.open(connection.sealedCredentials, sealContext(connection))) as Readonly<
            Record<string, string>
          >),
    heard: (connection, patch) =>
      state.connections.touch(connection.tenantId, connection.id, { lastEventAt: runtime.clock.now(), ...patch }),
  };
};
