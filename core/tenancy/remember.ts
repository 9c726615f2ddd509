import type { ChannelRules, Source, Tenant } from '../domain.ts';
import type { Clock } from '../ports/runtime.ts';
import type { ChannelStore, SourceStore } from '../ports/state.ts';

/** What was read a moment ago, for what every message asks for and hardly anybody changes. */
export type Remembered<T> = {
  /**
   * As remembered, or read now; a failed read is not remembered. Several who ask at once share one read. Of a key only the
   * `version` that was asked for last is remembered.
   */
  get(key: string, read: () => Promise<T>, version?: number): Promise<T>;
  /** Changed here: the next one reads anew. Other instances notice after `forMs`. */
  forget(key: string): void;
};

const most = 10_000;

export const createRemembered = <T>(clock: Clock, forMs: number): Remembered<T> => {
  const known = new Map<string, { readonly value: Promise<T>; readonly until: number; readonly version: number }>();
  /** What is remembered longest stands first, and lists are large: nothing stays that nobody would be given. */
  const dropOld = (now: number): void => {
    if (known.size >= most) known.clear();
    for (const [key, { until }] of known) {
      if (until > now) return;
      known.delete(key);
    }
  };
  return {
    get: (key, read, version = 0) => {
      const now = clock.now();
      const found = known.get(key);
      if (found !== undefined && found.until > now && found.version === version) return found.value;
      dropOld(now);
      const entry = { value: read(), until: now + forMs, version };
      known.delete(key);
      known.set(key, entry);
      entry.value.catch(() => {
        if (known.get(key) === entry) known.delete(key);
      });
      return entry.value;
    },
    forget: (key) => void known.delete(key),
  };
};

/**
 * A tenant's sources, read at every question. Exact: who adds, removes or opens one to other readers moves the tenant's
 * content revision on, and the tenant is read for each message; the time is only for a change that was not carried through.
 */
export const rememberSources = (
  sources: Pick<SourceStore, 'list'>,
  clock: Clock,
  forMs: number,
): ((tenant: Pick<Tenant, 'id' | 'contentRevision'>) => Promise<readonly Source[]>) => {
  const lists = createRemembered<readonly Source[]>(clock, forMs);
  return ({ id, contentRevision }) => lists.get(id, () => sources.list(id), contentRevision);
};

/** Rules of channels, read at every message and changed once in a while. Keys and connections are never remembered. */
export const rememberChannels = (channels: ChannelStore, clock: Clock, forMs: number): ChannelStore => {
  const rules = createRemembered<ChannelRules | null>(clock, forMs);
  const keyOf = (...parts: readonly string[]): string => JSON.stringify(parts);
  return {
    ...channels,
    get: (tenantId, platform, channelId) =>
      rules.get(keyOf(tenantId, platform, channelId), () => channels.get(tenantId, platform, channelId)),
    put: async (tenantId, platform, channelId, given, expected) => {
      try {
        return await channels.put(tenantId, platform, channelId, given, expected);
      } finally {
        rules.forget(keyOf(tenantId, platform, channelId));
      }
    },
  };
};
