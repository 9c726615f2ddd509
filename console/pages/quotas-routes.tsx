import { z } from 'zod';
import type { Grace, Price, QuotaLimit, QuotaWarnings, Receiver } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { currencyOf } from '../../core/text/currency.ts';
import { nanosOf } from '../../core/text/decimal.ts';
import { keptLimits, revisionOf } from '../revision.ts';
import { texts } from '../texts.ts';
import type { PageRequest, Pages } from './pages.tsx';
import { emptyForm, type FormState, formWith } from './parts/form.tsx';
import { nameOfLimit, nameOfReceiver, PricesPage, pricesPath, QuotasPage, quotasPath } from './quotas.tsx';

const words = texts.billing;

const limitForm = z.object({
  scope: z.enum(['tenant', 'channel', 'member']),
  id: z.string().max(200).optional(),
  unit: z.enum(['questions', 'tokens', 'money']),
  per: z.enum(['day', 'month']),
  limit: z.string(),
  gracePercent: z
    .string()
    .regex(/^\d{1,3}$/, words.notPercent)
    .transform(Number)
    .refine((percent) => percent >= 1 && percent <= 100, words.notPercent)
    .optional(),
  graceUntil: z.iso.date().optional(),
  seen: z.string().optional(),
});

const thresholdsForm = z.object({
  at: z
    .string()
    .transform((text) => text.split(/[\s,;%]+/).filter((part) => part !== ''))
    .refine(
      (parts) =>
        parts.length > 0 &&
        parts.length <= 5 &&
        new Set(parts).size === parts.length &&
        parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) >= 1 && Number(part) <= 100),
      words.notThresholds,
    )
    .transform((parts) => parts.map(Number).sort((a, b) => a - b)),
  rev: z.coerce.number().int(),
});

const platform = z.enum(['slack', 'discord', 'teams']);
const receiverFields = {
  kind: z.enum(['channel', 'person']),
  receiverId: z.string().max(200),
  rev: z.coerce.number().int(),
};
const receiverForm = z.object({ ...receiverFields, platform, workspaceId: z.string().max(200) });
/** Where workspaces are connected, one of them is chosen: `slack:T024BE7LD`. */
const chosenForm = z.object({
  ...receiverFields,
  workspace: z.string().max(220),
});

const mostReceivers = 20;
/** So many channels and people are offered by name. */
const mostKnown = 100;
const dayMs = 86_400_000;

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

/** This month and the one before, whole: the stores keep their sums, and add up line by line what is no whole month. */
const lastMonths = (now: number): { readonly from: number; readonly to: number } => {
  const date = new Date(now);
  const month = (more: number): number => Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + more, 1);
  return { from: month(-1), to: month(1) };
};

/** What may be used, and what it is counted at. */
export const addQuotaPages = (pages: Pages): void => {
  const { core, runtime } = pages.doors;

  type Forms = { readonly limit?: FormState; readonly warnings?: FormState; readonly receiver?: FormState };

  const page = async (request: PageRequest, forms: Forms = {}) => {
    const { tenant } = request;
    const [connections, limits, channels, members] = await Promise.all([
      core.connections.list(tenant.id),
      core.quotas.get(tenant.id),
      core.channels.list(tenant.id),
      core.usage.report(tenant.id, lastMonths(runtime.clock.now()), 'member'),
    ]);
    const places = channels.filter(({ platform }) => platform !== 'api' && platform !== 'console').slice(0, mostKnown);
    const receivers = tenant.settings.quotaWarnings?.to ?? [];
    const known = members
      .toSorted((a, b) => b.questions - a.questions)
      .map(({ key }) => key)
      .filter((key) => /^(slack|discord|teams):/.test(key))
      .slice(0, mostKnown);
    const names = await pages.names(
      tenant,
      [
        ...limits.flatMap(({ scope, id }) => (scope === 'channel' ? (id ?? []) : [])),
        ...receivers.flatMap(({ channelId }) => channelId ?? []),
        ...places.map(({ channelId }) => channelId),
      ],
      [
        ...limits.flatMap(({ scope, id }) => (scope === 'member' ? (id ?? []) : [])),
        ...receivers.flatMap(({ platform, userId }) => (userId === undefined ? [] : `${platform}:${userId}`)),
        ...known,
      ],
    );
    return (
      <QuotasPage
        shell={await request.shell('quotas')}
        limits={limits}
        names={names}
        state={forms.limit ?? formWith({ scope: 'tenant', unit: 'questions', per: 'month' })}
        warnings={forms.warnings ?? formWith({ at: (tenant.settings.quotaWarnings?.at ?? usualThresholds).join(', ') })}
        receiver={forms.receiver ?? formWith({ kind: 'channel' })}
        connections={connections}
        known={{
          channels: places.map((place) => ({ ...place, name: names.channel(place) })),
          members: known,
        }}
      />
    );
  };

  pages.get('/console/{tenant}/quotas', 'session:billing', async (request) => request.show(await page(request)));

  /** Limits are replaced as a whole; nothing but the limit itself is taken over. */
  const kept = async (tenantId: string, seen: string | undefined): Promise<readonly QuotaLimit[]> => {
    const limits = keptLimits(await core.quotas.get(tenantId));
    if (seen !== undefined && seen !== revisionOf(limits)) throw new AppError('conflict', words.quotasChanged);
    return limits;
  };

  pages.post('/console/{tenant}/quotas', 'session:admin', async (request) =>
    request.submit(limitForm, {
      save: async ({ scope, id, unit, per, limit: text, gracePercent, graceUntil, seen }) => {
        const amount = unit === 'money' ? nanosOf(text) : /^\d{1,15}$/.test(text) ? Number(text) : null;
        if (amount === null)
          throw new AppError('invalid', unit === 'money' ? words.notMoney : words.notANumber, { at: 'limit' });
        const grace: Grace = {
          ...(gracePercent === undefined ? {} : { percent: gracePercent }),
          ...(graceUntil === undefined ? {} : { until: Date.parse(graceUntil) + dayMs }),
        };
        const limit: QuotaLimit = {
          scope,
          ...(id === undefined || scope === 'tenant' ? {} : { id }),
          unit,
          per,
          limit: amount,
          ...(Object.keys(grace).length === 0 ? {} : { grace }),
        };
        const limits = await kept(request.tenant.id, seen);
        if (limits.some((other) => nameOfLimit(asState(other)) === nameOfLimit(asState(limit))))
          throw new AppError('conflict', words.quotaSame, { at: 'scope' });
        await core.quotas.put(request.tenant.id, [...limits, limit], limits);
        await request.audit('quotas.put');
        return request.to(quotasPath(request.tenant), 'saved');
      },
      again: (limit) => page(request, { limit }),
    }),
  );

  pages.post('/console/{tenant}/quotas/remove', 'session:admin', async (request) =>
    request.submit(z.object({ limit: z.string().max(1000), seen: z.string().optional() }), {
      save: async ({ limit: name, seen }) => {
        const limits = await kept(request.tenant.id, seen);
        const left = limits.filter((limit) => nameOfLimit(asState(limit)) !== name);
        await core.quotas.put(request.tenant.id, left, limits);
        await request.audit('quotas.put');
        return request.to(quotasPath(request.tenant), 'saved');
      },
      again: ({ problem }) => page(request, { limit: problem === undefined ? emptyForm : { ...emptyForm, problem } }),
    }),
  );

  const saveWarnings = async (request: PageRequest, change: Partial<QuotaWarnings>, rev: number): Promise<Response> => {
    const { tenant } = request;
    const before = tenant.settings.quotaWarnings ?? { at: usualThresholds, to: [] };
    await core.tenants.update(tenant.id, { settings: { quotaWarnings: { ...before, ...change } } }, rev);
    await request.audit('quotas.warnings');
    return request.to(quotasPath(tenant), 'saved');
  };

  pages.post('/console/{tenant}/quotas/warnings', 'session:admin', async (request) =>
    request.submit(thresholdsForm, {
      save: ({ at, rev }) => saveWarnings(request, { at }, rev),
      again: (warnings) => page(request, { warnings }),
    }),
  );

  pages.post('/console/{tenant}/quotas/warnings/receivers', 'session:admin', async (request) => {
    const add = (
      workspace: Pick<Receiver, 'platform' | 'workspaceId'>,
      {
        kind,
        receiverId,
        rev,
      }: { readonly kind: 'channel' | 'person'; readonly receiverId: string; readonly rev: number },
    ): Promise<Response> => {
      const to = request.tenant.settings.quotaWarnings?.to ?? [];
      const receiver: Receiver = {
        ...workspace,
        ...(kind === 'channel' ? { channelId: receiverId } : { userId: receiverId }),
      };
      if (to.some((other) => nameOfReceiver(other) === nameOfReceiver(receiver)))
        throw new AppError('conflict', words.receiverSame, { at: 'receiverId' });
      if (to.length >= mostReceivers) throw new AppError('invalid', words.receiverMost);
      return saveWarnings(request, { to: [...to, receiver] }, rev);
    };
    const again = (receiver: FormState) => page(request, { receiver });
    if ((await request.form()).has('workspaceId'))
      return request.submit(receiverForm, {
        save: async ({ platform, workspaceId, ...typed }) => add({ platform, workspaceId }, typed),
        again,
      });
    return request.submit(chosenForm, {
      save: async ({ workspace, ...typed }) => {
        const chosen = (await core.connections.list(request.tenant.id)).find(
          ({ platform, workspaceId }) => workspace === `${platform}:${workspaceId}`,
        );
        if (chosen === undefined) throw new AppError('invalid', words.notWorkspace, { at: 'workspace' });
        return add({ platform: chosen.platform, workspaceId: chosen.workspaceId }, typed);
      },
      again,
    });
  });

  pages.post('/console/{tenant}/quotas/warnings/remove', 'session:admin', async (request) =>
    request.submit(z.object({ receiver: z.string().max(1000), rev: z.coerce.number().int() }), {
      save: ({ receiver, rev }) => {
        const to = request.tenant.settings.quotaWarnings?.to ?? [];
        return saveWarnings(request, { to: to.filter((other) => nameOfReceiver(other) !== receiver) }, rev);
      },
      again: ({ problem }) =>
        page(request, { receiver: problem === undefined ? emptyForm : { ...emptyForm, problem } }),
    }),
  );

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
        await core.tenants.update(tenant.id, { settings: { prices: sorted([...prices, price]) } }, rev);
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
        await core.tenants.update(tenant.id, { settings: { prices: left } }, rev);
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

const usualThresholds: readonly number[] = [80, 95, 100];

const asState = (limit: QuotaLimit) => ({ ...limit, used: 0, resetsAt: 0 });

const sorted = (prices: readonly Price[]): readonly Price[] =>
  [...prices].sort((a, b) => (a.model === b.model ? (a.from < b.from ? -1 : 1) : a.model < b.model ? -1 : 1));
