import type { ParseArgsOptionDescriptor } from 'node:util';
import type { Config } from '../core/config.ts';
import type { Core } from '../core/core.ts';
import type { Tenant } from '../core/domain.ts';

/** What a verb may touch outside: two streams, the keyboard, the person's patience. */
export type Terminal = {
  out(text: string): void;
  err(text: string): void;
  /** Standard error is a terminal: progress may be drawn there. */
  readonly isTerminal: boolean;
  /** Width for wrapped text. */
  readonly columns: number;
  readonly input: NodeJS.ReadableStream;
  readonly signal: AbortSignal;
};

/** The stores and the core of one DATA_DIR, opened for a verb. */
export type Door = {
  readonly core: Core;
  readonly config: Config;
  /** Consistent copy of every store into a folder, with the key of sealed credentials when it was generated here. */
  backup(folder: string, signal: AbortSignal): Promise<void>;
  /** A new one-time link for an owner. */
  signInUrl(): Promise<string>;
};

export type VerbOption = ParseArgsOptionDescriptor & { readonly about: string };

export type Call = {
  readonly args: readonly string[];
  /** The value of a `string` option, or undefined. */
  text(name: string): string | undefined;
  /** The values of a `multiple` option. */
  texts(name: string): readonly string[];
  flag(name: string): boolean;
  readonly json: boolean;
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Opened at most once, closed when the verb is done. Throws AppError `config` or `store-unavailable`. */
  open(): Promise<Door>;
};

/** One verb of the command line. `run` answers the exit code: 0 done, 1 failed. */
export type Verb = {
  /** One or two words. */
  readonly name: string;
  readonly about: string;
  /** The arguments, as in a manual: `<path> [more…]`. */
  readonly args?: string;
  readonly options: Readonly<Record<string, VerbOption>>;
  run(call: Call): Promise<number>;
};

/** The person used the command wrongly: exit code 2 and a hint at --help. */
export class UsageError extends Error {
  override readonly name = 'UsageError' as const;
}

export const tenantOption = {
  tenant: { type: 'string', default: 'demo', about: 'slug of the tenant (demo)' },
} as const satisfies Record<string, VerbOption>;

/** The tenant of --tenant. Throws UsageError when there is none of that name. */
export const tenantOf = async (call: Call, core: Core): Promise<Tenant> => {
  const slug = call.text('tenant') ?? 'demo';
  const tenant = await core.tenants.bySlug(slug);
  if (tenant !== null) return tenant;
  const hint =
    slug === 'demo' ? 'It is filled at the first `footnote serve`.' : `Create it: footnote tenant create ${slug}`;
  throw new UsageError(`There is no tenant “${slug}”. ${hint}`);
};

/** One line of JSON; what scripts read. */
export const renderJson = (value: unknown): string => `${JSON.stringify(value)}\n`;
