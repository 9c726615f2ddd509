import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { entriesOf, filesUnder, listOf, type Node, readText, readYaml, textOf } from './files.ts';

/**
 * No API server is asked here, so that what it would refuse is asserted by hand: kinds and versions, references that lead
 * somewhere, selectors that select, ports that meet, and what "restricted" pods may not do.
 */

const versions: Readonly<Record<string, string>> = {
  Namespace: 'v1',
  ConfigMap: 'v1',
  ServiceAccount: 'v1',
  Service: 'v1',
  Deployment: 'apps/v1',
  Job: 'batch/v1',
  CronJob: 'batch/v1',
  PersistentVolumeClaim: 'v1',
  Ingress: 'networking.k8s.io/v1',
  NetworkPolicy: 'networking.k8s.io/v1',
  HorizontalPodAutoscaler: 'autoscaling/v2',
  PodDisruptionBudget: 'policy/v1',
  Kustomization: 'kustomize.config.k8s.io/v1beta1',
};

const files = filesUnder('deploy/k8s').filter((path) => path.endsWith('.yaml'));
const everything = files.flatMap(readYaml);
const objects = everything.filter((node) => textOf(node.kind) !== 'Kustomization');
const only = (kind: string): Node => {
  const found = objects.filter((node) => textOf(node.kind) === kind);
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} objects of kind ${kind}`);
  return found[0];
};
const kustomization = everything.find((node) => textOf(node.kind) === 'Kustomization');
const workloads = objects.filter((node) => ['Deployment', 'Job', 'CronJob'].includes(textOf(node.kind)));
/** Of a CronJob: of the jobs that it makes. */
const templateOf = (workload: Node): Node => (workload.spec?.jobTemplate?.spec ?? workload.spec)?.template as Node;
const podOf = (workload: Node): Node => templateOf(workload).spec as Node;
const containerOf = (workload: Node): Node => listOf(podOf(workload).containers)[0] as Node;
const selects = (selector: Node | undefined, labels: Node | undefined): boolean =>
  entriesOf(selector).length > 0 &&
  entriesOf(selector).every(([key, value]) => textOf(labels?.[key]) === textOf(value));

describe('the manifests', () => {
  it('are of kinds and versions that the API serves, each with its name and in the namespace', () => {
    for (const node of everything) {
      expect(textOf(node.apiVersion), textOf(node.kind)).toBe(versions[textOf(node.kind)]);
      if (textOf(node.kind) === 'Kustomization') continue;
      expect(textOf(node.metadata?.name)).toMatch(/^footnote(-[a-z]+)?$/);
      if (textOf(node.kind) !== 'Namespace') expect(textOf(node.metadata?.namespace)).toBe('footnote');
    }
  });

  it('are all in the kustomization, and hold no Secret', () => {
    const named = listOf(kustomization?.resources).map((name) => `deploy/k8s/${textOf(name)}`);
    expect([...named].sort()).toEqual(files.filter((path) => !path.endsWith('kustomization.yaml')));
    expect(objects.map((node) => textOf(node.kind))).not.toContain('Secret');
  });

  it('name one image, which the kustomization pins to a version', () => {
    const images = workloads.map((workload) => textOf(containerOf(workload).image));
    expect(new Set(images)).toEqual(new Set(['footnote']));
    const [image] = listOf(kustomization?.images);
    expect(textOf(image?.name)).toBe('footnote');
    expect(textOf(image?.newTag)).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it('select the pods that they mean, and no other', () => {
    const deployment = only('Deployment');
    const labels = deployment.spec?.template?.metadata?.labels;
    const jobs = [only('Job'), only('CronJob')].map((job) => templateOf(job).metadata?.labels);
    const selectors = [
      deployment.spec?.selector?.matchLabels,
      only('Service').spec?.selector,
      only('PodDisruptionBudget').spec?.selector?.matchLabels,
      listOf(podOf(deployment).topologySpreadConstraints)[0]?.labelSelector?.matchLabels,
    ];
    for (const selector of selectors) {
      expect(selects(selector, labels)).toBe(true);
      for (const job of jobs) expect(selects(selector, job)).toBe(false);
    }
    // The policy is for all of ours.
    for (const all of [labels, ...jobs])
      expect(selects(only('NetworkPolicy').spec?.podSelector?.matchLabels, all)).toBe(true);
  });

  it('refer to what there is', () => {
    const configMap = textOf(only('ConfigMap').metadata?.name);
    const account = textOf(only('ServiceAccount').metadata?.name);
    for (const workload of workloads) {
      const pod = podOf(workload);
      const container = containerOf(workload);
      expect(textOf(pod.serviceAccountName)).toBe(account);
      for (const source of listOf(container.envFrom)) {
        if (source.configMapRef !== undefined) expect(textOf(source.configMapRef.name)).toBe(configMap);
        else expect(textOf(source.secretRef?.optional)).toBe('true');
      }
      const volumes = listOf(pod.volumes).map((volume) => textOf(volume.name));
      const mounts = listOf(container.volumeMounts).map((mount) => textOf(mount.name));
      expect([...mounts].sort()).toEqual([...volumes].sort());
    }
    const target = only('HorizontalPodAutoscaler').spec?.scaleTargetRef;
    expect([textOf(target?.kind), textOf(target?.name)]).toEqual(['Deployment', 'footnote']);
    expect(only('Deployment').spec?.replicas).toBeUndefined();
  });

  it('read each secret from a file that the guide tells to make', () => {
    const guide = readText('deploy/k8s/README.md');
    for (const workload of workloads) {
      const folder = textOf(
        listOf(containerOf(workload).volumeMounts).find((m) => textOf(m.name) === 'secrets')?.mountPath,
      );
      for (const { name, value } of listOf(containerOf(workload).env)) {
        expect(textOf(name)).toMatch(/_FILE$/);
        expect(textOf(value).startsWith(`${folder}/`)).toBe(true);
        expect(guide).toContain(`--from-literal=${textOf(value).slice(folder.length + 1)}=`);
      }
    }
  });

  it('take a backup every night into a volume that there is, and keep more than a week of them', () => {
    const cron = only('CronJob');
    expect(textOf(cron.spec?.schedule)).toMatch(/^\d+ \d+ \* \* \*$/);
    expect(textOf(cron.spec?.concurrencyPolicy)).toBe('Forbid');
    const [node, launcher, verb, folder, option, keep] = listOf(containerOf(cron).command).map(textOf);
    expect([node, launcher, verb, option]).toEqual(['node', 'bin/footnote.js', 'backup', '--keep']);
    expect(Number(keep)).toBeGreaterThan(7);
    const mount = listOf(containerOf(cron).volumeMounts).find((one) => textOf(one.mountPath) === folder);
    const volume = listOf(podOf(cron).volumes).find((one) => textOf(one.name) === textOf(mount?.name));
    expect(textOf(volume?.persistentVolumeClaim?.claimName)).toBe(textOf(only('PersistentVolumeClaim').metadata?.name));
    // The claim belongs to whoever runs in the pod.
    expect(textOf(podOf(cron).securityContext?.fsGroup)).toBe(textOf(podOf(cron).securityContext?.runAsUser));
  });

  it('check with a verb that a fresh cluster passes', () => {
    expect(listOf(containerOf(only('Job')).command).map(textOf)).toEqual(['node', 'bin/footnote.js', 'doctor']);
    expect(textOf(only('Job').spec?.backoffLimit)).not.toBe('0');
  });

  it('meet at their ports', () => {
    const [port] = listOf(containerOf(only('Deployment')).ports);
    expect(textOf(port?.containerPort)).toBe(textOf(only('ConfigMap').data?.PORT));
    const [served] = listOf(only('Service').spec?.ports);
    expect(textOf(served?.targetPort)).toBe(textOf(port?.name));
    const [inward] = listOf(only('NetworkPolicy').spec?.ingress);
    expect(listOf(inward?.ports).map((one) => textOf(one.port))).toEqual([textOf(port?.containerPort)]);
    const paths = listOf(only('Ingress').spec?.rules).flatMap((rule) => listOf(rule.http?.paths));
    for (const path of paths) {
      expect(textOf(path.backend?.service?.name)).toBe(textOf(only('Service').metadata?.name));
      expect(textOf(path.backend?.service?.port?.name)).toBe(textOf(served?.name));
    }
    // Health and metrics are for the inside.
    for (const path of paths) expect(textOf(path.path)).not.toMatch(/^\/(healthz|readyz|metrics)/);
  });

  it('ask the right question in each probe, and leave more time to stop than the drain takes', () => {
    const deployment = only('Deployment');
    const container = containerOf(deployment);
    expect(textOf(container.startupProbe?.httpGet?.path)).toBe('/healthz');
    expect(textOf(container.readinessProbe?.httpGet?.path)).toBe('/readyz');
    // A store that is away must not end in restarts.
    expect(textOf(container.livenessProbe?.httpGet?.path)).toBe('/healthz');
    const before = Number(listOf(container.lifecycle?.preStop?.exec?.command)[1]);
    const main = readText('main.ts');
    const drain = (Number(/drainForMs = ([\d_]+)/.exec(main)?.[1]?.replaceAll('_', '')) + 3_000) / 1_000;
    expect(drain).toBeGreaterThan(20);
    expect(Number(podOf(deployment).terminationGracePeriodSeconds)).toBeGreaterThan(before + drain);
    expect(deployment.spec?.strategy?.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 });
  });

  it('run as nobody in particular, on a root that cannot be written', () => {
    for (const workload of workloads) {
      const pod = podOf(workload);
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 1000,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(textOf(pod.automountServiceAccountToken)).toBe('false');
      expect(containerOf(workload).securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(textOf(containerOf(workload).resources?.limits?.memory)).not.toBe('');
    }
    expect(textOf(only('Namespace').metadata?.labels?.['pod-security.kubernetes.io/enforce'])).toBe('restricted');
  });

  it('can be built by kubectl, where there is one', (context) => {
    const built = spawnSync('kubectl', ['kustomize', 'deploy/k8s'], { encoding: 'utf8', timeout: 20_000 });
    if (built.error !== undefined) context.skip('kubectl is not installed here');
    expect(built.stderr).toBe('');
    expect(built.stdout.match(/^kind: /gm)).toHaveLength(objects.length);
    expect(built.stdout).not.toMatch(/image: footnote$/m);
  });
});
