import type { MongoClient } from 'mongodb';
import type { Clock, Log } from '../../../ports/runtime.ts';
import { clockOffset } from './connect.ts';

/** A smaller difference is within what a round trip may hide, and far below every lease. */
const ignoredMs = 250;
/** An answer that was so long on its way tells nothing about the time. */
const slowestMs = 2_000;
const againEveryMs = 60_000;

export type ServerClock = Clock & {
  /** Server minus this machine, as last measured. */
  offsetMs(): number;
  /** Stops asking. */
  close(): void;
};

/**
 * The server's time, told from this machine's clock and the difference between the two: instances compare leases and quota
 * windows in it, so that a machine whose clock is off neither steals leases nor loses its own. Measured at the start and
 * each minute; a server that does not answer leaves the last difference as it is.
 */
export const createServerClock = async ({
  client,
  database,
  clock,
  log,
  follow,
}: {
  readonly client: MongoClient;
  readonly database: string;
  readonly clock: Clock;
  readonly log: Log;
  /** False: the clock is taken for right. */
  readonly follow: boolean;
}): Promise<ServerClock> => {
  let offsetMs = 0;
  const measure = async (): Promise<void> => {
    const sentAt = clock.now();
    const hello = await client.db(database).command({ hello: 1 });
    const receivedAt = clock.now();
    const measured = clockOffset(hello, sentAt, receivedAt);
    if (receivedAt - sentAt > slowestMs || Math.abs(measured - offsetMs) < ignoredMs) return;
    log.warn('state.clock_offset', { offsetMs: measured });
    offsetMs = measured;
  };
  let timer: NodeJS.Timeout | undefined;
  if (follow) {
    await measure();
    timer = setInterval(() => void measure().catch(() => undefined), againEveryMs);
    timer.unref();
  }
  return {
    now: () => clock.now() + offsetMs,
    sleep: clock.sleep,
    offsetMs: () => offsetMs,
    close: () => clearInterval(timer),
  };
};
