import type { Child } from 'hono/jsx';
import type { Tenant } from '../../core/domain.ts';
import type { Assets } from '../assets.ts';
import type { Person } from '../auth/auth.ts';
import { texts } from '../texts.ts';

export type Shell = {
  readonly assets: Assets;
  readonly person?: Person | undefined;
  readonly tenants?: readonly Tenant[];
  readonly tenant?: Tenant | undefined;
  readonly active?: 'ask' | 'answers';
};

/** htmx without anything that needs eval or an inline style. */
const htmxConfig = 'includeIndicatorCSS:false, history:true';

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
      <main id="content" class={wide ? 'wide' : undefined} tabindex={-1}>
        {children}
      </main>
    </body>
  </html>
);

export const renderPage = (page: { toString(): string | Promise<string> }): string => `<!doctype html>${String(page)}`;

const Header = ({ shell }: { shell: Shell }) => {
  const query = shell.tenant === undefined ? '' : `?tenant=${encodeURIComponent(shell.tenant.slug)}`;
  const current = (name: Shell['active']) => (shell.active === name ? 'page' : undefined);
  return (
    <header class="top">
      <a class="wordmark" href="/console">
        {texts.product}
        <sup aria-hidden="true">1</sup>
      </a>
      {shell.person !== undefined && (
        <nav aria-label={texts.nav.label}>
          <a href={`/console${query}`} aria-current={current('ask')}>
            {texts.nav.ask}
          </a>
          {shell.tenant !== undefined && (
            <a href={`/console/${encodeURIComponent(shell.tenant.slug)}/answers`} aria-current={current('answers')}>
              {texts.nav.answers}
            </a>
          )}
        </nav>
      )}
      <AccountMenu shell={shell} />
    </header>
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
        </ul>
        <p class="who">{person.email}</p>
        <form method="post" action="/console/sign-out">
          <button type="submit" class="quiet">
            {texts.nav.signOut}
          </button>
        </form>
      </div>
    </details>
  );
};

export const Time = ({ at }: { at: number }) => {
  const iso = new Date(at).toISOString();
  const shown = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' }).format(
    at,
  );
  return <time datetime={iso}>{`${shown} UTC`}</time>;
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
