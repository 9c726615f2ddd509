import { readdir, readFile } from 'node:fs/promises';
import type { Core } from './core/core.ts';
import type { Tenant } from './core/domain.ts';
import { isAppError } from './core/errors.ts';
import type { Log } from './core/ports/runtime.ts';

/** Beside the sources in a clone, one level up from `dist`. */
const folder = new URL(import.meta.url.endsWith('.ts') ? './demo/' : '../demo/', import.meta.url);

/**
 * A `demo` tenant with sample documents, so that the first question has something to be answered from. Filled once: what
 * an admin deletes stays deleted, because a tenant whose content was ever changed is left alone, and so is a deleted
 * one, whose slug is never given again. A crash in between is made good by the next start.
 */
export const fillDemoTenant = async (core: Core, log: Log): Promise<void> => {
  const tenant = (await core.tenants.bySlug('demo')) ?? (await createTenant(core));
  if (tenant === null || tenant.contentRevision > 0) return;
  const [kept] = (await core.sources.list(tenant.id)).filter((source) => source.kind === 'upload');
  const source =
    kept ?? (await core.sources.create(tenant.id, { kind: 'upload', name: 'Sample documents', settings: {} }));
  const names = (await readdir(folder)).filter((name) => !name.endsWith('.json')).sort();
  const documents = await Promise.all(
    names.map(async (name) => ({ externalId: name, content: new Uint8Array(await readFile(new URL(name, folder))) })),
  );
  const result = await core.documents.putBatch(tenant.id, source.id, documents, AbortSignal.timeout(60_000));
  for (const { id, problem } of result.failed) log.warn('demo-document-failed', { document: id, problem });
};

const createTenant = async (core: Core): Promise<Tenant | null> => {
  try {
    return await core.tenants.create({ slug: 'demo', name: 'Demo' });
  } catch (error) {
    // Another process was first, or the operator deleted the demo tenant for good.
    if (isAppError(error) && error.code === 'conflict') return null;
    throw error;
  }
};
