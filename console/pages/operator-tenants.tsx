import type { TenantFigures, TenantView } from '../../core/core.ts';
import type { Tenant } from '../../core/domain.ts';
import type { Paged } from '../../core/ports/state.ts';
import { bytesInWords, texts } from '../texts.ts';
import { Empty, Layout, type Shell } from './layout.tsx';
import { FormBox, type FormState, TextField } from './parts/form.tsx';
import { More, Num, Search, Sums, Table } from './parts/table.tsx';

const words = texts.operator.tenants;

export const operatorTenantsPath = '/console/operator/tenants';
/** Not below the list: every word there is a tenant's short name. */
export const createTenantPath = '/console/operator/new-tenant';
export const operatorTenantPath = (tenant: Pick<Tenant, 'slug'>): string =>
  `${operatorTenantsPath}/${encodeURIComponent(tenant.slug)}`;

/** What was paid in a time: an amount for each currency, and whether that is all. */
export const Spent = ({ figures: { costs, costUnknown } }: { figures: TenantFigures }) => {
  const paid = costs.filter(({ nanos }) => nanos > 0);
  if (paid.length === 0) return <span class="muted">{costUnknown ? words.unknown : words.nothing}</span>;
  return (
    <span>
      <Sums costs={paid} />
      {costUnknown && ` ${words.more}`}
    </span>
  );
};

export const OperatorTenantsPage = ({
  shell,
  page,
  q,
}: {
  shell: Shell;
  page: Paged<TenantView>;
  q: string | undefined;
}) => {
  const create = (
    <a class="button primary" href={createTenantPath}>
      {words.create}
    </a>
  );
  if (page.items.length === 0 && q === undefined)
    return (
      <Layout shell={shell} title={words.title}>
        <Empty title={words.emptyTitle} text={words.emptyText}>
          <p>{create}</p>
        </Empty>
      </Layout>
    );
  return (
    <Layout shell={shell} title={words.title} wide>
      <div class="head">
        <h1>{words.title}</h1>
        {create}
      </div>
      <p class="lead">{words.lead}</p>
      <Search action={operatorTenantsPath} q={q} hint={words.searchHint} button={words.search} />
      {page.items.length === 0 ? <p class="part muted">{words.none}</p> : <TenantTable rows={page.items} />}
      <More
        href={
          page.nextCursor === undefined
            ? undefined
            : `${operatorTenantsPath}?${new URLSearchParams({ ...(q === undefined ? {} : { q }), cursor: page.nextCursor })}`
        }
      />
    </Layout>
  );
};

const TenantTable = ({ rows }: { rows: readonly TenantView[] }) => (
  <Table
    caption={words.caption}
    rows={rows}
    columns={[
      {
        head: words.tenant,
        cell: ({ tenant }) => (
          <span class="who-is">
            <a href={operatorTenantPath(tenant)}>{tenant.name}</a>
            <small>{tenant.slug}</small>
          </span>
        ),
      },
      { head: words.documents, figures: true, cell: ({ figures }) => <Num value={figures.documents} /> },
      { head: words.passages, figures: true, cell: ({ figures }) => <Num value={figures.chunks} /> },
      { head: words.size, figures: true, cell: ({ figures }) => bytesInWords(figures.bytes) },
      { head: words.questions, figures: true, cell: ({ figures }) => <Num value={figures.questions} /> },
      { head: words.spent, figures: true, cell: ({ figures }) => <Spent figures={figures} /> },
    ]}
  />
);

export const CreateTenantPage = ({ shell, state }: { shell: Shell; state: FormState }) => {
  const create = texts.operator.create;
  return (
    <Layout shell={shell} title={create.title}>
      <p class="crumb">
        <a href={operatorTenantsPath}>{texts.operator.tenant.back}</a>
      </p>
      <h1>{create.title}</h1>
      <p class="lead">{create.lead}</p>
      <FormBox state={state} action={operatorTenantsPath} submit={create.submit} cancel={operatorTenantsPath}>
        <TextField
          state={state}
          name="name"
          label={create.name}
          hint={create.nameHint}
          required
          maxlength={200}
          autocomplete="off"
          autofocus
        />
        <TextField
          state={state}
          name="slug"
          label={create.slug}
          hint={create.slugHint}
          required
          maxlength={63}
          autocomplete="off"
        />
      </FormBox>
    </Layout>
  );
};
