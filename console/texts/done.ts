/** What was just done, said on the page that follows. The key travels in the address; the words never do. */
export const done = {
  saved: 'Saved.',
  created: 'Created.',
  removed: 'Removed.',
  'sync-started': 'The sync has started.',
} as const;

export type DoneKey = keyof typeof done;
export const isDoneKey = (key: string): key is DoneKey => Object.hasOwn(done, key);
