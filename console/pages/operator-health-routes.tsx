import type { Finding } from '../../core/ports/finding.ts';
import { type HealthState, OperatorHealthPage, operatorHealthPath } from './operator-health.tsx';
import type { Pages } from './pages.tsx';

const readyWithinMs = 3_000;
const checksWithinMs = 45_000;

/** What runs, in which version, and whether it can work. */
export const addOperatorHealthPages = (pages: Pages): void => {
  const { core, about, runtime } = pages.doors;

  const findings = async (stop: AbortSignal): Promise<NonNullable<HealthState['checks']>> => {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(checksWithinMs)]);
    try {
      const found: readonly Finding[] = await (about?.findings(signal) ?? core.examine(signal));
      return { findings: found, complete: true };
    } catch (error) {
      runtime.log.warn('checks-failed', { error: String(error) });
      return { findings: [], complete: false };
    }
  };

  pages.get(operatorHealthPath, 'session:operator', async (request) => {
    const [problems, instances] = await Promise.all([
      core.problems(AbortSignal.timeout(readyWithinMs)).catch(() => ['The check took too long or failed.']),
      core.deployment.instances(),
    ]);
    // Asked for only: it takes its time, and asks a server that may cost money.
    const isAsked = request.query('checks') !== undefined;
    if (isAsked) await request.limit('operator:checks', 6);
    const checks = isAsked ? await findings(request.c.req.raw.signal) : undefined;
    return request.show(
      <OperatorHealthPage
        shell={await request.plainShell('operator-health')}
        state={{
          problems,
          instances,
          modes: core.modes,
          version: about?.version ?? null,
          ...(checks === undefined ? {} : { checks }),
        }}
      />,
    );
  });
};
