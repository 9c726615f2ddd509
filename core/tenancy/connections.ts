import type { Core } from '../core.ts';
import type { Connection, Installation } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { Tell } from '../ports/notices.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import type { Sealer } from '../security/seal.ts';
import { codeForMs, hashCode, newCode } from './codes.ts';

type Credentials = Readonly<Record<string, string>>;
type Workspace = Pick<Connection, 'platform' | 'workspaceId'>;

const connectionContext = ({ tenantId, platform, workspaceId }: Workspace & { readonly tenantId: string }): string =>
  `connection:${tenantId}:${platform}:${workspaceId}`;
const installationContext = ({ platform, workspaceId }: Workspace): string => `installation:${platform}:${workspaceId}`;

const removed = 'The app was removed from this workspace, or its token was revoked. Install it again.';

/** Which workspace belongs to whom, what opens it, and those that wait to be claimed. */
export const createConnections = (parts: {
  readonly state: StateStore;
  readonly sealer: Sealer;
  readonly runtime: Runtime;
  /** For whoever wants to be told elsewhere that a workspace was lost. */
  readonly happened?: Tell;
}): Core['connections'] => {
  const { sealer, runtime } = parts;
  const { connections } = parts.state;

  const seal = (credentials: Credentials, context: string): { readonly sealedCredentials: string } => ({
    sealedCredentials: sealer.seal(JSON.stringify(credentials), context),
  });
  const open = (sealed: string, context: string): Credentials =>
    JSON.parse(sealer.open(sealed, context)) as Credentials;

  const create: Core['connections']['create'] = async (tenantId, { platform, workspaceId, credentials }) => {
    const connection: Connection = {
      id: `x_${runtime.random.hex(12)}`,
      tenantId,
      platform,
      workspaceId,
      createdAt: runtime.clock.now(),
      ...(credentials === undefined ? {} : seal(credentials, connectionContext({ tenantId, platform, workspaceId }))),
    };
    if ((await connections.create(connection)) === 'taken') {
      throw new AppError(
        'conflict',
        'This workspace already belongs to a tenant. It must be disconnected there first.',
        { at: 'workspaceId' },
      );
    }
    return adopt(connection);
  };

  /** What an installation brought goes over to the connection. Broken off in between, `credentials` still finds it. */
  const adopt = async (connection: Connection): Promise<Connection> => {
    const { platform, workspaceId, tenantId, id } = connection;
    const waiting = await connections.getInstallation(platform, workspaceId);
    if (waiting === null) return connection;
    const credentials = connection.sealedCredentials === undefined ? openInstallation(waiting) : null;
    const sealed = credentials === null ? null : seal(credentials, connectionContext(connection));
    if (sealed !== null) await connections.setCredentials(tenantId, id, sealed.sealedCredentials);
    const info = waiting.info === undefined ? null : { info: waiting.info };
    if (info !== null) await connections.touch(tenantId, id, info);
    await connections.removeInstallation(platform, workspaceId);
    return { ...connection, ...sealed, ...info };
  };

  const openInstallation = (waiting: Installation): Credentials | null =>
    waiting.sealedCredentials === undefined ? null : open(waiting.sealedCredentials, installationContext(waiting));

  const refresh = async (connection: Connection, credentials: Credentials | undefined): Promise<Connection> => {
    if (credentials === undefined) return connection;
    const sealed = seal(credentials, connectionContext(connection));
    await connections.setCredentials(connection.tenantId, connection.id, sealed.sealedCredentials);
    return { ...connection, ...sealed };
  };

  const untouched = (error: unknown): void => runtime.log.warn('connection-touch-failed', { error: String(error) });

  const everyOf = (platform: Connection['platform']): Promise<readonly Connection[]> =>
    connections.ofPlatform(platform).catch((error: unknown) => {
      untouched(error);
      return [];
    });

  const note = async (connection: Connection, sentence: string, isLost: boolean): Promise<void> => {
    const { tenantId, id, platform, workspaceId } = connection;
    const at = runtime.clock.now();
    const problem = sentence.slice(0, 1000);
    try {
      await connections.touch(tenantId, id, { lastError: problem, lastErrorAt: at });
      if (isLost)
        await parts.happened?.({
          // Once a day, however often it is met and by however many instances.
          id: `${id}:lost:${new Date(at).toISOString().slice(0, 10)}`,
          tenantId,
          event: 'connection.lost',
          at,
          data: { connectionId: id, platform, workspaceId, problem },
        });
    } catch (error) {
      untouched(error);
    }
  };

  return {
    create,
    claim: async (tenantId, { platform, code }) => {
      const found = await connections.takeCode(hashCode(code), runtime.clock.now(), platform);
      if (found === null) {
        throw new AppError(
          'not-found',
          'This code is not good here: it was used, is older than a quarter of an hour, or was shown on another platform. Ask the bot inside the workspace for a new one.',
          { at: 'code' },
        );
      }
      return create(tenantId, { platform, workspaceId: found.workspaceId });
    },
    list: (tenantId) => connections.list(tenantId),
    get: (tenantId, connectionId) => connections.get(tenantId, connectionId),
    remove: async (tenantId, connectionId) => {
      if (!(await connections.remove(tenantId, connectionId)))
        throw new AppError('not-found', 'There is no such connection.');
    },
    byId: (connectionId) => connections.byId(connectionId),
    byWorkspace: (platform, workspaceId) => connections.byWorkspace(platform, workspaceId),
    credentials: async (connection) => {
      if (connection.sealedCredentials !== undefined)
        return open(connection.sealedCredentials, connectionContext(connection));
      const waiting = await connections.getInstallation(connection.platform, connection.workspaceId);
      return waiting === null ? null : openInstallation(waiting);
    },
    pending: async (platform, workspaceId) => {
      const waiting = await connections.getInstallation(platform, workspaceId);
      if (waiting === null || (await connections.byWorkspace(platform, workspaceId)) !== null) return null;
      return { credentials: openInstallation(waiting), info: waiting.info ?? {}, installedAt: waiting.installedAt };
    },
    install: async ({ platform, workspaceId, credentials, info, by }) => {
      const connected = await connections.byWorkspace(platform, workspaceId);
      if (by !== undefined)
        await parts.state.audit.append({
          id: `u_${runtime.random.hex(12)}`,
          tenantId: connected?.tenantId ?? null,
          at: runtime.clock.now(),
          actor: by,
          action: 'workspace.install',
          subject: `${platform}:${workspaceId}`,
        });
      if (connected !== null) return refresh(connected, credentials);
      const before = await connections.getInstallation(platform, workspaceId);
      const workspace = { platform, workspaceId };
      await connections.putInstallation({
        ...before,
        ...workspace,
        installedAt: runtime.clock.now(),
        ...(credentials === undefined ? {} : seal(credentials, installationContext(workspace))),
        ...(info === undefined ? {} : { info: { ...before?.info, ...info } }),
      });
      // Somebody may have claimed it meanwhile; then it is theirs.
      const claimed = await connections.byWorkspace(platform, workspaceId);
      return claimed === null ? null : adopt(claimed);
    },
    keep: async (platform, workspaceId, info) => {
      const connection = await connections.byWorkspace(platform, workspaceId);
      if (connection !== null) return connections.touch(connection.tenantId, connection.id, { info });
      const before = await connections.getInstallation(platform, workspaceId);
      await connections.putInstallation({
        installedAt: runtime.clock.now(),
        ...before,
        platform,
        workspaceId,
        info: { ...before?.info, ...info },
      });
    },
    kept: async (platform, workspaceId) => {
      const connection = await connections.byWorkspace(platform, workspaceId);
      const { info = {} } = connection ?? (await connections.getInstallation(platform, workspaceId)) ?? {};
      return info;
    },
    uninstall: async (platform, workspaceId, sentence = removed) => {
      await connections.removeInstallation(platform, workspaceId);
      const connection = await connections.byWorkspace(platform, workspaceId);
      if (connection === null) return;
      await connections.setCredentials(connection.tenantId, connection.id, null);
      await connections.touch(connection.tenantId, connection.id, {
        lastError: sentence,
        lastErrorAt: runtime.clock.now(),
      });
      await parts.happened?.({
        // Told once for each time that it was lost, however often the platform says so.
        id: `${connection.id}:${connection.sealedCredentials ?? connection.lastEventAt ?? connection.createdAt}`,
        tenantId: connection.tenantId,
        event: 'connection.lost',
        at: runtime.clock.now(),
        data: { connectionId: connection.id, platform, workspaceId, problem: sentence },
      });
    },
    offerCode: async (platform, workspaceId) => {
      const code = newCode(runtime.random);
      const expiresAt = runtime.clock.now() + codeForMs;
      await connections.offerCode(hashCode(code), platform, workspaceId, expiresAt);
      return { code, expiresAt };
    },
    failed: (connection, sentence, how) => note(connection, sentence, how === 'lost'),
    unheard: async (platform, since, sentence) => {
      for (const connection of await everyOf(platform))
        if ((connection.lastEventAt ?? 0) < since) await note(connection, sentence, true);
    },
    heardAgain: async (platform, sentence) => {
      const at = runtime.clock.now();
      for (const { tenantId, id, lastError, lastErrorAt = 0, lastEventAt = 0 } of await everyOf(platform))
        if (lastError === sentence && lastErrorAt >= lastEventAt)
          await connections.touch(tenantId, id, { lastEventAt: at }).catch(untouched);
    },
    heard: (connection) => connections.touch(connection.tenantId, connection.id, { lastEventAt: runtime.clock.now() }),
  };
};
