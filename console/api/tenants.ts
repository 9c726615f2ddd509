import type { TenantSettingsPatch } from '../../core/core.ts';
import { reservedSlugs } from '../../core/text/slug.ts';
import type { HttpParts } from '../guard.ts';
import type { Operations } from './operation.ts';
import { found, renderKey, renderTenant, revOf } from './render.ts';
import { pageQuery, tenantPath } from './schemas/fields.ts';
import * as schemas from './schemas/tenants.ts';

const base = '/api/v1/tenants';

export const addTenants = ({ add }: Operations, { core }: HttpParts): void => {
  add(
    {
      method: 'post',
      path: base,
      policy: 'operator',
      tag: 'Tenants',
      summary: 'Create a tenant',
      audit: 'tenant.create',
      description: `The id is opaque and permanent; a slug is never given twice. Reserved slugs: ${reservedSlugs.join(', ')}.`,
      body: schemas.tenantInput,
      answers: { 201: schemas.tenant },
    },
    async ({ c, body }) => c.json(renderTenant(await core.tenants.create(body)), 201),
  );
  add(
    {
      method: 'get',
      path: base,
      policy: 'operator',
      tag: 'Tenants',
      summary: 'List tenants',
      query: pageQuery,
      answers: { 200: schemas.tenants },
    },
    async ({ c, query }) => {
      const page = await core.tenants.list(pageOf(query));
      return c.json({ tenants: page.items.map(renderTenant), nextCursor: page.nextCursor ?? null });
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/{slug}`,
      policy: 'key:any',
      tag: 'Tenants',
      summary: 'Read a tenant',
      params: tenantPath,
      answers: { 200: schemas.tenant },
    },
    async ({ c }) => c.json(renderTenant(c.get('tenant'))),
  );
  add(
    {
      method: 'patch',
      path: `${base}/{slug}`,
      policy: 'key:admin',
      tag: 'Tenants',
      summary: 'Change name or settings',
      audit: 'tenant.update',
      params: tenantPath,
      body: schemas.tenantPatch,
      answers: { 200: schemas.tenant },
    },
    async ({ c, body }) => {
      const { channels, messages, retrieval, masking, quotaWarnings, ...settings } = body.settings ?? {};
      const patch = {
        ...defined({ name: body.name }),
        ...(body.settings === undefined
          ? {}
          : {
              settings: {
                ...defined(settings),
                ...(channels === undefined ? {} : { channels: defined(channels) }),
                // Each is replaced as a whole; null takes it away.
                ...(defined({
                  messages,
                  retrieval: retrieval === null ? null : retrieval && defined(retrieval),
                  masking: masking === null ? null : masking && defined(masking),
                  quotaWarnings: quotaWarnings && {
                    at: quotaWarnings.at,
                    to: quotaWarnings.to.map((receiver) => defined(receiver)),
                  },
                }) as TenantSettingsPatch),
              },
            }),
      };
      return c.json(renderTenant(await core.tenants.update(c.get('tenant').id, patch, revOf(body.rev))));
    },
  );
  add(
    {
      method: 'delete',
      path: `${base}/{slug}`,
      policy: 'key:admin',
      tag: 'Tenants',
      summary: 'Delete a tenant',
      audit: 'tenant.delete',
      description:
        'Removes documents, chunks, conversations and credentials and revokes its keys at once. The ledger stays under the id.',
      params: tenantPath,
      answers: { 204: null },
    },
    async ({ c }) => {
      await core.tenants.remove(c.get('tenant').id);
      return c.body(null, 204);
    },
  );
  add(
    {
      method: 'post',
      path: `${base}/{slug}/keys`,
      policy: 'key:admin',
      tag: 'Keys',
      summary: 'Create a key',
      audit: 'key.create',
      description: 'The key is shown this once. Scopes: ask, ingest, billing, admin (all of the tenant).',
      params: tenantPath,
      body: schemas.keyInput,
      answers: { 201: schemas.newKey },
    },
    async ({ c, body }) => {
      const { id, key } = await core.keys.create(c.get('tenant').id, {
        name: body.name,
        scopes: [...new Set(body.scopes)],
      });
      return c.json({ id, key }, 201);
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/{slug}/keys`,
      policy: 'key:admin',
      tag: 'Keys',
      summary: 'List keys',
      params: tenantPath,
      answers: { 200: schemas.keys },
    },
    async ({ c }) => c.json({ keys: (await core.keys.list(c.get('tenant').id)).map(renderKey), nextCursor: null }),
  );
  add(
    {
      method: 'delete',
      path: `${base}/{slug}/keys/{key}`,
      policy: 'key:admin',
      tag: 'Keys',
      summary: 'Revoke a key',
      audit: 'key.revoke',
      params: schemas.keyPath,
      answers: { 204: null },
    },
    async ({ c, params }) => {
      const tenantId = c.get('tenant').id;
      found((await core.keys.list(tenantId)).find((key) => key.id === params.key) ?? null, 'key');
      await core.keys.revoke(tenantId, params.key);
      return c.body(null, 204);
    },
  );
  add(
    {
      method: 'delete',
      path: `${base}/{slug}/members/{member}/data`,
      policy: 'key:admin',
      tag: 'Members',
      summary: 'Forget a person',
      audit: 'member.forget',
      description:
        'Messages and the text of receipts go; the ledger keeps an unlinkable id. The member is named as `platform:userId`.',
      params: schemas.memberPath,
      answers: { 204: null },
    },
    async ({ c, params }) => {
      await core.members.forget(c.get('tenant').id, params.member);
      return c.body(null, 204);
    },
  );
};

export const pageOf = (query: {
  readonly cursor?: string | undefined;
  readonly limit: number;
}): { limit: number; cursor?: string } => ({
  limit: query.limit,
  ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
});

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Without the fields that were not given: for the core, absent means "leave it". */
export const defined = <T extends object>(fields: T): Partial<Defined<T>> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<Defined<T>>;
