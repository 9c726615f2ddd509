import { AppError } from '../../../errors.ts';
import { unavailableFrom } from './faults.ts';

/** How long each verb of a group may take; `long` ones work in bounded steps and may take many. */
export type Bounds = { readonly verbMs: number; readonly longVerbMs: number };

const longVerbs: ReadonlySet<string> = new Set([
  'erase',
  'sweep',
  'forgetMember',
  'backup',
  'close',
  'write',
  'contents',
]);

type Verbs = { readonly [verb: string]: (...args: never[]) => Promise<unknown> };

/**
 * The same verbs, each of which ends within its time and throws nothing but AppError. The driver cannot break off a write
 * that is under way, so a caller who was told "no answer" may find it done; every verb is safe to repeat.
 */
export const guarded = <Group extends Verbs>(group: Group, bounds: Bounds): Group =>
  Object.fromEntries(
    Object.entries(group).map(([verb, run]) => [
      verb,
      (...args: never[]) => withinTime(() => run(...args), longVerbs.has(verb) ? bounds.longVerbMs : bounds.verbMs),
    ]),
    // Same keys, same arguments, same results.
  ) as unknown as Group;

const withinTime = async (run: () => Promise<unknown>, ms: number): Promise<unknown> => {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new AppError('store-unavailable', 'The state store did not answer in time.', { retryable: true })),
      ms,
    );
  });
  try {
    return await Promise.race([run(), patience]);
  } catch (error) {
    throw unavailableFrom(error);
  } finally {
    clearTimeout(timer);
  }
};
