import type { LedgerEntry, LedgerKind, Nanos, PlatformName, Price, QuotaLimit, QuotaScope, QuotaUnit, Tenant, TenantId } from '../domain.ts';

/** The path of a token: reserve before the model call, heartbeat while it runs, settle after, release on failure. */
export type Metering = {
  /** Member, channel, tenant, in this order; on refusal what was held earlier is released. */
  reserve(request: ReserveRequest): Promise<Reservation | Refusal>;
  /** Settles a reservation whose holder died after the answer was final (the outbox knows what was used). Idempotent. */
  settleById(request: ReserveRequest, actual: { readonly tokens: number; readonly costNanos: Nanos }): Promise<void>;
  /** Appends to the ledger; idempotent by entry id. */
  record(tenantId: TenantId, calls: readonly MeteredCall[]): Promise<readonly LedgerEntry[]>;
  /** Null: unknown, never 0. */
  priceOf(tenant: Tenant, model: string, at: number): Price | null;
  limits(tenantId: TenantId): Promise<readonly (QuotaLimit & { readonly used: number; readonly resetsAt: number })[]>;
  putLimits(tenantId: TenantId, limits: readonly QuotaLimit[]): Promise<void>;
};

export type ReserveRequest = {
  readonly tenant: Tenant;
  /** The answer's id: the same answer tried again after a crash holds once. */
  readonly reservationId: string;
  /** `platform:userId` */
  readonly memberId?: string;
  /** `platform:channelId` */
  readonly channelId?: string;
  /** Upper bounds: prompt + completion tokens, and their price when it is known. */
  readonly tokens: number;
  readonly costNanos: Nanos;
};

export type Reservation = {
  readonly outcome: 'held';
  /** Counter ids charged, for the receipt. */
  readonly buckets: readonly string[];
  /** Never above what was reserved without being recorded: overshoot is charged too. Ends the heartbeat. */
  settle(actual: { readonly tokens: number; readonly costNanos: Nanos }): Promise<void>;
  /** Nothing is charged. Ends the heartbeat. */
  release(): Promise<void>;
};

export type Refusal = {
  readonly outcome: 'refused';
  readonly scope: QuotaScope;
  readonly unit: QuotaUnit;
  readonly per: 'day' | 'month';
  readonly limit: number;
  readonly used: number;
  readonly retryAt: number;
  readonly bucket: string;
  /** Which limit and until when, for the person. */
  readonly sentence: string;
};

export type MeteredCall = {
  /** Deterministic: `${answerId}:${attempt}:${ordinal}`; a question line is `${answerId}:question`. */
  readonly id: string;
  readonly kind: LedgerKind;
  readonly model?: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly embeddingTokens: number;
  readonly tenant: Tenant;
  readonly platform: PlatformName;
  readonly channelId?: string;
  readonly memberId?: string;
  readonly sourceId?: string;
  readonly answerId?: string;
};
