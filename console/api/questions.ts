import type { AskInput } from '../../core/core.ts';
import { streamAnswer } from '../answer-stream.ts';
import type { HttpParts } from '../guard.ts';
import type { Operations } from './operation.ts';
import { found, renderAnswer, renderCitation, renderPassage, renderReceipt, serverTiming } from './render.ts';
import { tenantPath } from './schemas/fields.ts';
import * as schemas from './schemas/questions.ts';
import { wantsEvents } from './sources.ts';
import { defined, pageOf } from './tenants.ts';

const base = '/api/v1/tenants/{slug}';

export const addQuestions = ({ add }: Operations, parts: HttpParts): void => {
  const { core } = parts;
  add(
    {
      method: 'post',
      path: `${base}/search`,
      policy: 'key:ask',
      tag: 'Questions',
      summary: 'Search passages',
      params: tenantPath,
      body: schemas.searchInput,
      answers: { 200: schemas.searchResult },
    },
    async ({ c, body, signal }) => {
      const tenantId = c.get('tenant').id;
      const { passages, timingsMs } = await core.search(
        tenantId,
        { query: body.query, limit: body.limit, ...defined({ sources: body.sources }) },
        signal,
      );
      c.header('Server-Timing', serverTiming(timingsMs));
      return c.json({ passages: passages.map(renderPassage) });
    },
  );
  add(
    {
      method: 'post',
      path: `${base}/ask`,
      policy: 'key:ask',
      tag: 'Questions',
      summary: 'Ask a question',
      description:
        'With `Accept: text/event-stream`: events `status {text}`, `delta {text}`, `citations`, `done` (the full body), or `error` (a problem). A used-up quota answers 200 with `kind: "refused", reason: "quota"`.',
      params: tenantPath,
      body: schemas.askInput,
      answers: { 200: schemas.answer },
      also: ['text/event-stream'],
    },
    async ({ c, body, signal }) => {
      const tenantId = c.get('tenant').id;
      const input: AskInput = {
        question: body.question,
        platform: 'api',
        traceId: c.get('requestId'),
        ...defined({ conversationId: body.conversationId, user: body.user, sources: body.sources }),
      };
      if (wantsEvents(c.req.header('accept')))
        return streamAnswer(c, parts, (hooks) => core.ask(tenantId, input, hooks), signal, {
          tell: async (event, send) => {
            if (event.type !== 'done') return send(event.type, { text: event.text });
            await send('citations', { citations: event.receipt.citations.map(renderCitation) });
            return send('done', renderAnswer(event.receipt));
          },
          fail: (problem, send) => send('error', problem),
        });
      const receipt = await core.ask(tenantId, input, { signal });
      c.header('Server-Timing', serverTiming(receipt.timingsMs));
      return c.json(renderAnswer(receipt));
    },
  );
  add(
    {
      method: 'post',
      path: `${base}/summarize`,
      policy: 'key:ask',
      tag: 'Questions',
      summary: 'Summarise documents, sources or texts',
      params: tenantPath,
      body: schemas.summarizeInput,
      maxBytes: 16 * 1024 * 1024,
      answers: { 200: schemas.summary },
    },
    async ({ c, body, signal }) => {
      const tenantId = c.get('tenant').id;
      const { summary, citations, usage } = await core.summarize(tenantId, defined(body), signal);
      return c.json({ summary, citations: citations.map(renderCitation), usage });
    },
  );
};

export const addAnswers = ({ add }: Operations, { core }: HttpParts): void => {
  const tag = 'Answers';
  add(
    {
      method: 'get',
      path: `${base}/answers`,
      policy: 'key:admin',
      tag,
      summary: 'List receipts, newest first',
      params: tenantPath,
      query: schemas.answersQuery,
      answers: { 200: schemas.answers },
    },
    async ({ c, query }) => {
      const page = await core.answers.list(
        c.get('tenant').id,
        defined({ outcome: query.outcome, q: query.q }),
        pageOf(query),
      );
      return c.json({ answers: page.items.map(renderReceipt), nextCursor: page.nextCursor ?? null });
    },
  );
  add(
    {
      method: 'get',
      path: `${base}/answers/{answer}`,
      policy: 'key:admin',
      tag,
      summary: 'Read a receipt',
      params: schemas.answerPath,
      answers: { 200: schemas.receipt },
    },
    async ({ c, params }) =>
      c.json(renderReceipt(found(await core.answers.get(c.get('tenant').id, params.answer), 'answer'))),
  );
  add(
    {
      method: 'post',
      path: `${base}/answers/{answer}/feedback`,
      policy: 'key:ask',
      tag,
      summary: 'Say whether an answer helped',
      params: schemas.answerPath,
      body: schemas.feedbackInput,
      answers: { 204: null },
    },
    async ({ c, params, body }) => {
      const tenantId = c.get('tenant').id;
      found(await core.answers.get(tenantId, params.answer), 'answer');
      await core.answers.feedback(tenantId, params.answer, {
        rating: body.rating,
        ...defined({ comment: body.comment, user: body.user }),
      });
      return c.body(null, 204);
    },
  );
};
