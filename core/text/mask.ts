import type { MaskedKind, Masking } from '../domain.ts';

/**
 * Personal data made unreadable by its form alone: addresses, numbers with a check digit, numbers written like telephone
 * numbers. Names, postal addresses, dates of birth, account names and numbers in words have no form that tells them from
 * other text, and stay. What has a check digit must pass it, so that part numbers and dates are left alone.
 */

export const maskedKinds = ['email', 'phone', 'card', 'iban'] as const satisfies readonly MaskedKind[];

/** Null: nothing is masked. */
export const maskFor = (masking: Masking | undefined): ((text: string) => string) | null => {
  const kinds = new Set(masking?.kinds ?? []);
  if (kinds.size === 0) return null;
  // What is longest and surest first: an IBAN holds digits that look like a card or a telephone.
  const masks = (['email', 'iban', 'card', 'phone'] as const)
    .filter((kind) => kinds.has(kind))
    .map((kind) => byKind[kind]);
  return (text) => masks.reduce((left, mask) => mask(left), text);
};

/** Letters of every script before the @, a name with a dot after it. Bounded, so that no text can make it slow. */
const email =
  /(?<![\p{L}\p{N}._%+-])[\p{L}\p{N}_%+-][\p{L}\p{N}._%+-]{0,63}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,24}(?![\p{L}\p{N}-])/gu;

/** Country, check digits, and 11 to 30 more, in one run or in groups of four. */
const iban = /(?<![\p{L}\p{N}])[A-Z]{2}\d{2}(?:[ \u00a0-]?[A-Z0-9]){11,30}(?![\p{L}\p{N}])/giu;

/** 13 to 19 digits in groups as they are printed on cards. */
const card = /(?<![\p{L}\p{N}.,-])\d(?:[ \u00a0-]?\d){12,18}(?![\p{L}\p{N}])/gu;

/**
 * International form, or a national one that begins with a 0 or an area code in brackets, or groups as in North America;
 * 7 to 15 digits.
 */
const phone =
  /(?<![\p{L}\p{N}.,/:#=_-])(?:\+|00)[1-9]\d{0,2}(?:[ \u00a0./-]?\(?\d{1,5}\)?){2,6}(?![\p{L}\p{N}])|(?<![\p{L}\p{N}.,/:#=_-])(?:\(0?\d{2,5}\)|0\d{1,5})(?:[ \u00a0./-]{0,2}\d{2,8}){1,5}(?![\p{L}\p{N}])|(?<![\p{L}\p{N}.,/:#=_-])\(?[2-9]\d{2}\)?[ .-][2-9]\d{2}[ .-]\d{4}(?![\p{L}\p{N}])/gu;

const digitsOf = (text: string): string => text.replace(/\D/g, '');

const byKind: Readonly<Record<MaskedKind, (text: string) => string>> = {
  email: (text) => (text.includes('@') ? text.replace(email, '[e-mail]') : text),
  iban: (text) => text.replace(iban, maskIban),
  card: (text) => text.replace(card, (found) => (isCard(digitsOf(found)) ? '[card]' : found)),
  phone: (text) => text.replace(phone, (found) => (isPhone(found) ? '[phone]' : found)),
};

/** The form runs on into words that follow it: the longest beginning that passes is the number. */
const maskIban = (found: string): string => {
  for (let end = found.length; end >= 15; end -= 1) {
    const before = found.slice(0, end);
    const rest = found.slice(end);
    if (/[ \u00a0-]$/.test(before) || (rest !== '' && !/^[ \u00a0-]/.test(rest))) continue;
    if (isIban(before.replace(/[^A-Za-z0-9]/g, '').toUpperCase())) return `[IBAN]${rest}`;
  }
  return found;
};

/** ISO 13616: the remainder by 97 is 1. */
const isIban = (text: string): boolean => {
  if (text.length < 15 || text.length > 34) return false;
  let remainder = 0;
  for (const sign of `${text.slice(4)}${text.slice(0, 4)}`) {
    const value = /\d/.test(sign) ? sign : String(sign.charCodeAt(0) - 55);
    remainder = Number(`${remainder}${value}`) % 97;
  }
  return remainder === 1;
};

/** Luhn, and a first digit that payment cards have. */
const isCard = (digits: string): boolean => {
  if (!/^[2-6]/.test(digits) || /^(\d)\1+$/.test(digits)) return false;
  let sum = 0;
  for (let at = 0; at < digits.length; at += 1) {
    const digit = Number(digits[digits.length - 1 - at]);
    const doubled = at % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
};

/** Not a date, not an amount. */
const isPhone = (found: string): boolean => {
  const { length } = digitsOf(found);
  if (length < 7 || length > 15) return false;
  return !/^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}$/.test(found) && !/^\d{4}-\d{2}-\d{2}$/.test(found);
};
