import type { Home as SharedServer } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports/runtime.ts';
import { bounded } from '../bounded.ts';
import type { DiscordApi } from './api.ts';
import { textOf } from './fields.ts';

/** Where a direct message belongs: to a server, or to none that could be told by itself. */
export type Home = {
  /** A server, or `dm`. */
  readonly workspaceId: string;
  /** The person is known to be a member there, or of every server below. */
  readonly isMember: boolean;
  /** For `dm`: the servers that the person shares with the bot; which of them is meant is theirs to say. */
  readonly homes?: readonly SharedServer[];
};
/** What it takes longer to find out than somebody waits for it is known the next time. */
export type HomeOf = (userId: string) => Promise<Home>;

export type Homes = {
  readonly of: HomeOf;
  /** The bot is in that server; `name` is what people call it. */
  joined(guild: string, name: string | null): void;
  left(guild: string): void;
  /** That person wrote in that server. */
  seen(userId: string, guild: string): void;
};

const withinMs = 2500;
const rememberedMs = 600_000;
/** Discord is asked about one person once for each server; past this many, first for those where they were heard. */
const mostAsked = 50;
const mostSeen = 20;
/**
 * Who was heard in none of many servers is looked for in all of them: one person after another and some servers at a time,
 * because everything else that the bot does counts against the same limit of Discord's.
 */
const atOnce = 10;
const everyMs = 500;
/** The question of that person waits so long for it. */
const searchedMs = 20_000;
const mostSearching = 100;
/** The most servers that Discord lists at once. */
const page = 200;

/** Known to be in no server, or not known at all. */
export const nowhere: Home = { workspaceId: 'dm', isMember: false, homes: [] };
const isFound = new AppError('cancelled', 'It is known.');

/** Discord tells no server with a direct message: who shares which one with the bot must be asked, and is kept a while. */
export const createHomes = (api: DiscordApi, clock: Clock): Homes => {
  const guilds = new Map<string, string | null>();
  const homes = bounded<Home & { readonly until: number }>(10_000);
  const seenIn = bounded<readonly string[]>(10_000);
  let asked = false;

  /** A process without the gateway is told of no server; one look at the list makes up for it. */
  const ours = async (): Promise<readonly string[]> => {
    if (!asked && [...guilds.values()].every((name) => name === null)) {
      const signal = AbortSignal.timeout(withinMs);
      for (let after = '0'; !asked; ) {
        const result = await api.call('get', `/users/@me/guilds?limit=${page}&after=${after}`, { signal });
        if (!result.ok) break;
        const list = Array.isArray(result.data) ? (result.data as readonly unknown[]) : [];
        for (const guild of list) guilds.set(textOf(guild, 'id') ?? '', textOf(guild, 'name'));
        after = textOf(list.at(-1), 'id') ?? '';
        asked = list.length < page;
      }
    }
    return [...guilds.keys()];
  };

  const isMember = async (guild: string, person: string, signal: AbortSignal): Promise<boolean> => {
    const member = await api.call('get', `/guilds/${guild}/members/${person}`, { signal });
    if (!member.ok && member.status !== 404 && member.status !== 403)
      throw new AppError('platform-failed', 'Discord did not say who is a member.');
    return member.ok;
  };

  const sharedAmong = async (candidates: readonly string[], person: string, ms: number): Promise<readonly string[]> => {
    const signal = AbortSignal.timeout(ms);
    const found = await Promise.all(
      candidates.map(async (guild) => ((await isMember(guild, person, signal)) ? [guild] : [])),
    );
    return found.flat();
  };

  const homeIn = ([only, ...others]: readonly string[]): Home => {
    if (only === undefined) return nowhere;
    if (others.length === 0) return { workspaceId: only, isMember: true };
    const named = [only, ...others].map((workspaceId) => {
      const name = guilds.get(workspaceId) ?? null;
      return { workspaceId, ...(name === null ? {} : { name }) };
    });
    return { workspaceId: 'dm', isMember: true, homes: named };
  };

  /** Person → the search that is under way or waits for its turn. Never rejects. */
  const searches = new Map<string, Promise<Home>>();
  let lastSearch: Promise<unknown> = Promise.resolve();
  const search = (person: string): Promise<Home> => {
    const running = searches.get(person);
    if (running !== undefined) return running;
    if (searches.size >= mostSearching) return Promise.resolve(nowhere);
    const mine = lastSearch
      .then(() => searchAll(person))
      .catch(() => nowhere)
      .finally(() => searches.delete(person));
    searches.set(person, mine);
    lastSearch = mine;
    return mine;
  };
  const searchAll = async (person: string): Promise<Home> => {
    const left = [...guilds.keys()];
    const shared: string[] = [];
    while (left.length > 0) {
      shared.push(...(await sharedAmong(left.splice(0, atOnce), person, 2 * withinMs)));
      if (left.length > 0) await clock.sleep(everyMs);
    }
    // From now on they alone are asked about.
    if (shared.length > 0) seenIn.set(person, shared);
    return keep(person, homeIn(shared));
  };

  const keep = (person: string, home: Home): Home => {
    homes.set(person, { ...home, until: clock.now() + rememberedMs });
    return home;
  };

  return {
    of: async (person) => {
      const known = homes.get(person);
      if (known !== undefined && known.until > clock.now()) return known;
      try {
        const all = await ours();
        const heardIn = (seenIn.get(person) ?? []).filter((guild) => guilds.has(guild));
        const shared = await sharedAmong(all.length <= mostAsked ? all : heardIn, person, withinMs);
        if (all.length <= mostAsked || shared.length > 0) return keep(person, homeIn(shared));
        const found = new AbortController();
        const enough = clock.sleep(searchedMs, found.signal).then(
          () => nowhere,
          () => nowhere,
        );
        return await Promise.race([search(person), enough]).finally(() => found.abort(isFound));
      } catch {
        // Not known now, and not kept: the next message asks again.
        return nowhere;
      }
    },
    joined: (guild, name) => {
      if (!guilds.has(guild)) homes.clear();
      guilds.set(guild, name ?? guilds.get(guild) ?? null);
    },
    left: (guild) => {
      guilds.delete(guild);
      homes.clear();
    },
    seen: (person, guild) => {
      const before = seenIn.get(person) ?? [];
      if (before.includes(guild)) return;
      seenIn.set(person, [guild, ...before].slice(0, mostSeen));
      // Somebody of no known server may have become one of this one.
      homes.delete(person);
    },
  };
};
