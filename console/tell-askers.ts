import type { Core } from '../core/core.ts';
import type { Receipt, Tenant } from '../core/domain.ts';
import type { Platform } from '../core/ports/platform.ts';

/** One message may take so long. */
const withinMs = 20_000;

/** One receipt for each person who asked, can be reached by a chat platform, and does not know yet. */
export const reachable = (
  receipts: readonly Receipt[],
  platforms: readonly Pick<Platform, 'name' | 'say'>[],
): readonly Receipt[] => {
  const told = new Set(receipts.flatMap(({ gap, memberId }) => (gap?.state === 'told' ? [memberId] : [])));
  const able = new Set(platforms.flatMap(({ name, say }) => (say === undefined ? [] : [name])));
  const chosen = new Map<string, Receipt>();
  for (const receipt of receipts) {
    const { memberId, workspaceId, platform } = receipt;
    if (memberId === undefined || workspaceId === undefined || told.has(memberId)) continue;
    if (able.has(platform) && memberId.startsWith(`${platform}:`) && !chosen.has(memberId))
      chosen.set(memberId, receipt);
  }
  return [...chosen.values()];
};

/**
 * Says in a direct message that there is an answer now: once to each person. Whoever is being told is marked first, so
 * that two who press the button at once tell nobody twice; a message that fails takes the mark back.
 */
export const tellAskers = async (
  { core, platforms }: { readonly core: Core; readonly platforms: readonly Platform[] },
  tenant: Tenant,
  receipts: readonly Receipt[],
  sentence: (receipt: Receipt) => string,
  signal: AbortSignal,
): Promise<{ readonly told: number; readonly failed: number }> => {
  let [told, failed] = [0, 0];
  for (const receipt of reachable(receipts, platforms)) {
    const platform = platforms.find(({ name }) => name === receipt.platform);
    const { workspaceId, memberId } = receipt;
    if (platform?.say === undefined || workspaceId === undefined || memberId === undefined) continue;
    if (!(await core.gaps.mark(tenant.id, receipt.answerId, 'told'))) continue;
    try {
      const to = { workspaceId, userId: memberId.slice(memberId.indexOf(':') + 1) };
      const message = { id: `gap:${receipt.answerId}`, markdown: sentence(receipt) };
      await platform.say(to, message, AbortSignal.any([signal, AbortSignal.timeout(withinMs)]));
      told++;
    } catch {
      await core.gaps.mark(tenant.id, receipt.answerId, 'written');
      failed++;
    }
  }
  return { told, failed };
};
