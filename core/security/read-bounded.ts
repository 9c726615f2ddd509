/**
 * All of a body in one piece; null as soon as it is longer than `maxBytes`, and the rest is not taken any more. Throws what
 * the body throws. What it is bounded in time by is its caller's signal.
 */
export const readBounded = async (
  body: AsyncIterable<Uint8Array> | null | undefined,
  maxBytes: number,
): Promise<Buffer | null> => {
  const parts: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop ends the transfer.
  for await (const part of body ?? []) {
    size += part.byteLength;
    if (size > maxBytes) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
};
