import { createHash } from 'node:crypto';
import type { Core } from '../core/core.ts';

/** Counts one request of a caller; `resetsAt` in milliseconds, when the window ends. */
export type RateLimit = (
  key: string,
  limit: number,
  windowMs: number,
) => Promise<{ readonly ok: boolean; readonly resetsAt: number }>;

/** Requests that this process may let through without asking the shared window; a refused block has none. */
type Block = { left: number; readonly isRefused: boolean; readonly resetsAt: number };

/** One durable write for so many requests; a small limit is counted one by one. */
const sizeOf = (limit: number): number => Math.max(1, Math.min(25, Math.floor(limit / 20)));
const maxCallers = 10_000;

/**
 * A limit that all instances share, without a durable write for each request: this process takes blocks from the shared
 * window and counts within them. However many instances there are, the limit is never exceeded; an instance that does not
 * use up its block wastes the rest of it until the window ends.
 */
export const createRateLimit = ({ hit }: Pick<Core, 'hit'>, now: () => number): RateLimit => {
  const blocks = new Map<string, Block>();
  const taking = new Map<string, Promise<Block>>();

  const take = async (key: string, limit: number, windowMs: number): Promise<Block> => {
    const size = sizeOf(limit);
    const { ok, resetsAt } = await hit(key, Math.floor(limit / size), windowMs);
    const block = { left: ok ? size : 0, isRefused: !ok, resetsAt };
    if (blocks.size >= maxCallers) blocks.clear();
    blocks.set(key, block);
    return block;
  };

  /** Requests that come while a block is being taken share it instead of taking one each. */
  const taken = (key: string, limit: number, windowMs: number): Promise<Block> => {
    const underWay = taking.get(key);
    if (underWay !== undefined) return underWay;
    const started = take(key, limit, windowMs).finally(() => taking.delete(key));
    taking.set(key, started);
    return started;
  };

  return async (key, limit, windowMs) => {
    let block = blocks.get(key);
    if (block === undefined || block.resetsAt <= now()) block = await taken(key, limit, windowMs);
    while (block.left === 0 && !block.isRefused) block = await taken(key, limit, windowMs);
    if (block.isRefused) return { ok: false, resetsAt: block.resetsAt };
    block.left -= 1;
    return { ok: true, resetsAt: block.resetsAt };
  };
};

/** Stands for an e-mail address in a limit's key: the list of limits must not become a list of who has an account. */
export const accountKey = (email: string): string =>
  createHash('sha256').update(email.trim().toLowerCase()).digest('hex').slice(0, 32);
