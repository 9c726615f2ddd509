import { describe, expect, it } from 'vitest';
import { runInstances } from './instances.ts';

/** The short version, over the files of one DATA_DIR; the whole: node test/faults/instances.ts --processes 4 */
describe('two processes behind a proxy', () => {
  it.each([
    ['R3', 'answer once and charge once, however often and whenever an event comes again'],
    ['R4', 'never answer more than the limit allows, and leave no reservation of a dead process'],
    ['R6', 'take over what a killed one left, and show no half document meanwhile'],
    ['R7', 'lose nothing and promise nothing while the state store is away'],
    ['R9', 'are restarted one after the other under load, and nobody notices'],
  ])('%s: %s', { timeout: 600_000 }, async (id) => {
    const findings = await runInstances({ processes: 2, seed: 1, only: [id], short: true });
    expect(findings).toHaveLength(1);
    // How fast it was is measured by the command on a quiet machine.
    expect(findings.flatMap(({ problems }) => problems)).toEqual([]);
  });
});
