import type { Money, Nanos, Price } from '../domain.ts';

/** Decimal arithmetic in whole numbers: a price is never a binary fraction, so a ledger adds up to the unit. */

type Decimal = { readonly digits: bigint; readonly scale: number };

/** Plain decimal notation only, at most 12 places; null for anything else. */
export const parseDecimal = (text: string): Decimal | null => {
  const match = /^(\d{1,15})(?:\.(\d{1,12}))?$/.exec(text.trim());
  if (match === null) return null;
  const fraction = match[2] ?? '';
  return { digits: BigInt((match[1] ?? '') + fraction), scale: fraction.length };
};

/**
 * Tokens times price per million, in nanos, rounded once, half up. Embedding tokens are input. Throws RangeError for a
 * price that is no decimal, and for an amount beyond nine million units of currency.
 */
export const costNanosOf = (
  price: Pick<Price, 'inputPerMillion' | 'outputPerMillion'>,
  usage: { readonly promptTokens: number; readonly completionTokens: number; readonly embeddingTokens: number },
): Nanos => {
  const input = parseDecimal(price.inputPerMillion);
  const output = parseDecimal(price.outputPerMillion);
  if (input === null || output === null) throw new RangeError('a price is not a decimal number');
  const scale = Math.max(input.scale, output.scale);
  const at = (decimal: Decimal) => decimal.digits * 10n ** BigInt(scale - decimal.scale);
  const inputTokens = BigInt(usage.promptTokens) + BigInt(usage.embeddingTokens);
  // Per million tokens, in billionths: a thousand nanos for each token and unit of price.
  const scaled = (inputTokens * at(input) + BigInt(usage.completionTokens) * at(output)) * 1_000n;
  const one = 10n ** BigInt(scale);
  const nanos = (scaled * 2n + one) / (one * 2n);
  if (nanos > BigInt(Number.MAX_SAFE_INTEGER))
    throw new RangeError('an amount of money is too large to be counted exactly');
  return Number(nanos);
};

/** Exact decimal amount, at least two places and no idle zeros beyond them. */
export const renderMoney = (nanos: Nanos, currency: string): Money => {
  const digits = nanos.toString().padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0+$/, '').padEnd(2, '0');
  return { amount: `${digits.slice(0, -9)}.${fraction}`, currency };
};
