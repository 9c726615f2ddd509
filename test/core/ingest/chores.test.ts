import { afterEach, describe, expect, it } from 'vitest';
import { pushSource } from '../../../core/drivers/sources/push.ts';
import { AppError } from '../../../core/errors.ts';
import type { ChunkStore } from '../../../core/ports/chunks.ts';
import { type Bench, openBench, tenantOf, whileTimePasses } from './workbench.ts';

let bench: Bench;
afterEach(() => whileTimePasses(bench.runtime, bench.close()));
const { signal } = new AbortController();
const other = tenantOf('t_000000000000000000000002');
const damaged = (): never => {
  throw new AppError('store-unavailable', 'The search index is damaged.');
};

/** A tenant with one document and another one that was deleted, while `verb` of the chunk store fails for the first. */
const openWithDamage = async (verb: 'profileOf' | 'dropTenant'): Promise<void> => {
  let isDamaged = false;
  bench = await openBench({
    sources: [pushSource],
    wrapChunks: (chunks): ChunkStore => ({
      ...chunks,
      profileOf: async (ref, within) =>
        isDamaged && verb === 'profileOf' && ref.tenantId === bench.tenant.id
          ? damaged()
          : chunks.profileOf(ref, within),
      dropTenant: async (tenantId) =>
        isDamaged && verb === 'dropTenant' && tenantId === bench.tenant.id ? damaged() : chunks.dropTenant(tenantId),
    }),
  });
  const source = await bench.ingest.createSource(bench.tenant, { kind: 'push', name: 'Pushed', settings: {} });
  await bench.ingest.put(bench.tenant, source.id, { externalId: 'a', content: 'The rope is red.' }, signal);
  await bench.state.tenants.create(other);
  await bench.state.tenants.markDeleted(other.id, 2);
  isDamaged = true;
};

const otherIsErased = async (): Promise<boolean> => {
  const deadline = Date.now() + 30_000;
  while ((await bench.state.tenants.deleted(10)).includes(other.id)) {
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return true;
};

describe('what is done again and again', () => {
  it('is done for the others while the index of one tenant is damaged', async () => {
    await openWithDamage('profileOf');
    bench.ingest.start();
    expect(await whileTimePasses(bench.runtime, otherIsErased(), 10)).toBe(true);
  });

  it('erases the other tenants when one cannot be erased', async () => {
    await openWithDamage('dropTenant');
    await bench.state.tenants.markDeleted(bench.tenant.id, 1);
    bench.ingest.start();
    expect(await whileTimePasses(bench.runtime, otherIsErased(), 10)).toBe(true);
  });
});
