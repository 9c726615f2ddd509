import { z } from 'zod';
import type { Job } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { openEvents } from '../events.ts';
import { number, texts } from '../texts.ts';
import { membersPath } from './members.tsx';
import { OperatorTenantPage } from './operator-tenant.tsx';
import {
  CreateTenantPage,
  createTenantPath,
  OperatorTenantsPage,
  operatorTenantPath,
  operatorTenantsPath,
} from './operator-tenants.tsx';
import type { PageRequest, Pages } from './pages.tsx';
import { emptyForm } from './parts/form.tsx';
import { Progress } from './source.tsx';

const words = texts.operator.tenant;
const tenantsShown = 50;
const jobsShown = 10;
const createForm = z.object({ name: z.string().max(200), slug: z.string().max(200) });

/** Every tenant of the deployment: made, measured, re-indexed, deleted. */
export const addOperatorTenantPages = (pages: Pages): void => {
  const { core, runtime } = pages.doors;
  const active = 'operator-tenants';

  pages.get(operatorTenantsPath, 'session:operator', async (request) => {
    const [q, cursor] = [request.query('q'), request.query('cursor')];
    const page = await core.deployment.tenants(q === undefined ? {} : { q }, {
      limit: tenantsShown,
      ...(cursor === undefined ? {} : { cursor }),
    });
    return request.show(<OperatorTenantsPage shell={await request.plainShell(active)} page={page} q={q} />);
  });

  pages.get(createTenantPath, 'session:operator', async (request) =>
    request.show(<CreateTenantPage shell={await request.plainShell(active)} state={emptyForm} />),
  );

  pages.post(operatorTenantsPath, 'session:operator', async (request) =>
    request.submit(createForm, {
      save: async (input) => {
        const tenant = await core.tenants.create(input);
        await request.audit('tenant.create', tenant.slug);
        // Nobody is in it yet, and an invitation is what comes next.
        return request.to(membersPath(tenant), 'created');
      },
      again: async (state) => <CreateTenantPage shell={await request.plainShell(active)} state={state} />,
    }),
  );

  pages.get(`${operatorTenantsPath}/{tenant}`, 'session:operator', async (request) => {
    const { tenant } = request;
    const [figures, generations, jobs] = await Promise.all([
      core.deployment.figures(tenant.id),
      core.deployment.index(tenant.id),
      core.jobs.list(tenant.id, {}, { limit: jobsShown }),
    ]);
    return request.show(
      <OperatorTenantPage
        shell={await request.plainShell(active)}
        state={{ tenant, figures, generations, jobs: jobs.items }}
      />,
    );
  });

  pages.post(`${operatorTenantsPath}/{tenant}/reindex`, 'session:operator', async (request) => {
    const { tenant } = request;
    const asks = await request.unconfirmed(active, {
      title: words.reindexTitle(tenant.name),
      consequences: words.reindexConsequences(number(await core.documents.count(tenant.id)), core.modes.embeddingModel),
      button: words.reindexButton,
      back: operatorTenantPath(tenant),
    });
    if (asks !== null) return asks;
    await core.reindex.start(tenant.id);
    await request.audit('index.rebuild');
    return request.to(operatorTenantPath(tenant), 'reindex-started');
  });

  pages.post(
    `${operatorTenantsPath}/{tenant}/generations/{generation}/activate`,
    'session:operator',
    async (request) => {
      const { tenant } = request;
      const generation = generationIn(request);
      const asks = await request.unconfirmed(active, {
        title: words.goBackTitle(generation),
        consequences: words.goBackConsequences,
        button: words.goBackButton,
        back: operatorTenantPath(tenant),
      });
      if (asks !== null) return asks;
      await core.reindex.activate(tenant.id, generation);
      await request.audit('index.activate', String(generation));
      return request.to(operatorTenantPath(tenant), 'going-back');
    },
  );

  /** Events `progress {html}` while a job runs, then one `done {html}`; the page fetches itself anew after it. */
  pages.get(`${operatorTenantsPath}/{tenant}/progress/{job}`, 'session:operator', async (request) => {
    const { c, tenant } = request;
    const job = await core.jobs.get(tenant.id, request.param('job'));
    if (job === null) throw new AppError('not-found', 'There is no such job.');
    const { over, respond } = openEvents(c, runtime);
    return respond(async (send) => {
      const html = (shown: Job) => ({ html: String(<Progress job={shown} />) });
      let last = job;
      for await (last of core.jobs.watch(tenant.id, job.id, AbortSignal.any([over, c.req.raw.signal])))
        await send('progress', html(last));
      over.throwIfAborted();
      await send('done', html(last));
    });
  });

  pages.post(`${operatorTenantsPath}/{tenant}/delete`, 'session:operator', async (request) => {
    const { tenant } = request;
    const asks = await request.unconfirmed(active, {
      title: texts.settings.deleteTitle(tenant.name),
      consequences: texts.settings.deleteConsequences,
      button: texts.settings.deleteButton,
      back: operatorTenantPath(tenant),
      phrase: tenant.slug,
    });
    if (asks !== null) return asks;
    await core.tenants.remove(tenant.id);
    await core.audit(null, `user:${request.person.userId}`, 'tenant.delete', tenant.slug);
    return request.to(operatorTenantsPath, 'tenant-deleted');
  });
};

const generationIn = (request: PageRequest): number => {
  const text = request.param('generation');
  if (!/^\d{1,9}$/.test(text)) throw new AppError('not-found', 'There is no such generation to go back to.');
  return Number(text);
};
