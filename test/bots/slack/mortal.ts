import type { Answering } from '../../../core/answer/answering.ts';
import type { Platform } from '../../../core/ports/platform.ts';
import type { StateStore } from '../../../core/ports/state.ts';

/** An instance that dies at one named point: from then on nothing that it does reaches the outside. */
export type Mortal = {
  readonly state: (state: StateStore) => StateStore;
  readonly answering: <T extends Answering>(answering: T) => T;
  readonly platform: (platform: Platform) => Platform;
  isDead(): boolean;
  /** At once, wherever it is. */
  die(): void;
  /** A look for work found nothing: who comes now is taken up at once. */
  isIdle(): boolean;
};

export const createMortal = (point: string): Mortal => {
  let dead = false;
  /** Idle polling is no step of an answer: the point counts from the first event on. */
  let heard = false;
  let idle = false;
  const pass = (step: string): void => {
    if (dead) throw new Error('this instance is dead');
    if (step === 'after inbox.receiveAndClaim' || step === 'after inbox.receive') heard = true;
    if (!heard || step !== point) return;
    dead = true;
    throw new Error(`killed at ${point}`);
  };
  const around =
    (name: string, verb: (...args: unknown[]) => unknown) =>
    async (...args: unknown[]): Promise<unknown> => {
      pass(`before ${name}`);
      const result = await verb(...args);
      if (name === 'inbox.claimThread' && result === null) idle = true;
      pass(`after ${name}`);
      return result;
    };
  const group = <T extends object>(prefix: string, target: T, names?: readonly string[]): T =>
    new Proxy(target, {
      get: (own, key) => {
        const value = Reflect.get(own, key) as unknown;
        if (typeof value !== 'function' || (names !== undefined && !names.includes(String(key)))) return value;
        return around(`${prefix}.${String(key)}`, value.bind(own) as (...args: unknown[]) => unknown);
      },
    });
  return {
    isDead: () => dead,
    die: () => {
      dead = true;
    },
    isIdle: () => idle,
    state: (state) => {
      const watched = new Proxy(state, {
        get: (own, key) => {
          const value = Reflect.get(own, key) as unknown;
          return typeof value === 'object' && value !== null ? group(String(key), value) : value;
        },
      });
      const { inbox, outbox } = watched;
      const settleAndNext: StateStore['inbox']['settleAndNext'] = async (lease, rowId, now, outcome, closing) => {
        if (closing !== undefined) await outbox.sent(closing.tenantId, closing.id, now, closing.books);
        return inbox.settleAndNext(lease, rowId, now, outcome);
      };
      // As a driver does that cannot write both at once, so that there is a point between them.
      const apart = new Proxy(inbox, {
        get: (own, key) => (key === 'settleAndNext' ? settleAndNext : Reflect.get(own, key)),
      });
      return new Proxy(watched, { get: (own, key) => (key === 'inbox' ? apart : Reflect.get(own, key)) });
    },
    answering: (answering) => group('answering', answering, ['answer']),
    platform: (platform) => ({
      ...platform,
      openAnswer: async (...args) => {
        pass('before platform.openAnswer');
        const sink = await platform.openAnswer(...args);
        pass('after platform.openAnswer');
        return group('sink', sink, ['status', 'finish', 'fail']);
      },
    }),
  };
};
