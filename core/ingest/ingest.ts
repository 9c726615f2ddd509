import type { BatchResult, DocumentInput, PutResult, SourceInput } from '../core.ts';
import type { Job, Source, Tenant, TenantId } from '../domain.ts';

/** The path of a document: sync, parse, chunk, embed, replace. */
export type Ingest = {
  /** Validates settings by the driver's schema and the cron expression; throws `invalid` with the field in `at`. */
  createSource(tenant: Tenant, input: SourceInput): Promise<Source>;
  updateSource(tenant: Tenant, sourceId: string, patch: Partial<Omit<SourceInput, 'kind'>>, rev?: number): Promise<Source>;
  /** The source, its documents and their chunks; search forgets them before it resolves. */
  removeSource(tenant: Tenant, sourceId: string, signal: AbortSignal): Promise<void>;
  sync(tenant: Tenant, sourceId: string): Promise<Job>;
  watch(tenantId: TenantId, jobId: string, signal: AbortSignal): AsyncIterable<Job>;
  put(tenant: Tenant, sourceId: string, document: DocumentInput, signal: AbortSignal): Promise<PutResult>;
  putBatch(tenant: Tenant, sourceId: string, documents: readonly DocumentInput[], signal: AbortSignal): Promise<BatchResult>;
  remove(tenant: Tenant, sourceId: string, externalId: string, signal: AbortSignal): Promise<boolean>;
  /** Everything of a deleted tenant, repeated until it is gone. */
  dropTenant(tenantId: TenantId): Promise<void>;
  readonly kinds: readonly { readonly kind: string; readonly label: string; readonly syncs: boolean }[];
  /** Begins claiming jobs and watching schedules. */
  start(): void;
  /** Stops claiming, releases running jobs' leases after the document at hand, ends the parse workers. */
  stop(forMs: number): Promise<void>;
};
