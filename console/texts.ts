import { answers } from './texts/answers.ts';
import { billing } from './texts/billing.ts';
import { channels } from './texts/channels.ts';
import { connections } from './texts/connections.ts';
import { done } from './texts/done.ts';
import { gaps } from './texts/gaps.ts';
import { operator } from './texts/operator.ts';
import { overview } from './texts/overview.ts';
import { people } from './texts/people.ts';
import { settings } from './texts/settings.ts';
import { settingsMore } from './texts/settings-more.ts';
import { sources } from './texts/sources.ts';
import { webhooks } from './texts/webhooks.ts';

/** Every sentence of the console, in one place; what belongs to one group of pages stands in a file of its own. */
export const texts = {
  product: 'Footnote',
  skip: 'Skip to the content',
  answers,
  billing,
  channels,
  connections,
  done,
  gaps,
  operator,
  overview,
  people,
  settings,
  settingsMore,
  sources,
  webhooks,
  nav: {
    label: 'Main',
    folded: 'Menu',
    groups: {
      answers: 'Questions',
      knowledge: 'Knowledge',
      chat: 'Chat',
      spending: 'Spending',
      organisation: 'Organisation',
      deployment: 'Deployment',
    },
    pages: {
      overview: 'Overview',
      ask: 'Ask',
      answers: 'Answers',
      gaps: 'Gaps',
      sources: 'Sources',
      channels: 'Channels',
      connections: 'Connections',
      usage: 'Usage',
      ledger: 'Ledger',
      quotas: 'Quotas',
      prices: 'Prices',
      settings: 'Settings',
      webhooks: 'Webhooks',
      keys: 'API keys',
      audit: 'Audit log',
      members: 'Members',
      'operator-tenants': 'Tenants',
      'operator-jobs': 'Jobs and queues',
      'operator-people': 'People',
      'operator-health': 'Health',
    },
    /** Where questions come from besides the chat platforms. */
    doors: { console: 'Console', api: 'API' },
    signOut: 'Sign out',
    tenant: 'Tenant',
    account: 'Account',
    yourAccount: 'Your account',
    allTenants: 'All tenants…',
  },
  ask: {
    title: 'Ask',
    heading: 'What would you like to know?',
    lead: (tenant: string) => `Answers come from the documents of ${tenant}, each with its footnotes.`,
    label: 'Your question',
    asIn: 'As in channel',
    asInNone: 'none: with all sources',
    placeholder: 'Ask your documents…',
    followUp: 'Ask a follow-up…',
    submit: 'Ask',
    stop: 'Stop',
    fresh: 'New conversation',
    working: 'Looking in your documents…',
    stopped: 'Stopped. Your question is still in the box.',
    lost: 'The connection was lost before the answer was complete. Please ask again.',
    signedOut: 'You are no longer signed in. Your question is still in the box.',
    signIn: 'Sign in (in a new tab), then ask again.',
    hint: 'Enter to ask, Shift + Enter for a new line',
    script:
      'This page answers faster with scripts switched on; without them you are taken to the receipt of the answer.',
  },
  forms: {
    needed: 'This is needed.',
    look: 'Something does not fit yet. Nothing that you typed is lost.',
    stale:
      'Somebody else saved a change here meanwhile, so yours is not saved yet. What you typed is still in the form: look at what stands now, and save again if it still fits.',
    stands: 'See what stands now',
    cancel: 'Cancel',
    keep: 'No, keep it',
    typeToConfirm: (phrase: string) => `To confirm, type ${phrase}`,
    notThePhrase: 'That is not the same text.',
  },
  lists: { more: 'Show more', nothing: 'Nothing yet.' },
  modes: {
    extractive: 'No model is configured: answers are quoted from your documents.',
    keywords: 'No embedding model is configured: documents are searched by keywords.',
  },
  empty: {
    tenantsTitle: 'There is no tenant to ask yet',
    membershipsText: 'Your account belongs to no tenant yet. Ask an operator or an owner to add you.',
    documentsTitle: 'No documents yet',
    documentsText: (tenant: string) =>
      `${tenant} has nothing to answer from. Add a source here, documents in a terminal, or push them through the API:`,
    documentsCommand: (slug: string) => `npx footnote ingest ./docs --tenant ${slug}`,
    answersTitle: 'Nothing has been asked yet',
    answersText: 'Every question leaves a receipt here: what was found, what was cited, what it cost.',
    answersAction: 'Ask the first question',
    filtered: 'No question fits this filter.',
  },
  answer: {
    footnotes: 'Footnotes',
    page: (page: number) => `page ${page}`,
    passages: (count: number) => (count === 1 ? '1 passage was retrieved' : `${count} passages were retrieved`),
    score: 'score',
    more: 'Read on',
    less: 'Show less',
    receipt: 'Receipt',
    helpful: 'Did this help?',
    up: 'Yes, this helped',
    down: 'No, this did not help',
    thanks: 'Thank you. It is noted on the receipt.',
    extractive: 'Quoted from your documents; no model was asked.',
    cached: 'From the cache: nothing was charged.',
    tokens: (count: number) => `${number(count)} ${count === 1 ? 'token' : 'tokens'}`,
    costUnknown: 'price unknown',
    retryAt: 'Worth trying again from',
    backTo: (n: number) => `Back to footnote ${n} in the text`,
  },
  receipt: {
    title: 'Receipt',
    back: 'All answers',
    condensed: 'Searched for',
    came: 'How this answer came about',
    steps: 'Time by step',
    total: 'in all',
    passages: 'Passages',
    noPassages: 'No passage came near the question, so no model was asked.',
    cited: 'cited',
    inPrompt: 'read by the model',
    retrievedOnly: 'found, not used',
    facts: 'Facts',
    feedback: 'Feedback',
    noFeedback: 'Nobody has said yet whether this helped.',
    feedbackUp: 'Helped',
    feedbackDown: 'Did not help',
    textGone: 'The text was removed.',
    fields: {
      at: 'Asked',
      platform: 'Where',
      member: 'By',
      reason: 'Reason code',
      model: 'Model',
      promptVersion: 'Prompt',
      tokens: 'Tokens',
      cost: 'Cost',
      cache: 'Cache',
      quota: 'Charged to',
      index: 'Index',
      trace: 'Trace',
      id: 'Answer',
    },
    cacheHit: 'answered from the cache',
    cacheMiss: 'composed anew',
    tokensOf: (prompt: number, completion: number, embedding: number) =>
      [
        `${number(prompt)} in`,
        `${number(completion)} out`,
        ...(embedding > 0 ? [`${number(embedding)} embedded`] : []),
      ].join(', '),
    index: (generation: number, revision: number) => `generation ${generation}, content revision ${revision}`,
    none: 'none',
    noModel: 'none: quoted',
  },
  outcomes: { answered: 'Answered', 'not-found': 'Not found', refused: 'Refused' },
  reasons: {
    answered: 'Answered from the documents.',
    'answered-from-cache':
      'The same question was asked before over the same documents; the answer came from the cache.',
    'not-found': 'Nothing relevant was found in the documents, so nothing was made up.',
    quota: 'An allowance was used up.',
    'too-long': 'The question was too long.',
    empty: 'There was nothing in it that could be a question.',
    'model-failed': 'The model could not be reached or broke off.',
    cancelled: 'It was stopped before it was finished.',
    'not-allowed': 'This person may not ask here.',
    'no-sources': 'The rules left no source to answer from.',
    'not-addressed': 'The bot was not spoken to, and the rules of the channel want a mention.',
    'bot-author': 'It was written by a bot, and this one may not ask.',
    'own-message': 'The bot wrote it itself.',
    'channel-off': 'The bot is switched off in this channel.',
    duplicate: 'The platform sent it twice; the first one counted.',
    'unknown-workspace': 'The workspace belonged to no tenant when it came.',
    'which-workspace': 'Its author shares several workspaces with the bot, and was asked which one is meant.',
    superseded: 'It was edited or deleted before it was answered.',
    'question-deleted': 'The question was deleted, and its answer with it.',
    'feedback-stored': 'A verdict was noted.',
    'action-done': 'A button was pressed, and what it says was done.',
    'command-done': 'A command was carried out.',
    installed: 'The app was installed.',
    uninstalled: 'The app was removed.',
    unsupported: 'It was of a kind that the bot does not take.',
    failed: 'Something went wrong while it was answered.',
  } as Readonly<Record<string, string>>,
  steps: {
    cache: 'Look in the cache',
    settle: 'Settle the allowance',
    condense: 'Read the conversation',
    search_text: 'Search by words',
    embed_query: 'Embed the question',
    search_vector: 'Search by meaning',
    fuse: 'Merge the results',
    first_token: 'First word',
    compose: 'Write the answer',
    check: 'Check the footnotes',
    reserve: 'Check the allowance',
    deliver: 'Deliver',
  } as Readonly<Record<string, string>>,
  signIn: {
    usedHeading: 'This link no longer works',
    usedText:
      'A sign-in link works once and for 24 hours. This one was used already, has expired, or was copied incompletely.',
    signedOut: 'You are signed out.',
    here: 'You are signed in already.',
    goOn: 'Go to the console',
  },
  errors: {
    back: 'Back to the start',
    signIn: 'Sign in',
    reference: 'If you report this, name the reference',
    401: { heading: 'Please sign in', text: 'Your session has ended or you have not signed in yet.' },
    403: { heading: 'This is not for your role', text: 'You are signed in, but your role does not include this page.' },
    404: { heading: 'There is nothing here', text: 'The page does not exist, or it is not yours to see.' },
    429: { heading: 'One moment, please', text: 'Too many requests in a short time. Wait a minute and try again.' },
    other: { heading: 'That did not work' },
  },
} as const;

/** Made once: making one takes a hundred times as long as using it. */
const inDigits = new Intl.NumberFormat('en');

export const number = (value: number): string => inDigits.format(value);

/** Of documents and indexes, in powers of ten as disks are sold. */
export const bytesInWords = (bytes: number): string => {
  if (bytes < 1_000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'] as const;
  const power = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1_000 ** power;
  return `${value < 10 ? value.toFixed(1) : number(Math.round(value))} ${units[power - 1]}`;
};

/** How long something takes or took, in its largest unit: 42 s, 3 min, 5 h, 12 d. */
export const durationInWords = (ms: number): string => {
  if (ms < 1_000) return 'under 1 s';
  const seconds = Math.round(ms / 1_000);
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
};

export const milliseconds = (ms: number): string =>
  ms >= 10_000
    ? `${(ms / 1000).toFixed(1)} s`
    : ms >= 1000
      ? `${(ms / 1000).toFixed(2)} s`
      : ms >= 10
        ? `${Math.round(ms)} ms`
        : `${ms.toFixed(1)} ms`;
