import type { Answering } from './answer/answering.ts';
import { allowedSources, memberInChannel, readersOf, requestedSources } from './conversation/allowed-sources.ts';
import { asKept, happeningOf, logFieldsOf, turnsAsKept } from './conversation/receipts.ts';
import type { AskHooks, AskInput } from './core.ts';
import type { Receipt, Tenant, TenantId } from './domain.ts';
import { AppError, toAppError } from './errors.ts';
import type { Tell } from './ports/notices.ts';
import type { Runtime } from './ports/runtime.ts';
import type { StateStore } from './ports/state.ts';
import { effectiveRules } from './tenancy/channels.ts';
import { requireSources, requireTenant } from './tenancy/tenants.ts';

/** Turns handed to the answer path; older ones are out of a follow-up's reach. */
const turnsKept = 12;
/** Talks that began at these doors; those of the chat platforms belong to whoever may read them there. */
const begunHere = 'v_';

/** A question that waits for its answer on the line (API, console, command line), outside the inbox. */
export const createAsk =
  (parts: {
    readonly state: StateStore;
    readonly answering: Answering;
    readonly runtime: Runtime;
    readonly happened: Tell;
  }) =>
  async (tenantId: TenantId, input: AskInput, hooks: AskHooks): Promise<Receipt> => {
    const { state, answering, runtime, happened } = parts;
    const tenant = await requireTenant(state, tenantId);
    if (input.sources !== undefined) await requireSources(state, tenantId, input.sources);
    const { sourceIds, instructions, language } = await settingsFor(state, tenant, input);
    const turns = input.conversationId?.startsWith(begunHere)
      ? await state.conversations.turns(tenantId, input.conversationId, turnsKept)
      : [];
    if (input.conversationId !== undefined && turns.length === 0) {
      throw new AppError('not-found', 'There is no such conversation. Leave conversationId out to begin a new one.', {
        at: 'conversationId',
      });
    }
    const conversationId = input.conversationId ?? `${begunHere}${runtime.random.hex(16)}`;
    const answerId = `a_${runtime.random.hex(16)}`;
    const askedAt = runtime.clock.now();
    let shown = '';
    /** What was answered stands, whether or not anybody can be told of it now. */
    const quietly = (work: Promise<void>): Promise<void> =>
      work.catch((error: unknown) => runtime.log.warn('ask.untold', { tenantId, code: toAppError(error).code }));
    const answered = answering.answer(
      {
        tenant,
        answerId,
        attempt: 1,
        conversationId,
        question: input.question,
        turns,
        platform: input.platform,
        channelId: input.platform,
        traceId: input.traceId,
        ...(input.user === undefined ? {} : { memberId: `${input.platform}:${input.user}` }),
        ...(sourceIds === undefined ? {} : { sourceIds }),
        ...(instructions === undefined ? {} : { instructions }),
        ...(language === undefined ? {} : { language }),
      },
      {
        signal: hooks.signal,
        status: (text) => hooks.status?.(text),
        update: (markdown) => {
          if (markdown.length > shown.length) hooks.delta?.(markdown.slice(shown.length));
          shown = markdown;
        },
        // Nobody asks this question again after a crash, so nobody would mend a charge that has no receipt.
        beforeCharge: async (receipt) => void (await state.receipts.put(asKept(tenant, receipt))),
      },
    );
    const receipt = await answered.catch(async (thrown: unknown) => {
      const { code } = toAppError(thrown);
      if (code !== 'cancelled')
        await quietly(
          happened({
            id: answerId,
            tenantId,
            event: 'question.failed',
            at: runtime.clock.now(),
            data: { answerId, conversationId, platform: input.platform, reason: code },
          }),
        );
      throw thrown;
    });
    // First the turns: whoever forgets the person from now on finds them through the receipt, and who did so already is heard of by it.
    await state.conversations.append(
      tenantId,
      conversationId,
      answerId,
      turnsAsKept(tenant, [
        { role: 'user', text: input.question, at: askedAt },
        { role: 'assistant', text: receipt.answer, at: receipt.at, answerId },
      ]),
    );
    const isKnown = await state.receipts.put(asKept(tenant, receipt));
    if (!isKnown) await state.conversations.removePair(tenantId, conversationId, answerId);
    const happening = isKnown ? happeningOf(tenant, receipt) : null;
    if (happening !== null) await quietly(happened(happening));
    runtime.metrics.observe('answer_seconds', (runtime.clock.now() - askedAt) / 1000, {
      platform: input.platform,
      outcome: receipt.kind,
    });
    runtime.log.info('answer', {
      requestId: input.traceId,
      platform: input.platform,
      tenantId,
      reason: receipt.reasonCode,
      workedMs: runtime.clock.now() - askedAt,
      ...logFieldsOf(asKept(tenant, receipt), runtime),
    });
    return receipt;
  };

type Settings = {
  readonly sourceIds?: readonly string[] | undefined;
  readonly instructions?: string | undefined;
  readonly language?: string | undefined;
};

/** The tenant's own settings, or those that hold in the channel that the question names. */
const settingsFor = async (state: StateStore, tenant: Tenant, input: AskInput): Promise<Settings> => {
  const sources = await state.sources.list(tenant.id);
  if (input.channel === undefined) return { ...tenant.settings, sourceIds: requestedSources(sources, input.sources) };
  const { platform, channelId } = input.channel;
  const rules = effectiveRules(tenant, await state.channels.get(tenant.id, platform, channelId));
  const sourceIds = allowedSources(
    sources,
    rules,
    readersOf(memberInChannel, rules, rules.replies.value === 'private'),
  );
  if (sourceIds?.length === 0)
    throw new AppError('invalid', 'The rules of this channel leave no source to answer from.', { at: 'channel' });
  return { sourceIds, instructions: rules.instructions.value, language: rules.language.value };
};
