import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { openDatabase } from '../../../../core/drivers/state/sqlite/database.ts';
import { type Migration, migrations } from '../../../../core/drivers/state/sqlite/migrations.ts';
import { openSqliteState, stateFileIn } from '../../../../core/drivers/state/sqlite/state.ts';
import { describeStateStore } from '../../../contracts/state.ts';
import { createTestRuntime } from '../../../fakes/clock.ts';

// Real files, threads and processes: slow on a busy machine, and then not wrong.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const contractOn = (title: string, prepare: (file: string) => void): void =>
  describeStateStore(title, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'footnote-state-'));
    prepare(stateFileIn(folder));
    const state = await openSqliteState({ dataDir: folder, log: createTestRuntime().log });
    return {
      state,
      close: async () => {
        await state.maintenance.close();
        await rm(folder, { recursive: true });
      },
    };
  });

contractOn('sqlite', () => undefined);

/** Two versions share the file during a deploy: what the newer one has added must not be in the older one's way. */
contractOn('sqlite, on a file that a newer version has added to', (file) => {
  const tables = migrations.flatMap(({ sql }) =>
    [...sql.matchAll(/^CREATE TABLE (\w+)/gm)].map(([, table = '']) => table),
  );
  expect(tables.length).toBeGreaterThan(25);
  const newer: Migration = {
    step: Math.max(...migrations.map(({ step }) => step)) + 1,
    name: 'of a newer version',
    sql: [
      ...tables.map((table) => `ALTER TABLE ${table} ADD COLUMN added_later TEXT NOT NULL DEFAULT 'later';`),
      'CREATE TABLE later (id TEXT PRIMARY KEY) STRICT;',
    ].join('\n'),
  };
  openDatabase(file, false, [...migrations, newer]).close();
});
