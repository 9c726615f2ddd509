import type { InboundEvent } from '../domain.ts';
import type { Platform, Received } from '../ports/platform.ts';

/** The path of a message: inbox, thread lease, reply policy, answer, outbox, delivery. */
export type Conversations = {
  /** One durable insert, then the caller may acknowledge. */
  receive(event: InboundEvent): Promise<Received>;
  /** Platforms whose events are answered; looked up by `event.platform`. */
  start(platforms: readonly Platform[]): void;
  /** Stops claiming, waits for running answers, releases the threads. */
  stop(forMs: number): Promise<void>;
};
