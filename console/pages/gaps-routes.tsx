import { z } from 'zod';
import type { Gap } from '../../core/core.ts';
import type { Document, Receipt, Source, Tenant } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { noteFailure } from '../failure.ts';
import { reachable, tellAskers } from '../tell-askers.ts';
import { texts } from '../texts.ts';
import { GapPage, GapsPage, gapsPath, periods, questionsShown, WrittenPage, writtenPath } from './gaps.tsx';
import type { PageRequest, Pages } from './pages.tsx';
import { type FormState, formWith } from './parts/form.tsx';

const dayMs = 86_400_000;
/** Of one group; who asked before them is not marked and not told. */
const questionsOfGroup = 300;

const written = z.object({ question: z.string().max(500), answer: z.string().max(50_000) });

/** What the documents leave open: seen, answered, dismissed, and those who asked told. */
export const addGapPages = (pages: Pages): void => {
  const { core, runtime, platforms } = pages.doors;

  const since = (days: number): number => runtime.clock.now() - days * dayMs;
  const gapOf = async (request: PageRequest): Promise<Gap> => {
    const { groups } = await core.gaps.list(request.tenant.id, since(Math.max(...periods)));
    const id = request.param('gap');
    const gap = groups.find(({ asked }) => asked.some(({ answerId }) => answerId === id));
    if (gap === undefined) throw new AppError('not-found', 'This question is not open (any more).');
    return gap;
  };
  const gapPage = async (request: PageRequest, gap: Gap, state: FormState) => {
    const askers = gap.asked.slice(0, questionsShown).flatMap(({ memberId }) => memberId ?? []);
    const names = await pages.names(request.tenant, [], askers);
    return <GapPage shell={await request.shell('gaps')} gap={gap} state={state} names={names} />;
  };
  const markAll = async (tenant: Tenant, gap: Gap, mark: 'dismissed' | 'written'): Promise<void> => {
    for (const { answerId } of gap.asked.slice(0, questionsOfGroup)) await core.gaps.mark(tenant.id, answerId, mark);
  };
  /** Found by its kind and name; an administrator may rename it, and then the next answer begins a new one. */
  const sourceOf = async (tenant: Tenant): Promise<Source> => {
    const sources = await core.sources.list(tenant.id);
    const known = sources.find(({ kind, name }) => kind === 'push' && name === texts.gaps.source);
    return known ?? core.sources.create(tenant.id, { kind: 'push', name: texts.gaps.source, settings: {} });
  };

  pages.get('/console/{tenant}/gaps', 'session:viewer', async (request) => {
    const days = periods.find((period) => String(period) === request.query('days')) ?? periods[0];
    const found = await core.gaps.list(request.tenant.id, since(days));
    return request.show(<GapsPage shell={await request.shell('gaps')} days={days} {...found} />);
  });

  pages.get('/console/{tenant}/gaps/{gap}', 'session:viewer', async (request) => {
    const gap = await gapOf(request);
    return request.show(await gapPage(request, gap, formWith({ question: gap.question })));
  });

  pages.post('/console/{tenant}/gaps/{gap}/answer', 'session:admin', async (request) => {
    const { tenant, person, c } = request;
    const gap = await gapOf(request);
    return request.submit(written, {
      again: (state) => gapPage(request, gap, state),
      save: async ({ question, answer }) => {
        const source = await sourceOf(tenant);
        const asked = gap.asked.slice(0, questionsOfGroup).map(({ answerId }) => answerId);
        const { document } = await core.documents.put(
          tenant.id,
          source.id,
          {
            externalId: `gap-${gap.id}`,
            title: question,
            content: `# ${question}\n\n${answer}\n`,
            mediaType: 'text/markdown',
            metadata: { asked },
          },
          c.req.raw.signal,
        );
        await request.audit('gap.answer', document.id);
        const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(120_000)]);
        const input = { question, platform: 'console', user: person.userId, traceId: c.get('requestId') } as const;
        const receipt = await core.ask(tenant.id, input, { signal }).catch((thrown: unknown) => {
          noteFailure(runtime, c, thrown);
          return null;
        });
        if (receipt === null) return request.to(writtenPath(tenant, document), 'untried');
        // As long as the question does not find its answer, it stays open.
        if (receipt.kind === 'answered') await markAll(tenant, gap, 'written');
        return request.to(`${writtenPath(tenant, document)}?answer=${encodeURIComponent(receipt.answerId)}`);
      },
    });
  });

  pages.post('/console/{tenant}/gaps/{gap}/dismiss', 'session:admin', async (request) => {
    const gap = await gapOf(request);
    await markAll(request.tenant, gap, 'dismissed');
    await request.audit('gap.dismiss', gap.id);
    return request.to(gapsPath(request.tenant), 'dismissed');
  });

  /** A document, and the questions that it was written for; none when it was not. */
  const writtenOf = async (
    request: PageRequest,
  ): Promise<{ readonly document: Document; readonly receipts: readonly Receipt[] }> => {
    const { tenant } = request;
    const document = await core.documents.get(tenant.id, request.param('document'));
    if (document === null) throw new AppError('not-found', 'There is no such document.');
    const asked = z.array(z.string()).max(questionsOfGroup).catch([]).parse(document.metadata?.asked);
    const receipts = await Promise.all(asked.map((answerId) => core.answers.get(tenant.id, answerId)));
    return { document, receipts: receipts.filter((receipt) => receipt !== null) };
  };

  pages.get('/console/{tenant}/gaps/written/{document}', 'session:viewer', async (request) => {
    const { document, receipts } = await writtenOf(request);
    const answerId = request.query('answer');
    const again = answerId === undefined ? null : await core.answers.get(request.tenant.id, answerId);
    return request.show(
      <WrittenPage
        shell={await request.shell('gaps')}
        document={document}
        again={again}
        toTell={reachable(receipts, platforms).length}
      />,
    );
  });

  pages.post('/console/{tenant}/gaps/written/{document}/tell', 'session:admin', async (request) => {
    const { tenant, c } = request;
    const { document, receipts } = await writtenOf(request);
    const sentence = (receipt: Receipt): string => texts.gaps.message(receipt.question.slice(0, 300));
    const { told, failed } = await tellAskers({ core, platforms }, tenant, receipts, sentence, c.req.raw.signal);
    await request.audit('gap.tell', `${document.id}: ${told} told, ${failed} failed`);
    return request.to(writtenPath(tenant, document), failed === 0 ? 'told' : 'told-some');
  });
};
