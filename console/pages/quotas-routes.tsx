import { z } from 'zod';
import type { Price, QuotaLimit } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { currencyOf } from '../../core/text/currency.ts';
import { nanosOf } from '../../core/text/decimal.ts';
import { texts } from '../texts.ts';
import type { Pages } from './pages.tsx';
import { emptyForm, formWith } from './parts/form.tsx';
import { nameOfLimit, PricesPage, pricesPath, QuotasPage, quotasPath } from './quotas.tsx';

const words = texts.billing;

const limitForm = z.object({
  scope: z.enum(['tenant', 'channel', 'member']),
  id: z.string().max(200).optional(),
  unit: z.enum(['questions', 'tokens', 'money']),
  per: z.enum(['day', 'month']),
  limit: z.string(),
});

const priceForm = z.object({
  model: z.string().max(200),
  inputPerMillion: z.string().regex(/^\d{1,15}(\.\d{1,12})?$/, words.notPrice),
  outputPerMillion: z.string().regex(/^\d{1,15}(\.\d{1,12})?$/, words.notPrice),
  currency: z
    .string()
    .regex(/^[A-Za-z]{3}$/, words.notCurrency)
    .transform((code) => code.toUpperCase()),
  from: z.iso.date(),
  rev: z.coerce.number().int(),
});

/** What may be used, and what it is counted at. */
export const addQuotaPages = (pages: Pages): void => {
  const { core } = pages.doors;

  pages.get('/console/{tenant}/quotas', 'session:billing', async (request) =>
    request.show(
      <QuotasPage
        shell={await request.shell('quotas')}
        limits={await core.quotas.get(request.tenant.id)}
        state={formWith({ scope: 'tenant', unit: 'questions', per: 'month' })}
      />,
    ),
  );

  /** Limits are replaced as a whole; nothing but the limit itself is taken over. */
  const kept = async (tenantId: string): Promise<readonly QuotaLimit[]> =>
    (await core.quotas.get(tenantId)).map(({ used: _used, resetsAt: _resetsAt, ...limit }) => limit);

  pages.post('/console/{tenant}/quotas', 'session:admin', async (request) =>
    request.submit(limitForm, {
      save: async ({ scope, id, unit, per, limit: text }) => {
        const amount = unit === 'money' ? nanosOf(text) : /^\d{1,15}$/.test(text) ? Number(text) : null;
        if (amount === null)
          throw new AppError('invalid', unit === 'money' ? words.notMoney : words.notANumber, { at: 'limit' });
        const limit: QuotaLimit = {
          scope,
          ...(id === undefined || scope === 'tenant' ? {} : { id }),
          unit,
          per,
          limit: amount,
        };
        const limits = await kept(request.tenant.id);
        if (limits.some((other) => nameOfLimit(asState(other)) === nameOfLimit(asState(limit))))
          throw new AppError('conflict', words.quotaSame, { at: 'scope' });
        await core.quotas.put(request.tenant.id, [...limits, limit]);
        await request.audit('quotas.put');
        return request.to(quotasPath(request.tenant), 'saved');
      },
      again: async (state) => (
        <QuotasPage
          shell={await request.shell('quotas')}
          limits={await core.quotas.get(request.tenant.id)}
          state={state}
        />
      ),
    }),
  );

  pages.post('/console/{tenant}/quotas/remove', 'session:admin', async (request) => {
    const name = String((await request.form()).get('limit') ?? '');
    const limits = await kept(request.tenant.id);
    await core.quotas.put(
      request.tenant.id,
      limits.filter((limit) => nameOfLimit(asState(limit)) !== name),
    );
    await request.audit('quotas.put');
    return request.to(quotasPath(request.tenant), 'saved');
  });

  pages.get('/console/{tenant}/prices', 'session:billing', async (request) => {
    const { tenant } = request;
    return request.show(
      <PricesPage
        shell={await request.shell('prices')}
        prices={tenant.settings.prices ?? []}
        state={formWith({ currency: currencyOf(tenant) })}
        rev={tenant.rev}
      />,
    );
  });

  pages.post('/console/{tenant}/prices', 'session:admin', async (request) => {
    const { tenant } = request;
    const prices = tenant.settings.prices ?? [];
    return request.submit(priceForm, {
      save: async ({ rev, ...given }) => {
        const price: Price = { ...given, origin: 'tenant' };
        if (prices.some(({ model, from }) => model === price.model && from === price.from))
          throw new AppError('conflict', words.priceSame, { at: 'from' });
        const [first] = prices;
        if (first !== undefined && first.currency !== price.currency)
          throw new AppError('invalid', words.priceCurrencyDiffers(first.currency), { at: 'currency' });
        await core.tenants.update(
          tenant.id,
          { settings: { ...tenant.settings, prices: sorted([...prices, price]) } },
          rev,
        );
        await request.audit('prices.put', price.model);
        return request.to(pricesPath(tenant), 'saved');
      },
      again: async (state) => (
        <PricesPage shell={await request.shell('prices')} prices={prices} state={state} rev={tenant.rev} />
      ),
    });
  });

  pages.post('/console/{tenant}/prices/remove', 'session:admin', async (request) => {
    const { tenant } = request;
    const prices = tenant.settings.prices ?? [];
    return request.submit(z.object({ model: z.string(), from: z.string(), rev: z.coerce.number().int() }), {
      save: async ({ model, from, rev }) => {
        const left = prices.filter((price) => price.model !== model || price.from !== from);
        await core.tenants.update(tenant.id, { settings: { ...tenant.settings, prices: left } }, rev);
        await request.audit('prices.put', model);
        return request.to(pricesPath(tenant), 'saved');
      },
      again: async (state) => (
        <PricesPage
          shell={await request.shell('prices')}
          prices={prices}
          state={{ ...emptyForm, ...(state.problem === undefined ? {} : { problem: state.problem }) }}
          rev={tenant.rev}
        />
      ),
    });
  });
};

const asState = (limit: QuotaLimit) => ({ ...limit, used: 0, resetsAt: 0 });

const sorted = (prices: readonly Price[]): readonly Price[] =>
  [...prices].sort((a, b) => (a.model === b.model ? (a.from < b.from ? -1 : 1) : a.model < b.model ? -1 : 1));
