import type { QuotaWarning } from '../metering/warnings.ts';
import type { Clock } from '../ports/runtime.ts';
import type { Notices } from './notices.ts';

/** A warning to the channels and people that the tenant named, and to its webhooks; to each of them once. */
export const createWarn =
  ({ say, tell }: Pick<Notices, 'say' | 'tell'>, clock: Clock) =>
  async (warning: QuotaWarning): Promise<void> => {
    const { id, tenant, scope, scopeId, unit, per, limit, used, percent, resetsAt, sentence } = warning;
    await say(tenant.id, id, tenant.settings.quotaWarnings?.to ?? [], sentence);
    await tell({
      id,
      tenantId: tenant.id,
      event: 'quota.warning',
      at: clock.now(),
      data: { scope, scopeId, unit, per, limit, used, percent, resetsAt: new Date(resetsAt).toISOString() },
    });
  };
