import { openSqliteState } from '../../../../core/drivers/state/sqlite/state.ts';
import { createMetering } from '../../../../core/metering/metering.ts';
import { anEvent, anInboxRow, aTenant } from '../../../contracts/rows.ts';
import { createTestRuntime } from '../../../fakes/clock.ts';

/** A process of its own over a shared DATA_DIR, driven by the tests: it says `ready`, waits for `go`, works, and reports. */

export type Order =
  | {
      readonly do: 'reserve';
      readonly tenantId: string;
      readonly label: string;
      readonly count: number;
      readonly settle: 'yes' | 'no';
    }
  | { readonly do: 'receive'; readonly label: string; readonly count: number }
  | { readonly do: 'claim'; readonly label: string; readonly now: number };
export type Report =
  | { readonly ready: true }
  | { readonly acknowledged: readonly string[] }
  | { readonly held: number; readonly refused: number }
  | { readonly claimed: readonly string[] };

const [dataDir = '', orderText = ''] = process.argv.slice(2);
const order = JSON.parse(orderText) as Order;
const runtime = createTestRuntime();
const state = await openSqliteState({ dataDir, log: runtime.log });
const say = (report: Report) => new Promise<void>((resolve) => process.send?.(report, () => resolve()));

const reserve = async ({ tenantId, label, count, settle }: Extract<Order, { do: 'reserve' }>) => {
  const metering = createMetering({ state, runtime });
  const tenant = aTenant({ id: tenantId });
  const outcomes = await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const result = await metering.reserve({
        tenant,
        reservationId: `${label}-${n}`,
        memberId: `slack:${label}`,
        tokens: 10,
        costNanos: 0,
      });
      if (result.outcome === 'held' && settle === 'yes') await result.settle({ tokens: 10, costNanos: 0 });
      return result.outcome;
    }),
  );
  const held = outcomes.filter((outcome) => outcome === 'held').length;
  await say({ held, refused: count - held });
};

const receive = async ({ label, count }: Extract<Order, { do: 'receive' }>) => {
  let next = 0;
  const work = async () => {
    while (next < count) {
      next += 1;
      const row = anInboxRow(anEvent({ dedupeKeys: [`${label}-${next}`] }), `thread-${label}-${next % 50}`);
      if ((await state.inbox.receive(row)) === 'stored') await say({ acknowledged: [row.id] });
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
};

const claim = async ({ label, now }: Extract<Order, { do: 'claim' }>) => {
  const claimed: string[] = [];
  for (;;) {
    const lease = await state.inbox.claimThread({ owner: label, now, leaseForMs: 30_000 });
    if (lease === null) break;
    claimed.push(lease.key);
  }
  await say({ claimed });
};

process.once('message', async () => {
  if (order.do === 'reserve') await reserve(order);
  if (order.do === 'receive') await receive(order);
  if (order.do === 'claim') await claim(order);
  // A process whose holds are to be left behind waits here to be killed.
  if (order.do === 'reserve' && order.settle === 'no') return;
  await state.maintenance.close();
  process.disconnect();
});
await say({ ready: true });
