import { html } from 'hono/html';
import type { ReceiptFilter } from '../../core/core.ts';
import type { Receipt } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { answersText } from '../answers-export.ts';
import { streamOf } from '../billing.ts';
import { parseMessageLink } from '../message-link.ts';
import { texts } from '../texts.ts';
import { receiptPath } from './answer-view.tsx';
import { AnswerRows, type AnswersFilter, AnswersPage, AnswersSection } from './answers.tsx';
import type { PageRequest, Pages } from './pages.tsx';
import { emptyForm, formWith } from './parts/form.tsx';
import { ReceiptPage } from './receipt.tsx';
import { dayAt } from './usage-routes.tsx';
import { WhyPage } from './why.tsx';

/** What was asked and what became of it. */
export const addAnswerPages = (pages: Pages): void => {
  const { core } = pages.doors;

  pages.get('/console/{tenant}/answers', 'session:viewer', async (request) => {
    const { tenant } = request;
    const cursor = request.c.req.query('cursor');
    const filter = filterFrom(request);
    const page = await core.answers.list(tenant.id, filterOf(filter), {
      limit: 25,
      ...(cursor === undefined ? {} : { cursor: cursor.slice(0, 2048) }),
    });
    const names = await pages.names(
      tenant,
      page.items.flatMap(({ channelId }) => channelId ?? []),
    );
    const props = { tenant, page, filter, names };
    if (request.isSwap)
      return request.fragment(cursor === undefined ? <AnswersSection {...props} /> : <AnswerRows {...props} />);
    const shell = await request.shell('answers');
    return request.show(
      <AnswersPage shell={shell} page={page} filter={filter} names={names} isFirst={cursor === undefined} />,
    );
  });

  pages.get('/console/{tenant}/answers/export', 'session:viewer', async (request) => {
    const { tenant } = request;
    const format = request.query('format') === 'ndjson' ? 'ndjson' : 'csv';
    const filter = filterFrom(request);
    await request.audit('answers.export', format);
    return request.c.body(streamOf(answersText(core, tenant.id, filterOf(filter), format)), 200, {
      'content-type': format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson; charset=utf-8',
      'content-disposition': `attachment; filename="answers-${tenant.slug}.${format}"`,
    });
  });

  pages.get('/console/{tenant}/answers/why', 'session:viewer', async (request) => {
    const shell = await request.shell('answers');
    const given = request.query('link');
    if (given === undefined) return request.show(<WhyPage shell={shell} state={emptyForm} />);
    const link = parseMessageLink(given);
    if (link === null) {
      const state = { ...formWith({ link: given }), errors: { link: texts.answers.notALink } };
      return request.show(<WhyPage shell={shell} state={state} />, 422);
    }
    const heard = await core.answers.whyNot(request.tenant.id, link);
    return request.show(<WhyPage shell={shell} state={formWith({ link: given })} heard={heard} />);
  });

  const receiptOf = async (request: PageRequest): Promise<Receipt> => {
    const receipt = await core.answers.get(request.tenant.id, request.param('answer'));
    if (receipt === null) throw new AppError('not-found', 'There is no such answer.');
    return receipt;
  };

  pages.get('/console/{tenant}/answers/{answer}', 'session:viewer', async (request) => {
    const receipt = await receiptOf(request);
    return request.show(
      <ReceiptPage
        shell={await request.shell('answers')}
        receipt={receipt}
        names={
          await pages.names(
            request.tenant,
            receipt.channelId === undefined ? [] : [receipt.channelId],
            receipt.memberId === undefined ? [] : [receipt.memberId],
          )
        }
      />,
    );
  });

  pages.post('/console/{tenant}/answers/{answer}/feedback', 'session:viewer', async (request) => {
    const { tenant, person } = request;
    const receipt = await receiptOf(request);
    const rating = (await request.form()).get('rating');
    if (rating !== 'up' && rating !== 'down')
      throw new AppError('invalid', 'The rating is "up" or "down".', { at: 'rating' });
    await core.answers.feedback(tenant.id, receipt.answerId, { rating, user: person.userId });
    if (!request.isSwap) return request.to(receiptPath(tenant, receipt.answerId));
    return request.fragment(
      html`<p class="thanks" role="status" tabindex="-1" data-takes-focus>${texts.answer.thanks}</p>`,
    );
  });
};

const dayMs = 86_400_000;

/** The filter as it stands in the address; what is none of ours is left out. Throws `invalid` for what is no day. */
const filterFrom = (request: PageRequest): AnswersFilter => {
  const text = (name: string, most = 300) => request.query(name)?.slice(0, most);
  const given = {
    q: text('q', 1000),
    outcome: text('outcome', 64),
    reason: text('reason', 64),
    platform: text('platform', 20),
    channel: text('channel'),
    member: text('member'),
    rating: text('rating', 4),
    from: text('from', 10),
    to: text('to', 10),
    gap: text('gap', 2),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
};

const filterOf = ({ q, outcome, reason, platform, channel, member, rating, from, to, gap }: AnswersFilter) => {
  const [first, last] = [dayAt(from), dayAt(to)];
  const what = reason ?? outcome;
  const filter: ReceiptFilter = {
    ...(q === undefined ? {} : { q }),
    ...(what === undefined ? {} : { outcome: what }),
    ...(platform === undefined ? {} : { platform }),
    ...(channel === undefined ? {} : { channelId: channel }),
    ...(member === undefined ? {} : { memberId: member }),
    ...(rating === 'up' || rating === 'down' ? { rating } : {}),
    ...(first === undefined ? {} : { from: first }),
    ...(last === undefined ? {} : { to: last + dayMs }),
    ...(gap === 'on' ? { gap: true } : {}),
  };
  return filter;
};
