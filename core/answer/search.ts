import type { Passage, Tenant } from '../domain.ts';
import type { AnsweringParts, AnswerSettings } from './answering.ts';
import { cleanCharacters } from './contain.ts';
import { retrieve, toPassage } from './retrieve.ts';
import { createSteps } from './steps.ts';

/** Passages best first, every one that was found: whether they answer anything is the reader's to judge. */
export const searchPassages = async (
  parts: AnsweringParts,
  settings: AnswerSettings,
  tenant: Tenant,
  input: { readonly query: string; readonly limit: number; readonly sourceIds?: readonly string[] },
  signal: AbortSignal,
): Promise<{ readonly passages: readonly Passage[]; readonly timingsMs: Readonly<Record<string, number>> }> => {
  const steps = createSteps(parts.runtime);
  const found = await retrieve(parts, {
    ref: { tenantId: tenant.id, generation: tenant.activeGeneration },
    query: cleanCharacters(input.query).slice(0, settings.maxQuestion),
    limit: input.limit,
    meaning: settings.meaning,
    sourceIds: input.sourceIds,
    embedWithinMs: settings.embedWithinMs,
    signal,
    steps,
  });
  if (found.embedding !== null) {
    const { model, tokens } = found.embedding;
    const id = `q_${parts.runtime.random.hex(12)}:1:1`;
    await parts.metering.record(tenant.id, [
      {
        id,
        kind: 'embedding',
        model,
        promptTokens: 0,
        completionTokens: 0,
        embeddingTokens: tokens,
        tenant,
        platform: 'api',
      },
    ]);
  }
  if (found.degraded) steps.note('keywords_only', 1);
  return { passages: found.candidates.slice(0, input.limit).map(toPassage), timingsMs: steps.timings() };
};
