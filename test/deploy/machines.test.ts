import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { entriesOf, filesUnder, listOf, type Node, readText, readToml, readYaml, textOf } from './files.ts';

const compose = readYaml('deploy/compose.yaml')[0] as Node;
const services = entriesOf(compose.services);
const manifest = JSON.parse(readText('package.json')) as Node;

/** Never 1.32.3 and 1.32.4, whose aliases are broken, and nothing older than 1.32. */
const isFitWeaviate = (version: string): boolean => {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  return major === 1 && minor >= 32 && !(minor === 32 && (patch === 3 || patch === 4));
};

describe('the compose file', () => {
  it('pins every image to a version, and Weaviate to one that works', () => {
    for (const [name, service] of services) {
      const image = textOf(service.image);
      if (image.startsWith('${IMAGE')) continue;
      expect(image, name).toMatch(/:\d+\.\d+\.\d+(-alpine)?$/);
      if (image.includes('/weaviate:')) expect(isFitWeaviate(image.split(':').at(-1) ?? '')).toBe(true);
    }
  });

  it('declares every secret, network and volume that it uses, and uses each that it declares', () => {
    const used = (key: 'secrets' | 'networks'): string[] =>
      services.flatMap(([, service]) =>
        Array.isArray(service[key]) ? listOf(service[key]).map(textOf) : entriesOf(service[key]).map(([name]) => name),
      );
    for (const key of ['secrets', 'networks'] as const)
      expect([...new Set(used(key))].sort()).toEqual(
        entriesOf(compose[key])
          .map(([name]) => name)
          .sort(),
      );
    const mounted = services.flatMap(([, service]) =>
      listOf(service.volumes).map((one) => textOf(one).split(':')[0] ?? ''),
    );
    expect(mounted.filter((name) => !name.startsWith('./')).sort()).toEqual(
      entriesOf(compose.volumes)
        .map(([name]) => name)
        .sort(),
    );
    for (const path of mounted.filter((name) => name.startsWith('./')))
      expect(existsSync(fileURLToPath(new URL(`../../deploy/${path}`, import.meta.url)))).toBe(true);
  });

  it('has its secrets made by the script, which git does not see', () => {
    const script = readText('deploy/compose/make-secrets.sh');
    for (const [, { file }] of entriesOf(compose.secrets)) {
      const [, name = ''] = /^compose\/secrets\/([\w-]+)$/.exec(textOf(file)) ?? [];
      expect(script).toMatch(new RegExp(`^make ${name} `, 'm'));
    }
    expect(readText('deploy/compose/.gitignore')).toContain('/secrets/');
  });

  it('gives nobody a password in the open', () => {
    for (const [name, service] of services)
      for (const [variable, value] of entriesOf(service.environment)) {
        if (!/(PASSWORD|KEY|KEYS|TOKEN|URI)(_FILE)?$/.test(variable)) continue;
        expect(textOf(value), `${name} ${variable}`).toMatch(/^\/run\/secrets\/[\w-]+$/);
        expect(listOf(service.secrets).map(textOf)).toContain(textOf(value).slice('/run/secrets/'.length));
      }
    expect(textOf(compose.services?.weaviate?.environment?.AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED)).toBe('false');
  });

  it('publishes the proxy alone', () => {
    expect(services.filter(([, service]) => service.ports !== undefined).map(([name]) => name)).toEqual(['proxy']);
    expect(textOf(compose.networks?.inside?.internal)).toBe('true');
    for (const name of ['mongodb', 'mongodb-init', 'weaviate'])
      expect(listOf(compose.services?.[name]?.networks).map(textOf)).toEqual(['inside']);
  });

  it('knows of each that runs whether it is well, and waits for those who are needed', () => {
    for (const [name, service] of services) {
      if (textOf(service.restart) !== 'no') expect(service.healthcheck, name).toBeDefined();
      for (const [needed, { condition }] of entriesOf(service.depends_on)) {
        const other = compose.services?.[needed];
        expect(other, `${name} needs ${needed}`).toBeDefined();
        expect(textOf(condition)).toBe(
          textOf(other?.restart) === 'no' ? 'service_completed_successfully' : 'service_healthy',
        );
      }
    }
  });

  it('runs two equal instances that can write nothing but /tmp, and the proxy knows both', () => {
    const one = compose.services?.['app-1'];
    const other = compose.services?.['app-2'];
    expect(one).toEqual(other);
    expect(one).toMatchObject({ read_only: true, cap_drop: ['ALL'], tmpfs: ['/tmp'] });
    expect(Number.parseInt(textOf(one?.stop_grace_period), 10)).toBeGreaterThan(28);
    const caddy = readText('deploy/compose/Caddyfile');
    expect(caddy).toMatch(/reverse_proxy app-1:3000 app-2:3000 \{/);
    expect(caddy).toMatch(/health_uri \/readyz/);
    expect(caddy).toMatch(/flush_interval -1/);
    // The port lingers for five seconds after /readyz has changed its mind.
    expect(Number(/health_interval (\d+)s/.exec(caddy)?.[1])).toBeLessThan(5);
    // Connections that the proxy keeps end before ours would.
    expect(Number(/keepalive (\d+)s/.exec(caddy)?.[1])).toBeLessThan(125);
    expect(textOf(one?.environment?.TRUSTED_PROXIES)).toBe(
      textOf(listOf(compose.networks?.inside?.ipam?.config)[0]?.subnet),
    );
  });

  it('takes a backup every day, of what it may write to, and knows when there was none', () => {
    const backup = compose.services?.backup;
    const script = textOf(listOf(backup?.command)[2]);
    const [, folder = '', keep = ''] = /backup (\S+) --keep (\d+)/.exec(script) ?? [];
    expect(Number(keep)).toBeGreaterThan(7);
    expect(script).toMatch(/sleep 86400 & wait/);
    expect(listOf(backup?.volumes).map(textOf)).toEqual([`backups:${folder}`]);
    // A named volume is writable to our user only where the image has the folder.
    expect(readText('Dockerfile')).toContain(`mkdir ${folder} && chown node:node ${folder}`);
    expect(backup?.environment).toEqual(compose.services?.['app-1']?.environment);
    expect(textOf(listOf(backup?.healthcheck?.test)[1])).toContain(
      `find ${folder} -maxdepth 2 -name footnote-backup.json`,
    );
    expect(spawnSync('bash', ['-n'], { input: script.replaceAll('$$', '$') }).status).toBe(0);
  });

  it('gives Weaviate the time that hundreds of collections take to open', () => {
    const weaviate = compose.services?.weaviate;
    expect(Number(weaviate?.environment?.RAFT_BOOTSTRAP_TIMEOUT)).toBeGreaterThanOrEqual(600);
    expect(Number.parseInt(textOf(weaviate?.healthcheck?.start_period), 10)).toBeGreaterThanOrEqual(600);
    for (const guide of ['deploy/k8s/README.md', 'deploy/fly.cluster.toml', 'docs/operations.md'])
      expect(readText(guide), guide).toMatch(/RAFT_BOOTSTRAP_TIMEOUT/);
  });

  it('sets up the replica set that the address names', () => {
    const uri = readText('deploy/compose/make-secrets.sh');
    const init = readText('deploy/compose/mongodb-init.js');
    const [, set = ''] = /replicaSet=(\w+)/.exec(uri) ?? [];
    expect(init).toContain(`_id: '${set}'`);
    expect(textOf(listOf(compose.services?.mongodb?.entrypoint)[2])).toContain(`--replSet ${set} `);
    expect(spawnSync(process.execPath, ['--check', 'deploy/compose/mongodb-init.js']).status).toBe(0);
    expect(spawnSync('bash', ['-n', 'deploy/compose/make-secrets.sh']).status).toBe(0);
  });
});

const unitOf = (name: string) => {
  const text = readText(`deploy/${name}`);
  return { text, settingOf: (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? '' };
};

describe('the units for systemd', () => {
  const service = unitOf('footnote.service');
  const backup = unitOf('footnote-backup.service');

  it('keep the process in its folder and give it time to stop', () => {
    for (const { text, settingOf } of [service, backup]) {
      expect(settingOf('ProtectSystem')).toBe('strict');
      expect(settingOf('DynamicUser')).toBe('yes');
      expect(settingOf('NoNewPrivileges')).toBe('yes');
      expect(settingOf('CapabilityBoundingSet')).toBe('');
      // The JavaScript engine compiles to memory.
      expect(text).not.toMatch(/^MemoryDenyWriteExecute=yes/m);
    }
    expect(service.settingOf('Environment')).toContain(`DATA_DIR=/var/lib/${service.settingOf('StateDirectory')}`);
    expect(Number(service.settingOf('TimeoutStopSec'))).toBeGreaterThan(28);
  });

  it('take a backup every night as the same user, of the same files, into a folder beside them', () => {
    for (const key of ['User', 'Environment', 'EnvironmentFile', 'WorkingDirectory'])
      expect(backup.settingOf(key), key).toBe(service.settingOf(key));
    const [, folder = '', keep = ''] = / backup (\S+) --keep (\d+)$/.exec(backup.settingOf('ExecStart')) ?? [];
    expect(Number(keep)).toBeGreaterThan(7);
    const folders = backup.settingOf('StateDirectory').split(' ');
    expect(folders).toContain(service.settingOf('StateDirectory'));
    expect(folders.map((name) => `/var/lib/${name}`)).toContain(folder);
    const timer = unitOf('footnote-backup.timer');
    expect(timer.settingOf('Unit')).toBe('footnote-backup.service');
    expect(timer.settingOf('OnCalendar')).toMatch(/^\*-\*-\* /);
    expect(timer.settingOf('Persistent')).toBe('yes');
  });

  it('are accepted by systemd, where there is one', (context) => {
    const units = ['footnote.service', 'footnote-backup.service', 'footnote-backup.timer'].map(
      (name) => `deploy/${name}`,
    );
    const verified = spawnSync('systemd-analyze', ['verify', ...units], { encoding: 'utf8', timeout: 20_000 });
    if (verified.error !== undefined) context.skip('systemd is not installed here');
    // That node and the checkout are not installed on this machine is no fault of the unit.
    const complaints = verified.stderr
      .split('\n')
      .filter((line) => line.includes('footnote') && !/not executable|chdir/i.test(line));
    expect(complaints).toEqual([]);
  });
});

describe('Fly', () => {
  it.each(['fly.toml', 'deploy/fly.cluster.toml'])('%s asks whether it is ready, and stops slowly enough', (path) => {
    const app = readToml(path);
    expect(Number.parseInt(textOf(app.kill_timeout), 10)).toBeGreaterThan(28);
    expect(textOf(app.kill_signal)).toBe('SIGTERM');
    const [check] = listOf(app.http_service?.checks);
    expect(textOf(check?.path)).toBe('/readyz');
    expect(textOf(app.http_service?.internal_port)).toBe(textOf(app.env?.PORT));
    expect(textOf(app.http_service?.auto_stop_machines)).toBe('off');
  });

  it('keeps files on one machine, and none where there are several', () => {
    expect(textOf(readToml('fly.toml').mounts?.destination)).toBe(textOf(readToml('fly.toml').env?.DATA_DIR));
    const cluster = readToml('deploy/fly.cluster.toml');
    expect(cluster.mounts).toBeUndefined();
    expect(Number(cluster.http_service?.min_machines_running)).toBeGreaterThan(1);
    expect(textOf(cluster.deploy?.strategy)).toBe('rolling');
  });
});

describe('the image', () => {
  const dockerfile = readText('Dockerfile');

  it('is built with the Node that everything else runs on, and from nothing that does not exist', () => {
    expect(/ARG NODE_VERSION=(\S+)/.exec(dockerfile)?.[1]).toBe(textOf(manifest.devDependencies?.node));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = '']) =>
      sources.split(' '),
    );
    expect(copied.length).toBeGreaterThan(5);
    for (const source of copied) expect(existsSync(new URL(`../../${source}`, import.meta.url)), source).toBe(true);
  });

  it('takes along every file that the compiler starts from', () => {
    const allowed: readonly string[] = readText('.dockerignore').match(/(?<=^!).+$/gm) ?? [];
    const imported = [...readText('main.ts').matchAll(/from '\.\/([\w-]+\.ts)'/g)].map(([, file = '']) => file);
    const { include } = JSON.parse(readText('tsconfig.build.json')) as { include: string[] };
    const needed = [...imported, ...include, 'bin', 'package.json', 'package-lock.json', '.npmrc', 'tsconfig.json'];
    expect(imported.length).toBeGreaterThan(1);
    expect(needed.filter((path) => !allowed.includes(path))).toEqual([]);
  });
});

describe('the workflows', () => {
  const workflows = filesUnder('.github/workflows').map((path) => ({
    path,
    text: readText(path),
    node: readYaml(path)[0] as Node,
  }));

  it('pin every action to a commit, and say which version that is', () => {
    for (const { path, text } of workflows)
      for (const [line] of text.matchAll(/uses: .*/g)) expect(line, path).toMatch(/@[0-9a-f]{40} # v\d/);
  });

  it('may read the code and nothing more, and end by themselves', () => {
    for (const { path, node } of workflows) {
      expect(node.permissions, path).toEqual({ contents: 'read' });
      for (const [name, job] of entriesOf(node.jobs)) {
        expect(job.permissions, name).toBeUndefined();
        expect(Number(job['timeout-minutes']), name).toBeGreaterThan(0);
      }
    }
  });

  it('never put what others wrote into a command', () => {
    for (const { path, node } of workflows)
      for (const [, job] of entriesOf(node.jobs))
        for (const step of listOf(job.steps)) expect(textOf(step.run), path).not.toContain('${{');
  });

  it('run the servers that are recommended elsewhere', () => {
    const ci = readText('.github/workflows/ci.yml');
    const images = services
      .map(([, service]) => textOf(service.image))
      .filter((image) => /weaviate:|mongo:|caddy:/.test(image));
    for (const image of images) expect(ci).toContain(image);
    for (const [, version = ''] of ci.matchAll(/\/weaviate:(\S+)/g)) expect(isFitWeaviate(version)).toBe(true);
  });

  it('deploy only what was pushed and is green, and only where there is an app', () => {
    const job = workflows.find(({ path }) => path.endsWith('deploy.yml'))?.node.jobs?.staging;
    expect(textOf(job?.if)).toMatch(/conclusion == 'success'.*event == 'push'/s);
    const [, ...guarded] = listOf(job?.steps);
    for (const step of guarded) expect(textOf(step.if)).toBe("steps.asked.outputs.yes == 'true'");
  });
});
