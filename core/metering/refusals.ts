import type { Nanos, QuotaUnit } from '../domain.ts';
import type { CounterState } from '../ports/state.ts';
import type { Allowance } from './allowances.ts';
import type { Refusal } from './metering.ts';
import { renderMoney } from './money.ts';

/** When only questions under way stand in the way, the room may be back as soon as they are answered. */
const busyForMs = 60_000;

const whose = { member: 'your', channel: "this channel's", tenant: "this organisation's" } as const;
const who = {
  member: ['You have', 'your'],
  channel: ['This channel has', 'its'],
  tenant: ['This organisation has', 'its'],
} as const;
const period = { day: 'for today', month: 'for this month' } as const;

/** A refusal that says which limit, what is used of it, and until when. */
export const refusalOf = (allowance: Allowance, state: CounterState, now: number, currency: string): Refusal => {
  const { scope, unit, per, limit, ceiling, amount, bucket, endsAt } = allowance;
  const words = (n: number) => amountInWords(unit, n, currency);
  const [subject, its] = who[scope];
  const refused = { outcome: 'refused', scope, unit, per, limit, used: state.used, bucket } as const;
  const until = `Ask again after ${untilInWords(endsAt, now)}.`;
  if (amount > ceiling && state.used < ceiling) {
    return {
      ...refused,
      retryAt: endsAt,
      sentence: `An answer may take up to ${words(amount)}, but ${whose[scope]} allowance ${period[per]} is ${words(limit)}. Ask an admin to raise it.`,
    };
  }
  if (state.used + amount <= ceiling) {
    return {
      ...refused,
      // A question that is answered is used up; of tokens far more is held than most answers take.
      ...(unit === 'questions' ? {} : { passing: true }),
      retryAt: Math.min(endsAt, now + busyForMs),
      sentence: `What is left of ${whose[scope]} ${words(limit)} ${period[per]} is being used by questions that are answered right now. Ask again in a minute.`,
    };
  }
  const sentence =
    state.used >= ceiling
      ? `${subject} used ${its} ${words(limit)} ${period[per]}${graceInWords(allowance, words)}. ${until}`
      : `${subject} used ${words(state.used)} of ${its} ${words(limit)} ${period[per]}, and what is left is too little for another answer. ${until}`;
  return { ...refused, retryAt: endsAt, sentence };
};

/** A money limit cannot be kept while nobody knows what a call costs, so nothing is spent. */
export const unpricedRefusal = (allowance: Allowance, model: string | undefined): Refusal => ({
  outcome: 'refused',
  scope: allowance.scope,
  unit: 'money',
  per: allowance.per,
  limit: allowance.limit,
  used: 0,
  bucket: allowance.bucket,
  retryAt: allowance.endsAt,
  sentence: `There is a limit in money, but the price of ${model === undefined ? 'the model' : `the model ${model}`} is not known in its currency, so the limit could not be kept. Ask an admin to set the model's price, or to limit tokens instead.`,
});

const graceInWords = ({ limit, ceiling }: Allowance, words: (n: number) => string): string =>
  ceiling > limit ? `, and the ${words(ceiling - limit)} that were allowed beyond it` : '';

const numberInWords = (n: number): string => n.toString().replace(/\B(?=(\d{3})+$)/g, ',');

export const amountInWords = (unit: QuotaUnit, n: number | Nanos, currency: string): string => {
  if (unit === 'money') {
    const { amount } = renderMoney(n, currency);
    return `${currency} ${amount}`;
  }
  const name = n === 1 ? unit.slice(0, -1) : unit;
  return `${numberInWords(n)} ${name}`;
};

const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

/** Windows end at midnight UTC; the day is named unless it is the coming one. */
export const untilInWords = (endsAt: number, now: number): string => {
  if (endsAt - now <= 24 * 3_600_000) return '00:00 UTC';
  const date = new Date(endsAt);
  return `${date.getUTCDate()} ${months[date.getUTCMonth()]}, 00:00 UTC`;
};
