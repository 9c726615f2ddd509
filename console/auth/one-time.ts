import { createHash } from 'node:crypto';
import type { Random } from '../../core/ports/runtime.ts';

/** Tokens of links. Only their hash is kept, so that a copy of the store opens no door. */
export const newToken = (random: Random): string => random.hex(24);
export const isToken = (text: string): boolean => /^[0-9a-f]{48}$/.test(text);
export const hashToken = (token: string): string => createHash('sha256').update(token).digest('hex');
