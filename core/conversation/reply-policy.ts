import type { EffectiveRules } from '../core.ts';
import type { Addressed, InboundEvent, ReasonCode } from '../domain.ts';
import { isQuestion } from './question.ts';

/** What to do with one message. `say` is one sentence without a model call; every verdict but `answer` has its reason. */
export type Verdict =
  | { readonly decision: 'answer'; readonly addressed: Addressed }
  | { readonly decision: 'say'; readonly reason: ReasonCode; readonly sentence: string }
  | { readonly decision: 'silent'; readonly reason: ReasonCode };

export type ReplyContext = {
  /** The workspace belongs to a tenant. */
  readonly known: boolean;
  /** Needed when `known`. */
  readonly rules: EffectiveRules | null;
  /** We answered in this thread before. */
  readonly subscribed: boolean;
};

/** Longer than this is a document, not a question; the model would be charged for all of it. */
export const maxQuestionCharacters = 20_000;

/**
 * Answer, say a sentence, or stay silent. The order of the checks is the order of honesty: what can never be answered
 * first (our own words, other bots), then who may ask, then whether anybody asked at all.
 */
export const decideReply = (event: InboundEvent, context: ReplyContext): Verdict => {
  if (event.author.isSelf) return silent('own-message');
  if (event.author.isBot) return silent('bot-author');
  if (!context.known || context.rules === null) return silent('unknown-workspace');
  const rules = context.rules;
  if (rules.enabled.value === false) return silent('channel-off');
  const addressed = addressedAs(event, context);
  if (addressed === 'none') return silent('not-addressed');
  const called = addressed === 'mention' || addressed === 'dm' || addressed === 'command';
  const mayAsk = rules.whoMayAsk.value;
  if (mayAsk !== undefined && !mayAsk.includes(event.author.id)) {
    return called
      ? say(
          'not-allowed',
          'Only certain people may ask me in this channel, and you are not on that list. Please ask an administrator.',
        )
      : silent('not-allowed');
  }
  if (!hasWords(event.text)) {
    if (!called) return silent('empty');
    return event.attachments.length > 0
      ? say('empty', 'I got your file, but I can only answer questions in words. What would you like to know?')
      : say('empty', 'What would you like to know? Ask me a question, and I will answer it from the documents.');
  }
  if (event.text.length > maxQuestionCharacters) {
    return called
      ? say(
          'too-long',
          `That is too long for me to read as a question (more than ${maxQuestionCharacters} characters). Please shorten it.`,
        )
      : silent('too-long');
  }
  return { decision: 'answer', addressed };
};

const silent = (reason: ReasonCode): Verdict => ({ decision: 'silent', reason });
const say = (reason: ReasonCode, sentence: string): Verdict => ({ decision: 'say', reason, sentence });

/**
 * How the message speaks to us: by itself, because it goes on in a thread of ours, or because the channel's rule hears more
 * than mentions. Platform drivers write a mention of somebody else as `@name`, so a message that starts with one is
 * between people and gets no answer unless we are mentioned too.
 */
const addressedAs = (event: InboundEvent, context: ReplyContext): Addressed => {
  if (event.addressed !== 'none' && event.addressed !== 'subscribed') return event.addressed;
  if (startsWithSomebodyElse(event.text)) return 'none';
  if (context.subscribed || event.addressed === 'subscribed') return 'subscribed';
  const rule = context.rules?.answerWhen.value ?? 'mention';
  if (rule === 'every') return 'subscribed';
  return rule === 'question' && isQuestion(event.text) ? 'subscribed' : 'none';
};

const startsWithSomebodyElse = (text: string): boolean => /^\s*@\S/u.test(text);

/** Letters or digits of any script outside of `:emoji_names:`. */
const hasWords = (text: string): boolean => /[\p{L}\p{N}]/u.test(text.replace(/:[a-z0-9_+'-]+:/gi, ''));
