import { createHash } from 'node:crypto';
import type { Random } from '../ports/runtime.ts';

/** One-time codes that people read in one place and type in another. */

/** Without what is misread: no I, L, O, U, 0, 1. */
const alphabet = 'ABCDEFGHJKMNPQRSTVWXYZ23456789';
const characters = 10;

/** How long a code is good for. */
export const codeForMs = 15 * 60_000;

/** `XXXXX-XXXXX`: 49 bits, good for a quarter of an hour, so that guessing is hopeless. */
export const newCode = (random: Random): string => {
  let rest = BigInt(`0x${random.hex(16)}`);
  const base = BigInt(alphabet.length);
  const signs = Array.from({ length: characters }, () => {
    const sign = alphabet[Number(rest % base)] ?? '';
    rest /= base;
    return sign;
  }).join('');
  return `${signs.slice(0, characters / 2)}-${signs.slice(characters / 2)}`;
};

/** Case, spaces and hyphens do not count; people type them as they like. */
export const hashCode = (typed: string): string =>
  createHash('sha256')
    .update(typed.toUpperCase().replace(/[^A-Z0-9]/g, ''))
    .digest('hex');
