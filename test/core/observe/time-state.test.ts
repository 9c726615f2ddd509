import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import { createMetrics } from '../../../core/observe/metrics.ts';
import { timeState } from '../../../core/observe/time-state.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { createTestRuntime } from '../../fakes/clock.ts';

describe('a timed state store', () => {
  let folder: string;
  let plain: StateStore;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'footnote-times-'));
    plain = await openSqliteState({ dataDir: folder, log: createTestRuntime().log });
  });
  afterEach(async () => {
    await plain.maintenance.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('answers like the store itself and tells how long each verb took, the failed ones too', async () => {
    const metrics = createMetrics();
    const failing = async (): Promise<never> => {
      throw new Error('away');
    };
    const state = timeState({ ...plain, tenants: { ...plain.tenants, get: failing } }, metrics);
    expect(await state.tenants.bySlug('nobody')).toBeNull();
    await expect(state.tenants.get('t_000000000000000000000001')).rejects.toThrow('away');
    await state.maintenance.check();
    const text = await metrics.text();
    const counted = [...text.matchAll(/^footnote_state_seconds_count\{verb="(.+)"\} (\d+)$/gm)].map(
      ([, verb, times]) => `${verb} ${times}`,
    );
    expect(counted.sort()).toEqual(['tenants.bySlug 1', 'tenants.get 1']);
  });
});
