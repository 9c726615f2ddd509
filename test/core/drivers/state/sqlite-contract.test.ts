import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { openSqliteState } from '../../../../core/drivers/state/sqlite/state.ts';
import { describeStateStore } from '../../../contracts/state.ts';
import { createTestRuntime } from '../../../fakes/clock.ts';

// Real files, threads and processes: slow on a busy machine, and then not wrong.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

describeStateStore('sqlite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'footnote-state-'));
  const state = await openSqliteState({ dataDir: folder, log: createTestRuntime().log });
  return {
    state,
    close: async () => {
      await state.maintenance.close();
      await rm(folder, { recursive: true });
    },
  };
});
