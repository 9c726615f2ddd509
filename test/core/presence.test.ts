import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSqliteState } from '../../core/drivers/state/sqlite/state.ts';
import type { StateStore } from '../../core/ports/state.ts';
import { createPresence } from '../../core/presence.ts';
import { createTestRuntime, type TestRuntime } from '../fakes/clock.ts';

/** Which processes live, by what each says of itself. */

let state: StateStore;
const runtime = createTestRuntime();
beforeAll(async () => {
  state = await openSqliteState({ dataDir: await mkdtemp(join(tmpdir(), 'footnote-presence-')), log: runtime.log });
});
afterAll(() => state.maintenance.close());

const about = { version: '1.2.3', node: 'v24.0.0', host: 'box', pid: 7 };

/** The next beat is over when the process sleeps again. */
const settled = async ({ clock }: TestRuntime, sleepers: number): Promise<void> => {
  for (let tries = 0; tries < 2_000 && clock.sleeping() < sleepers; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 5));
  expect(clock.sleeping()).toBe(sleepers);
};

test('a process is listed while it lives, as silent after it died, and not at all once it stopped', async () => {
  const here = (owner: string) => createPresence({ leases: state.leases, runtime, owner, about });
  const [one, two] = [here('box:7:aa'), here('box:8:bb')];
  const stops = [new AbortController(), new AbortController()] as const;
  const lives = [one.live(stops[0].signal), two.live(stops[1].signal)];
  await settled(runtime, 2);
  await state.leases.acquire('lead:discord-gateway', 'box:8:bb', runtime.clock.now(), 60_000);
  await state.leases.acquire('sweep', 'box:7:aa', runtime.clock.now(), 60_000);

  const seen = await one.all();
  expect(seen.map(({ id, isAlive, isThis, leads }) => ({ id, isAlive, isThis, leads }))).toEqual(
    expect.arrayContaining([
      { id: 'box:7:aa', isAlive: true, isThis: true, leads: ['sweep'] },
      { id: 'box:8:bb', isAlive: true, isThis: false, leads: ['discord-gateway'] },
    ]),
  );
  expect(seen[0]).toMatchObject({ ...about, startedAt: runtime.clock.now(), seenAt: runtime.clock.now() });

  stops[0].abort();
  await lives[0];
  expect((await two.all()).map(({ id }) => id)).toEqual(['box:8:bb']);

  // Killed: nobody releases the lease, and it runs out.
  runtime.clock.set(runtime.clock.now() + 40_000);
  expect((await one.all()).map(({ id, isAlive }) => ({ id, isAlive }))).toEqual([{ id: 'box:8:bb', isAlive: false }]);
  stops[1].abort();
  await lives[1];
});

test('a process that serves nobody says nothing', async () => {
  const owner = 'box:9:cc';
  await createPresence({ leases: state.leases, runtime, owner }).live(new AbortController().signal);
  expect((await createPresence({ leases: state.leases, runtime, owner }).all()).map(({ id }) => id)).not.toContain(
    owner,
  );
});
