import type { Child } from 'hono/jsx';
import type { Role, Tenant } from '../../core/domain.ts';
import type { Assets } from '../assets.ts';
import type { Person } from '../auth/auth.ts';
import type { DoneKey } from '../texts/done.ts';
import { texts } from '../texts.ts';
import { leadsFor, type PageName } from './navigation.ts';

/** What stands around every page: whose it is, where else one can go, what was just done. */
export type Shell = {
  readonly assets: Assets;
  readonly person?: Person | undefined;
  readonly isOperator?: boolean;
  readonly tenants?: readonly Tenant[];
  readonly tenant?: Tenant | undefined;
  /** Of the person in the tenant. */
  readonly roles?: readonly Role[];
  readonly active?: PageName;
  readonly done?: DoneKey;
};

/** htmx without anything that needs eval or an inline style; the way back fetches whole pages, not the parts of swaps. */
const htmxConfig = 'includeIndicatorCSS:false, history:reload';

export const Layout = ({
  shell,
  title,
  wide,
  children,
}: {
  shell: Shell;
  title: string;
  wide?: boolean;
  children: Child;
}) => (
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <meta name="htmx-config" content={htmxConfig} />
      <title>{`${title} · ${texts.product}`}</title>
      <link rel="icon" href={shell.assets.href('mark.svg')} type="image/svg+xml" />
      <link rel="stylesheet" href={shell.assets.href('console.css')} />
      <script src={shell.assets.href('htmx.js')} defer></script>
      <script src={shell.assets.href('console.js')} defer></script>
    </head>
    <body>
      <a class="skip" href="#content">
        {texts.skip}
      </a>
      <Header shell={shell} />
      <div class={shell.person === undefined ? 'frame alone' : 'frame'}>
        <Rail shell={shell} />
        <main id="content" class={wide ? 'wide' : undefined} tabindex={-1}>
          {shell.done !== undefined && (
            <p class="notice note done" role="status">
              {texts.done[shell.done]}
            </p>
          )}
          {children}
        </main>
      </div>
    </body>
  </html>
);

export const renderPage = (page: { toString(): string | Promise<string> }): string => `<!doctype html>${String(page)}`;

const Header = ({ shell }: { shell: Shell }) => (
  <header class="top">
    <a class="wordmark" href="/console">
      {texts.product}
      <sup aria-hidden="true">1</sup>
    </a>
    <AccountMenu shell={shell} />
  </header>
);

/** The way to every page of the tenant: beside the page, or folded above it on a phone. Works without scripts. */
const Rail = ({ shell }: { shell: Shell }) => {
  if (shell.person === undefined) return null;
  const leads = leadsFor(shell.roles ?? [], shell.isOperator === true, shell.tenant?.slug);
  if (leads.length === 0) return null;
  const active = leads.flatMap(({ entries }) => entries).find(({ name }) => name === shell.active);
  const nav = (id: string) => (
    <nav aria-label={id}>
      {leads.map(({ group, entries }) => (
        <div class="group">
          <p class="group-name" id={`${id}-${group}`}>
            {texts.nav.groups[group]}
          </p>
          <ul aria-labelledby={`${id}-${group}`}>
            {entries.map(({ name, href }) => (
              <li>
                <a href={href} aria-current={name === shell.active ? 'page' : undefined}>
                  {texts.nav.pages[name]}
                </a>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
  return (
    <>
      <aside class="rail">{nav(texts.nav.label)}</aside>
      <details class="folded menu">
        <summary>{active === undefined ? texts.nav.label : texts.nav.pages[active.name]}</summary>
        <div class="sheet">{nav(texts.nav.folded)}</div>
      </details>
    </>
  );
};

/** Whose documents, and who is asking; works without scripts. */
const AccountMenu = ({ shell }: { shell: Shell }) => {
  const { person, tenant, tenants = [] } = shell;
  if (person === undefined) return null;
  return (
    <details class="menu">
      <summary
        aria-label={
          tenant === undefined ? `${texts.nav.account}: ${person.name}` : `${texts.nav.tenant}: ${tenant.name}`
        }
      >
        {tenant?.name ?? person.name}
      </summary>
      <div class="sheet">
        <ul>
          {tenants.length > 1 &&
            tenants.map((other) => (
              <li>
                <a
                  href={`/console?tenant=${encodeURIComponent(other.slug)}`}
                  aria-current={other.id === tenant?.id ? 'true' : undefined}
                >
                  {other.name}
                </a>
              </li>
            ))}
          {shell.isOperator === true && (
            <li>
              <a href="/console/operator/tenants">{texts.nav.allTenants}</a>
            </li>
          )}
        </ul>
        <p class="who">{person.email}</p>
        <ul>
          <li>
            <a href="/console/settings/account">{texts.nav.yourAccount}</a>
          </li>
        </ul>
        <form method="post" action="/console/sign-out">
          <button type="submit" class="quiet">
            {texts.nav.signOut}
          </button>
        </form>
      </div>
    </details>
  );
};

/** Made once: making one takes a hundred times as long as using it, and a page has a hundred times on it. */
const inWords = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });

export const Time = ({ at }: { at: number }) => {
  const iso = new Date(at).toISOString();
  return <time datetime={iso}>{`${inWords.format(at)} UTC`}</time>;
};

export const Empty = ({
  title,
  text,
  command,
  children,
}: {
  title: string;
  text: string;
  command?: string;
  children?: Child;
}) => (
  <section class="empty">
    <h1>{title}</h1>
    <p>{text}</p>
    {command !== undefined && (
      <pre>
        <code>{command}</code>
      </pre>
    )}
    {children}
  </section>
);
