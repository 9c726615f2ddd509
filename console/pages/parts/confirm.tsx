import { texts } from '../../texts.ts';
import { Layout, type Shell } from '../layout.tsx';
import type { Form } from './form.tsx';

/** What is about to happen, in words, before it cannot be undone. */
export type Confirmation = {
  readonly title: string;
  /** What goes, what stays. */
  readonly consequences: readonly string[];
  /** The button's words: what it does, not "OK". */
  readonly button: string;
  /** Where "no" leads. */
  readonly back: string;
  /** To be typed before the button counts; for what hurts most. */
  readonly phrase?: string;
};

/** The page between the click and the deed. It carries the form along, so that nothing must be typed again. */
export const ConfirmPage = ({
  shell,
  action,
  given,
  confirmation,
  wrong,
}: {
  shell: Shell;
  action: string;
  given: Form;
  confirmation: Confirmation;
  wrong: boolean;
}) => (
  <Layout shell={shell} title={confirmation.title}>
    <section class="confirm">
      <h1>{confirmation.title}</h1>
      <ul class="consequences">
        {confirmation.consequences.map((line) => (
          <li>{line}</li>
        ))}
      </ul>
      <form class="form" method="post" action={action}>
        {[...given].map(([name, value]) =>
          name === 'confirmed' || typeof value !== 'string' ? null : <input type="hidden" name={name} value={value} />,
        )}
        {confirmation.phrase === undefined ? (
          <input type="hidden" name="confirmed" value="yes" />
        ) : (
          <div class={`field${wrong ? ' wrong' : ''}`}>
            <label for="confirmed">{texts.forms.typeToConfirm(confirmation.phrase)}</label>
            <input
              id="confirmed"
              name="confirmed"
              type="text"
              required
              autocomplete="off"
              spellcheck={false}
              {...(wrong ? { 'aria-invalid': 'true' as const, 'aria-describedby': 'confirmed-error' } : {})}
            />
            {wrong && (
              <p class="error" id="confirmed-error">
                {texts.forms.notThePhrase}
              </p>
            )}
          </div>
        )}
        <p class="actions">
          <button type="submit" class="danger">
            {confirmation.button}
          </button>
          <a class="button quiet" href={confirmation.back}>
            {texts.forms.keep}
          </a>
        </p>
      </form>
    </section>
  </Layout>
);
