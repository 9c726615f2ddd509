/** What was just done, said on the page that follows. The key travels in the address; the words never do. */
export const done = {
  saved: 'Saved.',
  created: 'Created.',
  removed: 'Removed.',
  'source-added': 'The source is added, and its first sync has begun.',
  'source-removed': 'The source and its documents are gone.',
  'document-removed': 'The document is forgotten.',
  connected: 'Connected. The check-up below says whether anything is missing.',
  disconnected: 'Disconnected. The bot no longer answers there.',
  'sync-started': 'The sync has started.',
  'key-revoked': 'The key is revoked. Whoever still uses it is refused from now on.',
  forgotten: 'The person is forgotten.',
  dismissed: 'Put aside. It comes back when somebody asks it again.',
  told: 'Those who asked were told.',
  'told-some': 'Some could not be told; you can try again.',
  paused: 'Paused. Nothing is fetched until you resume it.',
  resumed: 'Resumed.',
  'password-set': 'Your password is set. Your other sessions have ended.',
  'second-factor-off': 'The second factor is off.',
  'session-ended': 'That session has ended.',
  'sessions-ended': 'You are signed out everywhere else.',
  'role-changed': 'The role is changed. It holds from now on.',
  'member-removed': 'The member is removed.',
  'invitation-removed': 'The invitation is taken back.',
  joined: 'Welcome. You have joined.',
} as const;

export type DoneKey = keyof typeof done;
export const isDoneKey = (key: string): key is DoneKey => Object.hasOwn(done, key);
