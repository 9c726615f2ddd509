import { expect, it } from 'vitest';
import type { DiscordApi } from '../../../bots/discord/api.ts';
import { createHomes } from '../../../bots/discord/homes.ts';
import { createTestClock, testStart } from '../../fakes/clock.ts';

const serverOf = (n: number): string => String(1000 + n);

/** So many servers, of which a person is in some. */
const among = (count: number, ...members: readonly number[]) => {
  const clock = createTestClock(testStart);
  const asked: string[] = [];
  let down = false;
  const call = async (_method: string, path: string) => {
    if (down) return { ok: false, status: 503, code: 0, certain: false };
    asked.push(path);
    const guild = /^\/guilds\/(\d+)\/members\//.exec(path)?.[1] ?? '';
    const isIn = members.some((n) => serverOf(n) === guild);
    return isIn ? { ok: true, data: {} } : { ok: false, status: 404, code: 10007, certain: true };
  };
  const homes = createHomes({ call } as unknown as DiscordApi, clock);
  for (let n = 0; n < count; n += 1) homes.joined(serverOf(n), `Server ${n}`);
  return {
    homes,
    clock,
    asked,
    breakDown: () => {
      down = true;
    },
  };
};

it('somebody who was never heard is found among hundreds of servers, some at a time', async () => {
  const { homes, clock, asked } = among(300, 250);
  const home = homes.of('ada');
  await clock.advance(0);
  expect(asked).toHaveLength(10);
  await clock.advance(5_000);
  expect(asked).toHaveLength(110);
  await clock.advance(15_000);
  expect(await home).toMatchObject({ workspaceId: serverOf(250), isMember: true });
});

it('who shares several of many is asked which one is meant, as everywhere', async () => {
  const { homes, clock } = among(100, 3, 90);
  const home = homes.of('ada');
  await clock.advance(10_000);
  expect(await home).toMatchObject({ workspaceId: 'dm', homes: [{ name: 'Server 3' }, { name: 'Server 90' }] });
});

it('who is found is asked about there alone from then on', async () => {
  const { homes, clock, asked } = among(100, 42);
  void homes.of('ada');
  await clock.advance(3_600_000);
  const before = asked.length;
  expect(await homes.of('ada')).toMatchObject({ workspaceId: serverOf(42) });
  expect(asked.slice(before)).toEqual([`/guilds/${serverOf(42)}/members/ada`]);
});

it('whoever cannot wait so long finds it done the next time', async () => {
  const { homes, clock } = among(600, 599);
  const first = homes.of('ada');
  await clock.advance(20_000);
  expect(await first).toMatchObject({ workspaceId: 'dm', homes: [] });
  await clock.advance(15_000);
  expect(await homes.of('ada')).toMatchObject({ workspaceId: serverOf(599) });
});

it('people are looked for one after another', async () => {
  const { homes, clock, asked } = among(60, 1);
  const both = [homes.of('ada'), homes.of('ben')];
  await clock.advance(2_000);
  expect(asked.some((path) => path.endsWith('/ben'))).toBe(false);
  await clock.advance(5_000);
  expect((await Promise.all(both)).map(({ workspaceId }) => workspaceId)).toEqual([serverOf(1), serverOf(1)]);
});

it('what Discord did not say is not remembered', async () => {
  const { homes, clock, asked, breakDown } = among(100, 42);
  breakDown();
  expect(await homes.of('ada')).toMatchObject({ workspaceId: 'dm', homes: [] });
  expect(asked).toEqual([]);
  expect(clock.sleeping()).toBe(0);
});
