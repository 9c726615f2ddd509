import type { ParseArgsOptionDescriptor } from 'node:util';
import type { Config } from '../core/config.ts';
import type { Core } from '../core/core.ts';
import type { Role, Tenant, TenantId } from '../core/domain.ts';

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
  /** A new one-time link: for the owner, or for somebody who is given this role. */
  signInUrl(guest?: {
    readonly email: string;
    readonly role: Role;
    readonly tenantId: TenantId | null;
  }): Promise<string>;
  /** The `demo` tenant with its sample documents, unless it is switched off, was filled before, or was deleted. */
  fillDemo(): Promise<void>;
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

/** The tenant of --tenant; `demo` is filled when it is asked for before the first start. Throws UsageError for no such tenant. */
export const tenantOf = async (call: Call, core: Core): Promise<Tenant> => {
  const slug = call.text('tenant') ?? demoSlug;
  const tenant = (await core.tenants.bySlug(slug)) ?? (slug === demoSlug ? await filledDemo(call, core) : null);
  if (tenant !== null) return tenant;
  const hint =
    slug === demoSlug
      ? 'It was deleted, or DEMO is off. Name another one with --tenant.'
      : `Create it: footnote tenant create ${slug}`;
  throw new UsageError(`There is no tenant “${slug}”. ${hint}`);
};

const demoSlug = 'demo';

const filledDemo = async (call: Call, core: Core): Promise<Tenant | null> => {
  if (call.terminal.isTerminal) call.terminal.err('Filling the demo tenant with its sample documents …\n');
  await (await call.open()).fillDemo();
  return core.tenants.bySlug(demoSlug);
};

/** One line of JSON; what scripts read. */
export const renderJson = (value: unknown): string => `${JSON.stringify(value)}\n`;
