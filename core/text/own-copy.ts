/**
 * The same string without the text that it was cut from. A slice of 13 or more characters is a view of its parent in V8:
 * kept as a key, a word would keep its whole document in memory.
 */
export const ownCopy = (slice: string): string =>
  slice.length < 13 ? slice : Buffer.from(slice, 'utf16le').toString('utf16le');
