import type { Role } from '../../core/domain.ts';
import { type rolesFor as Rules, rolesFor } from '../policy.ts';

type Rule = keyof typeof Rules;
type Entry = {
  readonly name: string;
  /** After `/console/{tenant}/`, or a whole path. */
  readonly path: string;
  /** Who sees the entry; the page's own policy decides who may open it. */
  readonly rule: Rule;
};

/** The pages that the side of the console leads to, in groups, in order. One more page is one more line. */
export const navigation = [
  {
    group: 'answers',
    entries: [
      { name: 'overview', path: 'overview', rule: 'viewer' },
      { name: 'ask', path: 'ask', rule: 'viewer' },
      { name: 'answers', path: 'answers', rule: 'viewer' },
      { name: 'gaps', path: 'gaps', rule: 'viewer' },
    ],
  },
  {
    group: 'knowledge',
    entries: [{ name: 'sources', path: 'sources', rule: 'viewer' }],
  },
  {
    group: 'chat',
    entries: [
      { name: 'channels', path: 'channels', rule: 'viewer' },
      { name: 'connections', path: 'connections', rule: 'viewer' },
    ],
  },
  {
    group: 'spending',
    entries: [
      { name: 'usage', path: 'usage', rule: 'billing' },
      { name: 'ledger', path: 'ledger', rule: 'billing' },
      { name: 'quotas', path: 'quotas', rule: 'billing' },
      { name: 'prices', path: 'prices', rule: 'billing' },
    ],
  },
  {
    group: 'organisation',
    entries: [
      { name: 'members', path: 'members', rule: 'admin' },
      { name: 'settings', path: 'settings', rule: 'admin' },
      { name: 'webhooks', path: 'webhooks', rule: 'admin' },
      { name: 'keys', path: 'keys', rule: 'admin' },
      { name: 'audit', path: 'audit', rule: 'admin' },
    ],
  },
  {
    group: 'deployment',
    entries: [
      { name: 'operator-tenants', path: '/console/operator/tenants', rule: 'operator' },
      { name: 'operator-jobs', path: '/console/operator/jobs', rule: 'operator' },
      { name: 'operator-people', path: '/console/operator/people', rule: 'operator' },
      { name: 'operator-health', path: '/console/operator/health', rule: 'operator' },
    ],
  },
] as const satisfies readonly { readonly group: string; readonly entries: readonly Entry[] }[];

export type GroupName = (typeof navigation)[number]['group'];
export type PageName = (typeof navigation)[number]['entries'][number]['name'];

export type Leads = readonly {
  readonly group: GroupName;
  readonly entries: readonly { readonly name: PageName; readonly href: string }[];
}[];

/** What a person with these roles is led to; groups without an entry are left out. */
export const leadsFor = (roles: readonly Role[], isOperator: boolean, slug: string | undefined): Leads =>
  navigation
    .map(({ group, entries }) => ({
      group,
      entries: (entries as readonly (Entry & { readonly name: PageName })[])
        .filter(({ rule, path }) =>
          rule === 'operator'
            ? isOperator
            : (slug !== undefined || path.startsWith('/')) &&
              (isOperator || roles.some((role) => rolesFor[rule].includes(role))),
        )
        .map(({ name, path }) => ({ name, href: hrefOf(path, slug) })),
    }))
    .filter(({ entries }) => entries.length > 0);

const hrefOf = (path: string, slug: string | undefined): string =>
  path.startsWith('/') ? path : `/console/${encodeURIComponent(slug ?? '')}/${path}`;
