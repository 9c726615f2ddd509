import type { Context } from 'hono';

/** The raw bytes, or null past the limit; a length that is announced too big is not read at all. */
export const readBody = async (c: Context, limit: number): Promise<Buffer | null> => {
  const length = c.req.header('content-length');
  if (length !== undefined) {
    if (!(Number(length) <= limit)) return null;
    // The server reads just as much as was announced, straight from the socket: a web stream costs several times that.
    return Buffer.from(await c.req.raw.arrayBuffer());
  }
  if (c.req.raw.body === null) return Buffer.alloc(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of c.req.raw.body) {
    size += chunk.byteLength;
    if (size > limit) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};
