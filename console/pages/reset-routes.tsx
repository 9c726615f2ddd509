import { z } from 'zod';
import { passwordLength } from '../auth/library.ts';
import { accountKey } from '../rate-limit.ts';
import { texts } from '../texts.ts';
import type { Pages } from './pages.tsx';
import { emptyForm, FormBox, type FormState, TextField } from './parts/form.tsx';
import { DoorPage, signInPath } from './sign-in.tsx';

const words = texts.people;

/** A password that somebody chooses. */
export const newPassword = z
  .string()
  .min(passwordLength.least, words.shortPassword)
  .max(passwordLength.most, words.longPassword);
/** An address that somebody types. */
export const emailAddress = z.email(words.notEmail).max(254, words.notEmail);

/** A forgotten password: asking for a link, and choosing a new one by it. */
export const addResetPages = (pages: Pages): void => {
  const { auth, runtime, sendMail, core } = pages.doors;
  const forgot = `${signInPath}/forgot`;

  /** Goes on after the answer, so that neither its words nor its time tell whether the address exists. */
  const send = async (email: string): Promise<void> => {
    if (sendMail === undefined) return;
    const link = await auth.resets.issue(email, { byMail: true });
    if (link === null) return;
    await sendMail({ to: email, subject: words.reset.mailSubject, text: words.reset.mail(link.url) });
    await core.audit(null, 'system', 'password.reset-mailed', link.userId);
  };

  pages.open('GET', forgot, async (_c, { show, shell }) =>
    show(
      <DoorPage
        shell={await shell()}
        title={words.forgot.title}
        lead={sendMail === undefined ? words.forgot.leadNoMail : words.forgot.lead}
      >
        {sendMail === undefined ? (
          <p class="aside">
            <a href={signInPath}>{words.forgot.back}</a>
          </p>
        ) : (
          <ForgotForm action={forgot} state={emptyForm} />
        )}
      </DoorPage>,
    ),
  );

  pages.open('POST', forgot, async (_c, { limit, address, submit, show, shell }) => {
    await limit(`reset:${address}`, 5);
    return submit(z.object({ email: emailAddress }), {
      save: async ({ email }) => {
        // One mailbox is not flooded by many askers; the answer stays the same.
        const key = `reset:mail:${accountKey(email)}`;
        if ((await core.hit(key, 3, 60 * 60_000)).ok)
          send(email).catch((error: unknown) =>
            runtime.log.warn('reset mail failed', { error: error instanceof Error ? error.name : 'unknown' }),
          );
        const notice = { kind: 'note' as const, text: words.forgot.sent };
        return show(
          <DoorPage shell={await shell()} title={words.forgot.title} notice={notice}>
            <p class="aside">
              <a href={signInPath}>{words.forgot.back}</a>
            </p>
          </DoorPage>,
        );
      },
      again: async (state) => (
        <DoorPage shell={await shell()} title={words.forgot.title} lead={words.forgot.lead}>
          <ForgotForm action={forgot} state={state} />
        </DoorPage>
      ),
    });
  });

  pages.open('GET', `${signInPath}/reset/{token}`, async (c, { limit, address, show, shell }) => {
    await limit(`reset:${address}`, 20);
    const token = c.req.param('token') ?? '';
    const found = await auth.resets.look(token);
    if (found === null) return show(<GonePage shell={await shell()} />, 410);
    return show(<ResetPage shell={await shell()} token={token} email={found.email} state={emptyForm} />);
  });

  pages.open('POST', `${signInPath}/reset/{token}`, async (c, { limit, address, show, shell, submit, to }) => {
    await limit(`reset:${address}`, 20);
    const token = c.req.param('token') ?? '';
    const found = await auth.resets.look(token);
    if (found === null) return show(<GonePage shell={await shell()} />, 410);
    return submit(z.object({ password: newPassword }), {
      save: async ({ password }) => {
        const reset = await auth.resets.redeem(token, password);
        if (reset === null) return show(<GonePage shell={await shell()} />, 410);
        await core.audit(null, `user:${reset.userId}`, 'password.reset');
        return to(`${signInPath}?reset`);
      },
      again: async (state) => <ResetPage shell={await shell()} token={token} email={found.email} state={state} />,
    });
  });
};

type ShellProp = { shell: Parameters<typeof DoorPage>[0]['shell'] };

const ForgotForm = ({ action, state }: { action: string; state: FormState }) => (
  <FormBox state={state} action={action} submit={words.forgot.submit} cancel={signInPath}>
    <TextField state={state} name="email" label={words.email} type="email" required autocomplete="username" />
  </FormBox>
);

const GonePage = ({ shell }: ShellProp) => (
  <DoorPage shell={shell} title={words.reset.goneTitle} lead={words.reset.goneText}>
    <p class="actions">
      <a class="button primary" href={`${signInPath}/forgot`}>
        {words.forgot.title}
      </a>
    </p>
  </DoorPage>
);

const ResetPage = ({ shell, token, email, state }: ShellProp & { token: string; email: string; state: FormState }) => (
  <DoorPage shell={shell} title={words.reset.title} lead={words.reset.lead(email)}>
    <FormBox state={state} action={`${signInPath}/reset/${encodeURIComponent(token)}`} submit={words.reset.submit}>
      <TextField
        state={state}
        name="password"
        label={words.newPassword}
        type="password"
        hint={words.passwordHint}
        required
        autocomplete="new-password"
      />
    </FormBox>
  </DoorPage>
);
