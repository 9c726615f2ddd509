import type { Problem } from '../problem.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell } from './layout.tsx';
import { signInPath } from './sign-in.tsx';

const knownOf = ({ status }: Problem) =>
  status === 401 || status === 403 || status === 404 || status === 429 ? texts.errors[status] : null;

/** The same in the place of the part of a page that was asked for; what else stands on the page stays. */
export const ErrorPart = ({ problem }: { problem: Problem }) => (
  <p class="notice error" role="alert">
    {knownOf(problem)?.text ?? problem.detail}{' '}
    {problem.status === 401 && (
      <a href={signInPath} target="_blank" rel="noopener">
        {texts.errors.signIn}
      </a>
    )}
  </p>
);

export const ErrorPage = ({
  shell,
  problem,
  requestId,
  signIn,
}: {
  shell: Shell;
  problem: Problem;
  requestId: string;
  signIn: string;
}) => {
  const known = knownOf(problem);
  return (
    <Layout shell={shell} title={known?.heading ?? problem.title}>
      <section class="empty">
        <p class="status" aria-hidden="true">
          {problem.status}
        </p>
        <h1>{known?.heading ?? texts.errors.other.heading}</h1>
        <p>{known?.text ?? problem.detail}</p>
        <p>
          {problem.status === 401 ? (
            <a class="button primary" href={signIn}>
              {texts.errors.signIn}
            </a>
          ) : (
            <a class="button" href="/console">
              {texts.errors.back}
            </a>
          )}
        </p>
        {problem.status >= 500 && (
          <p class="muted">
            {texts.errors.reference} <code>{requestId}</code>.
          </p>
        )}
      </section>
    </Layout>
  );
};
