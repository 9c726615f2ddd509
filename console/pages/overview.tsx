import type { Child } from 'hono/jsx';
import type { QuotaState, Tally } from '../../core/core.ts';
import type { AnswerKind, Connection, Job, Source, Tenant, UsageRow } from '../../core/domain.ts';
import { currencyOf } from '../../core/text/currency.ts';
import { decimalOf } from '../../core/text/decimal.ts';
import { costsOf, sumOf } from '../billing.ts';
import type { Names } from '../names.ts';
import { milliseconds, texts } from '../texts.ts';
import { answersPath } from './answer-view.tsx';
import { askPath } from './ask.tsx';
import { ConnectionState } from './connections.tsx';
import { Layout, type Shell, Time } from './layout.tsx';
import { mayPass } from './pages.tsx';
import { Meter, Money, Num, Sums } from './parts/table.tsx';
import { Tile, Tiles } from './parts/tiles.tsx';
import { quotasPath } from './quotas.tsx';
import { SourceState, sourcePath, sourcesPath } from './source-state.tsx';

type TenantShell = Shell & { readonly tenant: Tenant };
const words = texts.overview;

export type SourceHealth = { readonly source: Source; readonly last: Job | undefined };
export type Health = {
  readonly tally: Tally;
  readonly sources: readonly SourceHealth[];
  readonly connections: readonly Connection[];
  /** Only for roles that may see money. */
  readonly spending?: { readonly quotas: readonly QuotaState[]; readonly used: readonly UsageRow[] };
};
/** Something that somebody should look at, and where. */
export type Need = { readonly text: string; readonly href?: string };

export const limitInWords = ({ scope, id, unit, per }: QuotaState, names: Names): string =>
  `${id === undefined ? texts.billing.scopes[scope] : scope === 'channel' ? names.channelId(id) : id}, ${texts.billing.units[unit]} / ${texts.billing.pers[per]}`;

export const OverviewPage = ({
  shell,
  health,
  needs,
  names,
}: {
  shell: TenantShell;
  health: Health;
  needs: readonly Need[];
  names: Names;
}) => (
  <Layout shell={shell} title={words.title} wide>
    <h1>{words.title}</h1>
    <p class="lead">{words.lead(shell.tenant.name)}</p>
    <Today tenant={shell.tenant} tally={health.tally} />
    <div class="overview">
      <Part title={words.attention}>
        {needs.length === 0 ? (
          <p class="muted">{words.nothingNeeded}</p>
        ) : (
          <ul class="needs">
            {needs.map(({ text, href }) => (
              <li>{href === undefined ? text : <a href={href}>{text}</a>}</li>
            ))}
          </ul>
        )}
      </Part>
      {health.spending !== undefined && <Spending shell={shell} spending={health.spending} names={names} />}
      <Sources shell={shell} sources={health.sources} />
      <Connections connections={health.connections} names={names} />
    </div>
  </Layout>
);

const Part = ({ title, children }: { title: string; children: Child }) => (
  <section class="card">
    <h2>{title}</h2>
    {children}
  </section>
);

const Today = ({ tenant, tally }: { tenant: Tenant; tally: Tally }) => {
  const count = (kind: AnswerKind): number =>
    tally.outcomes.reduce((sum, one) => sum + (one.kind === kind ? one.count : 0), 0);
  if (tally.outcomes.length === 0)
    return (
      <p class="part muted">
        {words.nothingToday} <a href={askPath(tenant)}>{words.ask}</a>
      </p>
    );
  const kinds = [
    ['answered', words.answered],
    ['not-found', words.notFound],
    ['refused', words.refused],
  ] as const;
  return (
    <Tiles>
      <Tile name={words.asked}>
        <Num value={tally.outcomes.reduce((sum, { count }) => sum + count, 0)} />
      </Tile>
      {kinds.map(([kind, name]) => (
        <Tile name={<a href={`${answersPath(tenant)}?outcome=${kind}`}>{name}</a>} kind={kind}>
          <Num value={count(kind)} />
        </Tile>
      ))}
      {tally.p50Ms !== undefined && <Tile name={words.median}>{milliseconds(tally.p50Ms)}</Tile>}
      {tally.p95Ms !== undefined && <Tile name={words.slow}>{milliseconds(tally.p95Ms)}</Tile>}
    </Tiles>
  );
};

const Spending = ({
  shell,
  spending,
  names,
}: {
  shell: TenantShell;
  spending: NonNullable<Health['spending']>;
  names: Names;
}) => {
  const { tenant, roles = [] } = shell;
  const currency = currencyOf(tenant);
  const figures = sumOf(spending.used);
  // Each channel or member has a counter of its own; there is no one figure for all of them.
  const limits = spending.quotas.filter(({ scope, id }) => scope === 'tenant' || id !== undefined);
  const amount = (quota: QuotaState, value: number): Child =>
    quota.unit === 'money' ? <Money amount={decimalOf(value)} currency={currency} /> : <Num value={value} />;
  return (
    <Part title={words.spending}>
      <p class="figures">
        <span>
          {words.tokensToday} <Num value={figures.promptTokens + figures.completionTokens + figures.embeddingTokens} />
        </span>
        {costsOf(spending.used).map((cost) => (
          <span>
            {`${words.costToday} `}
            <Sums costs={[cost]} />
          </span>
        ))}
      </p>
      {limits.length === 0 ? (
        <p>
          {words.noLimits} {mayPass(roles, 'admin') && <a href={quotasPath(tenant)}>{words.setLimits}</a>}
        </p>
      ) : (
        <ul class="limits">
          {limits.map((quota) => (
            <li>
              <span>{limitInWords(quota, names)}</span>
              <span>
                {amount(quota, quota.used)} / {amount(quota, quota.limit)}
              </span>
              <Meter label={limitInWords(quota, names)} value={quota.used} max={quota.limit} />
            </li>
          ))}
        </ul>
      )}
    </Part>
  );
};

const Sources = ({ shell, sources }: { shell: TenantShell; sources: readonly SourceHealth[] }) => (
  <Part title={words.sources}>
    {sources.length === 0 ? (
      <p>
        {words.noSources}{' '}
        {mayPass(shell.roles ?? [], 'admin') && <a href={`${sourcesPath(shell.tenant)}/new`}>{words.addSource}</a>}
      </p>
    ) : (
      <ul class="states">
        {sources.map(({ source, last }) => (
          <li>
            <a href={sourcePath(shell.tenant, source)}>{source.name}</a>
            <SourceState source={source} last={last} syncs={last !== undefined || source.schedule !== undefined} />
          </li>
        ))}
      </ul>
    )}
  </Part>
);

const Connections = ({ connections, names }: { connections: readonly Connection[]; names: Names }) => (
  <Part title={words.connections}>
    {connections.length === 0 ? (
      <p>{words.noConnections}</p>
    ) : (
      <ul class="states">
        {connections.map((connection) => (
          <li>
            <span>
              {`${names.connection(connection)} `}
              <span class="muted">
                {connection.lastEventAt === undefined ? words.silent : `${words.heard} `}
                {connection.lastEventAt !== undefined && <Time at={connection.lastEventAt} />}
              </span>
            </span>
            <ConnectionState connection={connection} />
          </li>
        ))}
      </ul>
    )}
  </Part>
);
