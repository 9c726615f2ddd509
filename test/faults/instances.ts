import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { freshDatabase } from '../core/drivers/state/mongo/server.ts';
import type { Finding } from './cluster.ts';
import type { Outage } from './outage.ts';
import { proveQuotaRace } from './quota-race.ts';
import { proveRedelivery } from './redelivery.ts';
import { proveRolling } from './rolling.ts';
import { proveStoreDown } from './store-down.ts';
import { proveTakeover } from './takeover.ts';
import { createChance } from './world.ts';

/**
 * R3, R4, R6, R7, R9 with several processes of the program as it is built behind a proxy, over one store: the files of one
 * DATA_DIR, or the servers that MONGODB_URI and WEAVIATE_URL name, each proof in a database of its own, dropped in the end.
 *
 *   npm run build && node test/faults/instances.ts --processes 2 --seed 1 [--only R4,R9] [--json results.json]
 *
 * Two versions side by side: `--only R9 --beside <checkout of the other version, built>`.
 */

type Proof = Finding['id'];
const proofs: readonly Proof[] = ['R3', 'R4', 'R6', 'R7', 'R9'];

export type Run = {
  readonly processes: number;
  readonly seed: number;
  readonly only?: readonly string[];
  /** Environment that names the servers; none: files. */
  readonly stores?: Readonly<Record<string, string>>;
  /** A minute instead of ten: what runs with every change. */
  readonly short?: boolean;
  /** Where another version stands, built: R9 begins with it. */
  readonly beside?: string;
  log?(line: string): void;
};

export const runInstances = async (run: Run): Promise<readonly Finding[]> => {
  const { processes, seed, short = false, stores = {} } = run;
  const chance = createChance(seed * 100 + processes);
  const common = () => ({ processes, chance, stores: ownPlaces(stores) });
  const outages = outagesOf(stores).filter((_, index) => !short || index === 0);
  const plan: Readonly<Record<Proof, readonly (() => Promise<Finding | null>)[]>> = {
    R3: [() => proveRedelivery({ ...common(), questions: short ? 12 : 60 })],
    R4: short
      ? [() => proveQuotaRace({ ...common(), questions: 60, unit: 'questions', limit: 15, kills: 1 })]
      : [
          () => proveQuotaRace({ ...common(), questions: 200, unit: 'questions', limit: 40, kills: processes }),
          () => proveQuotaRace({ ...common(), questions: 200, unit: 'tokens', limit: 12_000, kills: processes }),
        ],
    R6: [() => proveTakeover({ ...common(), rounds: short ? 1 : processes })],
    R7: outages.map((outage) => () => proveStoreDown({ ...common(), outage, downMs: short ? 7_000 : 30_000 })),
    R9: [
      () =>
        proveRolling({
          ...common(),
          questionsPerSecond: short ? 3 : 4,
          rounds: short ? 1 : 2,
          ...(run.beside === undefined ? {} : { beside: run.beside }),
        }),
    ],
  };
  const findings: Finding[] = [];
  for (const id of proofs) {
    if (run.only !== undefined && !run.only.includes(id)) continue;
    for (const prove of plan[id]) {
      // A proof that breaks off is a finding too, and keeps none of the others from being made.
      const finding = await prove().catch(
        (error: unknown): Finding => ({
          id,
          item: 'broken off',
          measured: 'not measured',
          figures: {},
          problems: [error instanceof Error ? error.message : String(error)],
          late: [],
        }),
      );
      if (finding === null) continue;
      findings.push(finding);
      run.log?.(renderFinding(finding));
    }
  }
  return findings;
};

/** A database and names in Weaviate of its own for each proof, so that none finds what another left. */
const ownPlaces = (stores: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
  const { MONGODB_URI: uri } = stores;
  const id = randomBytes(4).toString('hex');
  return {
    ...stores,
    ...(uri === undefined ? {} : { MONGODB_URI: freshDatabase(uri) }),
    ...(stores.WEAVIATE_URL === undefined ? {} : { FOOTNOTE_DEPLOYMENT: `faults-${id}` }),
  };
};

const outagesOf = (stores: Readonly<Record<string, string>>): readonly Outage[] => [
  ...(stores.MONGODB_URI === undefined ? (['state-locked', 'disk-full'] as const) : (['state-cut'] as const)),
  ...(stores.WEAVIATE_URL === undefined ? (['chunks-locked'] as const) : (['chunks-cut'] as const)),
];

const isGood = ({ problems, late }: Finding): boolean => problems.length + late.length === 0;

const renderFinding = (finding: Finding): string =>
  [
    `${isGood(finding) ? '✓' : '✗'} ${finding.id} ${finding.item}`,
    `    ${finding.measured}`,
    ...[...finding.problems, ...finding.late].map((one) => `    ✗ ${one}`),
  ].join('\n');

const storeVariables = [
  'MONGODB_URI',
  'WEAVIATE_URL',
  'WEAVIATE_GRPC_URL',
  'WEAVIATE_API_KEY',
  'WEAVIATE_TENANCY',
  'WEAVIATE_REPLICAS',
] as const;

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({
    options: {
      processes: { type: 'string', default: '2' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string' },
      short: { type: 'boolean', default: false },
      beside: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const stores = Object.fromEntries(
    storeVariables.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  ) as Readonly<Record<string, string>>;
  console.log(
    `${values.processes} processes, seed ${values.seed}, ${Object.keys(stores).join(', ') || 'one DATA_DIR'}`,
  );
  const findings = await runInstances({
    processes: Number(values.processes),
    seed: Number(values.seed),
    short: values.short,
    stores,
    ...(values.only === undefined ? {} : { only: values.only.split(',') }),
    ...(values.beside === undefined ? {} : { beside: resolve(values.beside) }),
    log: (line) => console.log(line),
  });
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(findings, null, 2)}\n`);
  process.exitCode = findings.length > 0 && findings.every(isGood) ? 0 : 1;
}
