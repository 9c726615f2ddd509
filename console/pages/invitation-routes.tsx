import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { texts } from '../texts.ts';
import type { Pages, PublicHandler } from './pages.tsx';
import { emptyForm, FormBox, type FormState, TextField } from './parts/form.tsx';
import { newPassword } from './reset-routes.tsx';
import { DoorPage, signInPath } from './sign-in.tsx';
import { setCookies } from './sign-in-routes.tsx';

const words = texts.people.invitation;
type Request = Parameters<PublicHandler>[1];
type Look = NonNullable<Awaited<ReturnType<Pages['doors']['auth']['invitations']['look']>>>;

/** The way into a tenant for somebody who was invited: a new person, or one who has an account. */
export const addInvitationPages = (pages: Pages): void => {
  const { auth, core } = pages.doors;
  const path = '/console/invitations/{token}';

  /** The invitation as long as its tenant lives. */
  const look = async (token: string) => {
    const found = await auth.invitations.look(token);
    const tenant = found === null ? null : await core.tenants.get(found.invitation.tenantId);
    return found === null || tenant === null ? null : { ...found, tenant };
  };

  const gone = async ({ show, shell }: Request) =>
    show(<DoorPage shell={await shell()} title={words.goneTitle} lead={words.goneText} />, 410);

  const page = async (
    request: Request,
    token: string,
    found: Look & { tenant: { name: string } },
    state: FormState,
  ) => (
    <InvitationPage
      shell={await request.shell()}
      token={token}
      tenantName={found.tenant.name}
      found={found}
      state={state}
    />
  );

  /** Somebody who belongs to the tenant already keeps the role that they have. */
  const join = async (userId: string, { tenantId, role, id }: Look['invitation']): Promise<void> => {
    const isMember = (await core.members.ofUser(userId)).some((membership) => membership.tenantId === tenantId);
    if (!isMember) await core.members.put(userId, tenantId, role);
    await core.audit(tenantId, `user:${userId}`, 'invitation.accept', id.slice(0, 12));
  };

  pages.open('GET', path, async (c, request) => {
    await request.limit(`invitation:${request.address}`, 30);
    const token = c.req.param('token') ?? '';
    const found = await look(token);
    return found === null ? gone(request) : request.show(await page(request, token, found, emptyForm));
  });

  pages.open('POST', path, async (c, request) => {
    await request.limit(`invitation:${request.address}`, 30);
    const token = c.req.param('token') ?? '';
    const found = await look(token);
    if (found === null) return gone(request);
    const person = await auth.person(c.req.raw.headers);
    const home = `/console?tenant=${encodeURIComponent(found.tenant.slug)}`;

    if (!found.isNew) {
      // The invitation binds to its address: whoever else holds the link gets nowhere with it.
      if (person?.email !== found.invitation.email)
        return request.show(await page(request, token, found, emptyForm), 422);
      const invitation = await auth.invitations.accept(token);
      if (invitation === null) return gone(request);
      await join(person.userId, invitation);
      return request.to(home, 'joined');
    }
    return request.submit(z.object({ name: z.string().max(100), password: newPassword }), {
      save: async ({ name, password }) => {
        const accepted = await auth.invitations.acceptAsNew(token, { name, password });
        if (accepted === null) return gone(request);
        await join(accepted.userId, accepted.invitation);
        const signedIn = await auth.signIn(accepted.invitation.email, password, c.req.raw.headers);
        if (signedIn === null) throw new AppError('internal', 'The new account could not be signed in.');
        setCookies(c, signedIn.cookies);
        return request.to(home, 'joined');
      },
      again: (state) => page(request, token, found, state),
    });
  });
};

const InvitationPage = ({
  shell,
  token,
  tenantName,
  found: { invitation, isNew },
  state,
}: {
  shell: Parameters<typeof DoorPage>[0]['shell'];
  token: string;
  tenantName: string;
  found: Look;
  state: FormState;
}) => {
  const path = `/console/invitations/${encodeURIComponent(token)}`;
  const { person } = shell;
  const isOther = person !== undefined && person.email !== invitation.email;
  return (
    <DoorPage
      shell={shell}
      title={words.title(tenantName)}
      lead={words.lead(invitation.email, texts.people.members.short[invitation.role])}
      notice={isOther ? { kind: 'error', text: `${words.other(person.email)} ${words.otherDo}` } : undefined}
    >
      {isNew && !isOther && (
        <FormBox state={state} action={path} submit={words.submit}>
          <p class="hint">{words.newLead}</p>
          <TextField state={state} name="name" label={texts.people.name} required maxlength={100} autocomplete="name" />
          <input type="hidden" autocomplete="username" value={invitation.email} />
          <TextField
            state={state}
            name="password"
            label={texts.people.newPassword}
            type="password"
            hint={texts.people.passwordHint}
            required
            autocomplete="new-password"
          />
        </FormBox>
      )}
      {!isNew && person !== undefined && !isOther && <FormBox state={state} action={path} submit={words.submit} />}
      {!isNew && person === undefined && (
        <>
          <p class="lead">{words.signInLead}</p>
          <p class="actions">
            <a class="button primary" href={`${signInPath}?next=${encodeURIComponent(path)}`}>
              {words.signIn}
            </a>
          </p>
        </>
      )}
    </DoorPage>
  );
};
