import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../../errors.ts';
import type { Log } from '../../../ports/runtime.ts';
import type { Page, ReceiptFilter, StateStore } from '../../../ports/state.ts';
import { backupInto } from './backup.ts';
import { type Lane, openLane } from './lane.ts';
import { type FileSystemOf, refuseNetworkFileSystem } from './local-disk.ts';
import { verbs } from './sync.ts';

export type SqliteStateOptions = {
  /** Created with mode 0700 when it is not there. A local disk. */
  readonly dataDir: string;
  readonly log: Log;
  /** For tests; by default the operating system is asked. */
  readonly fileSystemOf?: FileSystemOf;
};

/** The file of the embedded state; the sign-in library keeps its tables there too, over its own connection. */
export const stateFileIn = (dataDir: string): string => join(dataDir, 'state.sqlite');

/**
 * The embedded state store: one SQLite file, one writing thread with group commit, one reading thread for long reports.
 * Several processes of one machine may open the same folder. Throws AppError `config` (network file system, newer or
 * foreign file) or `store-unavailable` (damaged, unreachable) with a sentence.
 */
export const openSqliteState = async (options: SqliteStateOptions): Promise<StateStore> => {
  prepareFolder(options);
  const file = stateFileIn(options.dataDir);
  const writer = await openLane({ file, readOnly: false }, options.log);
  let reader: Promise<Lane> | undefined;
  /** Most deployments list receipts seldom: the second thread is started by the first report. */
  const reports = (): Promise<Lane> => {
    reader ??= openLane({ file, readOnly: true }, options.log).catch((error: unknown) => {
      reader = undefined;
      throw error;
    });
    return reader;
  };

  const groups = Object.fromEntries(
    Object.entries(verbs).map(([group, kinds]) => [
      group,
      Object.fromEntries(
        Object.entries(kinds).map(([verb, kind]) => [
          verb,
          kind === 'report'
            ? async (...args: readonly unknown[]) => (await reports()).call(group, verb, args)
            : (...args: readonly unknown[]) => writer.call(group, verb, args),
        ]),
      ),
    ]),
  );
  const indexReceipts = () => writer.call('maintenance', 'indexReceipts', []);
  return {
    name: 'sqlite',
    ...groups,
    receipts: {
      ...groups.receipts,
      // Whoever looks for words finds also those of a moment ago; where nothing can be written now, those of before.
      list: async (tenantId: string, filter: ReceiptFilter, page: Page) => {
        if (filter.q !== undefined) await indexReceipts().catch(() => undefined);
        return (await reports()).call('receipts', 'list', [tenantId, filter, page]);
      },
    },
    maintenance: {
      ...groups.maintenance,
      sweep: async (now: number) => {
        await writer.call('maintenance', 'sweep', [now]);
        await indexReceipts();
      },
      backup: (folder: string) => backupInto(file, folder),
      close: async () => {
        await (await reader?.catch(() => undefined))?.close();
        await writer.close();
      },
    },
    // The verbs were generated from a list that the compiler compared with the port.
  } as unknown as StateStore;
};

const prepareFolder = ({ dataDir, fileSystemOf }: SqliteStateOptions): void => {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    chmodSync(dataDir, 0o700);
  } catch (error) {
    throw new AppError(
      'config',
      'DATA_DIR cannot be created or belongs to somebody else; give Footnote a folder of its own.',
      {
        cause: error,
      },
    );
  }
  refuseNetworkFileSystem(dataDir, fileSystemOf);
};
