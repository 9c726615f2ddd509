import type { z } from 'zod';
import type { KeyScope, Role } from '../core/domain.ts';

/**
 * Who may pass a route. There is exactly one policy per route, and a route cannot be registered without one.
 *
 * - `public`: anybody. `metrics`: the metrics token, or loopback callers when there is none.
 * - `operator`: the operator's token. `key:any`: a living key of the tenant named in the path. `key:ask` …: such a key with
 *   that scope or `admin`. The operator's token passes every `key:…` route.
 * - `session:any`: a signed-in person. `session:viewer` …: one whose role in the tenant named in the path is in the list below.
 *   `session:operator`: one who is an operator of the deployment, whether or not the path names a tenant.
 */
export type Policy = 'public' | 'metrics' | 'operator' | `key:${KeyScope | 'any'}` | `session:${SessionRule}`;
export type SessionRule = 'any' | 'viewer' | 'billing' | 'admin' | 'owner' | 'operator';

/** Roles that satisfy a rule within a tenant. Billing reviewers see no message text. Operators pass everywhere. */
export const rolesFor: Readonly<Record<Exclude<SessionRule, 'any'>, readonly Role[]>> = {
  viewer: ['owner', 'admin', 'viewer'],
  billing: ['owner', 'admin', 'billing'],
  admin: ['owner', 'admin'],
  owner: ['owner'],
  operator: [],
};

export type DeclaredRoute = {
  readonly method: string;
  /** With `{name}` parameters, as in the OpenAPI document. */
  readonly path: string;
  readonly policy: Policy;
  /** Schemas of what an API operation answers, by status; null has no body. */
  readonly answers?: Readonly<Record<number, z.ZodType | null>>;
};
