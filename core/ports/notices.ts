import type { TenantId, WebhookEvent } from '../domain.ts';

/** Something that happened in a tenant and that its people may want to be told of elsewhere. */
export type Happening = {
  /** Deterministic where a crash may repeat it: then each receiver is told of it once. */
  readonly id: string;
  readonly tenantId: TenantId;
  readonly event: WebhookEvent;
  readonly at: number;
  /** Ids, reasons and figures: for whoever is told. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Words of people and documents: for those alone whom the tenant lets read them. */
  readonly text?: Readonly<Record<string, string>>;
  /** Whose words these are. */
  readonly memberId?: string;
};

/** Stores what is to be told, before it resolves; the telling comes later and is repeated until it succeeds. */
export type Tell = (happening: Happening) => Promise<void>;

/** For parts that are tested without anybody to be told. */
export const tellNobody: Tell = async () => undefined;

/** What a tenant may choose for a webhook, in the order in which it is offered. */
export const webhookEvents = [
  'question.answered',
  'question.not_found',
  'question.refused',
  'question.failed',
  'feedback.given',
  'sync.finished',
  'sync.failed',
  'quota.warning',
  'connection.lost',
] as const satisfies readonly WebhookEvent[];
