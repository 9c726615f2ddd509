import type { Connection } from '../../core/domain.ts';
import type { Pending, Workspaces } from '../../core/ports/platform.ts';

type Credentials = Readonly<Record<string, string>>;

/** What the core knows of workspaces, in memory. */
export type FakeWorkspaces = Workspaces & {
  connect(connection: Connection, credentials?: Credentials): void;
  readonly codes: readonly { readonly workspaceId: string; readonly code: string }[];
  /** What went wrong, as it was told for the check-up. */
  readonly failures: readonly string[];
};

export const createFakeWorkspaces = (): FakeWorkspaces => {
  const connected = new Map<string, { readonly connection: Connection; credentials: Credentials | null }>();
  const waiting = new Map<string, Pending>();
  const codes: { workspaceId: string; code: string }[] = [];
  const failures: string[] = [];
  const notes = new Map<string, Readonly<Record<string, string>>>();
  const keyOf = (platform: string, workspaceId: string): string => `${platform}:${workspaceId}`;
  return {
    codes,
    failures,
    connect: (connection, credentials) => {
      const key = keyOf(connection.platform, connection.workspaceId);
      connected.set(key, { connection, credentials: credentials ?? waiting.get(key)?.credentials ?? null });
      waiting.delete(key);
    },
    byId: async (id) => [...connected.values()].find(({ connection }) => connection.id === id)?.connection ?? null,
    byWorkspace: async (platform, workspaceId) => connected.get(keyOf(platform, workspaceId))?.connection ?? null,
    credentials: async ({ platform, workspaceId }) => connected.get(keyOf(platform, workspaceId))?.credentials ?? null,
    pending: async (platform, workspaceId) => waiting.get(keyOf(platform, workspaceId)) ?? null,
    install: async ({ platform, workspaceId, credentials, info }) => {
      const key = keyOf(platform, workspaceId);
      const known = connected.get(key);
      if (known !== undefined) {
        known.credentials = credentials ?? known.credentials;
        return known.connection;
      }
      waiting.set(key, {
        credentials: credentials ?? waiting.get(key)?.credentials ?? null,
        info: { ...waiting.get(key)?.info, ...info },
        installedAt: 0,
      });
      return null;
    },
    uninstall: async (platform, workspaceId) => {
      waiting.delete(keyOf(platform, workspaceId));
      const known = connected.get(keyOf(platform, workspaceId));
      if (known !== undefined) known.credentials = null;
    },
    offerCode: async (_platform, workspaceId) => {
      const code = `CODE-${codes.length + 1}`;
      codes.push({ workspaceId, code });
      return { code, expiresAt: 0 };
    },
    keep: async (platform, workspaceId, info) => {
      const key = keyOf(platform, workspaceId);
      notes.set(key, { ...notes.get(key), ...info });
    },
    kept: async (platform, workspaceId) => notes.get(keyOf(platform, workspaceId)) ?? {},
    failed: async (_connection, sentence) => void failures.push(sentence),
  };
};
