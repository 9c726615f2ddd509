import type { Tenant } from '../domain.ts';

/** The currency of the built-in table of prices. */
export const builtInCurrency = 'USD';

/** Money of a tenant, its limits included, is in the currency of its own prices, or of the built-in table. */
export const currencyOf = ({ settings }: Tenant): string => settings.prices?.[0]?.currency ?? builtInCurrency;
