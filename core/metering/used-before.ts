import type { QuotaLimit, TenantId, UsageGroup, UsageRow } from '../domain.ts';
import type { StateStore } from '../ports/state.ts';
import { bucketOf, windowOf } from './windows.ts';

export type UsedBefore = { readonly id: string; readonly expiresAt: number; readonly used: number };

/** Buckets of channels or members beyond these begin at nothing. */
const mostBuckets = 10_000;
const chatPlatforms = ['slack', 'discord', 'teams'] as const;

/**
 * What the ledger says was used in the running day or month, for the counters of limits of a kind that there was none of
 * before: a counter only knows of what was charged to it. Tokens are those of chat models, and embeddings of documents are
 * nobody's question, as where questions are charged.
 */
export const usedBefore = async (
  state: Pick<StateStore, 'ledger' | 'people'>,
  tenantId: TenantId,
  before: readonly QuotaLimit[],
  after: readonly QuotaLimit[],
  now: number,
): Promise<readonly UsedBefore[]> => {
  const fresh = after.filter((limit) => !before.some((other) => covers(other, limit)));
  const reports = new Map<string, Promise<readonly UsageRow[]>>();
  const report = (group: UsageGroup, per: QuotaLimit['per']): Promise<readonly UsageRow[]> => {
    const key = `${group} ${per}`;
    const known =
      reports.get(key) ?? state.ledger.usage(tenantId, { from: windowOf(per, now).startsAt, to: now + 1 }, group);
    reports.set(key, known);
    return known;
  };
  const used = new Map<string, UsedBefore>();
  for (const limit of fresh) {
    const { name, endsAt } = windowOf(limit.per, now);
    const rows = await report(groupOf[limit.scope], limit.per);
    for (const [scopeId, amount] of await amounts(state, tenantId, limit, rows)) {
      if (used.size >= mostBuckets) return [...used.values()];
      const id = bucketOf(limit.scope, scopeId, limit.unit, name);
      if (amount > 0) used.set(id, { id, expiresAt: endsAt, used: amount });
    }
  }
  return [...used.values()];
};

/** A counter of the other limit is one of this limit too. */
const covers = (other: QuotaLimit, limit: QuotaLimit): boolean =>
  other.scope === limit.scope &&
  other.unit === limit.unit &&
  other.per === limit.per &&
  (other.id === undefined || other.id === limit.id);

/** Lines of a source are the taking in of documents, which draws on no allowance. */
const groupOf = { tenant: 'source', channel: 'channel', member: 'member' } as const;

const amounts = async (
  state: Pick<StateStore, 'people'>,
  tenantId: TenantId,
  limit: QuotaLimit,
  rows: readonly UsageRow[],
): Promise<ReadonlyMap<string, number>> => {
  const sums = new Map<string, number>();
  const add = (scopeId: string, row: UsageRow): void =>
    void sums.set(scopeId, (sums.get(scopeId) ?? 0) + amountIn(row, limit.unit));
  for (const row of rows) {
    if (limit.scope === 'tenant') {
      if (row.key === '') add(tenantId, row);
    } else if (row.key === '') continue;
    else if (limit.scope === 'channel') for (const id of channelIds(row.key)) add(id, row);
    else add(await counterOf(state, tenantId, row.key), row);
  }
  if (limit.id === undefined || limit.scope === 'tenant') return sums;
  const own = limit.scope === 'member' ? await counterOf(state, tenantId, limit.id) : limit.id;
  return new Map([[own, sums.get(own) ?? 0]]);
};

const amountIn = (row: UsageRow, unit: QuotaLimit['unit']): number =>
  ({ questions: row.questions, tokens: row.promptTokens + row.completionTokens, money: row.costNanos })[unit];

/** The ledger names a channel as its platform does, an allowance with the platform; ids of two platforms never look alike. */
const channelIds = (channelId: string): readonly string[] =>
  channelId === 'api' || channelId === 'console'
    ? [`${channelId}:${channelId}`]
    : chatPlatforms.map((platform) => `${platform}:${channelId}`);

/** All accounts of a person draw on the counter of the first. */
const counterOf = async (
  { people }: Pick<StateStore, 'people'>,
  tenantId: TenantId,
  memberId: string,
): Promise<string> => {
  const person = await people.personOf(tenantId, memberId);
  return person === null ? memberId : ((await people.identitiesOf(tenantId, person))[0] ?? memberId);
};
