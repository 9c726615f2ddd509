import type { Context } from 'hono';
import { limits } from '../guard.ts';
import { texts } from '../texts.ts';
import type { Shell } from './layout.tsx';
import { DoorPage, ownPath, signInPath } from './sign-in.tsx';

const words = texts.people.resend;

/** What a form held that somebody posted whose session had ended: its text fields, never a password. */
export type Unsent = readonly (readonly [string, string])[];

const secretFields = /password|^current$|^next$|^code$|^confirmed$/i;

/** Null unless a form of ours was posted; other bodies, and large ones, are not read. */
export const unsentOf = async (c: Context): Promise<Unsent | null> => {
  if (c.req.method !== 'POST' || c.req.raw.bodyUsed) return null;
  const isForm = /^application\/x-www-form-urlencoded/i.test(c.req.header('content-type') ?? '');
  const length = Number(c.req.header('content-length') ?? Number.NaN);
  if (!isForm || !(length <= limits.json)) return null;
  const fields = [...new URLSearchParams(await c.req.text())];
  return fields.filter(([name]) => !secretFields.test(name)).slice(0, 500);
};

/** The form stands here until its person has signed in again; a post from another site never gets this far. */
export const ResendPage = ({ shell, action, unsent }: { shell: Shell; action: string; unsent: Unsent }) => (
  <DoorPage shell={shell} title={words.heading} lead={words.text}>
    <form class="form" method="post" action={action}>
      {unsent.map(([name, value]) => (
        <input type="hidden" name={name} value={value} />
      ))}
      <p class="actions">
        <a class="button" href={signInPath} target="_blank" rel="noopener">
          {words.signIn}
        </a>
        <button type="submit" class="primary">
          {words.send}
        </button>
      </p>
    </form>
  </DoorPage>
);

/** To the sign-in page, and back to where one was. */
export const signInHref = (url: string): string => {
  const { pathname, search } = new URL(url);
  const next = ownPath(pathname + search);
  return next === undefined || next === '/console' ? signInPath : `${signInPath}?next=${encodeURIComponent(next)}`;
};
