import { describe, expect, it } from 'vitest';
import { isQuestion } from '../../../core/conversation/question.ts';
import { decideReply, type ReplyContext } from '../../../core/conversation/reply-policy.ts';
import type { ChannelRules, InboundEvent } from '../../../core/domain.ts';
import { effective } from '../../bots/slack/world.ts';

const event = (changes: Partial<InboundEvent> = {}): InboundEvent => ({
  platform: 'slack',
  workspaceId: 'T1',
  channelId: 'C1',
  threadId: '1.1',
  messageId: '1.1',
  dedupeKeys: ['slack:T1:C1:1.1'],
  orderKey: '1.1',
  kind: 'message',
  scope: 'channel',
  addressed: 'mention',
  author: { id: 'U1', isBot: false, isSelf: false },
  text: 'How many days of leave?',
  attachments: [],
  receivedAt: 0,
  handle: {},
  ...changes,
});
const context = (rules: ChannelRules = {}, changes: Partial<ReplyContext> = {}): ReplyContext => ({
  known: true,
  rules: effective(rules),
  subscribed: false,
  ...changes,
});

describe('the reply policy', () => {
  it.each([
    ['own words', event({ author: { id: 'B', isBot: true, isSelf: true } }), context(), 'own-message'],
    [
      'another bot that mentions us',
      event({ author: { id: 'B', isBot: true, isSelf: false } }),
      context(),
      'bot-author',
    ],
    ['an unknown workspace', event(), context({}, { known: false }), 'unknown-workspace'],
    ['a channel that is off', event(), context({ enabled: false }), 'channel-off'],
    ['nobody asked', event({ addressed: 'none' }), context(), 'not-addressed'],
    [
      'a colleague is asked in our thread',
      event({ addressed: 'none', text: '@anna what do you think?' }),
      context({}, { subscribed: true }),
      'not-addressed',
    ],
    [
      'a statement where questions count',
      event({ addressed: 'none', text: 'See you tomorrow.' }),
      context({ answerWhen: 'question' }),
      'not-addressed',
    ],
    [
      'a colleague is asked where everything counts',
      event({ addressed: 'none', text: '@anna lunch?' }),
      context({ answerWhen: 'every' }),
      'not-addressed',
    ],
    ['an emoji in our thread', event({ addressed: 'none', text: ':+1:' }), context({}, { subscribed: true }), 'empty'],
    [
      'a question in a talk between people',
      event({ addressed: 'none', repliesToPerson: true }),
      context({ answerWhen: 'question' }),
      'not-addressed',
    ],
    [
      'a question to a colleague in the middle of a sentence',
      event({ addressed: 'none', text: 'Could you tell us, @anna, how many days?' }),
      context({ answerWhen: 'question' }),
      'not-addressed',
    ],
    [
      'thanks in our thread',
      event({ addressed: 'none', text: 'Thanks a lot, that helped! :+1:' }),
      context({}, { subscribed: true }),
      'not-addressed',
    ],
    [
      'a listed bot for the fourth time',
      event({ author: { id: 'B', isBot: true, isSelf: false } }),
      context({ bots: ['B'] }, { botsInARow: 3 }),
      'bot-author',
    ],
    [
      'a guest who may not ask, unasked',
      event({ addressed: 'none', author: { id: 'U1', isBot: false, isSelf: false, standing: 'guest' } }),
      context({ answerWhen: 'every', guests: 'refuse' }),
      'not-allowed',
    ],
    [
      'one who may not ask, unasked',
      event({ addressed: 'none' }),
      context({ answerWhen: 'every', whoMayAsk: ['U2'] }),
      'not-allowed',
    ],
  ] as const)('is silent: %s', (_, given, where, reason) => {
    expect(decideReply(given, where)).toEqual({ decision: 'silent', reason });
  });

  it.each([
    ['one who may not ask', event(), context({ whoMayAsk: ['U2'] }), 'not-allowed'],
    [
      'a guest where guests are refused',
      event({ author: { id: 'U1', isBot: false, isSelf: false, standing: 'guest' } }),
      context({ guests: 'refuse' }),
      'not-allowed',
    ],
    ['nothing but the mention', event({ text: ' ' }), context(), 'empty'],
    ['only a file', event({ text: '', attachments: [{ name: 'a.pdf' }] }), context(), 'empty'],
    ['a book', event({ text: 'x '.repeat(10_001) }), context(), 'too-long'],
  ] as const)('says a sentence: %s', (_, given, where, reason) => {
    expect(decideReply(given, where)).toMatchObject({ decision: 'say', reason });
  });

  it.each([
    ['a mention', event(), context(), 'mention'],
    ['a direct message', event({ addressed: 'dm' }), context(), 'dm'],
    ['a follow-up in our thread', event({ addressed: 'none' }), context({}, { subscribed: true }), 'subscribed'],
    [
      'a question where questions count',
      event({ addressed: 'none' }),
      context({ answerWhen: 'question' }),
      'subscribed',
    ],
    [
      'anything where everything counts',
      event({ addressed: 'none', text: 'leave days' }),
      context({ answerWhen: 'every' }),
      'subscribed',
    ],
    [
      'an address in a question',
      event({ addressed: 'none', text: 'Who reads mail to hr@acme.example?' }),
      context({ answerWhen: 'question' }),
      'subscribed',
    ],
    [
      'a question with a thank-you',
      event({ addressed: 'none', text: 'Thanks! Does it work?' }),
      context({}, { subscribed: true }),
      'subscribed',
    ],
    [
      'a listed bot',
      event({ author: { id: 'B', isBot: true, isSelf: false } }),
      context({ bots: ['B'] }, { botsInARow: 2 }),
      'mention',
    ],
    ['one of those who may ask', event(), context({ whoMayAsk: ['U1'] }), 'mention'],
    ['a mention that also names a colleague', event({ text: '@anna and I wonder: leave?' }), context(), 'mention'],
    ['one character of Chinese', event({ text: '假' }), context(), 'mention'],
  ] as const)('answers: %s', (_, given, where, addressed) => {
    expect(decideReply(given, where)).toEqual({ decision: 'answer', addressed });
  });
});

describe('the question detector', () => {
  it.each([
    'How many days?',
    'Leave it. Is that right?',
    '休暇は何日ですか？',
    'كم يوما؟',
    'where do I find the handbook',
    'Wie beantrage ich Urlaub',
    'Πού είναι το εγχειρίδιο;',
    'Morning all.\nDoes anyone know the Wi-Fi name?',
  ])('hears a question in %j', (text) => {
    expect(isQuestion(text)).toBe(true);
  });
  it.each([
    '',
    'See you tomorrow.',
    'how nice',
    '`a ? b : c`',
    'https://example.com/?',
    'done;',
    '???',
    'what a day that was.',
    'Thanks!',
  ])('hears none in %j', (text) => {
    expect(isQuestion(text)).toBe(false);
  });
});
