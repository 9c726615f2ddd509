import type { People } from '../core.ts';
import type { Connection } from '../domain.ts';
import { hashOf } from '../ids.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';
import { codeForMs, hashCode, newCode } from './codes.ts';

/** How long after one account said so the other one may: no longer, so that nobody comes by an address later and joins. */
const addressForMs = 24 * 3_600_000;

export const createPeople = (parts: {
  readonly state: Pick<StateStore, 'people' | 'maintenance' | 'connections'>;
  readonly runtime: Runtime;
}): People => {
  const { people, maintenance, connections } = parts.state;
  const { clock, random } = parts.runtime;

  const personOf: People['personOf'] = async (tenantId, memberId) => {
    const id = await people.personOf(tenantId, memberId);
    if (id === null) return null;
    const memberIds = await people.identitiesOf(tenantId, id);
    return memberIds.length > 1 ? { id, memberIds } : null;
  };

  const forgetHome = async (memberId: string): Promise<void> => {
    const [, platform, userId] = /^(slack|discord|teams):(.+)$/s.exec(memberId) ?? [];
    if (platform !== undefined && userId !== undefined)
      await connections.chooseHome(platform as Connection['platform'], userId, null);
  };

  /** All of whom each of the two is are one person from now on. */
  const join = async (tenantId: string, memberId: string, other: string): Promise<void> => {
    const [own, theirs] = await Promise.all([people.personOf(tenantId, memberId), people.personOf(tenantId, other)]);
    const id = theirs ?? own ?? `p_${random.hex(12)}`;
    const moving = new Set([memberId, other]);
    if (own !== null && own !== id) for (const each of await people.identitiesOf(tenantId, own)) moving.add(each);
    for (const each of moving) await people.link(tenantId, each, id);
  };

  return {
    personOf,
    offerCode: async (tenantId, memberId) => {
      const code = newCode(random);
      const expiresAt = clock.now() + codeForMs;
      await people.offerCode(tenantId, hashCode(code), memberId, expiresAt);
      return { code, expiresAt };
    },
    redeem: async (tenantId, code, memberId) => {
      const other = await people.takeCode(tenantId, hashCode(code), clock.now());
      if (other === null) return 'unknown';
      if (other === memberId) return 'own';
      await join(tenantId, memberId, other);
      return 'linked';
    },
    linkByAddress: async (tenantId, memberId, address) => {
      // A code that both of them know already: who says it second is linked to who said it first.
      const code = hashOf('address', tenantId, address.normalize('NFKC').trim().toLowerCase());
      const other = await people.takeCode(tenantId, code, clock.now());
      await people.offerCode(tenantId, code, memberId, clock.now() + addressForMs);
      if (other === null || other === memberId) return 'noted';
      await join(tenantId, memberId, other);
      return 'linked';
    },
    unlink: (tenantId, memberId) => people.unlink(tenantId, memberId),
    forget: async (tenantId, memberId) => {
      const memberIds = (await personOf(tenantId, memberId))?.memberIds ?? [memberId];
      // One pseudonym for all of them: the ledger still adds up, and still says nothing.
      const pseudonym = `forgotten:${random.hex(12)}`;
      for (const each of memberIds)
        for (const name of namesOf(each)) await maintenance.forgetMember(tenantId, name, pseudonym, clock.now());
      for (const each of memberIds) {
        await people.unlink(tenantId, each);
        await forgetHome(each);
      }
    },
  };
};

/**
 * Verdicts that come by the console or the API name their person without the door: `u1`, where an answer says
 * `console:u1`. People of chat platforms are always named with theirs.
 */
const namesOf = (memberId: string): readonly string[] => {
  const bare = /^(?:console|api):(.+)$/s.exec(memberId)?.[1];
  return bare === undefined ? [memberId] : [memberId, bare];
};
