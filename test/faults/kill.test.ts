import { expect, it } from 'vitest';
import { runKills } from './kill.ts';

/** The short version; 200 and more: node test/faults/kill.ts --runs 200 --seed 1 */
it('loses no question, answers none twice, charges each once and keeps every document whole, over ten kill -9', {
  timeout: 180_000,
}, async () => {
  const outcome = await runKills({ runs: 10, seed: 1 });
  expect(outcome.problems).toEqual([]);
  expect(outcome.questions).toBeGreaterThan(5);
  expect(outcome.documents).toBeGreaterThan(3);
});
