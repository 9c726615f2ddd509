import { z } from 'zod';
import type { Membership, Tenant, TenantId } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import { texts } from '../texts.ts';
import {
  type Belonging,
  OperatorPeoplePage,
  OperatorPersonPage,
  operatorPeoplePath,
  operatorPersonPath,
  type PersonRow,
} from './operator-people.tsx';
import type { PageRequest, Pages } from './pages.tsx';
import type { Confirmation } from './parts/confirm.tsx';
import { emptyForm, type FormState } from './parts/form.tsx';
import type { MadeLink } from './parts/made-link.tsx';
import { emailAddress } from './reset-routes.tsx';

const words = texts.operator.people;
const active = 'operator-people';
const peopleShown = 25;

/** Everybody who has an account: seen, signed out, helped back in, removed. */
export const addOperatorPeoplePages = (pages: Pages): void => {
  const { core, auth } = pages.doors;

  const belongingsOf = async (memberships: readonly Membership[], tenants: ReadonlyMap<TenantId, Tenant | null>) =>
    memberships
      .map(
        (membership): Belonging => ({
          ...membership,
          tenant: membership.tenantId === null ? null : (tenants.get(membership.tenantId) ?? null),
        }),
      )
      .sort((a, b) => (a.tenant?.name ?? '').localeCompare(b.tenant?.name ?? ''));

  /** Each tenant is asked for once, however many of the people belong to it. */
  const rowsOf = async (people: readonly PersonRow['person'][]): Promise<readonly PersonRow[]> => {
    const memberships = await Promise.all(people.map(({ userId }) => core.members.ofUser(userId)));
    const ids = new Set(memberships.flat().flatMap(({ tenantId }) => (tenantId === null ? [] : [tenantId])));
    const tenants = new Map(await Promise.all([...ids].map(async (id) => [id, await core.tenants.get(id)] as const)));
    return Promise.all(
      people.map(async (person, at) => ({ person, belongings: await belongingsOf(memberships[at] ?? [], tenants) })),
    );
  };

  const personOf = async (request: PageRequest): Promise<PersonRow> => {
    const person = await auth.roster.get(request.param('user'));
    const [row] = person === null ? [] : await rowsOf([person]);
    if (row === undefined) throw new AppError('not-found', 'There is no such person.');
    return row;
  };

  /** Nobody shuts the door behind which they stand. */
  const otherOf = async (request: PageRequest): Promise<PersonRow> => {
    const row = await personOf(request);
    if (row.person.userId === request.person.userId) throw new AppError('conflict', words.notYourself);
    return row;
  };

  const page = async (
    request: PageRequest,
    row: PersonRow,
    more: { readonly made?: MadeLink; readonly email?: FormState; readonly problem?: string | undefined } = {},
  ) => {
    const { userId } = row.person;
    const [shell, account, sessions] = await Promise.all([
      request.plainShell(active),
      auth.accounts.look(userId),
      auth.accounts.sessions(userId, request.c.req.raw.headers),
    ]);
    const { made, email = emptyForm, problem } = more;
    return (
      <OperatorPersonPage
        shell={shell}
        row={row}
        account={account}
        sessions={sessions}
        email={email}
        made={made}
        problem={problem}
      />
    );
  };

  /** Asks, does it, and says so; what the core refuses in words is shown on the person's page. */
  const deed = (
    path: string,
    asks: (row: PersonRow) => Omit<Confirmation, 'back'>,
    act: (row: PersonRow, request: PageRequest) => Promise<Response>,
  ): void =>
    pages.post(`${operatorPeoplePath}/{user}/${path}`, 'session:operator', async (request) => {
      const row = await otherOf(request);
      return request.submit(z.object({}), {
        save: async () => {
          const question = await request.unconfirmed(active, { ...asks(row), back: operatorPersonPath(row.person) });
          return question ?? act(row, request);
        },
        again: ({ problem }) => page(request, row, { problem }),
      });
    });

  pages.get(operatorPeoplePath, 'session:operator', async (request) => {
    const [q, cursor] = [request.query('q'), request.query('cursor')];
    const { items, nextCursor } = await auth.roster.list(q === undefined ? {} : { q }, {
      limit: peopleShown,
      ...(cursor === undefined ? {} : { cursor }),
    });
    return request.show(
      <OperatorPeoplePage
        shell={await request.plainShell(active)}
        page={{ items: await rowsOf(items), ...(nextCursor === undefined ? {} : { nextCursor }) }}
        q={q}
      />,
    );
  });

  pages.get(`${operatorPeoplePath}/{user}`, 'session:operator', async (request) =>
    request.show(await page(request, await personOf(request))),
  );

  deed(
    'sign-out',
    ({ person }) => ({
      title: words.endTitle(person.name),
      consequences: words.endConsequences,
      button: words.endButton,
    }),
    async ({ person }, request) => {
      await auth.revokeSessions(person.userId);
      await request.audit('person.sign-out', `user:${person.userId}`);
      return request.to(operatorPersonPath(person), 'signed-out-everywhere');
    },
  );

  deed(
    'second-factor',
    ({ person }) => ({
      title: words.resetFactorTitle(person.name),
      consequences: words.resetFactorConsequences,
      button: words.resetFactorButton,
    }),
    async ({ person }, request) => {
      await auth.roster.resetSecondFactor(person.userId);
      await request.audit('person.second-factor-reset', `user:${person.userId}`);
      return request.to(operatorPersonPath(person), 'factor-reset');
    },
  );

  deed(
    'operator',
    ({ person }) => ({
      title: words.makeOperatorTitle(person.name),
      consequences: words.makeOperatorConsequences,
      button: words.makeOperator,
    }),
    async ({ person }, request) => {
      await core.members.put(person.userId, null, 'operator');
      await request.audit('person.operator', `user:${person.userId}`);
      return request.to(operatorPersonPath(person), 'operator-made');
    },
  );

  deed(
    'operator/end',
    ({ person }) => ({
      title: words.unmakeOperatorTitle(person.name),
      consequences: words.unmakeOperatorConsequences,
      button: words.unmakeOperator,
    }),
    async ({ person }, request) => {
      await core.members.removeOperator(person.userId);
      await request.audit('person.operator-end', `user:${person.userId}`);
      return request.to(operatorPersonPath(person), 'operator-unmade');
    },
  );

  /** All that could refuse is looked at before anything is taken away. */
  const checkRemovable = async ({ belongings }: PersonRow): Promise<void> => {
    for (const { role, tenant } of belongings) {
      if (role === 'operator' && (await core.members.operators()) <= 1)
        throw new AppError('conflict', words.lastOperator);
      if (role !== 'owner' || tenant === null) continue;
      const owners = (await core.members.ofTenant(tenant.id)).filter((member) => member.role === 'owner');
      if (owners.length <= 1) throw new AppError('conflict', words.onlyOwner(tenant.name));
    }
  };

  deed(
    'remove',
    ({ person }) => ({
      title: words.removeTitle(person.name),
      consequences: words.removeConsequences(person.email),
      button: words.removeButton,
      phrase: person.email,
    }),
    async (row, request) => {
      const { userId } = row.person;
      await checkRemovable(row);
      await auth.revokeSessions(userId);
      for (const { tenantId } of row.belongings)
        await (tenantId === null ? core.members.removeOperator(userId) : core.members.remove(tenantId, userId));
      await auth.roster.remove(userId);
      await request.audit('person.remove', `user:${userId}`);
      return request.to(operatorPeoplePath, 'person-removed');
    },
  );

  pages.post(`${operatorPeoplePath}/{user}/reset`, 'session:operator', async (request) => {
    const row = await otherOf(request);
    const link = await auth.resets.issue(row.person.email, { byMail: false });
    if (link === null) throw new AppError('not-found', 'There is no such person.');
    await request.audit('password.reset-link', `user:${row.person.userId}`);
    const made = { text: texts.people.reset.made(row.person.email), url: link.url };
    return request.show(await page(request, row, { made }));
  });

  pages.post(`${operatorPeoplePath}/{user}/email`, 'session:operator', async (request) => {
    const row = await otherOf(request);
    return request.submit(z.object({ email: emailAddress }), {
      save: async ({ email }) => {
        const link = await auth.emailChanges.issue(row.person.userId, email, { byMail: false });
        if (link === null) throw new AppError('conflict', texts.people.emailChange.taken, { at: 'email' });
        await request.audit('email.change-link', `user:${row.person.userId}`);
        const made = { text: texts.people.emailChange.made(link.to), url: link.url };
        return request.show(await page(request, row, { made }));
      },
      again: (state) => page(request, row, { email: state }),
    });
  });
};
