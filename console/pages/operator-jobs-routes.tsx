import type { HeldJob } from '../../core/core.ts';
import type { Job } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { texts } from '../texts.ts';
import { jobStates, type NamedJob, OperatorJobsPage, operatorJobsPath } from './operator-jobs.tsx';
import type { PageRequest, Pages } from './pages.tsx';

const words = texts.operator.jobs;
const active = 'operator-jobs';
const jobsShown = 25;

/** What waits, runs and failed, over all tenants. */
export const addOperatorJobPages = (pages: Pages): void => {
  const { core, runtime } = pages.doors;

  const named = async (jobs: readonly HeldJob[]): Promise<readonly NamedJob[]> => {
    const ids = [...new Set(jobs.map(({ tenantId }) => tenantId))];
    const tenants = new Map(await Promise.all(ids.map(async (id) => [id, await core.tenants.get(id)] as const)));
    return Promise.all(
      jobs.map(async (job) => ({
        job,
        tenant: tenants.get(job.tenantId) ?? null,
        source: job.sourceId === undefined ? null : await core.sources.get(job.tenantId, job.sourceId),
      })),
    );
  };

  const jobOf = async (request: PageRequest): Promise<Job> => {
    const job = await core.jobs.get(request.tenant.id, request.param('job'));
    if (job === null) throw new AppError('not-found', 'There is no such job.');
    return job;
  };

  pages.get(operatorJobsPath, 'session:operator', async (request) => {
    const [wanted, cursor] = [request.query('state'), request.query('cursor')];
    const state = jobStates.find((each) => each === wanted);
    const [queues, { items, nextCursor }] = await Promise.all([
      core.deployment.queues(),
      core.deployment.jobs(state === undefined ? {} : { state }, {
        limit: jobsShown,
        ...(cursor === undefined ? {} : { cursor }),
      }),
    ]);
    return request.show(
      <OperatorJobsPage
        shell={await request.plainShell(active)}
        queues={queues}
        page={{ items: await named(items), ...(nextCursor === undefined ? {} : { nextCursor }) }}
        state={state}
        now={runtime.clock.now()}
      />,
    );
  });

  pages.post(`${operatorJobsPath}/{tenant}/{job}/retry`, 'session:operator', async (request) => {
    const { id } = await jobOf(request);
    await core.deployment.retry(request.tenant.id, id);
    await request.audit('job.retry', id);
    return request.to(operatorJobsPath, 'job-again');
  });

  pages.post(`${operatorJobsPath}/{tenant}/{job}/cancel`, 'session:operator', async (request) => {
    const { id, kind } = await jobOf(request);
    const asks = await request.unconfirmed(active, {
      title: words.cancelTitle,
      consequences: words.cancelConsequences[kind],
      button: words.cancelButton,
      back: operatorJobsPath,
    });
    if (asks !== null) return asks;
    await core.deployment.cancel(request.tenant.id, id);
    await request.audit('job.cancel', id);
    return request.to(operatorJobsPath, 'job-stopped');
  });
};
