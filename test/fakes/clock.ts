import { AppError } from '../../core/errors.ts';
import type { Clock, Log, LogFields, Metrics, Random, Runtime } from '../../core/ports/runtime.ts';

/** A clock that stands still until a test moves it. */
export type TestClock = Clock & {
  /** Moves time forward, waking sleepers in the order of their wake-up times and letting each run before the next. */
  advance(ms: number): Promise<void>;
  /** Sets the time without waking anybody. */
  set(now: number): void;
  /** How many sleeps are under way. */
  sleeping(): number;
};

export type LogLine = {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly event: string;
  readonly fields: LogFields;
};

export type TestRuntime = Runtime & {
  readonly clock: TestClock;
  /** What was logged, oldest first; nothing is printed. */
  readonly logged: readonly LogLine[];
  /** Sum of a counter over all labels, or of those lines whose labels contain the given ones. */
  counted(name: string, labels?: Readonly<Record<string, string>>): number;
  /** What a histogram was told, in seconds, of those lines whose labels contain the given ones. */
  measured(name: string, labels?: Readonly<Record<string, string>>): readonly number[];
};

/** 2026-11-22 09:00:00 UTC: not a midnight, not a month's end. */
export const testStart = Date.UTC(2026, 10, 22, 9, 0, 0);

/** Clock, chance, log and metrics under the test's control; the same seed gives the same run. */
export const createTestRuntime = (options: { readonly now?: number; readonly seed?: number } = {}): TestRuntime => {
  const logged: LogLine[] = [];
  type Labels = Readonly<Record<string, string>>;
  const counts: { readonly name: string; readonly labels: Labels; readonly by: number }[] = [];
  const measures: { readonly name: string; readonly labels: Labels; readonly seconds: number }[] = [];
  const among =
    (name: string, labels: Labels) =>
    (line: { readonly name: string; readonly labels: Labels }): boolean =>
      line.name === name && Object.entries(labels).every(([key, value]) => line.labels[key] === value);
  const metrics: Metrics = {
    count: (name, labels = {}, by = 1) => void counts.push({ name, labels, by }),
    observe: (name, seconds, labels = {}) => void measures.push({ name, labels, seconds }),
    set: () => undefined,
  };
  return {
    clock: createTestClock(options.now ?? testStart),
    random: createTestRandom(options.seed ?? 1),
    log: createTestLog(logged, {}),
    metrics,
    logged,
    counted: (name, labels = {}) => counts.filter(among(name, labels)).reduce((sum, line) => sum + line.by, 0),
    measured: (name, labels = {}) => measures.filter(among(name, labels)).map(({ seconds }) => seconds),
  };
};

export const createTestClock = (start: number): TestClock => {
  let now = start;
  const sleepers = new Set<{ readonly at: number; wake(): void }>();
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const cancelled = () => {
          sleepers.delete(sleeper);
          reject(new AppError('cancelled', 'The work was stopped before it was finished.'));
        };
        const sleeper = {
          at: now + ms,
          wake: () => {
            signal?.removeEventListener('abort', cancelled);
            resolve();
          },
        };
        if (signal?.aborted) return cancelled();
        signal?.addEventListener('abort', cancelled, { once: true });
        sleepers.add(sleeper);
      }),
    advance: async (ms) => {
      const end = now + ms;
      await settle();
      for (;;) {
        const next = [...sleepers].filter((sleeper) => sleeper.at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        sleepers.delete(next);
        now = Math.max(now, next.at);
        next.wake();
        await settle();
      }
      now = end;
      await settle();
    },
    set: (value) => {
      now = value;
    },
    sleeping: () => sleepers.size,
  };
};

/** Lets promise chains and one round of input and output run, so that what a wake-up started has got somewhere. */
const settle = async (): Promise<void> => {
  for (let round = 0; round < 3; round += 1) await new Promise<void>((resolve) => setImmediate(resolve));
};

/** mulberry32: small, fast, and the same on every machine. Not for secrets. */
export const createTestRandom = (seed: number): Random => {
  let state = seed >>> 0;
  const float = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const byte = () =>
    Math.floor(float() * 256)
      .toString(16)
      .padStart(2, '0');
  return { float, hex: (bytes) => Array.from({ length: bytes }, byte).join('') };
};

const createTestLog = (logged: LogLine[], base: LogFields): Log => {
  const at = (level: LogLine['level']) => (event: string, fields?: LogFields) =>
    void logged.push({ level, event, fields: { ...base, ...fields } });
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => createTestLog(logged, { ...base, ...fields }),
  };
};
