import { z } from 'zod';
import type { Role } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { oneLine } from '../mail.ts';
import { texts } from '../texts.ts';
import { MemberPage, type MemberRow, MembersPage, membersPath, nameOfMember } from './members.tsx';
import { mayPass, type PageRequest, type Pages } from './pages.tsx';
import { emptyForm, type FormState, formWith } from './parts/form.tsx';
import type { MadeLink } from './parts/made-link.tsx';
import { emailAddress } from './reset-routes.tsx';

const words = texts.people.members;

const role = z.enum(['owner', 'admin', 'billing', 'viewer']);
const seen = role.optional();
/** The least of the roles, until another one is chosen. */
const nobodyYet = formWith({ role: 'viewer' });
const inviteForm = z.object({ email: emailAddress, role });

/** Who belongs to a tenant: seen, invited, given another role, removed. */
export const addMemberPages = (pages: Pages): void => {
  const { core, auth, sendMail, runtime } = pages.doors;

  const isOwner = ({ roles }: PageRequest): boolean => mayPass(roles, 'owner');
  /** Whoever is an owner now, or would become one, is an owner's business. */
  const checkOwners = (request: PageRequest, ...roles: readonly Role[]): void => {
    if (roles.includes('owner') && !isOwner(request)) throw new AppError('invalid', words.ownersOnly, { at: 'role' });
  };

  const rowsOf = async (request: PageRequest): Promise<readonly MemberRow[]> => {
    const members = await core.members.ofTenant(request.tenant.id);
    const people = await auth.accounts.known(members.map(({ userId }) => userId));
    return members
      .map((member) => ({ ...member, person: people.get(member.userId) }))
      .sort((a, b) => nameOfMember(a).localeCompare(nameOfMember(b)));
  };

  const memberOf = async (request: PageRequest): Promise<MemberRow> => {
    const userId = request.param('user');
    const member = (await core.members.ofTenant(request.tenant.id)).find((each) => each.userId === userId);
    if (member === undefined) throw new AppError('not-found', 'There is no such member.');
    return { ...member, person: (await auth.accounts.known([userId])).get(userId) };
  };

  const listPage = async (request: PageRequest, state: FormState, made?: MadeLink) => (
    <MembersPage
      shell={await request.shell('members')}
      members={await rowsOf(request)}
      invitations={await auth.invitations.list(request.tenant.id)}
      state={state}
      mayMakeOwners={isOwner(request)}
      sendsMail={sendMail !== undefined}
      made={made}
    />
  );

  const memberPage = async (
    request: PageRequest,
    member: MemberRow,
    state: FormState,
    email: FormState = emptyForm,
  ) => (
    <MemberPage
      shell={await request.shell('members')}
      member={member}
      state={state}
      email={email}
      mayMakeOwners={isOwner(request)}
      mayReset={await mayReset(request, member)}
    />
  );

  /**
   * Whoever holds a reset link becomes that person, wherever they belong. So an admin may make one only for somebody who
   * belongs to this tenant alone; for others there is the mail, or the operator.
   */
  const mayReset = async (request: PageRequest, { userId, role, person }: MemberRow): Promise<boolean> => {
    if (person === undefined) return false;
    if (request.isOperator) return true;
    if (role === 'owner' && !isOwner(request)) return false;
    return (await core.members.ofUser(userId)).every(({ tenantId }) => tenantId === request.tenant.id);
  };

  pages.get('/console/{tenant}/members', 'session:admin', async (request) =>
    request.show(await listPage(request, nobodyYet)),
  );

  pages.post('/console/{tenant}/members', 'session:admin', async (request) => {
    await request.limit(`invite:${request.person.userId}`, 30);
    return request.submit(inviteForm, {
      save: async ({ email, role }) => {
        checkOwners(request, role);
        const { tenant, person } = request;
        const userId = await auth.accounts.idOf(email);
        if (userId !== null && (await core.members.ofUser(userId)).some(({ tenantId }) => tenantId === tenant.id))
          throw new AppError('invalid', words.already, { at: 'email' });
        const byMail = sendMail !== undefined;
        const invitation = { tenantId: tenant.id, email, role, invitedBy: person.userId };
        const { id, url } = await auth.invitations.issue({ ...invitation, byMail });
        await request.audit('invitation.create', id.slice(0, 12));
        if (sendMail === undefined)
          return request.show(await listPage(request, nobodyYet, { text: words.linkMade(email), url }));
        try {
          const text = words.mail(oneLine(tenant.name), oneLine(person.name), url);
          await sendMail({ to: email, subject: words.mailSubject(tenant.name), text });
          return request.show(await listPage(request, nobodyYet, { text: words.invited(email) }));
        } catch (error) {
          runtime.log.warn('invitation mail failed', { error: error instanceof Error ? error.name : 'unknown' });
          // A link that people see proves no mailbox, so it is another one.
          const byHand = await auth.invitations.issue({ ...invitation, byMail: false });
          return request.show(await listPage(request, nobodyYet, { text: words.mailFailed, url: byHand.url }));
        }
      },
      again: (state) => listPage(request, state),
    });
  });

  pages.post('/console/{tenant}/members/invitations/{invitation}/revoke', 'session:admin', async (request) => {
    const id = request.param('invitation');
    const open = (await auth.invitations.list(request.tenant.id)).find((each) => each.id === id);
    if (open?.role === 'owner' && !isOwner(request)) throw new AppError('forbidden', words.ownersOnly);
    // Accepted, expired or taken back meanwhile: it is gone, as was wished.
    if (await auth.invitations.revoke(request.tenant.id, id)) await request.audit('invitation.revoke', id.slice(0, 12));
    return request.to(membersPath(request.tenant), 'invitation-removed');
  });

  pages.get('/console/{tenant}/members/{user}', 'session:admin', async (request) => {
    const member = await memberOf(request);
    return request.show(await memberPage(request, member, formWith({ role: member.role })));
  });

  pages.post('/console/{tenant}/members/{user}', 'session:admin', async (request) => {
    const member = await memberOf(request);
    return request.submit(z.object({ role, seen }), {
      save: async ({ role: next, seen }) => {
        checkOwners(request, member.role, next);
        // From the role that the form was shown with: the later of two is told.
        await core.members.change(request.tenant.id, member.userId, next, seen ?? member.role);
        await request.audit(`member.role.${next}`, `user:${member.userId}`);
        return request.to(membersPath(request.tenant), 'role-changed');
      },
      again: (state) => memberPage(request, member, state),
    });
  });

  pages.post('/console/{tenant}/members/{user}/remove', 'session:admin', async (request) => {
    const member = await memberOf(request);
    return request.submit(z.object({ seen }), {
      save: async ({ seen }) => {
        checkOwners(request, member.role);
        const asks = await request.unconfirmed('members', {
          title: words.removeTitle(nameOfMember(member)),
          consequences: words.removeConsequences(request.tenant.name),
          button: words.removeButton,
          back: membersPath(request.tenant),
        });
        if (asks !== null) return asks;
        await core.members.remove(request.tenant.id, member.userId, seen ?? member.role);
        await request.audit('member.remove', `user:${member.userId}`);
        return request.to(membersPath(request.tenant), 'member-removed');
      },
      again: ({ problem = '' }) => memberPage(request, member, { ...formWith({ role: member.role }), problem }),
    });
  });

  pages.post('/console/{tenant}/members/{user}/reset', 'session:admin', async (request) => {
    const member = await memberOf(request);
    return request.submit(z.object({}), {
      save: async () => {
        if (member.person === undefined || !(await mayReset(request, member)))
          throw new AppError('invalid', words.noReset);
        const link = await auth.resets.issue(member.person.email, { byMail: false });
        if (link === null) throw new AppError('not-found', 'There is no such person.');
        await request.audit('password.reset-link', `user:${member.userId}`);
        const text = texts.people.reset.made(member.person.email);
        return request.show(await listPage(request, nobodyYet, { text, url: link.url }));
      },
      again: (state) => memberPage(request, member, { ...state, values: { role: [member.role] } }),
    });
  });

  pages.post('/console/{tenant}/members/{user}/email', 'session:owner', async (request) => {
    const member = await memberOf(request);
    return request.submit(z.object({ email: emailAddress }), {
      save: async ({ email }) => {
        // Whoever decides the address can have the password reset there: the same people may do the one and the other.
        if (!(await mayReset(request, member))) throw new AppError('invalid', texts.people.emailChange.noLink);
        const link = await auth.emailChanges.issue(member.userId, email, { byMail: false });
        if (link === null) throw new AppError('conflict', texts.people.emailChange.taken, { at: 'email' });
        await request.audit('email.change-link', `user:${member.userId}`);
        const made = { text: texts.people.emailChange.made(link.to), url: link.url };
        return request.show(await listPage(request, nobodyYet, made));
      },
      // What is wrong with no field is said above, where it is seen also by who has no form for the address.
      again: (state) =>
        state.problem === undefined
          ? memberPage(request, member, formWith({ role: member.role }), state)
          : memberPage(request, member, { ...state, values: { role: [member.role] } }),
    });
  });
};
