import { texts } from '../texts.ts';
import { Layout, type Shell } from './layout.tsx';

type SignInProps = { shell: Shell; publicUrl: string; reason?: 'used' | 'signed-out' };

export const SignInPage = ({ shell, publicUrl, reason }: SignInProps) => (
  <Layout shell={shell} title={texts.signIn.title}>
    <section class="empty">
      {reason === 'signed-out' && (
        <p class="notice note" role="status">
          {texts.signIn.signedOut}
        </p>
      )}
      <h1>{reason === 'used' ? texts.signIn.usedHeading : texts.signIn.heading}</h1>
      {reason === 'used' && <p>{texts.signIn.usedText}</p>}
      <p>{texts.signIn.text}</p>
      <pre>
        <code>{`${publicUrl}/console/sign-in/…`}</code>
      </pre>
      <p class="muted">{texts.signIn.fresh}</p>
      {shell.person !== undefined && (
        <p>
          {texts.signIn.here} <a href="/console">{texts.signIn.goOn}</a>
        </p>
      )}
    </section>
  </Layout>
);
