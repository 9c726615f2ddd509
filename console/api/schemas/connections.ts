import { z } from '@hono/zod-openapi';
import { id, nextCursor, tenantPath, time } from './fields.ts';

export const connectionPath = tenantPath.extend({ connection: id });

const platform = z.enum(['slack', 'discord', 'teams']);
export const connectionInput = z.object({
  platform,
  workspaceId: z.string().min(1).max(200).optional(),
  credentials: z.record(z.string().max(100), z.string().max(8192)).optional(),
  code: z.string().min(1).max(200).optional(),
});
export const connection = z
  .object({
    id: z.string(),
    platform,
    workspaceId: z.string(),
    ownCredentials: z.boolean(),
    createdAt: time,
    lastEventAt: time.nullable(),
    lastError: z.string().nullable(),
    lastErrorAt: time.nullable(),
  })
  .openapi('Connection');
export const connections = z.object({ connections: z.array(connection), nextCursor });
export const checkUp = z.object({
  items: z.array(z.object({ item: z.string(), ok: z.boolean(), advice: z.string().optional() })),
  lastEventAt: time.nullable(),
  lastError: z.string().nullable(),
  lastErrorAt: time.nullable(),
});
