import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { AskInput } from '../../core/core.ts';
import { AppError } from '../../core/errors.ts';
import { type AnswerEvent, answerEvents } from '../answer-events.ts';
import type { Env, HttpParts } from '../guard.ts';
import { problemOf } from '../problem.ts';
import { watchAccess } from '../revocation.ts';
import type { Operations } from './operation.ts';
import { found, renderAnswer, renderCitation, renderPassage, renderReceipt, serverTiming } from './render.ts';
import * as schemas from './schemas.ts';
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
      params: schemas.tenantPath,
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
      params: schemas.tenantPath,
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
      if (wantsEvents(c.req.header('accept'))) return streamAnswer(c, parts, tenantId, input, signal);
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
      params: schemas.tenantPath,
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
      params: schemas.tenantPath,
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

/** An error before the first word still gets its own status; one after it becomes the event `error`. */
const streamAnswer = async (
  c: Context<Env>,
  { core, runtime }: HttpParts,
  tenantId: string,
  input: AskInput,
  signal: AbortSignal,
): Promise<Response> => {
  const gone = new AbortController();
  const access = watchAccess(c, runtime);
  const events = answerEvents(
    (hooks) => core.ask(tenantId, input, { ...hooks, signal: AbortSignal.any([signal, gone.signal, access.revoked]) }),
    access.revoked,
  );
  const first = await events.next();
  if (first.done || first.value.type === 'failed') access.stop();
  if (first.done) throw new AppError('internal', 'The answer ended before it began.');
  if (first.value.type === 'failed') throw first.value.error;

  const response = streamSSE(c, async (stream) => {
    stream.onAbort(() => {
      gone.abort();
      access.stop();
    });
    const send = (event: string, data: unknown) => stream.writeSSE({ event, data: JSON.stringify(data) });
    for (let next: IteratorResult<AnswerEvent, void> = first; !next.done; next = await events.next()) {
      const event = next.value;
      switch (event.type) {
        case 'status':
        case 'delta':
          await send(event.type, { text: event.text });
          break;
        case 'done':
          await send('citations', { citations: event.receipt.citations.map(renderCitation) });
          await send('done', renderAnswer(event.receipt));
          break;
        case 'failed': {
          const { problem, error } = problemOf(event.error, c.req.path);
          if (error.code !== 'cancelled') runtime.metrics.count('errors_total', { code: error.code });
          await send('error', problem);
        }
      }
    }
    access.stop();
  });
  response.headers.set('x-accel-buffering', 'no');
  return response;
};
