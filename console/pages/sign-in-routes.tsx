import type { Pages } from './pages.tsx';
import { SignInPage } from './sign-in.tsx';

/** The way in and out, and the files that every page needs. */
export const addSignInPages = (pages: Pages): void => {
  const { assets, doors } = pages;
  const { auth, config } = doors;

  pages.open('GET', '/', async (c) => c.redirect('/console', 302));

  pages.open('GET', '/console/assets/{hash}/{name}', async (c) => {
    const response = assets.respond(
      c.req.param('hash') ?? '',
      c.req.param('name') ?? '',
      c.req.header('accept-encoding'),
    );
    return response ?? c.notFound();
  });

  pages.open('GET', '/console/sign-in', async (c, { show }) => {
    const person = (await auth.person(c.req.raw.headers)) ?? undefined;
    const signedOut = c.req.query('signed-out') !== undefined && person === undefined;
    return show(
      <SignInPage
        shell={{ assets, person }}
        publicUrl={config.publicUrl}
        {...(signedOut ? { reason: 'signed-out' as const } : {})}
      />,
    );
  });

  pages.open('GET', '/console/sign-in/{token}', async (c, { address, limit, show }) => {
    // Link scanners and previews look before the person does: looking must not spend the link.
    const purpose = `${c.req.header('purpose') ?? ''} ${c.req.header('sec-purpose') ?? ''}`;
    if (c.req.method === 'HEAD' || /prefetch|preview|prerender/i.test(purpose)) return c.body(null, 204);
    await limit(`sign-in:${address}`, 20);
    const cookies = await auth.redeem(c.req.param('token') ?? '', c.req.raw.headers);
    if (cookies === null) {
      const person = (await auth.person(c.req.raw.headers)) ?? undefined;
      return show(<SignInPage shell={{ assets, person }} publicUrl={config.publicUrl} reason="used" />, 410);
    }
    for (const cookie of cookies) c.header('set-cookie', cookie, { append: true });
    return c.redirect('/console', 303);
  });

  pages.post('/console/sign-out', 'session:any', async ({ c }) => {
    for (const cookie of await auth.signOut(c.req.raw.headers)) c.header('set-cookie', cookie, { append: true });
    return c.redirect('/console/sign-in?signed-out', 303);
  });
};
