import type { Document, Job, Source, Tenant } from '../../core/domain.ts';
import { texts } from '../texts.ts';
import { Chip } from './parts/table.tsx';

export const sourcesPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/sources`;
export const sourcePath = (tenant: Tenant, source: Pick<Source, 'id'>): string =>
  `${sourcesPath(tenant)}/${encodeURIComponent(source.id)}`;
export const documentPath = (tenant: Tenant, document: Pick<Document, 'id'>): string =>
  `/console/${encodeURIComponent(tenant.slug)}/documents/${encodeURIComponent(document.id)}`;

/** How a source is, in one word. */
export const SourceState = ({
  source,
  last,
  syncs,
}: {
  source: Source;
  last: Job | undefined;
  /** Documents are fetched from there; the others come by themselves. */
  syncs: boolean;
}) => {
  const states = texts.sources.states;
  if (last?.state === 'queued' || last?.state === 'running') return <Chip tone="accent">{states[last.state]}</Chip>;
  if (last?.state === 'failed') return <Chip tone="bad">{states.failed}</Chip>;
  if (isPaused(source)) return <Chip tone="warn">{states.paused}</Chip>;
  if (!syncs) return <Chip>{states.filled}</Chip>;
  if (last === undefined) return <Chip>{states.idle}</Chip>;
  return last.counts.failed > 0 || last.errors.length > 0 ? (
    <Chip tone="warn">{states.problems}</Chip>
  ) : (
    <Chip tone="good">{states.ok}</Chip>
  );
};

export const isPaused = (source: Source): boolean => source.schedule !== undefined && source.nextRunAt === undefined;
