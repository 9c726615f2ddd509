import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { liveIn, pagesOf } from '../browser/lived-in.ts';
import { openReal } from '../console/real.ts';
import { aDocument, aLine, aReceipt, aTenant } from '../contracts/rows.ts';
import { type BenchResult, quantile } from './result.ts';

/**
 * The console's pages with 1,000 tenants, 100,000 answers and 10,000 documents in the store, all of them of the one tenant
 * that is looked at: the time from a request to the last byte of its page, and what the page weighs compressed.
 *
 * BENCH_PAGES='gaps|usage' measures the pages alone whose route fits; FOOTNOTE_TEST_STATE=mongodb with MONGODB_URI measures
 * them over MongoDB.
 */

const [tenants, answers, documents] = [1_000, 100_000, 10_000];
const rounds = 40;
const target = { ms: 50, kB: 100 };

const words = 'leave travel battery frame brake order invoice pension laptop holiday meeting parcel'.split(' ');
const word = (at: number): string => words[at % words.length] ?? '';

const dayOf = (time: number): string => new Date(time).toISOString().slice(0, 10);

/** `write` of 0 … count - 1, as many at a time as share one commit. */
const inParallel = async (count: number, write: (at: number) => Promise<unknown>): Promise<void> => {
  for (let from = 0; from < count; from += 500)
    await Promise.all(Array.from({ length: Math.min(500, count - from) }, (_, at) => write(from + at)));
};

const measure = async (): Promise<BenchResult[]> => {
  const real = await openReal();
  try {
    const acme = await real.furnish('acme');
    const tenantId = acme.tenant.id;
    await liveIn(real.core, acme, (field) => `A ${field} of the house`);
    const state = await real.openState();
    const now = Date.now();
    // Spread over ninety days, the newest first, a fifth of them without an answer.
    const at = (n: number) => now - Math.floor((n / answers) * 90 * 86_400_000);
    await inParallel(tenants - 1, (n) => state.tenants.create(aTenant({ slug: `tenant-${n}`, name: `Tenant ${n}` })));
    await inParallel(documents / 100, (n) =>
      state.documents.write(tenantId, acme.push.id, {
        contents: [],
        rows: Array.from({ length: 100 }, (_, m) =>
          aDocument(tenantId, acme.push.id, { externalId: `docs/${n}-${m}.md`, title: `Document ${n}-${m}` }),
        ),
      }),
    );
    await inParallel(answers, async (n) => {
      const isFound = n % 5 !== 0;
      const receipt = aReceipt(tenantId, {
        at: at(n),
        question: `How do I handle the ${word(n)} of a ${word(n * 7 + 3)}, case ${n % 977}?`,
        answer: isFound ? 'It is handled by the desk of the house [1].' : 'This is not in your documents.',
        kind: isFound ? 'answered' : 'not-found',
        reasonCode: isFound ? 'answered' : 'not-found',
        memberId: `slack:U${n % 800}`,
        channelId: `C${n % 60}`,
        timingsMs: { total: 300 + (n % 900) },
      });
      await state.receipts.put(receipt);
      await state.ledger.append(tenantId, [
        aLine(tenantId, {
          at: at(n),
          memberId: `slack:U${n % 800}`,
          channelId: `slack:C${n % 60}`,
          answerId: receipt.answerId,
        }),
      ]);
    });
    // As a deployment does every half a minute: the words of the answers are indexed, which takes more than one call's time.
    const isSwept = () =>
      state.maintenance.sweep(now).then(
        () => true,
        () => false,
      );
    for (let n = 0; n < 20 && !(await isSwept()); n += 1);
    await state.maintenance.close();

    const cookie = await real.signIn('operator', null);
    const pages = [
      ...(await pagesOf(real, acme)),
      { route: 'answers, searched', path: '/console/acme/answers?q=battery%20frame' },
      { route: 'answers, one outcome', path: '/console/acme/answers?outcome=not-found' },
      { route: 'answers, of a platform without any', path: '/console/acme/answers?platform=teams' },
      { route: 'answers, of an outcome without any', path: '/console/acme/answers?outcome=model-failed' },
      { route: 'usage by member', path: '/console/acme/usage?group=member' },
      { route: 'usage of a quarter, by channel', path: `/console/acme/usage?group=channel&from=${dayOf(at(answers))}` },
    ].filter(({ route }) => new RegExp(process.env.BENCH_PAGES ?? '').test(route));
    const measured: { readonly route: string; readonly p95: number; readonly kB: number }[] = [];
    for (const { route, path } of pages) {
      const times: number[] = [];
      let bytes = 0;
      for (let n = 0; n < rounds + 5; n += 1) {
        const from = performance.now();
        const response = await real.raw('GET', path, { cookie });
        if (n >= 5) times.push(performance.now() - from);
        if (response.status >= 400) throw new Error(`${path} answers ${response.status}.`);
        bytes = gzipSync(response.body).length;
      }
      measured.push({ route, p95: quantile(times, 0.95), kB: bytes / 1_000 });
    }
    const slowest = measured.toSorted((a, b) => b.p95 - a.p95);
    const heaviest = measured.toSorted((a, b) => b.kB - a.kB);
    return [
      {
        id: 'C1',
        item: `${pages.length} pages of the console, ${tenants} tenants, ${answers} answers, ${documents} documents: the slowest, p95`,
        value: slowest[0]?.p95 ?? 0,
        unit: 'ms',
        target: `≤ ${target.ms}`,
        beside: slowest.slice(0, 8).map(({ route, p95 }) => ({ name: route, value: p95 })),
        ok: slowest.every(({ p95 }) => p95 <= target.ms),
      },
      {
        id: 'C2',
        item: 'the heaviest page, compressed',
        value: heaviest[0]?.kB ?? 0,
        unit: 'kB',
        target: `≤ ${target.kB}`,
        beside: heaviest.slice(0, 4).map(({ route, kB }) => ({ name: route, value: kB })),
        ok: heaviest.every(({ kB }) => kB <= target.kB),
      },
    ];
  } finally {
    await real.close();
  }
};

test('measures every page', { timeout: 1_200_000 }, async () => {
  const out = process.env.BENCH_RESULTS;
  expect(out, 'BENCH_RESULTS names the file for the figures: run it by test/bench/console.ts').toBeDefined();
  writeFileSync(out ?? '', JSON.stringify(await measure()));
});
