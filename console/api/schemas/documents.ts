import { z } from '@hono/zod-openapi';
import { id, nextCursor, tenantPath, time, webUrl } from './fields.ts';
import { sourcePath } from './sources.ts';

export const documentPath = tenantPath.extend({ document: id });
export const sourceDocumentPath = sourcePath.extend({ id });

const metadata = z.record(z.string().max(200), z.unknown()).optional();
export const documentInput = z.object({
  title: z.string().max(1000).optional(),
  text: z.string(),
  mediaType: z.string().max(200).default('text/markdown'),
  url: webUrl.optional(),
  metadata,
});
export const batchLine = documentInput.extend({ id });
export const document = z
  .object({
    id: z.string(),
    externalId: z.string(),
    sourceId: z.string(),
    title: z.string(),
    url: z.string().optional(),
    mediaType: z.string(),
    metadata: z.looseObject({}).optional(),
    bytes: z.int(),
    chunks: z.int(),
    updatedAt: time,
    problem: z.string().optional(),
  })
  .openapi('Document');
export const documents = z.object({ documents: z.array(document), nextCursor });
export const putResult = z.object({ outcome: z.enum(['created', 'updated', 'unchanged']), document });
export const batchResult = z.object({
  upserted: z.int(),
  unchanged: z.int(),
  failed: z.array(z.object({ id: z.string(), problem: z.string() })),
});
