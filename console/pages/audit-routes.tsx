import type { Core } from '../../core/core.ts';
import type { AuditEntry, Tenant, TenantId } from '../../core/domain.ts';
import type { Paged } from '../../core/ports/state.ts';
import { csvLine } from '../../core/text/csv.ts';
import { streamOf } from '../billing.ts';
import type { Names } from '../names.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import type { Pages } from './pages.tsx';
import { More, Table } from './parts/table.tsx';

const words = texts.settings;

/** Who changed what. */
export const addAuditPages = (pages: Pages): void => {
  const { core, auth } = pages.doors;

  /** Whoever looks for a person types a name or an address; the log holds the person's id. */
  const asLogged = async (tenantId: TenantId, q: string | undefined): Promise<string | undefined> => {
    if (q === undefined) return undefined;
    const members = await core.members.ofTenant(tenantId);
    const people = await auth.accounts.known(members.map(({ userId }) => userId));
    const meant = q.toLowerCase();
    const named = [...people].filter(([, { name, email }]) => [name, email].some((one) => one.toLowerCase() === meant));
    return named.length === 1 ? `user:${named[0]?.[0]}` : q;
  };

  pages.get('/console/{tenant}/audit', 'session:admin', async (request) => {
    const q = request.query('q');
    const cursor = request.query('cursor');
    const logged = await asLogged(request.tenant.id, q);
    const page = await core.auditTrail(request.tenant.id, logged === undefined ? {} : { q: logged }, {
      limit: 100,
      ...(cursor === undefined ? {} : { cursor }),
    });
    return request.show(
      <AuditPage
        shell={await request.shell('audit')}
        page={page}
        q={q}
        names={
          await pages.names(
            request.tenant,
            [],
            page.items.map(({ actor }) => actor),
          )
        }
      />,
    );
  });

  pages.get('/console/{tenant}/audit/export', 'session:admin', async (request) =>
    request.c.body(
      streamOf(auditCsv(core, request.tenant.id, await asLogged(request.tenant.id, request.query('q')))),
      200,
      {
        'content-type': 'text/csv; charset=utf-8',
        'content-disposition': `attachment; filename="audit-${request.tenant.slug}.csv"`,
      },
    ),
  );
};

async function* auditCsv(core: Core, tenantId: TenantId, q: string | undefined): AsyncGenerator<string> {
  yield csvLine(['at', 'actor', 'action', 'subject', 'id']);
  let cursor: string | undefined;
  do {
    const page = await core.auditTrail(tenantId, q === undefined ? {} : { q }, {
      limit: 500,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const { at, actor, action, subject, id } of page.items)
      yield csvLine([new Date(at).toISOString(), actor, action, subject ?? '', id]);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

const AuditPage = ({
  shell,
  page,
  q,
  names,
}: {
  shell: Shell & { readonly tenant: Tenant };
  page: Paged<AuditEntry>;
  q: string | undefined;
  names: Names;
}) => {
  const path = `/console/${encodeURIComponent(shell.tenant.slug)}/audit`;
  const query = new URLSearchParams(q === undefined ? {} : { q });
  return (
    <Layout shell={shell} title={words.auditTitle} wide>
      <h1>{words.auditTitle}</h1>
      <p class="lead">{words.auditLead}</p>
      <form class="filter" method="get" action={path}>
        <input
          type="search"
          name="q"
          value={q ?? ''}
          aria-label={words.auditSearch}
          placeholder={words.auditSearchHint}
          maxlength={200}
        />
        <button type="submit">{words.auditSearch}</button>
        <a class="button" href={`${path}/export?${query.toString()}`} download>
          {words.auditExport}
        </a>
      </form>
      {page.items.length === 0 ? (
        <p class="muted part">{q === undefined ? words.auditNone : words.auditNoneFound}</p>
      ) : (
        <Table
          caption={words.auditTitle}
          rows={page.items}
          columns={[
            { head: words.at, cell: ({ at }) => <Time at={at} /> },
            { head: words.actor, cell: ({ actor }) => <span title={actor}>{names.member(actor)}</span> },
            { head: words.action, cell: ({ action }) => <code>{action}</code> },
            { head: words.subject, cell: ({ subject }) => subject ?? '' },
          ]}
        />
      )}
      <More
        href={
          page.nextCursor === undefined
            ? undefined
            : `${path}?${new URLSearchParams({ ...Object.fromEntries(query), cursor: page.nextCursor }).toString()}`
        }
      />
    </Layout>
  );
};
