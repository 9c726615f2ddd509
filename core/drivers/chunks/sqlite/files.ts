import { join } from 'node:path';
import type { TenantId } from '../../../domain.ts';
import { AppError } from '../../../errors.ts';
import type { IndexRef } from '../../../ports/chunks.ts';

/** Names that are safe in a path on every platform; a tenant's id is `t_` + hex, which fits. */
const safeName = /^[A-Za-z0-9_-]{1,64}$/;

export const chunksFolder = (dataDir: string): string => join(dataDir, 'chunks');

export const tenantFolder = (dataDir: string, tenantId: TenantId): string => {
  if (!safeName.test(tenantId)) throw new AppError('invalid', 'That tenant id cannot name a search index.');
  return join(chunksFolder(dataDir), tenantId);
};

/** One file per tenant and generation, so that statistics, deletion and re-indexing are a tenant's own. */
export const indexFile = (dataDir: string, { tenantId, generation }: IndexRef): string => {
  if (!Number.isSafeInteger(generation) || generation < 0) {
    throw new AppError('invalid', 'A generation of a search index is a whole number from 0.');
  }
  return join(tenantFolder(dataDir, tenantId), `g${generation}.sqlite`);
};

/** The generation that a file name stands for, if any. */
export const generationOf = (fileName: string): number | undefined => {
  const digits = /^g(\d{1,15})\.sqlite$/.exec(fileName)?.[1];
  return digits === undefined ? undefined : Number(digits);
};

export const labelOf = ({ tenantId, generation }: IndexRef): string => `tenant ${tenantId}, generation ${generation}`;
