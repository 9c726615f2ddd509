import { createHash } from 'node:crypto';
import type { TenantId } from '../../../domain.ts';
import { AppError } from '../../../errors.ts';
import { hashOf } from '../../../ids.ts';
import type { IndexProfile, IndexRef } from '../../../ports/chunks.ts';

/**
 * Names in Weaviate. The server compares the names of collections without regard to case and the client puts them
 * unescaped into addresses, so ids are written as lower-case hex. Every name carries the deployment, and nothing without
 * our own prefix is ever listed, changed or swept.
 */
export type Names = {
  /** Begins every name of this deployment. */
  readonly prefix: string;
  collection(ref: IndexRef): string;
  /** What a collection of ours belongs to; nothing for a foreign or shared one. */
  refOf(collection: string): IndexRef | undefined;
  /** The collection that all tenants of one profile share under native tenancy. */
  shared(profile: IndexProfile): string;
  isShared(collection: string): boolean;
  nativeTenant(ref: IndexRef): string;
  refOfNativeTenant(name: string): IndexRef | undefined;
  /** For people who look into Weaviate: always the live generation of a tenant. */
  alias(tenantId: TenantId): string;
};

const hexOf = (text: string): string => Buffer.from(text, 'utf8').toString('hex');
const textOf = (hex: string): string => Buffer.from(hex, 'hex').toString('utf8');

const safeTenant = /^[A-Za-z0-9_-]{1,64}$/;
const safeDeployment = /^[A-Za-z0-9_.-]{1,24}$/;

const checked = ({ tenantId, generation }: IndexRef): IndexRef => {
  if (!safeTenant.test(tenantId)) throw new AppError('invalid', 'That tenant id cannot name a search index.');
  if (!Number.isSafeInteger(generation) || generation < 0) {
    throw new AppError('invalid', 'A generation of a search index is a whole number from 0.');
  }
  return { tenantId, generation };
};

export const createNames = (deploymentId: string): Names => {
  if (!safeDeployment.test(deploymentId)) {
    throw new AppError('config', 'The deployment id may have up to 24 letters, digits, dots, dashes and underscores.');
  }
  const prefix = `Footnote_${hexOf(deploymentId)}_`;
  const own = new RegExp(`^${prefix}([0-9a-f]{2,128})_G(\\d{1,15})$`);
  const native = /^([0-9a-f]{2,128})_G(\d{1,15})$/;
  const refOf = (pattern: RegExp, name: string): IndexRef | undefined => {
    const [, tenant, generation] = pattern.exec(name) ?? [];
    return tenant === undefined ? undefined : { tenantId: textOf(tenant), generation: Number(generation) };
  };
  const nativeTenant = (ref: IndexRef): string => `${hexOf(checked(ref).tenantId)}_G${ref.generation}`;
  return {
    prefix,
    collection: (ref) => prefix + nativeTenant(ref),
    refOf: (name) => refOf(own, name),
    shared: (profile) => `${prefix}Shared_${hashOf(JSON.stringify(profileInOrder(profile))).slice(0, 16)}`,
    isShared: (name) => name.startsWith(`${prefix}Shared_`),
    nativeTenant,
    refOfNativeTenant: (name) => refOf(native, name),
    alias: (tenantId) => `${prefix}${hexOf(checked({ tenantId, generation: 0 }).tenantId)}_Live`,
  };
};

/** The same profile in the same words, however its object was built. */
export const profileInOrder = ({ analyser, embeddingModel, dimensions }: IndexProfile): IndexProfile => ({
  analyser,
  embeddingModel,
  dimensions,
});

/*
 * RFC 9562 version 5 under a name space of our own. The client's generateUuid5 joins its two arguments without anything
 * between them, so that ("ab","c") and ("a","bc") collide; hashOf delimits.
 */
const nameSpace = createHash('sha256').update('footnote/weaviate/objects').digest().subarray(0, 16);

const uuid5 = (...parts: readonly string[]): string => {
  const bytes = createHash('sha1')
    .update(nameSpace)
    .update(hashOf(...parts))
    .digest()
    .subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
};

/** One per document, whatever its revision: writing it is the one step in which a document changes. */
export const markerIdOf = (ref: IndexRef, documentId: string): string =>
  uuid5('marker', ref.tenantId, String(ref.generation), documentId);

export const chunkObjectIdOf = (ref: IndexRef, documentId: string, revision: number, position: number): string =>
  uuid5('chunk', ref.tenantId, String(ref.generation), documentId, String(revision), String(position));
