import type { Tenant } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { isDoneKey } from '../texts/done.ts';
import { texts } from '../texts.ts';
import { Empty, Layout } from './layout.tsx';
import { operatorTenantsPath } from './operator-tenants.tsx';
import { mayPass, type PageRequest, type Pages, tenantsFor } from './pages.tsx';

/** `/console` shows nothing itself: it leads to the first page of whoever comes, in the tenant that `?tenant=` names. */
export const addHomePage = (pages: Pages): void => {
  const { doors } = pages;

  pages.get('/console', 'session:any', async (request) => {
    const { isOperator, memberships } = request;
    const done = request.query('done');
    const lead = (path: string): Response => request.to(path, done !== undefined && isDoneKey(done) ? done : undefined);

    const tenants = await tenantsFor(doors, memberships);
    const wanted = request.query('tenant');
    const tenant = wanted === undefined ? ownTenant(request, tenants) : await namedTenant(request, tenants, wanted);
    if (tenant === undefined) {
      if (isOperator) return lead(operatorTenantsPath);
      return request.show(
        <Layout shell={await request.plainShell()} title={texts.nav.tenant}>
          <Empty title={texts.empty.tenantsTitle} text={texts.empty.membershipsText} />
        </Layout>,
      );
    }
    const first = mayPass(request.rolesIn(tenant.id), 'viewer') ? 'overview' : 'usage';
    return lead(`/console/${encodeURIComponent(tenant.slug)}/${first}`);
  });

  /** An operator's own tenant comes before the list of all; who has only one to look after is led there at once. */
  const ownTenant = ({ isOperator, memberships }: PageRequest, tenants: readonly Tenant[]): Tenant | undefined => {
    if (!isOperator || tenants.length === 1) return tenants[0];
    return tenants.find(({ id }) => memberships.some(({ tenantId }) => tenantId === id));
  };

  /** A tenant beyond the first hundred is still an operator's to open. */
  const namedTenant = async (request: PageRequest, tenants: readonly Tenant[], slug: string): Promise<Tenant> => {
    const listed = tenants.find((tenant) => tenant.slug === slug);
    const tenant = listed ?? (request.isOperator ? await doors.core.tenants.bySlug(slug) : null);
    if (tenant === null) throw new AppError('not-found', 'There is no such tenant.');
    return tenant;
  };
};
