import type { Core, InstanceView } from '../../core/core.ts';
import type { Finding } from '../../core/ports/finding.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { Chip, Facts, Table } from './parts/table.tsx';

const words = texts.operator.health;

export const operatorHealthPath = '/console/operator/health';

export type HealthState = {
  /** Why this instance cannot serve; empty when it can. */
  readonly problems: readonly string[];
  readonly instances: readonly InstanceView[];
  readonly modes: Core['modes'];
  /** Of this process; null where nobody has said. */
  readonly version: string | null;
  /** Absent: nobody has asked. `complete`: the looks came to their end. */
  readonly checks?: { readonly findings: readonly Finding[]; readonly complete: boolean };
};

export const OperatorHealthPage = ({ shell, state }: { shell: Shell; state: HealthState }) => (
  <Layout shell={shell} title={words.title} wide>
    <h1>{words.title}</h1>
    <p class="lead">{words.lead}</p>
    {state.problems.length === 0 ? (
      <p class="notice note">{words.ready}</p>
    ) : (
      <div class="notice error" role="alert">
        <p>{words.notReady}</p>
        <ul>
          {state.problems.map((problem) => (
            <li>{problem}</li>
          ))}
        </ul>
      </div>
    )}
    <section class="part">
      <h2>{words.instances}</h2>
      <Instances instances={state.instances} />
    </section>
    <section class="part">
      <h2>{words.versions}</h2>
      <Facts
        facts={[
          ...(state.version === null ? [] : [[words.footnote, state.version] as const]),
          [words.node, process.version],
          [words.answers, state.modes.chatModel ?? words.quoted],
          [
            words.search,
            state.modes.embeddingModel === null ? words.keywords : words.keywordsAnd(state.modes.embeddingModel),
          ],
        ]}
      />
    </section>
    <section class="part" id="checks">
      <h2>{words.checks}</h2>
      <p class="lead">{words.checksLead}</p>
      {state.checks !== undefined && <Checks {...state.checks} />}
      <p class="bar-row">
        <a class="button" href={`${operatorHealthPath}?checks=on#checks`}>
          {state.checks === undefined ? words.run : words.again}
        </a>
      </p>
    </section>
  </Layout>
);

const Instances = ({ instances }: { instances: readonly InstanceView[] }) => {
  if (instances.length === 0) return <p class="muted">{words.noInstances}</p>;
  const alive = instances.filter(({ isAlive }) => isAlive);
  return (
    <>
      {new Set(alive.map(({ version }) => version)).size > 1 && <p class="notice">{words.severalVersions}</p>}
      {alive.length < instances.length && <p class="notice">{words.gone}</p>}
      <Table
        caption={words.instancesCaption}
        rows={instances}
        columns={[
          {
            head: words.instance,
            cell: ({ host, pid, isThis }) => (
              <span class="who-is">
                <span>
                  {host} {isThis && <Chip tone="accent">{words.thisOne}</Chip>}
                </span>
                <small>{words.process(pid)}</small>
              </span>
            ),
          },
          {
            head: texts.operator.jobs.state,
            cell: ({ isAlive }) =>
              isAlive ? <Chip tone="good">{words.alive}</Chip> : <Chip tone="bad">{words.silent}</Chip>,
          },
          {
            head: words.version,
            cell: ({ version, node }) => (
              <span class="who-is">
                {version}
                <small>{`Node ${node}`}</small>
              </span>
            ),
          },
          { head: words.started, cell: ({ startedAt }) => <Time at={startedAt} /> },
          { head: words.seen, cell: ({ seenAt }) => <Time at={seenAt} /> },
          {
            head: words.leads,
            cell: ({ leads }) =>
              leads.length === 0 ? (
                <span class="muted">{words.leadsNothing}</span>
              ) : (
                <span class="chips">
                  {leads.map((name) => (
                    <Chip>{words.turns[name] ?? name}</Chip>
                  ))}
                </span>
              ),
          },
        ]}
      />
    </>
  );
};

const Checks = ({ findings, complete }: NonNullable<HealthState['checks']>) => {
  const bad = findings.filter(({ ok }) => !ok).length;
  const warnings = findings.filter(({ ok, warns }) => ok && warns).length;
  const sum = [...(bad === 0 ? [] : [words.problems(bad)]), ...(warnings === 0 ? [] : [words.warnings(warnings)])];
  return (
    <>
      {!complete && <p class="notice error">{words.broke}</p>}
      {complete && (
        <p class={`notice ${bad === 0 ? 'note' : 'error'}`} role="status">
          {sum.length === 0 ? words.allWell : sum.join(' ')}
        </p>
      )}
      <ul class="check-up">
        {findings.map(({ item, ok, warns = false, says }) => (
          <li>
            <Chip tone={!ok ? 'bad' : warns ? 'warn' : 'good'}>{!ok ? words.bad : warns ? words.warns : words.ok}</Chip>
            <div>
              <p>{item}</p>
              {says.split('\n').map((line) => (
                <p class="hint">{line}</p>
              ))}
            </div>
          </li>
        ))}
      </ul>
    </>
  );
};
