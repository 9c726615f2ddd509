import type { EffectiveRules, Homes, People } from '../core.ts';
import type { InboundEvent, PlatformName, ReasonCode, Receipt, Source, Tenant } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { Tell } from '../ports/notices.ts';
import type { Platform, Received, Workspaces } from '../ports/platform.ts';
import type { Closing, InboxRow, OutboxRecord } from '../ports/state.ts';
import type { Delivering } from './assignment.ts';

/** What every kind of event is handled with. */
export type Handling = Delivering & {
  platformOf(name: PlatformName): Platform | null;
  resolveTenant(event: InboundEvent): Promise<Tenant | null>;
  rules(tenant: Tenant, platform: PlatformName, channelId: string): Promise<EffectiveRules>;
  sources(tenant: Tenant): Promise<readonly Source[]>;
  readonly workspaces: Workspaces;
  readonly people: People;
  /** For whoever wants to be told elsewhere. */
  readonly happened: Tell;
  readonly homes: Pick<Homes, 'choices' | 'choose'>;
  /** Takes in an event again, as one of its own: what could not be answered before. */
  receive(event: InboundEvent): Promise<Received>;
  /** Stops a delivery that this process is writing; elsewhere the holder finds out at its next heartbeat. */
  stopHere(deliveryId: string): void;
};

/** The hold that a worker has on a row while it works on it. */
export type Hold = {
  readonly signal: AbortSignal;
  /** Nothing but the row itself was known about its message when it was taken up. */
  readonly alone: boolean;
  /** Stop was pressed. */
  readonly stopped: AbortSignal;
  /** From now on the row is an answer of this tenant under way, and the store is asked now and then whether to stop. */
  writing(tenantId: string): void;
  confirmLease(): Promise<void>;
  /** Asks the store only where the lease is over by the clock although no timer has said so: after a sleep. */
  awake(): Promise<void>;
  /** Settles another row of the same thread; rejects with `lease-lost`. */
  settle(rowId: string, reason: ReasonCode, tenantId?: string): Promise<void>;
};

export type Handled =
  | {
      readonly outcome: 'settle';
      readonly reason: ReasonCode;
      readonly tenantId?: string;
      readonly answerId?: string;
      readonly receipt?: Receipt;
      /** To be written with the row's end. */
      readonly closing?: Closing;
    }
  | { readonly outcome: 'later'; readonly afterMs: number; readonly error: AppError };

export const settle = (
  reason: ReasonCode,
  tenant?: Tenant | null,
  more: { readonly answerId?: string; readonly receipt?: Receipt; readonly closing?: Closing } = {},
): Handled => ({
  outcome: 'settle',
  reason,
  ...(tenant === undefined || tenant === null ? {} : { tenantId: tenant.id }),
  ...more,
});

export const deliveriesOf = async (
  parts: Pick<Handling, 'state'>,
  tenant: Tenant,
  rows: readonly { readonly id: string }[],
): Promise<readonly OutboxRecord[]> => {
  const records = await Promise.all(rows.map((row) => parts.state.outbox.get(tenant.id, row.id)));
  return records.filter((record) => record !== null);
};

/** Of the rows about one message: was it deleted, and the deletion not taken back since? */
export const isGone = (rows: readonly Pick<InboxRow, 'event'>[]): boolean => {
  let gone = false;
  for (const { event } of [...rows].sort(byOrder)) {
    if (event.kind === 'delete') gone = true;
    else if (event.restored === true) gone = false;
  }
  return gone;
};

/** In the platform's order. */
export const byOrder = (a: Pick<InboxRow, 'event'>, b: Pick<InboxRow, 'event'>): number =>
  a.event.orderKey < b.event.orderKey ? -1 : a.event.orderKey > b.event.orderKey ? 1 : 0;

/** Reason with which a running answer is stopped when its question disappears. */
export const questionDeleted = (): AppError =>
  new AppError('cancelled', 'The question was deleted while it was being answered.', { at: 'question-deleted' });
export const isDeleted = (thrown: unknown): boolean =>
  thrown instanceof AppError && thrown.code === 'cancelled' && thrown.at === 'question-deleted';
