import { z } from 'zod';
import type { Role } from '../../core/domain.ts';
import { renderJson, tenantOf, UsageError, type Verb } from '../verb.ts';

const roles: readonly Role[] = ['owner', 'admin', 'billing', 'viewer'];
const isRole = (value: string): value is Role => (roles as readonly string[]).includes(value);

export const signIn: Verb = {
  name: 'sign-in',
  about: 'Print a one-time sign-in link: for the owner, or with --email for somebody else.',
  options: {
    email: { type: 'string', about: 'address of the person; without --tenant, an operator of this deployment' },
    tenant: { type: 'string', about: 'slug of the one tenant that the person may see' },
    role: { type: 'string', about: `what the person is there: ${roles.join(', ')} (viewer)` },
  },
  async run(call) {
    if (call.args.length > 0) throw new UsageError('Give the address with --email.');
    const email = call.text('email')?.trim();
    const role = call.text('role') ?? 'viewer';
    const isInTenant = call.text('tenant') !== undefined;
    if (email === undefined && (isInTenant || call.text('role') !== undefined))
      throw new UsageError('Say with --email who the link is for.');
    if (email !== undefined && !z.email().safeParse(email).success)
      throw new UsageError(`“${email}” is no e-mail address.`);
    if (!isRole(role)) throw new UsageError(`There is no role ${role}. There are: ${roles.join(', ')}.`);
    if (call.text('role') !== undefined && !isInTenant)
      throw new UsageError('Say with --tenant where the role counts.');
    const { core, signInUrl } = await call.open();
    const tenantId = isInTenant ? (await tenantOf(call, core)).id : null;
    const url = await signInUrl(
      email === undefined ? undefined : { email, tenantId, role: tenantId === null ? 'operator' : role },
    );
    if (email !== undefined) await core.audit(tenantId, 'cli', 'sign-in-link', email);
    call.terminal.out(call.json ? renderJson({ url }) : `${url}\n`);
    return 0;
  },
};
