import type { Context } from 'hono';
import { readBounded } from '../core/security/read-bounded.ts';

/** The raw bytes, or null past the limit; a length that is announced too big is not read at all. */
export const readBody = async (c: Context, limit: number): Promise<Buffer | null> => {
  const length = c.req.header('content-length');
  if (length !== undefined) {
    if (!(Number(length) <= limit)) return null;
    // The server reads just as much as was announced, straight from the socket: a web stream costs several times that.
    return Buffer.from(await c.req.raw.arrayBuffer());
  }
  return readBounded(c.req.raw.body, limit);
};
