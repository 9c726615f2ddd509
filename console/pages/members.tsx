import type { Membership, Tenant } from '../../core/domain.ts';
import type { KnownPerson } from '../auth/accounts.ts';
import type { Invitation } from '../auth/invitations.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { ActionButton, FormBox, type FormState, SelectField, TextField } from './parts/form.tsx';
import { type MadeLink, MadeLinkNotice } from './parts/made-link.tsx';
import { Chip, Table } from './parts/table.tsx';

const words = texts.people.members;

export const membersPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/members`;

export type MemberRow = Membership & { readonly person: KnownPerson | undefined };
export const nameOfMember = ({ person }: Pick<MemberRow, 'person'>): string => person?.name ?? words.unknown;

export const roleOptions = (mayMakeOwners: boolean) =>
  Object.entries(words.roles)
    .filter(([role]) => mayMakeOwners || role !== 'owner')
    .map(([value, label]) => ({ value, label }));

export const MembersPage = ({
  shell,
  members,
  invitations,
  state,
  mayMakeOwners,
  sendsMail,
  made,
}: {
  shell: Shell & { readonly tenant: Tenant };
  members: readonly MemberRow[];
  invitations: readonly Invitation[];
  state: FormState;
  mayMakeOwners: boolean;
  sendsMail: boolean;
  made?: MadeLink | undefined;
}) => {
  const path = membersPath(shell.tenant);
  return (
    <Layout shell={shell} title={words.title}>
      <h1>{words.title}</h1>
      <p class="lead">{words.lead}</p>
      {made !== undefined && <MadeLinkNotice made={made} />}
      {members.length === 0 && <p class="part muted">{words.none}</p>}
      {members.length > 0 && <MemberTable shell={shell} members={members} path={path} mayMakeOwners={mayMakeOwners} />}
      {invitations.length > 0 && <Pending path={path} invitations={invitations} mayMakeOwners={mayMakeOwners} />}
      <section class="part">
        <h2>{words.inviteTitle}</h2>
        <p class="lead">{sendsMail ? words.inviteMailHint : words.inviteLinkHint}</p>
        <FormBox state={state} action={path} submit={words.invite}>
          <TextField state={state} name="email" label={texts.people.email} type="email" required autocomplete="off" />
          <SelectField state={state} name="role" label={words.role} options={roleOptions(mayMakeOwners)} />
        </FormBox>
      </section>
    </Layout>
  );
};

const MemberTable = ({
  shell,
  members,
  path,
  mayMakeOwners,
}: {
  shell: Shell;
  members: readonly MemberRow[];
  path: string;
  mayMakeOwners: boolean;
}) => (
  <Table
    caption={words.title}
    rows={members}
    columns={[
      {
        head: words.who,
        cell: (member) => (
          <span class="who-is">
            <span>
              {nameOfMember(member)} {member.userId === shell.person?.userId && <Chip>{words.you}</Chip>}
            </span>
            <small>{member.person?.email}</small>
          </span>
        ),
      },
      { head: words.role, cell: ({ role }) => words.short[role] },
      {
        head: words.seen,
        cell: ({ person }) =>
          person?.lastSeenAt === undefined ? <span class="muted">{words.never}</span> : <Time at={person.lastSeenAt} />,
      },
      {
        head: words.change,
        cell: (member) =>
          member.role === 'owner' && !mayMakeOwners ? null : (
            <a
              href={`${path}/${encodeURIComponent(member.userId)}`}
              aria-label={`${words.change}: ${nameOfMember(member)}`}
            >
              {words.change}
            </a>
          ),
      },
    ]}
  />
);

const Pending = ({
  path,
  invitations,
  mayMakeOwners,
}: {
  path: string;
  invitations: readonly Invitation[];
  mayMakeOwners: boolean;
}) => (
  <section class="part">
    <h2>{words.pendingTitle}</h2>
    <Table
      caption={words.pendingTitle}
      rows={invitations}
      columns={[
        { head: texts.people.email, cell: ({ email }) => email },
        { head: words.role, cell: ({ role }) => words.short[role] },
        { head: words.until, cell: ({ expiresAt }) => <Time at={expiresAt} /> },
        {
          head: words.takeBack,
          cell: ({ id, role }) =>
            role === 'owner' && !mayMakeOwners ? null : (
              <ActionButton action={`${path}/invitations/${id}/revoke`} label={words.takeBack} kind="quiet" />
            ),
        },
      ]}
    />
  </section>
);

export const MemberPage = ({
  shell,
  member,
  state,
  email,
  mayMakeOwners,
  mayReset,
}: {
  shell: Shell & { readonly tenant: Tenant };
  member: MemberRow;
  state: FormState;
  /** The form for another address. */
  email: FormState;
  mayMakeOwners: boolean;
  mayReset: boolean;
}) => {
  const path = `${membersPath(shell.tenant)}/${encodeURIComponent(member.userId)}`;
  return (
    <Layout shell={shell} title={words.changeTitle(nameOfMember(member))}>
      <h1>{words.changeTitle(nameOfMember(member))}</h1>
      <p class="lead">{member.person?.email}</p>
      <FormBox state={state} action={path} submit={words.save} cancel={membersPath(shell.tenant)}>
        <input type="hidden" name="seen" value={state.values.seen?.[0] ?? member.role} />
        <SelectField state={state} name="role" label={words.role} options={roleOptions(mayMakeOwners)} />
      </FormBox>
      {mayReset && (
        <section class="part">
          <h2>{texts.people.passwordTitle}</h2>
          <p class="lead">{words.resetHint}</p>
          <ActionButton action={`${path}/reset`} label={words.reset} />
        </section>
      )}
      {mayReset && mayMakeOwners && (
        <section class="part">
          <h2>{texts.people.emailChange.memberTitle}</h2>
          <FormBox state={email} action={`${path}/email`} submit={texts.people.emailChange.makeLink}>
            <TextField
              state={email}
              name="email"
              label={texts.people.emailChange.next}
              hint={texts.people.emailChange.memberHint}
              type="email"
              required
              autocomplete="off"
            />
          </FormBox>
        </section>
      )}
      <section class="part">
        <h2>{words.remove}</h2>
        <ActionButton
          action={`${path}/remove`}
          label={words.removeButton}
          fields={{ seen: member.role }}
          kind="danger"
        />
      </section>
    </Layout>
  );
};
