/** What was just done, said on the page that follows. The key travels in the address; the words never do. */
export const done = {
  saved: 'Saved.',
  created: 'Created.',
  removed: 'Removed.',
  'source-added': 'The source is added, and its first sync has begun.',
  'source-removed': 'The source and its documents are gone.',
  'document-removed': 'The document is forgotten.',
  'sync-started': 'The sync has started.',
  'key-revoked': 'The key is revoked. Whoever still uses it is refused from now on.',
  forgotten: 'The person is forgotten.',
  paused: 'Paused. Nothing is fetched until you resume it.',
  resumed: 'Resumed.',
} as const;

export type DoneKey = keyof typeof done;
export const isDoneKey = (key: string): key is DoneKey => Object.hasOwn(done, key);
