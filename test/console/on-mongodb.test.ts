import { beforeAll, describe, expect, test } from 'vitest';
import type { Role } from '../../core/domain.ts';
import { liveIn, pagesOf } from '../browser/lived-in.ts';
import { freshDatabase, mongodbUri } from '../core/drivers/state/mongo/server.ts';
import { openReal } from './real.ts';

const roles = ['owner', 'operator', 'admin', 'billing', 'viewer'] as const satisfies readonly Role[];
/** Lists that are looked through, below the tenant's own address. */
const narrowed = [
  ...[
    'q=canteen',
    'q=a',
    'outcome=not-found',
    'platform=api',
    'platform=teams',
    'rating=down',
    'channel=C1',
    'member=x',
  ].map((filter) => `answers?${filter}`),
  ...['day', 'platform', 'channel', 'member', 'model', 'source'].map((group) => `usage?group=${group}`),
  'usage?from=2026-01-01&to=2026-01-31',
  'gaps?days=90',
  'audit?q=source',
  'answers/why?link=https%3A%2F%2Facme.slack.com%2Farchives%2FC1%2Fp1700000000000000',
];
const files = [
  ...['day', 'platform', 'member'].map((group) => `usage/export?group=${group}`),
  'ledger/export?format=csv',
  'ledger/export?format=json',
  'answers/export?format=csv',
  'audit/export',
];

/** The console over MongoDB is the console over SQLite: every page of the route table, for each role, word by word. */

if (mongodbUri === undefined) {
  describe('the console on MongoDB', () => {
    test('was not run: MONGODB_URI is not set', (context) => {
      console.warn('NOT RUN: the console on MongoDB. Set MONGODB_URI to a server on which tests may make databases.');
      context.skip('MONGODB_URI is not set');
    });
  });
} else {
  describe('the console on MongoDB', { timeout: 240_000 }, () => {
    type Seen = { readonly route: string; readonly status: number; readonly body: string };
    type Walks = Readonly<Record<(typeof roles)[number], readonly Seen[]>>;
    let sqlite: Walks;
    let mongo: Walks;

    /** A house that has been lived in, and what each role sees of every page in it. */
    const walksOf = async (env: Readonly<Record<string, string>>): Promise<Walks> => {
      const real = await openReal(env);
      try {
        const acme = await real.furnish('acme');
        await liveIn(real.core, acme, (field) => `A ${field} of the house`);
        const pages = [
          ...(await pagesOf(real, acme)).map(({ route, path }) => ({ route, path })),
          ...[...narrowed, ...files].map((path) => ({ route: path, path: `/console/acme/${path}` })),
        ];
        const walk = async (role: Role): Promise<readonly Seen[]> => {
          const cookie = await real.signIn(role, role === 'operator' ? null : acme.tenant.id);
          const seen: Seen[] = [];
          for (const { route, path } of pages) seen.push({ route, ...(await real.raw('GET', path, { cookie })) });
          return seen;
        };
        const all = {} as Record<(typeof roles)[number], readonly Seen[]>;
        for (const role of roles) all[role] = await walk(role);
        return all;
      } finally {
        await real.close();
      }
    };
    beforeAll(async () => {
      const today = () => new Date().toISOString().slice(0, 10);
      let begun: string;
      // Pages tell of today: when the day ends between the two, both are walked again.
      do {
        begun = today();
        sqlite = await walksOf({});
        mongo = await walksOf({ MONGODB_URI: freshDatabase(mongodbUri ?? '') });
      } while (begun !== today());
    }, 480_000);

    /**
     * A page's words and addresses, without what no two houses have in common: ids, times, how long things took, and the
     * order of what was made in the same millisecond.
     */
    const told = (body: string): readonly string[] =>
      body
        .replaceAll(/<time datetime="[^"]*">[^<]*/g, '<time>')
        .replaceAll(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'time')
        .replaceAll(/\b\d+(?:\.\d+)? ?m?s\b/g, 'a while')
        .replaceAll(/\b[a-z]{1,3}_[\w-]{8,}/g, 'id')
        .replaceAll(/\b(?:[0-9a-f]{24,}|[A-Za-z0-9]{32})\b/g, 'id')
        // In the export the time stands after two fields that are empty here.
        .replaceAll(/(?<=,,,)\d+(?=,\d,\d,)/g, 'a while')
        .replaceAll(/width="[\d.]+" height="4"/g, 'a while')
        .replaceAll(/real\d+@example\.com/g, 'somebody')
        .replaceAll(/footnote-doors-\w+/g, 'folder')
        .split(/(?=<)|\n/)
        .filter((part) => part.trim() !== '')
        .sort();

    test.each(roles)('looks the same to: %s', (role) => {
      const [here, there] = [sqlite[role], mongo[role]];
      expect(there.map(({ route, status }) => `${status} ${route}`)).toEqual(
        here.map(({ route, status }) => `${status} ${route}`),
      );
      expect(here.length).toBeGreaterThan(60);
      const different = there.filter(
        ({ route, body }, n) =>
          // Tells of the stores themselves.
          route !== '/console/operator/health' && told(body).join('\n') !== told(here[n]?.body ?? '').join('\n'),
      );
      for (const { route, body } of different)
        expect.soft(told(body), route).toEqual(told(here.find((one) => one.route === route)?.body ?? ''));
    });

    test('shows what was asked and used, on both', () => {
      for (const walks of [sqlite, mongo]) {
        const body = (route: string) => walks.owner.find((seen) => seen.route === route)?.body ?? '';
        expect(body('answers?q=canteen')).toContain('When does the canteen open?');
        expect(body('answers?platform=teams')).not.toContain('When does the canteen open?');
        expect(body('usage/export?group=platform')).toMatch(/^api,\d/m);
        expect(body('gaps?days=90')).toContain('A question of the house');
      }
    });
  });
}
