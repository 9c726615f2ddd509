import type { Core } from '../core.ts';
import type { Membership, Role, TenantId } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { Clock } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';

/** Who belongs to a tenant, and as what. A tenant that has an owner keeps one. */
export const createMembers = (
  { members }: Pick<StateStore, 'members'>,
  clock: Clock,
): Omit<Core['members'], 'forget'> => {
  const put = async (userId: string, tenantId: TenantId | null, role: Role): Promise<void> => {
    await members.put({ userId, tenantId, role, createdAt: clock.now() });
  };

  /** The member as it stands, unless what is to become of it (a role, or null: gone) would leave no owner. */
  const find = async (
    tenantId: TenantId,
    userId: string,
    next: Role | null,
    expected: Role | undefined,
  ): Promise<Membership> => {
    const all = await members.ofTenant(tenantId);
    const found = all.find((member) => member.userId === userId);
    if (found === undefined) throw new AppError('not-found', 'There is no such member.');
    if (expected !== undefined && found.role !== expected) throw changedMeanwhile();
    if (found.role === 'owner' && next !== 'owner' && countOwners(all) === 1) throw lastOwner();
    return found;
  };

  /**
   * Two owners may demote each other at the same moment, each while the other still stands. No store could refuse that in
   * one conditional update, so it is looked at again afterwards and taken back: too many owners is the safe side.
   */
  const keepAnOwner = async (before: Membership): Promise<void> => {
    const { tenantId } = before;
    if (before.role !== 'owner' || tenantId === null || countOwners(await members.ofTenant(tenantId)) > 0) return;
    await members.put(before);
    throw lastOwner();
  };

  return {
    ofUser: (userId) => members.ofUser(userId),
    ofTenant: (tenantId) => members.ofTenant(tenantId),
    operators: () => members.operators(),
    put,
    // Each only from the role that was looked at: what was allowed for a viewer is not done to somebody who is an owner by now.
    change: async (tenantId, userId, role, expected) => {
      if (role === 'operator') throw new AppError('invalid', 'An operator belongs to no tenant.', { at: 'role' });
      const before = await find(tenantId, userId, role, expected);
      if (!(await members.put({ ...before, role }, before.role))) throw changedMeanwhile();
      await keepAnOwner(before);
    },
    remove: async (tenantId, userId, expected) => {
      const before = await find(tenantId, userId, null, expected);
      if (!(await members.remove(tenantId, userId, before.role))) throw changedMeanwhile();
      await keepAnOwner(before);
    },
    removeOperator: async (userId) => {
      const before = (await members.ofUser(userId)).find(({ role }) => role === 'operator');
      if (before === undefined) throw new AppError('not-found', 'There is no such operator.');
      if ((await members.operators()) <= 1) throw lastOperator();
      await members.remove(null, userId);
      // As with owners: two may take each other's rights at the same moment.
      if ((await members.operators()) > 0) return;
      await members.put(before);
      throw lastOperator();
    },
  };
};

const lastOperator = (): AppError =>
  new AppError('conflict', 'This is the last operator. Make somebody else an operator first.');

const changedMeanwhile = (): AppError =>
  new AppError(
    'conflict',
    'Somebody else changed this role meanwhile. Look at what it is now, and repeat your change.',
  );

const countOwners = (members: readonly Membership[]): number => members.filter(({ role }) => role === 'owner').length;

const lastOwner = (): AppError =>
  new AppError('conflict', 'This is the last owner. Make somebody else an owner first.', { at: 'role' });
