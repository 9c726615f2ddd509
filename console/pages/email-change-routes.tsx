import { texts } from '../texts.ts';
import type { Pages } from './pages.tsx';
import { DoorPage, signInPath } from './sign-in.tsx';

const words = texts.people.emailChange;

/** The link that gives an account another e-mail address: what it would do, and doing it. */
export const addEmailChangePages = (pages: Pages): void => {
  const { auth, core, sendMail, runtime } = pages.doors;
  const path = `${signInPath}/email/{token}`;

  // Opening it changes nothing yet: mail servers open links to look at them.
  pages.open('GET', path, async (c, { limit, address, show, shell }) => {
    await limit(`email:${address}`, 20);
    const token = c.req.param('token') ?? '';
    const change = await auth.emailChanges.look(token);
    if (change === null) return show(<GonePage shell={await shell()} />, 410);
    return show(
      <DoorPage shell={await shell()} title={words.confirmTitle} lead={words.confirm(change.from, change.to)}>
        <form class="form" method="post" action={`${signInPath}/email/${encodeURIComponent(token)}`}>
          <p class="actions">
            <button type="submit" class="primary">
              {words.confirmButton}
            </button>
          </p>
        </form>
      </DoorPage>,
    );
  });

  pages.open('POST', path, async (c, { limit, address, show, shell }) => {
    await limit(`email:${address}`, 20);
    const change = await auth.emailChanges.redeem(c.req.param('token') ?? '');
    if (change === null) return show(<GonePage shell={await shell()} />, 410);
    await core.audit(null, `user:${change.userId}`, 'account.email');
    // To the old address, so that nobody loses an account unawares; whether it arrives does not undo the change.
    sendMail?.({ to: change.from, subject: words.oldSubject, text: words.oldMail(change.to) }).catch((error: unknown) =>
      runtime.log.warn('email change notice failed', { error: error instanceof Error ? error.name : 'unknown' }),
    );
    return show(
      <DoorPage shell={await shell()} title={words.doneTitle} lead={words.done(change.to)}>
        <p class="actions">
          <a class="button primary" href="/console">
            {words.goOn}
          </a>
        </p>
      </DoorPage>,
    );
  });
};

const GonePage = ({ shell }: { shell: Parameters<typeof DoorPage>[0]['shell'] }) => (
  <DoorPage shell={shell} title={words.goneTitle} lead={words.goneText} />
);
