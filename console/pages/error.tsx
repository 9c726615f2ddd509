import type { Problem } from '../problem.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell } from './layout.tsx';

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
  const known =
    problem.status === 401 || problem.status === 403 || problem.status === 404 || problem.status === 429
      ? texts.errors[problem.status]
      : null;
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
