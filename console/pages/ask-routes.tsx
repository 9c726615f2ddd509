import type { Context } from 'hono';
import type { AskInput } from '../../core/core.ts';
import type { Tenant } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { streamAnswer } from '../answer-stream.ts';
import type { Env, HttpParts } from '../guard.ts';
import { AnswerCard, growingHtml, receiptPath } from './answer-view.tsx';
import { AskPage } from './ask.tsx';
import type { Place } from './channels.tsx';
import { chatPlatforms } from './connections.tsx';
import type { Pages } from './pages.tsx';
import type { Option } from './parts/form.tsx';

/** A question and its answer as it is written. */
export const addAskPages = (pages: Pages): void => {
  const { doors } = pages;
  const { core } = doors;

  pages.get('/console/{tenant}/ask', 'session:viewer', async (request) => {
    const { tenant } = request;
    const wanted = request.query('channel');
    const [documents, channels] = await Promise.all([
      core.documents.list(tenant.id, {}, { limit: 1 }),
      channelsOf(tenant, wanted),
    ]);
    return request.show(
      <AskPage
        shell={await request.shell('ask')}
        modes={core.modes}
        hasDocuments={documents.items.length > 0}
        channels={channels}
        channel={wanted}
      />,
    );
  });

  /** Those that are known, and the one that the address names. */
  const channelsOf = async (tenant: Tenant, wanted: string | undefined): Promise<readonly Option[]> => {
    const named = wanted === undefined ? undefined : placeIn(wanted);
    const known = (await core.channels.list(tenant.id)).slice(0, 100);
    const places = new Map<string, Place>();
    for (const { platform, channelId } of [...known, ...(named === undefined ? [] : [named])])
      places.set(`${platform}:${channelId}`, { platform, channelId });
    const names = await pages.names(
      tenant,
      [...places.values()].map(({ channelId }) => channelId),
    );
    return [...places].map(([value, place]) => ({ value, label: names.channel(place) }));
  };

  pages.post('/console/{tenant}/ask', 'session:viewer', async (request) => {
    const { c, person, tenant } = request;
    await request.limit(`person:${person.userId}`, 60);
    const form = await request.form();
    const text = (name: string): string => {
      const value = form.get(name);
      return typeof value === 'string' ? value.trim() : '';
    };
    const question = text('question');
    if (question === '') throw new AppError('invalid', 'Write a question first.', { at: 'question' });
    const conversationId = text('conversationId');
    const channel = placeIn(text('channel'));
    const input: AskInput = {
      question,
      platform: 'console',
      user: person.userId,
      traceId: c.get('requestId'),
      ...(conversationId === '' ? {} : { conversationId }),
      ...(channel === undefined ? {} : { channel }),
    };
    if (/text\/event-stream/i.test(c.req.header('accept') ?? '')) return streamTurn(c, doors, tenant, input);
    const receipt = await core.ask(tenant.id, input, {
      signal: AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(askForMs)]),
    });
    return request.to(receiptPath(tenant, receipt.answerId));
  });
};

/** A channel as `platform:channelId`; anything else names none. */
const placeIn = (text: string): Place | undefined => {
  const [, name, channelId] = /^(\w+):(.{1,200})$/s.exec(text) ?? [];
  const platform = chatPlatforms.find((one) => one === name);
  return platform === undefined || channelId === undefined ? undefined : { platform, channelId };
};

/** Longer than any model call may take. */
const askForMs = 120_000;
/** At most one rendering of the growing answer per this time; the last words come with the finished card. */
const renderEveryMs = 90;

/**
 * A turn as events: `status {text}`, `answer {html}` while it grows, then `done {html, conversationId}` or `failed {text}`.
 */
const streamTurn = (
  c: Context<Env>,
  { core, runtime }: HttpParts,
  tenant: Tenant,
  input: AskInput,
): Promise<Response> => {
  const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(askForMs)]);
  let markdown = '';
  let renderedAt = 0;
  return streamAnswer(c, { runtime }, (hooks) => core.ask(tenant.id, input, hooks), signal, {
    tell: async (event, send) => {
      switch (event.type) {
        case 'status':
          return send('status', { text: event.text });
        case 'delta': {
          markdown += event.text;
          const now = runtime.clock.now();
          if (now - renderedAt < renderEveryMs && renderedAt !== 0) return;
          renderedAt = now;
          return send('answer', { html: growingHtml(markdown) });
        }
        case 'done':
          return send('done', {
            html: String(<AnswerCard tenant={tenant} receipt={event.receipt} />),
            conversationId: event.receipt.conversationId,
          });
      }
    },
    fail: (problem, send) => send('failed', { text: problem.detail }),
  });
};
