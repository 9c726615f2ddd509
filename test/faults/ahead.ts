/**
 * Loaded before the program (`NODE_OPTIONS=--import`), in every thread of it: its clock is AHEAD_MS ahead. So that a process
 * as it is shipped lives 25 hours later without anybody waiting for it.
 */
const ahead = Number(process.env.AHEAD_MS ?? 0);
const RealDate = Date;
const now = (): number => RealDate.now() + ahead;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args) => (args.length === 0 ? new target(now()) : Reflect.construct(target, args)),
  apply: () => new RealDate(now()).toString(),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
});
