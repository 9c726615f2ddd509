import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../core/observe/metrics.ts';
import { entriesOf, filesUnder, isVariable, listOf, type Node, readText, readToml, readYaml, textOf } from './files.ts';

/** Families of names that are ours alone wherever they stand, also in a comment or a command. */
const ours =
  /\b(?:FOOTNOTE|WEAVIATE|MONGODB|SLACK|DISCORD|TEAMS|OPENAI|CHAT|EMBEDDING|RERANK|METRICS|TRUSTED|SMTP|OIDC|DEFAULT_TENANT|FOLDER|FETCH)_[A-Z_]+\b/g;
const notOurs = new Set(['MONGODB_CONFIG_OVERRIDE_NOFORK']);

const files = [...filesUnder('deploy'), ...filesUnder('.github'), 'fly.toml', 'Dockerfile'];

/** What the containers, units and machines are given. */
const given = (): readonly (readonly [string, string])[] => {
  const compose = readYaml('deploy/compose.yaml')[0];
  const containers = filesUnder('deploy/k8s')
    .filter((path) => path.endsWith('.yaml'))
    .flatMap((path) =>
      readYaml(path).flatMap((node) => listOf((node.spec?.jobTemplate?.spec ?? node.spec)?.template?.spec?.containers)),
    );
  return [
    ...['app-1', 'app-2', 'backup'].flatMap((name) =>
      entriesOf(compose?.services?.[name]?.environment).map(([key]) => [`compose ${name}`, key] as const),
    ),
    ...entriesOf(readYaml('deploy/k8s/configmap.yaml')[0]?.data).map(([key]) => ['configmap', key] as const),
    ...containers.flatMap((container) =>
      listOf(container.env).map((entry) => [textOf(container.name), textOf(entry.name)] as const),
    ),
    ...['fly.toml', 'deploy/fly.cluster.toml'].flatMap((path) =>
      entriesOf(readToml(path).env).map(([key]) => [path, key] as const),
    ),
    ...['footnote.service', 'footnote-backup.service'].flatMap((unit) =>
      [...readText(`deploy/${unit}`).matchAll(/^Environment=(.+)$/gm)].flatMap(([, line = '']) =>
        line.split(' ').map((pair) => [unit, pair.split('=')[0] ?? ''] as const),
      ),
    ),
    ...[...readText('.github/workflows/ci.yml').matchAll(/--env ([A-Z_]+)=\S+ footnote:ci/g)].map(
      ([, name = '']) => ['ci', name] as const,
    ),
  ];
};

describe('names in deploy/', () => {
  it('every variable that a process is given is one that it reads', () => {
    const unknown = given().filter(([, name]) => name !== 'NODE_ENV' && !isVariable(name));
    expect(given().length).toBeGreaterThan(40);
    expect(unknown).toEqual([]);
  });

  it('no variable is written that the program does not know, not even in a comment', () => {
    const unknown = files.flatMap((path) =>
      (readText(path).match(ours) ?? [])
        .filter((name) => !isVariable(name) && !notOurs.has(name))
        .map((name) => `${path}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });

  it('the prefix footnote_ stands for metrics alone, and each of them is measured', async () => {
    const text = await createMetrics().text();
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    const known = new Set(
      types.flatMap(([, name = '', type]) =>
        type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
      ),
    );
    const named = filesUnder('deploy').flatMap((path) =>
      (readText(path).match(/footnote_\w+/g) ?? []).map((name) => [path, name] as const),
    );
    expect(named.length).toBeGreaterThan(40);
    expect(named.filter(([, name]) => !known.has(name))).toEqual([]);
  });

  it('a secret comes from a file or from a reference, and never stands in one of these files', () => {
    const secret = /(?:KEY|TOKEN|SECRET|PASSWORD|MONGODB_URI)$/;
    const inTheOpen = given().filter(([where, name]) => where !== 'ci' && secret.test(name));
    expect(inTheOpen).toEqual([]);
  });
});

describe('what watches', () => {
  it('every alert says what is the matter, how bad it is, and what it means', () => {
    const rules = listOf(readYaml('deploy/prometheus/alerts.yaml')[0]?.groups).flatMap((group) => listOf(group.rules));
    expect(rules.length).toBeGreaterThan(9);
    for (const rule of rules) {
      expect(textOf(rule.alert)).toMatch(/^Footnote[A-Z]\w+$/);
      expect(textOf(rule.expr)).toMatch(/[<>]|==/);
      expect(['critical', 'warning', 'info']).toContain(textOf(rule.labels?.severity));
      expect(textOf(rule.annotations?.summary)).not.toBe('');
      expect(textOf(rule.annotations?.description)).not.toBe('');
    }
    expect(new Set(rules.map((rule) => textOf(rule.alert))).size).toBe(rules.length);
  });

  it('every alert stands in the operations guide', () => {
    const guide = readText('docs/operations.md');
    const alerts = readText('deploy/prometheus/alerts.yaml').match(/(?<=alert: )\w+/g) ?? [];
    expect(alerts.filter((alert) => !guide.includes(alert))).toEqual([]);
  });

  it('every panel of the dashboard has its own place and asks something', () => {
    const dashboard = JSON.parse(readText('deploy/grafana/dashboard.json')) as Node;
    const panels = listOf(dashboard.panels);
    expect(new Set(panels.map((panel) => textOf(panel.id))).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const panel of panels) {
      const { x, y, w, h } = panel.gridPos as unknown as Record<'x' | 'y' | 'w' | 'h', number>;
      expect(x + w).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column += 1)
        for (let row = y; row < y + h; row += 1) {
          expect(taken.has(`${column} ${row}`)).toBe(false);
          taken.add(`${column} ${row}`);
        }
      if (textOf(panel.type) === 'row') continue;
      expect(listOf(panel.targets).length).toBeGreaterThan(0);
      for (const target of listOf(panel.targets)) expect(textOf(target.expr)).toMatch(/footnote_/);
    }
  });
});
