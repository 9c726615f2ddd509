import { expect, it } from 'vitest';
import { watchHearing } from '../../bots/watch-hearing.ts';
import { createTestClock, testStart } from '../fakes/clock.ts';

const minute = 60_000;

const watched = () => {
  const clock = createTestClock(testStart);
  const told: string[] = [];
  let up: boolean | null = true;
  const watch = watchHearing({
    platform: 'discord',
    isUp: () => up,
    sentence: 'Nobody listens.',
    workspaces: {
      unheard: async (platform, since, sentence) => {
        told.push(`${platform} down since ${(since - testStart) / minute}: ${sentence}`);
      },
      heardAgain: async (platform) => void told.push(`${platform} up`),
    },
    clock,
  });
  watch.start();
  return {
    told,
    watch,
    clock,
    is: async (next: boolean | null, forMs: number) => {
      up = next;
      await clock.advance(forMs);
      return told.splice(0);
    },
  };
};

it('an outage that lasts is told once, and its end once', async () => {
  const { is, watch } = watched();
  expect(await is(true, minute), 'of one that another process told').toEqual(['discord up']);
  expect(await is(false, 4 * minute), 'a short one is nobody’s business').toEqual([]);
  expect(await is(false, 2 * minute)).toEqual(['discord down since 1.5: Nobody listens.']);
  expect(await is(false, 60 * minute)).toEqual([]);
  expect(await is(true, 10 * minute)).toEqual(['discord up']);
  expect(await is(false, minute)).toEqual([]);
  expect(await is(true, minute)).toEqual([]);
  watch.stop();
});

it('whoever does not hear knows nothing, and a stopped watch says nothing', async () => {
  const { is, watch, clock } = watched();
  expect(await is(null, 30 * minute)).toEqual([]);
  expect(await is(false, 4 * minute)).toEqual([]);
  expect(await is(null, minute)).toEqual([]);
  expect(await is(false, 4 * minute), 'counted anew').toEqual([]);
  watch.stop();
  expect(await is(false, 60 * minute)).toEqual([]);
  expect(clock.sleeping()).toBe(0);
});
