import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { LedgerEntry } from '../../../core/domain.ts';
import { openSqliteState } from '../../../core/drivers/state/sqlite/state.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { aLine } from '../../contracts/rows.ts';
import { createTestRandom, createTestRuntime, testStart } from '../../fakes/clock.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let folder: string;
let state: StateStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'footnote-export-'));
  state = await openSqliteState({ dataDir: folder, log: createTestRuntime().log });
});
afterAll(async () => {
  await state.maintenance.close();
  await rm(folder, { recursive: true });
});

/** R5 of the figures at a fifth of its size, to be quick: the bill against an independent count, in whole numbers. */
test('20,000 events of which 30 % came twice are billed to the unit, and the export is the same byte for byte', async () => {
  const random = createTestRandom(5);
  const pick = (n: number) => Math.floor(random.float() * n);
  const tenantId = 't_bill';
  const day = 86_400_000;
  const range = { from: testStart, to: testStart + 30 * day };
  const lines: LedgerEntry[] = Array.from({ length: 14_000 }, () =>
    aLine(tenantId, {
      at: testStart + pick(30 * day),
      memberId: `slack:U${pick(50)}`,
      promptTokens: pick(4_000),
      completionTokens: pick(900),
      costNanos: pick(5_000_000),
    }),
  );
  const events = [...lines, ...Array.from({ length: 6_000 }, () => lines[pick(lines.length)] as LedgerEntry)];
  for (let at = events.length - 1; at > 0; at -= 1) {
    const other = pick(at + 1);
    [events[at], events[other]] = [events[other] as LedgerEntry, events[at] as LedgerEntry];
  }
  for (let at = 0; at < events.length; at += 500) await state.ledger.append(tenantId, events.slice(at, at + 500));

  const expected = new Map<string, [prompt: bigint, completion: bigint, nanos: bigint]>();
  for (const line of lines) {
    const sum = expected.get(line.memberId ?? '') ?? [0n, 0n, 0n];
    expected.set(line.memberId ?? '', [
      sum[0] + BigInt(line.promptTokens),
      sum[1] + BigInt(line.completionTokens),
      sum[2] + BigInt(line.costNanos ?? 0),
    ]);
  }
  const rows = await state.ledger.usage(tenantId, range, 'member');
  expect(
    rows.map((row) => [row.key, BigInt(row.promptTokens), BigInt(row.completionTokens), BigInt(row.costNanos)]),
  ).toEqual(
    [...expected].map(([key, sums]) => [key, ...sums]).toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
  );
  const byDay = await state.ledger.usage(tenantId, range, 'day');
  const total = (of: typeof rows) => of.reduce((sum, row) => sum + BigInt(row.costNanos), 0n);
  expect(total(byDay)).toBe(total(rows));

  const exported = async (): Promise<string> => {
    const pages: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await state.ledger.list(tenantId, range, {
        limit: 1_000,
        ...(cursor === undefined ? {} : { cursor }),
      });
      pages.push(...page.items.map((line) => JSON.stringify(line)));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return pages.join('\n');
  };
  const first = await exported();
  expect(first.split('\n')).toHaveLength(14_000);
  await state.ledger.append(tenantId, events.slice(0, 1_000));
  expect((await exported()) === first).toBe(true);
});
