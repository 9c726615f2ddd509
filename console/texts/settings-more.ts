/** What the pages behind Settings say: answering, messages, privacy. */
export const settingsMore = {
  tabs: 'Settings',
  tab: { general: 'General', answering: 'Answering', messages: 'Messages', privacy: 'Privacy' },

  answeringTitle: 'Answering',
  answeringLead: 'Which model writes, and what it gets to read. It holds from the next question on.',
  model: 'Language model',
  modelDefault: (name: string) => `The deployment’s own (${name})`,
  modelHint: 'Prices differ from model to model; quotas and the ledger count with the price of the one that answers.',
  modelOnly: (name: string) => `Answers are written by ${name}. This deployment offers no other model.`,
  modelNone: 'No language model is configured: answers are quoted word for word from the documents.',
  modelGone: (name: string) =>
    `${name} was chosen here and is not offered any more. Until another one is chosen, the deployment’s own answers.`,
  passages: 'Passages that are read',
  passagesHint:
    'How many passages an answer is written from, 3 to 20. More of them find more and cost more. Empty: 10.',
  notPassages: 'A whole number from 3 to 20 is needed.',
  floor: 'When is something found?',
  floors: {
    open: 'Open: answer sooner, with a weaker match too',
    balanced: 'Balanced',
    strict: 'Strict: rather say “not found”',
  },
  floorHint: 'Below this nothing is shown, no model is asked and no tokens are spent.',
  meaning: 'Weight of meaning against words',
  meanings: {
    '0.1': 'Words almost alone: product names, codes',
    '0.3': 'Words first',
    '0.5': 'Both alike',
    '0.7': 'Meaning first',
    '0.9': 'Meaning almost alone: free talk',
  },
  meaningHint: 'How much the search by meaning counts beside the search by words.',
  meaningNone: 'There is no embedding model, so the search goes by words alone and this has no effect yet.',
  answeringCache: 'Answers that were kept for repeated questions are not used across a change of these settings.',

  messagesTitle: 'Messages of the bot',
  messagesLead:
    'What the bot says by itself, on every platform, in the console and over the API. An empty field says it in our words.',
  messageLanguage: 'Language',
  languages: { en: 'English', de: 'German', fr: 'French', es: 'Spanish', it: 'Italian', nl: 'Dutch', pt: 'Portuguese' },
  messageLanguageHint:
    'Chosen by the language of the answers, else by that of the question. What is not worded in a language is said in our words, or in English.',
  messages: {
    notFound: 'Nothing was found',
    quota: 'An allowance is used up',
    failed: 'It could not be answered',
    greeting: 'Hello and help',
    thinking: 'While it works',
    noSources: 'No source may be used here',
    empty: 'There was no question',
    tooLong: 'The question is too long',
  },
  messageHints: {
    notFound: '',
    quota: '{reason} says which limit, {until} when it starts anew.',
    failed: '{reason} says what went wrong.',
    greeting: 'Where the bot is taken in, and above the list of its commands.',
    thinking: 'Stands in place of what it is doing until the first words come.',
    noSources: '',
    empty: '',
    tooLong: '{characters} is how many there may be.',
  },
  canHold: (names: readonly string[]) => `Can hold ${names.map((name) => `{${name}}`).join(', ')}.`,
  ourWords: 'Our words:',
  preview: 'Preview',
  previewLabel: 'As people will read it:',
  previewed: 'Nothing is saved yet.',
  previewReason: {
    quota: 'You have used your 20 questions for today.',
    failed: 'the language model did not answer in time.',
  },
  previewValues: {
    until: '2026-12-01 00:00 UTC',
    characters: '8,000',
  },
  messagesReset: 'Back to our words',
  messagesResetTitle: (language: string) => `Back to our words in ${language}?`,
  messagesResetConsequences: [
    'All sentences that were worded here in this language are dropped.',
    'Other languages stay as they are.',
  ],
  messagesResetButton: 'Use our words',

  privacyTitle: 'Privacy',
  privacyLead: 'What is kept of questions and answers, for how long, and how to forget.',
  keeping: 'Keeping',
  masking: 'Mask personal data',
  maskedKinds: {
    email: 'E-mail addresses',
    phone: 'Telephone numbers',
    card: 'Card numbers (with a valid check digit)',
    iban: 'IBANs (with a valid check sum)',
  },
  maskingHint:
    'Written as [e-mail], [phone], [card] or [IBAN] in receipts, conversations, comments, logs, exports and webhooks, from now on.',
  beforeModel: 'Also before searching and before the model reads the question',
  beforeModelHint: 'Then a question about one certain address or number can no longer be answered by it.',
  maskingNot:
    'Masking goes by form. It does not catch names, postal addresses, dates of birth, user names, numbers written in words or in unusual forms, and it leaves your documents as they are: the answer in the chat quotes them unchanged. The message itself stands in your chat platform. For three days the finished answer is kept as it was sent, for the buttons under it.',
  retentionTitle: 'What retention removes',
  retentionOn: (days: number) =>
    `Answers with their receipts and conversations are removed ${days === 1 ? 'one day' : `${days} days`} after they were made. It runs by itself, about every half minute.`,
  retentionOff: 'No period is set: answers and conversations are kept for ever.',
  retentionKeeps: [
    'Removed: the receipt with question, answer, passages, comments and verdicts; the turns that follow-ups are read with.',
    'Events as they came from the platforms lose their text after three days in any case, and go after 31.',
    'Kept: the ledger with its figures, the audit log, your documents, and what stands in the chats themselves.',
  ],
  retentionNone: 'It has not run since the period was set. It runs about every half minute.',
  retentionLast: 'Last run',
  retentionDay: 'Day (UTC)',
  retentionAnswers: 'Answers removed',
  retentionTurns: 'Conversation turns removed',
  forgetTitle: 'Forget a person',
  forgetText:
    'For somebody who leaves, or asks for it. People can do it themselves by telling the bot forget-me. Accounts that are linked are forgotten together.',
} as const;
