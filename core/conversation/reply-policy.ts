import type { EffectiveRules } from '../core.ts';
import type { Addressed, InboundEvent, ReasonCode } from '../domain.ts';
import { isQuestion, isSmallTalk, withoutEmoji } from './question.ts';

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
  /** Questions of bots that were answered in this thread since a person last asked. */
  readonly botsInARow?: number;
};

/** Two bots that answer each other are stopped here. */
export const maxBotsInARow = 3;

/** Longer than this is a document, not a question; the model would be charged for all of it. */
export const maxQuestionCharacters = 20_000;

/**
 * Answer, say a sentence, or stay silent. The order of the checks is the order of honesty: what can never be answered
 * first (our own words, other bots), then who may ask, then whether anybody asked at all.
 */
export const decideReply = (event: InboundEvent, context: ReplyContext): Verdict => {
  if (event.author.isSelf) return silent('own-message');
  if (!context.known || context.rules === null) return silent(event.author.isBot ? 'bot-author' : 'unknown-workspace');
  const rules = context.rules;
  if (event.author.isBot && !mayAskAsBot(event, context, rules)) return silent('bot-author');
  if (rules.enabled.value === false)
    // Whoever gave a command waits for its reply; a platform shows it as pending until there is one.
    return event.kind === 'command' ? say('channel-off', 'I am switched off in this channel.') : silent('channel-off');
  const addressed = addressedAs(event, context);
  if (addressed === 'none') return silent('not-addressed');
  // A sentence of ours would be another bot's next cue.
  const called = !event.author.isBot && (addressed === 'mention' || addressed === 'dm' || addressed === 'command');
  const refuse = (reason: ReasonCode, sentence: string): Verdict => (called ? say(reason, sentence) : silent(reason));
  const mayAsk = rules.whoMayAsk.value;
  if (mayAsk !== undefined && !mayAsk.includes(event.author.id))
    return refuse(
      'not-allowed',
      'Only certain people may ask me in this channel, and you are not on that list. Please ask an administrator.',
    );
  if (isFromOutside(event) && rules.guests.value === 'refuse')
    return refuse(
      'not-allowed',
      'I answer only members of this organisation here, so I cannot answer guests. Please ask somebody who works here.',
    );
  if (!hasWords(event.text))
    return refuse(
      'empty',
      event.attachments.length > 0
        ? 'I got your file, but I can only answer questions in words. What would you like to know?'
        : 'What would you like to know? Ask me a question, and I will answer it from the documents.',
    );
  if (event.text.length > maxQuestionCharacters)
    return refuse(
      'too-long',
      `That is too long for me to read as a question (more than ${maxQuestionCharacters} characters). Please shorten it.`,
    );
  return { decision: 'answer', addressed };
};

/** On the channel's list, and not one more turn of a talk between machines. It must call us: no follow-ups by themselves. */
const mayAskAsBot = (event: InboundEvent, context: ReplyContext, rules: EffectiveRules): boolean =>
  rules.bots.value?.includes(event.author.id) === true &&
  (context.botsInARow ?? 0) < maxBotsInARow &&
  (event.addressed !== 'none' && event.addressed !== 'subscribed' ? true : !context.subscribed);

export const isFromOutside = ({ author }: { readonly author: Pick<InboundEvent['author'], 'standing'> }): boolean =>
  author.standing === 'guest' || author.standing === 'outsider';

const silent = (reason: ReasonCode): Verdict => ({ decision: 'silent', reason });
const say = (reason: ReasonCode, sentence: string): Verdict => ({ decision: 'say', reason, sentence });

/**
 * How the message speaks to us: by itself, because it goes on in a thread of ours, or because the channel's rule hears more
 * than mentions. Platform drivers write a mention of somebody else as `@name`, so a message that starts with one is
 * between people and gets no answer unless we are mentioned too. Where questions count, a question inside other people's
 * talk is theirs: a bot that butts in is worse than one that waits to be called.
 */
const addressedAs = (event: InboundEvent, context: ReplyContext): Addressed => {
  if (event.addressed !== 'none' && event.addressed !== 'subscribed') return event.addressed;
  if (startsWithSomebodyElse(event.text)) return 'none';
  if (context.subscribed || event.addressed === 'subscribed') return isSmallTalk(event.text) ? 'none' : 'subscribed';
  const rule = context.rules?.answerWhen.value ?? 'mention';
  if (rule === 'every') return isSmallTalk(event.text) ? 'none' : 'subscribed';
  if (rule !== 'question' || event.repliesToPerson === true || namesSomebodyElse(event.text)) return 'none';
  return isQuestion(event.text) ? 'subscribed' : 'none';
};

const startsWithSomebodyElse = (text: string): boolean => /^\s*@\S/u.test(text);
const namesSomebodyElse = (text: string): boolean => /(?:^|[\s(])@[\p{L}\p{N}_]/u.test(text);

/** Letters or digits of any script outside of `:emoji_names:`. */
const hasWords = (text: string): boolean => /[\p{L}\p{N}]/u.test(withoutEmoji(text));
