/** Money is counted in billionths of its unit and shown as decimals; nothing in between is a binary fraction. */

/** Billionths as a decimal string without superfluous zeros: 1_500_000_000 is "1.5". */
export const decimalOf = (nanos: number): string => {
  const value = BigInt(Math.round(nanos));
  const digits = (value < 0n ? -value : value).toString().padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0+$/, '');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -9)}${fraction === '' ? '' : `.${fraction}`}`;
};

/** The other way; null for what is no plain decimal of at most nine places, or too large to be counted exactly. */
export const nanosOf = (decimal: string): number | null => {
  const match = /^(\d{1,15})(?:\.(\d{1,9}))?$/.exec(decimal.trim());
  if (match === null) return null;
  const nanos = Number(BigInt((match[1] ?? '') + (match[2] ?? '').padEnd(9, '0')));
  return Number.isSafeInteger(nanos) ? nanos : null;
};
