import type { Membership, Tenant } from '../../core/domain.ts';
import type { Paged } from '../../core/ports/state.ts';
import type { AccountState, SessionSeen } from '../auth/accounts.ts';
import type { RosterEntry } from '../auth/roster.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { membersPath } from './members.tsx';
import { ActionButton, FormBox, type FormState, TextField } from './parts/form.tsx';
import { type MadeLink, MadeLinkNotice } from './parts/made-link.tsx';
import { Chip, Facts, More, Search, Table } from './parts/table.tsx';

const words = texts.operator.people;
const roles = texts.people.members.short;

export const operatorPeoplePath = '/console/operator/people';
export const operatorPersonPath = ({ userId }: Pick<RosterEntry, 'userId'>): string =>
  `${operatorPeoplePath}/${encodeURIComponent(userId)}`;

/** A membership with its tenant; none for the operator's own, which belongs to no tenant. */
export type Belonging = Membership & { readonly tenant: Tenant | null };
export type PersonRow = { readonly person: RosterEntry; readonly belongings: readonly Belonging[] };

const isOperator = (belongings: readonly Belonging[]): boolean => belongings.some(({ role }) => role === 'operator');
/** Tenants that a row of the list names. */
const tenantsNamed = 2;

export const OperatorPeoplePage = ({
  shell,
  page,
  q,
}: {
  shell: Shell;
  page: Paged<PersonRow>;
  q: string | undefined;
}) => (
  <Layout shell={shell} title={words.title} wide>
    <h1>{words.title}</h1>
    <p class="lead">{words.lead}</p>
    <Search action={operatorPeoplePath} q={q} hint={words.searchHint} button={words.search} />
    {page.items.length === 0 ? (
      <p class="part muted">{q === undefined ? words.empty : words.none}</p>
    ) : (
      <Table
        caption={words.caption}
        rows={page.items}
        columns={[
          {
            head: words.who,
            cell: ({ person }) => (
              <span class="who-is">
                <a href={operatorPersonPath(person)}>{person.name}</a>
                <small>{person.email}</small>
              </span>
            ),
          },
          { head: words.belongs, cell: ({ belongings }) => <Belongings belongings={belongings} /> },
          {
            head: words.factor,
            cell: ({ person: { hasSecondFactor } }) =>
              hasSecondFactor ? <Chip tone="good">{words.on}</Chip> : <span class="muted">{words.off}</span>,
          },
          { head: words.seen, cell: ({ person }) => <LastSeen person={person} /> },
        ]}
      />
    )}
    <More
      href={
        page.nextCursor === undefined
          ? undefined
          : `${operatorPeoplePath}?${new URLSearchParams({ ...(q === undefined ? {} : { q }), cursor: page.nextCursor })}`
      }
    />
  </Layout>
);

const LastSeen = ({ person: { lastSeenAt } }: { person: RosterEntry }) =>
  lastSeenAt === undefined ? <span class="muted">{words.never}</span> : <Time at={lastSeenAt} />;

const Belongings = ({ belongings }: { belongings: readonly Belonging[] }) => {
  const tenants = belongings.flatMap(({ tenant, role }) => (tenant === null ? [] : [`${tenant.name}: ${roles[role]}`]));
  if (belongings.length === 0) return <span class="muted">{words.nowhere}</span>;
  return (
    <span class="who-is">
      {isOperator(belongings) && (
        <span class="chips">
          <Chip tone="accent">{words.operator}</Chip>
        </span>
      )}
      {tenants.slice(0, tenantsNamed).map((line) => (
        <span>{line}</span>
      ))}
      {tenants.length > tenantsNamed && <small>{words.andMore(tenants.length - tenantsNamed)}</small>}
    </span>
  );
};

export const OperatorPersonPage = ({
  shell,
  row: { person, belongings },
  account,
  sessions,
  email,
  made,
  problem,
}: {
  shell: Shell;
  row: PersonRow;
  account: AccountState;
  sessions: readonly SessionSeen[];
  /** The form for another address. */
  email: FormState;
  made?: MadeLink | undefined;
  problem?: string | undefined;
}) => {
  const path = operatorPersonPath(person);
  const isSelf = shell.person?.userId === person.userId;
  return (
    <Layout shell={shell} title={person.name}>
      <p class="crumb">
        <a href={operatorPeoplePath}>{words.back}</a>
      </p>
      <h1>{person.name}</h1>
      <p class="lead">{person.email}</p>
      {made !== undefined && <MadeLinkNotice made={made} />}
      {problem !== undefined && (
        <p class="notice error" role="alert">
          {problem}
        </p>
      )}
      <section class="part">
        <h2>{words.account}</h2>
        <Facts
          facts={[
            [words.email, person.isEmailProven ? words.proven : words.unproven],
            [words.password, account.hasPassword ? words.passwordSet : words.passwordNone],
            [words.factor, person.hasSecondFactor ? words.on : words.off],
            [words.since, <Time at={person.createdAt} />],
            [words.seen, <LastSeen person={person} />],
          ]}
        />
      </section>
      <section class="part">
        <h2>{words.memberships}</h2>
        <Memberships belongings={belongings} />
      </section>
      <section class="part">
        <h2>{words.sessions}</h2>
        <Sessions sessions={sessions} />
        {sessions.length > 0 && !isSelf && (
          <p class="bar-row">
            <ActionButton action={`${path}/sign-out`} label={words.endSessions} />
          </p>
        )}
      </section>
      {!isSelf && <Access path={path} person={person} email={email} />}
      {!isSelf && <OperatorRights path={path} isOne={isOperator(belongings)} />}
      {!isSelf && (
        <section class="part">
          <h2>{words.remove}</h2>
          <p class="bar-row">
            <ActionButton action={`${path}/remove`} label={words.removeButton} kind="danger" />
          </p>
        </section>
      )}
      {isSelf && (
        <p class="part muted">
          {words.yourself} <a href="/console/settings/account">{texts.nav.yourAccount}</a>.
        </p>
      )}
    </Layout>
  );
};

const Memberships = ({ belongings }: { belongings: readonly Belonging[] }) => {
  const rows = belongings.flatMap(({ tenant, role, createdAt }) =>
    tenant === null ? [] : [{ tenant, role, createdAt }],
  );
  if (rows.length === 0) return <p class="muted">{words.noMemberships}</p>;
  return (
    <Table
      caption={words.memberships}
      rows={rows}
      columns={[
        { head: words.tenant, cell: ({ tenant }) => <a href={membersPath(tenant)}>{tenant.name}</a> },
        { head: words.role, cell: ({ role }) => roles[role] },
      ]}
    />
  );
};

const Sessions = ({ sessions }: { sessions: readonly SessionSeen[] }) =>
  sessions.length === 0 ? (
    <p class="muted">{words.noSessions}</p>
  ) : (
    <Table
      caption={words.sessions}
      rows={sessions}
      columns={[
        { head: texts.people.account.device, cell: ({ device }) => device },
        { head: texts.people.account.since, cell: ({ createdAt }) => <Time at={createdAt} /> },
        { head: texts.people.account.seen, cell: ({ lastSeenAt }) => <Time at={lastSeenAt} /> },
      ]}
    />
  );

const Access = ({ path, person, email }: { path: string; person: RosterEntry; email: FormState }) => (
  <section class="part">
    <h2>{words.access}</h2>
    <p class="lead">{words.resetHint}</p>
    <p class="bar-row">
      <ActionButton action={`${path}/reset`} label={words.reset} />
    </p>
    {person.hasSecondFactor && (
      <>
        <p class="lead">{words.resetFactorHint}</p>
        <p class="bar-row">
          <ActionButton action={`${path}/second-factor`} label={words.resetFactor} />
        </p>
      </>
    )}
    <FormBox state={email} action={`${path}/email`} submit={words.makeLink}>
      <TextField
        state={email}
        name="email"
        label={words.newEmail}
        hint={words.changeEmailHint}
        type="email"
        required
        autocomplete="off"
      />
    </FormBox>
  </section>
);

const OperatorRights = ({ path, isOne }: { path: string; isOne: boolean }) => (
  <section class="part">
    <h2>{words.operatorTitle}</h2>
    <p class="lead">{isOne ? words.operatorIs : words.operatorIsNot}</p>
    <p class="bar-row">
      {isOne ? (
        <ActionButton action={`${path}/operator/end`} label={words.unmakeOperator} />
      ) : (
        <ActionButton action={`${path}/operator`} label={words.makeOperator} />
      )}
    </p>
  </section>
);
