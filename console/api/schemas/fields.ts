import { z } from '@hono/zod-openapi';
import { slugSentence } from '../../../core/text/slug.ts';

/** What goes in and out of the API, a file a subject. Unknown fields of a request are ignored, never applied. */

export const id = z.string().min(1).max(1024);
export const some = (what: z.ZodString) => z.array(what).max(100);
export const name = z.string().trim().min(1).max(200);
export const time = z.iso.datetime().openapi({ description: 'ISO 8601, UTC' });
export const webUrl = z.url({ protocol: /^https?$/, message: 'must be an http or https address' }).max(4096);
export const money = z
  .object({ amount: z.string().openapi({ example: '0.0125' }), currency: z.string().openapi({ example: 'USD' }) })
  .openapi('Money');
const cursor = z.string().min(1).max(2048).optional();
const limit = z.coerce.number().int().min(1).max(200).default(50);
export const nextCursor = z.string().nullable().openapi({ description: 'null on the last page' });

/** The rule itself is the core's, which every door shares; here only what the OpenAPI document says of it. */
export const slug = z.string().openapi({ description: slugSentence, example: 'acme-europe' });

/** As it goes out. */
export const rev = z.string().openapi({ description: 'Changes with every change of this; hand it back with yours' });
/** As it comes back. */
export const seenRev = z.string().max(64).optional().openapi({
  description:
    'The `rev` that the change is made to: 409 when somebody else changed it meanwhile; absent: whatever stands',
});

/** Any text may stand in a path; what is not ours is "not found", not "does not fit". */
export const tenantPath = z.object({ slug: z.string() });
export const pageQuery = z.object({ cursor, limit });
