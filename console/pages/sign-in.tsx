import type { Child } from 'hono/jsx';
import type { SingleSignOnRefusal } from '../auth/single-sign-on.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell } from './layout.tsx';
import { FormBox, type FormState, TextField } from './parts/form.tsx';

const words = texts.people;

export const signInPath = '/console/sign-in';

/** A page with one small form, or one sentence, for somebody who is not signed in. */
export const DoorPage = ({
  shell,
  title,
  lead,
  notice,
  children,
}: {
  shell: Shell;
  title: string;
  lead?: string | undefined;
  notice?: { readonly kind: 'note' | 'error'; readonly text: string } | undefined;
  children?: Child;
}) => (
  <Layout shell={shell} title={title}>
    <section class="door">
      {notice !== undefined && (
        <p class={`notice ${notice.kind}`} role={notice.kind === 'error' ? 'alert' : 'status'}>
          {notice.text}
        </p>
      )}
      <h1>{title}</h1>
      {lead !== undefined && <p class="lead">{lead}</p>}
      {children}
    </section>
  </Layout>
);

export const SignInPage = ({
  shell,
  state,
  publicUrl,
  hasSingleSignOn,
  reason,
}: {
  shell: Shell;
  state: FormState;
  publicUrl: string;
  hasSingleSignOn: boolean;
  reason?: 'used' | 'signed-out' | 'reset' | SingleSignOnRefusal | undefined;
}) => (
  <DoorPage shell={shell} title={words.signIn.title} notice={noticeOf(reason)}>
    {shell.person !== undefined && (
      <p class="lead">
        {texts.signIn.here} <a href="/console">{texts.signIn.goOn}</a>
      </p>
    )}
    <FormBox state={state} action={signInPath} submit={words.signIn.submit}>
      <KeptPath state={state} />
      <TextField state={state} name="email" label={words.email} type="email" required autocomplete="username" />
      <TextField
        state={state}
        name="password"
        label={words.password}
        type="password"
        required
        autocomplete="current-password"
      />
    </FormBox>
    <p class="aside">
      <a href={`${signInPath}/forgot`}>{words.signIn.forgot}</a>
    </p>
    {hasSingleSignOn && (
      <p class="or">
        <span>{words.signIn.or}</span>
        <a class="button" href={`${signInPath}/single${nextQuery(state)}`}>
          {words.signIn.single}
        </a>
      </p>
    )}
    <details class="first">
      <summary>{words.signIn.link}</summary>
      <p>{words.signIn.linkText}</p>
      <pre>
        <code>{`${publicUrl}${signInPath}/…`}</code>
      </pre>
      <p class="muted">{words.signIn.linkFresh}</p>
    </details>
  </DoorPage>
);

const noticeOf = (reason: Parameters<typeof SignInPage>[0]['reason']) => {
  if (reason === undefined) return undefined;
  if (reason === 'signed-out') return { kind: 'note' as const, text: texts.signIn.signedOut };
  if (reason === 'reset') return { kind: 'note' as const, text: words.signIn.reset };
  if (reason === 'used')
    return { kind: 'error' as const, text: `${texts.signIn.usedHeading}. ${texts.signIn.usedText}` };
  return { kind: 'error' as const, text: words.signIn.refused[reason] };
};

export const SecondFactorPage = ({ shell, state }: { shell: Shell; state: FormState }) => (
  <DoorPage shell={shell} title={words.factor.title} lead={words.factor.lead}>
    <FormBox state={state} action={`${signInPath}/second-factor`} submit={words.factor.submit} cancel={signInPath}>
      <KeptPath state={state} />
      <TextField
        state={state}
        name="code"
        label={words.factor.code}
        required
        autocomplete="one-time-code"
        maxlength={20}
        autofocus
      />
    </FormBox>
  </DoorPage>
);

const nextQuery = (state: FormState): string => {
  const next = ownPath(state.values.next?.[0]);
  return next === undefined ? '' : `?next=${encodeURIComponent(next)}`;
};

/** Where somebody wanted to go before they had to sign in. */
const KeptPath = ({ state }: { state: FormState }) => {
  const next = ownPath(state.values.next?.[0]);
  return next === undefined ? null : <input type="hidden" name="next" value={next} />;
};

/** A path of the console, as it may stand in a link to the sign-in page; anything that could lead elsewhere is none. */
export const ownPath = (text: string | undefined): string | undefined =>
  text !== undefined &&
  text.length <= 500 &&
  /^\/console(?:$|[/?])[\w\-./?=&%~:@+,;]*$/.test(text) &&
  !text.includes('//')
    ? text
    : undefined;
