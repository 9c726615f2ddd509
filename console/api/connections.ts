import { AppError } from '../../core/errors.ts';
import { checkUpOf } from '../check-up.ts';
import type { HttpParts } from '../guard.ts';
import type { Operations } from './operation.ts';
import { found, renderConnection } from './render.ts';
import * as schemas from './schemas/connections.ts';
import { tenantPath } from './schemas/fields.ts';
import { defined } from './tenants.ts';

const base = '/api/v1/tenants/{slug}';

export const addConnections = ({ add }: Operations, { core, platforms }: HttpParts): void => {
  const tag = 'Connections';
  add(
    {
      method: 'post',
      path: `${base}/connections`,
      policy: 'key:admin',
      tag,
      summary: 'Connect a workspace',
      audit: 'connection.create',
      description:
        'By the operator with the workspace and, where it has its own app, its credentials; by a tenant with the one-time code that the bot shows inside that workspace.',
      params: tenantPath,
      body: schemas.connectionInput,
      answers: { 201: schemas.connection },
    },
    async ({ c, body }) => {
      const tenantId = c.get('tenant').id;
      const { platform, workspaceId, credentials, code } = body;
      if (code !== undefined)
        return c.json(renderConnection(await core.connections.claim(tenantId, { platform, code })), 201);
      // Without proof of being inside the workspace, a tenant could take somebody else's.
      if (c.get('actor').kind !== 'operator')
        throw new AppError(
          'forbidden',
          'Give the one-time code that the bot shows inside the workspace; only the operator may connect one without it.',
        );
      if (workspaceId === undefined)
        throw new AppError('invalid', 'Give the workspaceId or a code.', { at: 'workspaceId' });
      return c.json(
        renderConnection(
          await core.connections.create(tenantId, { platform, workspaceId, ...defined({ credentials }) }),
        ),
        201,
      );
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/connections`,
      policy: 'key:admin',
      tag,
      summary: 'List connections',
      params: tenantPath,
      answers: { 200: schemas.connections },
    },
    async ({ c }) =>
      c.json({
        connections: (await core.connections.list(c.get('tenant').id)).map(renderConnection),
        nextCursor: null,
      }),
  );
  add(
    {
      method: 'delete',
      path: `${base}/connections/{connection}`,
      policy: 'key:admin',
      tag,
      summary: 'Disconnect a workspace',
      audit: 'connection.delete',
      params: schemas.connectionPath,
      answers: { 204: null },
    },
    async ({ c, params }) => {
      const tenantId = c.get('tenant').id;
      found(await core.connections.get(tenantId, params.connection), 'connection');
      await core.connections.remove(tenantId, params.connection);
      return c.body(null, 204);
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/connections/{connection}/check-up`,
      policy: 'key:admin',
      tag,
      summary: 'Check whether everything is in place',
      params: schemas.connectionPath,
      answers: { 200: schemas.checkUp },
    },
    async ({ c, params, signal }) => {
      const connection = found(await core.connections.get(c.get('tenant').id, params.connection), 'connection');
      const { lastEventAt, lastError, lastErrorAt } = renderConnection(connection);
      const heard = { lastEventAt, lastError, lastErrorAt };
      const lines = await checkUpOf(platforms, connection, signal);
      return c.json({ items: lines.map(({ item, ok, advice }) => ({ item, ok, ...defined({ advice }) })), ...heard });
    },
  );
};
