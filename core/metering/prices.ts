import { createRequire } from 'node:module';
import type { calcPrice as CalcPrice } from '@pydantic/genai-prices';
import type { Price, Tenant } from '../domain.ts';
import { builtInCurrency } from '../text/currency.ts';
import { parseDecimal } from './money.ts';
import { dayOf } from './windows.ts';

/**
 * The price that was valid for a model at that time: the tenant's newest that had begun, or the built-in one. Null:
 * unknown, which is never 0. The built-in table is bundled data; nothing is fetched. Some vendors ask more for every token
 * of a long prompt, so the prompt's length chooses among their tiers.
 */
export const priceFor = (tenant: Tenant, model: string, at: number, promptTokens = 0): Price | null =>
  tenantPrice(tenant.settings.prices ?? [], model, at) ?? builtInPrice(model, at, promptTokens);

const tenantPrice = (prices: readonly Price[], model: string, at: number): Price | null => {
  const day = dayOf(at);
  const valid = prices.filter((price) => price.model === model && price.from <= day && isUsable(price));
  return valid.reduce<Price | null>((best, price) => (best === null || price.from >= best.from ? price : best), null);
};

const isUsable = (price: Price): boolean =>
  parseDecimal(price.inputPerMillion) !== null && parseDecimal(price.outputPerMillion) !== null;

const require = createRequire(import.meta.url);
let calculate: typeof CalcPrice | undefined;

/** The table is 20 MB in memory: loaded with the first price that is asked for, which without a model is never. */
const calcPrice: typeof CalcPrice = (...args) => {
  calculate ??= (require('@pydantic/genai-prices') as { readonly calcPrice: typeof CalcPrice }).calcPrice;
  return calculate(...args);
};

/** Only a vendor's own names are looked up: a self-hosted model of a like name has a price that only its tenant knows. */
const builtInPrice = (model: string, at: number, promptTokens: number): Price | null => {
  const timestamp = new Date(at);
  const found =
    calcPrice({ input_tokens: 1 }, model, { timestamp }) ??
    calcPrice({ input_tokens: 1 }, model, { timestamp, providerId: 'openai' });
  if (found === null) return null;
  const input = perMillion(found.model_price.input_mtok, promptTokens);
  // An embedding model writes nothing, so its table has no price for it.
  const output =
    found.model_price.output_mtok === undefined ? '0' : perMillion(found.model_price.output_mtok, promptTokens);
  if (input === null || output === null) return null;
  return {
    model,
    currency: builtInCurrency,
    inputPerMillion: input,
    outputPerMillion: output,
    from: startOf(found.model.prices, at),
    origin: 'built-in',
  };
};

type ListedPrice = NonNullable<ReturnType<typeof calcPrice>>['model_price'][string];

const perMillion = (price: ListedPrice, promptTokens: number): string | null => {
  if (price === undefined) return null;
  const amount =
    typeof price === 'number'
      ? price
      : price.tiers.reduce((chosen, tier) => (promptTokens > tier.start ? tier.price : chosen), price.base);
  // Twelve places hold every price of the table; more would be the dust of binary fractions.
  const text = amount.toFixed(12).replace(/\.?0+$/, '');
  return parseDecimal(text) === null ? null : text;
};

type DatedPrices = NonNullable<ReturnType<typeof calcPrice>>['model']['prices'];

const startOf = (prices: DatedPrices, at: number): string => {
  const day = dayOf(at);
  const starts = (Array.isArray(prices) ? prices : []).flatMap(({ constraint }) =>
    constraint !== undefined && 'start_date' in constraint && constraint.start_date <= day
      ? [constraint.start_date]
      : [],
  );
  return starts.sort().at(-1) ?? '1970-01-01';
};
