import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { texts } from '../texts.ts';
import { type AccountForms, AccountPage, accountPath, BackupCodesPage, type EmailWay, EnrolPage } from './account.tsx';
import type { PageRequest, Pages } from './pages.tsx';
import { emptyForm, formWith } from './parts/form.tsx';
import type { MadeLink } from './parts/made-link.tsx';
import { emailAddress, newPassword } from './reset-routes.tsx';
import { setCookies } from './sign-in-routes.tsx';

const words = texts.people.account;
const factorPath = `${accountPath}/second-factor`;
/** Wrong passwords and codes of somebody who is signed in already, a minute. */
const triesPerMinute = 10;

const passwordField = z.string().max(1000);

/** What a person keeps about themselves, in whichever tenants. */
export const addAccountPages = (pages: Pages): void => {
  const { auth, sendMail, runtime } = pages.doors;
  const { accounts } = auth;

  /** Without mail the link is shown; who could make it for others may see their own. */
  const emailWayOf = ({ isOperator, memberships }: PageRequest): EmailWay =>
    sendMail !== undefined ? 'mail' : isOperator || memberships.some(({ role }) => role === 'owner') ? 'link' : 'ask';

  const page = async (request: PageRequest, forms: Partial<AccountForms> = {}, made?: MadeLink) => {
    const { person, c } = request;
    const [shell, account, sessions] = await Promise.all([
      request.plainShell(),
      accounts.look(person.userId),
      accounts.sessions(person.userId, c.req.raw.headers),
    ]);
    const empty = { email: emptyForm, password: emptyForm, factor: emptyForm };
    const all = { name: formWith({ name: person.name }), ...empty, ...forms };
    return (
      <AccountPage
        shell={shell}
        account={account}
        sessions={sessions}
        forms={all}
        emailWay={emailWayOf(request)}
        made={made}
      />
    );
  };
  const limitTries = (request: PageRequest) => request.limit(`account:${request.person.userId}`, triesPerMinute);
  const wrongPassword = (at: string): AppError => new AppError('invalid', words.wrongCurrent, { at });

  pages.get(accountPath, 'session:any', async (request) => request.show(await page(request)));

  pages.post(accountPath, 'session:any', async (request) =>
    request.submit(z.object({ name: z.string().max(100) }), {
      save: async ({ name }) => {
        await accounts.rename(request.person.userId, name);
        await request.audit('account.rename');
        return request.to(accountPath, 'saved');
      },
      again: (state) => page(request, { name: state }),
    }),
  );

  pages.post(`${accountPath}/email`, 'session:any', async (request) => {
    await limitTries(request);
    const change = texts.people.emailChange;
    return request.submit(z.object({ email: emailAddress, confirmWith: passwordField.optional() }), {
      save: async ({ email, confirmWith = '' }) => {
        const { userId, email: current } = request.person;
        const way = emailWayOf(request);
        if (way === 'ask') throw new AppError('invalid', change.ask);
        if (email.toLowerCase() === current) throw new AppError('invalid', change.same, { at: 'email' });
        if (!(await accounts.knowsPassword(userId, confirmWith))) throw wrongPassword('confirmWith');
        const link = await auth.emailChanges.issue(userId, email, { byMail: way === 'mail' });
        await request.audit('account.email-link');
        if (sendMail === undefined) {
          if (link === null) throw new AppError('conflict', change.taken, { at: 'email' });
          return request.show(await page(request, {}, { text: change.made(link.to), url: link.url }));
        }
        // Alike for an address that is taken: whose it is, is nobody's business.
        if (link !== null) {
          const mail = { to: link.to, subject: change.mailSubject, text: change.mail(link.url) };
          await sendMail(mail).catch((error: unknown) => {
            runtime.log.warn('email change mail failed', { error: error instanceof Error ? error.name : 'unknown' });
            throw new AppError('invalid', change.mailFailed, { at: 'email' });
          });
        }
        return request.show(await page(request, {}, { text: change.sent(email) }));
      },
      again: (state) => page(request, { email: state }),
    });
  });

  pages.post(`${accountPath}/password`, 'session:any', async (request) => {
    await limitTries(request);
    return request.submit(z.object({ current: passwordField.optional(), next: newPassword }), {
      save: async ({ current = '', next }) => {
        const { userId } = request.person;
        if (!(await accounts.changePassword(userId, { current, next }, request.c.req.raw.headers)))
          throw wrongPassword('current');
        await request.audit('account.password');
        return request.to(accountPath, 'password-set');
      },
      again: (state) => page(request, { password: state }),
    });
  });

  pages.post(`${factorPath}/begin`, 'session:any', async (request) => {
    await limitTries(request);
    return request.submit(z.object({ password: passwordField }), {
      save: async ({ password }) => {
        if (!(await accounts.beginSecondFactor(password, request.c.req.raw.headers))) throw wrongPassword('password');
        return request.to(factorPath);
      },
      again: (state) => page(request, { factor: state }),
    });
  });

  pages.get(factorPath, 'session:any', async (request) => {
    const uri = await accounts.pendingSecondFactor(request.person);
    if (uri === null) return request.to(accountPath);
    return request.show(<EnrolPage shell={await request.plainShell()} uri={uri} state={emptyForm} />);
  });

  pages.post(`${factorPath}/confirm`, 'session:any', async (request) => {
    await limitTries(request);
    const uri = await accounts.pendingSecondFactor(request.person);
    if (uri === null) return request.to(accountPath);
    return request.submit(z.object({ code: z.string().max(20) }), {
      save: async ({ code }) => {
        const { userId } = request.person;
        const result = await accounts.confirmSecondFactor(userId, code.replaceAll(' ', ''), request.c.req.raw.headers);
        if (result === null) throw new AppError('invalid', texts.people.factor.wrong, { at: 'code' });
        await request.audit('account.second-factor-on');
        setCookies(request.c, result.cookies);
        return request.show(<BackupCodesPage shell={await request.plainShell()} codes={result.backupCodes} />);
      },
      again: async (state) => <EnrolPage shell={await request.plainShell()} uri={uri} state={state} />,
    });
  });

  pages.post(`${factorPath}/change`, 'session:any', async (request) => {
    await limitTries(request);
    return request.submit(z.object({ password: passwordField, off: z.literal('on').optional() }), {
      save: async ({ password, off }) => {
        const { headers } = request.c.req.raw;
        if (off === 'on') {
          const cookies = await accounts.endSecondFactor(password, headers);
          if (cookies === null) throw wrongPassword('password');
          await request.audit('account.second-factor-off');
          setCookies(request.c, cookies);
          return request.to(accountPath, 'second-factor-off');
        }
        const codes = await accounts.newBackupCodes(password, headers);
        if (codes === null) throw wrongPassword('password');
        await request.audit('account.backup-codes');
        return request.show(<BackupCodesPage shell={await request.plainShell()} codes={codes} />);
      },
      again: (state) => page(request, { factor: state }),
    });
  });

  pages.post(`${accountPath}/sessions/end-others`, 'session:any', async (request) => {
    await accounts.endOtherSessions(request.person.userId, request.c.req.raw.headers);
    await request.audit('account.sessions-end');
    return request.to(accountPath, 'sessions-ended');
  });

  pages.post(`${accountPath}/sessions/{session}/end`, 'session:any', async (request) => {
    if (!(await accounts.endSession(request.person.userId, request.param('session'))))
      throw new AppError('not-found', 'There is no such session.');
    await request.audit('account.session-end');
    return request.to(accountPath, 'session-ended');
  });
};
