import { html } from 'hono/html';
import type { Receipt } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { texts } from '../texts.ts';
import { receiptPath } from './answer-view.tsx';
import { AnswerRows, type AnswersFilter, AnswersPage, AnswersSection } from './answers.tsx';
import type { PageRequest, Pages } from './pages.tsx';
import { ReceiptPage } from './receipt.tsx';

/** What was asked and what became of it. */
export const addAnswerPages = (pages: Pages): void => {
  const { core } = pages.doors;

  pages.get('/console/{tenant}/answers', 'session:viewer', async (request) => {
    const { tenant } = request;
    const cursor = request.c.req.query('cursor');
    const [outcome, q] = [request.query('outcome'), request.query('q')];
    const filter: AnswersFilter = {
      ...(outcome === undefined ? {} : { outcome: outcome.slice(0, 64) }),
      ...(q === undefined ? {} : { q }),
    };
    const page = await core.answers.list(tenant.id, filter, {
      limit: 25,
      ...(cursor === undefined ? {} : { cursor: cursor.slice(0, 2048) }),
    });
    const props = { tenant, page, filter };
    if (request.isSwap)
      return request.fragment(cursor === undefined ? <AnswersSection {...props} /> : <AnswerRows {...props} />);
    const shell = await request.shell('answers');
    return request.show(<AnswersPage shell={shell} page={page} filter={filter} isFirst={cursor === undefined} />);
  });

  const receiptOf = async (request: PageRequest): Promise<Receipt> => {
    const receipt = await core.answers.get(request.tenant.id, request.param('answer'));
    if (receipt === null) throw new AppError('not-found', 'There is no such answer.');
    return receipt;
  };

  pages.get('/console/{tenant}/answers/{answer}', 'session:viewer', async (request) => {
    const receipt = await receiptOf(request);
    return request.show(<ReceiptPage shell={await request.shell('answers')} receipt={receipt} />);
  });

  pages.post('/console/{tenant}/answers/{answer}/feedback', 'session:viewer', async (request) => {
    const { tenant, person } = request;
    const receipt = await receiptOf(request);
    const rating = (await request.form()).get('rating');
    if (rating !== 'up' && rating !== 'down')
      throw new AppError('invalid', 'The rating is "up" or "down".', { at: 'rating' });
    await core.answers.feedback(tenant.id, receipt.answerId, { rating, user: person.userId });
    if (!request.isSwap) return request.to(receiptPath(tenant, receipt.answerId));
    return request.fragment(html`<p class="thanks" role="status">${texts.answer.thanks}</p>`);
  });
};
