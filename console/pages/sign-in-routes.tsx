import type { Context } from 'hono';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { passwordLength } from '../auth/library.ts';
import type { SingleSignOnRefusal } from '../auth/single-sign-on.ts';
import { tooMany } from '../guard.ts';
import { accountKey } from '../rate-limit.ts';
import { texts } from '../texts.ts';
import type { Pages, PublicHandler } from './pages.tsx';
import { emptyForm, type FormState, formWith, stateOf } from './parts/form.tsx';
import { ownPath, SecondFactorPage, SignInPage, signInPath } from './sign-in.tsx';

const words = texts.people;
const signInForm = z.object({
  email: z.string().max(320),
  password: z.string().max(1000),
  next: z.string().optional(),
});
const codeForm = z.object({ code: z.string().max(40), next: z.string().optional() });

/** Wrong guesses for one account, from wherever they come. */
const guesses = { each: 20, forMs: 15 * 60_000 } as const;

/** The way in and out, and the files that every page needs. */
export const addSignInPages = (pages: Pages): void => {
  const { assets, doors } = pages;
  const { auth, config, core, runtime } = doors;

  const limitGuesses = async (email: string): Promise<void> => {
    const window = await core.hit(`sign-in:account:${accountKey(email)}`, guesses.each, guesses.forMs);
    if (!window.ok) throw tooMany(window.resetsAt - runtime.clock.now());
  };

  const signInPage = async (
    { shell }: Parameters<PublicHandler>[1],
    state: FormState,
    reason?: Parameters<typeof SignInPage>[0]['reason'],
  ) => (
    <SignInPage
      shell={await shell()}
      state={state}
      publicUrl={config.publicUrl}
      hasSingleSignOn={auth.singleSignOn !== null}
      reason={reason}
    />
  );

  pages.open('GET', '/', async (c) => c.redirect('/console', 302));

  pages.open('GET', '/console/assets/{hash}/{name}', async (c) => {
    const response = assets.respond(
      c.req.param('hash') ?? '',
      c.req.param('name') ?? '',
      c.req.header('accept-encoding'),
    );
    return response ?? c.notFound();
  });

  pages.open('GET', signInPath, async (c, request) => {
    const refused = c.req.query('refused');
    const reason =
      c.req.query('signed-out') !== undefined && (await request.shell()).person === undefined
        ? 'signed-out'
        : c.req.query('reset') !== undefined
          ? 'reset'
          : isRefusal(refused)
            ? refused
            : undefined;
    return request.show(await signInPage(request, formWith({ next: ownPath(c.req.query('next')) }), reason));
  });

  pages.open('POST', signInPath, async (c, request) => {
    await request.limit(`sign-in:${request.address}`, 20);
    return request.submit(signInForm, {
      save: async ({ email, password, next }) => {
        await limitGuesses(email);
        const result =
          password.length > passwordLength.most ? null : await auth.signIn(email, password, c.req.raw.headers);
        if (result === null) throw new AppError('invalid', words.signIn.wrong);
        setCookies(c, result.cookies);
        const path = ownPath(next);
        if (result.kind === 'in') return request.to(path ?? '/console');
        return request.to(
          `${signInPath}/second-factor${path === undefined ? '' : `?next=${encodeURIComponent(path)}`}`,
        );
      },
      again: (state) => signInPage(request, state),
    });
  });

  // These stand before `{token}`, which would take their names for one.
  pages.open('GET', `${signInPath}/second-factor`, async (c, request) =>
    request.show(
      <SecondFactorPage shell={await request.shell()} state={formWith({ next: ownPath(c.req.query('next')) })} />,
    ),
  );

  pages.open('POST', `${signInPath}/second-factor`, async (c, request) => {
    await request.limit(`second-factor:${request.address}`, 10);
    return request.submit(codeForm, {
      save: async ({ code, next }) => {
        const cookies = await auth.secondFactor(code.replaceAll(' ', ''), c.req.raw.headers);
        if (cookies === 'over')
          return request.show(await signInPage(request, stateOf(new FormData(), undefined, words.factor.over)), 422);
        if (cookies === null) throw new AppError('invalid', words.factor.wrong, { at: 'code' });
        setCookies(c, cookies);
        return request.to(ownPath(next) ?? '/console');
      },
      again: async (state) => <SecondFactorPage shell={await request.shell()} state={state} />,
    });
  });

  pages.open('GET', `${signInPath}/single`, async (c, request) => {
    if (auth.singleSignOn === null) return c.notFound();
    await request.limit(`sign-in:${request.address}`, 20);
    const { url, cookies } = await auth.singleSignOn.start(c.req.raw.headers, ownPath(c.req.query('next')));
    setCookies(c, cookies);
    return c.redirect(url, 302);
  });

  pages.open('GET', '/console/auth/callback/oidc', async (c, request) => {
    if (auth.singleSignOn === null) return c.notFound();
    await request.limit(`sign-in:${request.address}`, 20);
    const { cookies, refusal, next } = await auth.singleSignOn.finish(new URL(c.req.url).search, c.req.raw.headers);
    setCookies(c, cookies);
    return c.redirect(refusal === null ? next : `${signInPath}?refused=${refusal}`, 302);
  });

  pages.post('/console/sign-out', 'session:any', async ({ c }) => {
    setCookies(c, await auth.signOut(c.req.raw.headers));
    return c.redirect(`${signInPath}?signed-out`, 303);
  });
};

/** The one-time link; registered last, because its path takes any name. */
export const addLinkPages = (pages: Pages): void => {
  const { auth, config } = pages.doors;
  pages.open('GET', `${signInPath}/{token}`, async (c, request) => {
    // Link scanners and previews look before the person does: looking must not spend the link.
    const purpose = `${c.req.header('purpose') ?? ''} ${c.req.header('sec-purpose') ?? ''}`;
    if (c.req.method === 'HEAD' || /prefetch|preview|prerender/i.test(purpose)) return c.body(null, 204);
    await request.limit(`sign-in:${request.address}`, 20);
    const cookies = await auth.redeem(c.req.param('token') ?? '', c.req.raw.headers);
    if (cookies === null)
      return request.show(
        <SignInPage
          shell={await request.shell()}
          state={emptyForm}
          publicUrl={config.publicUrl}
          hasSingleSignOn={auth.singleSignOn !== null}
          reason="used"
        />,
        410,
      );
    setCookies(c, cookies);
    return request.to('/console');
  });
};

export const setCookies = (c: Context, cookies: readonly string[]): void => {
  for (const cookie of cookies) c.header('set-cookie', cookie, { append: true });
};

const isRefusal = (text: string | undefined): text is SingleSignOnRefusal =>
  text !== undefined && Object.hasOwn(words.signIn.refused, text);
