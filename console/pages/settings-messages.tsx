import type { MessageName } from '../../core/domain.ts';
import { fillMessage, longestOf, messageNames, ourMessage, placeholdersOf } from '../../core/text/messages.ts';
import { texts } from '../texts.ts';
import { Layout } from './layout.tsx';
import { ActionButton, FormBox, type FormState, TextArea } from './parts/form.tsx';
import { SettingsTabs, settingsPath, type TenantShell } from './settings.tsx';

const words = texts.settingsMore;

export const MessagesPage = ({
  shell,
  language,
  state,
  previews,
}: {
  shell: TenantShell;
  language: string;
  state: FormState;
  /** Filled with sample values, nothing saved. */
  previews: boolean;
}) => {
  const { tenant } = shell;
  const path = settingsPath(tenant, 'messages');
  const name = languageName(language);
  const typed = (message: MessageName): string => state.values[message]?.[0]?.trim() ?? '';
  const isReworded = tenant.settings.messages?.[language] !== undefined;
  return (
    <Layout shell={shell} title={words.messagesTitle}>
      <h1>{words.messagesTitle}</h1>
      <p class="lead">{words.messagesLead}</p>
      <SettingsTabs tenant={tenant} active="messages" />
      <form class="filter languages" method="get" action={path}>
        <label for="language">{words.messageLanguage}</label>
        <select id="language" name="language">
          {languagesFor(tenant.settings.messages).map((each) => (
            <option value={each} selected={each === language}>
              {languageName(each)}
            </option>
          ))}
        </select>
        <button type="submit">{texts.billing.apply}</button>
      </form>
      <p class="hint">{words.messageLanguageHint}</p>
      {previews && (
        <p class="notice note" role="status">
          {words.previewed}
        </p>
      )}
      <FormBox
        state={state}
        action={path}
        submit={texts.settings.save}
        rev={tenant.rev}
        other={{ name: 'preview', label: words.preview }}
      >
        <input type="hidden" name="language" value={language} />
        {messageNames.map((message) => (
          <div class="message">
            <TextArea
              state={state}
              name={message}
              label={words.messages[message]}
              hint={`${words.messageHints[message]} ${words.canHold(placeholdersOf[message])}`.trim()}
              placeholder={ourMessage(message, language)}
              rows={2}
              maxlength={longestOf(message)}
            />
            {previews && (
              <div class="preview">
                <p class="hint">{words.previewLabel}</p>
                <blockquote>
                  {fillMessage(typed(message) || ourMessage(message, language), {
                    ...words.previewValues,
                    reason: words.previewReason[message === 'failed' ? 'failed' : 'quota'],
                    organisation: tenant.name,
                  })}
                </blockquote>
              </div>
            )}
          </div>
        ))}
      </FormBox>
      {isReworded && (
        <div class="bar-row">
          <ActionButton
            action={`${path}/reset`}
            label={`${words.messagesReset} (${name})`}
            fields={{ language, rev: String(tenant.rev) }}
            kind="quiet"
          />
        </div>
      )}
    </Layout>
  );
};

export const languageName = (language: string): string =>
  (words.languages as Readonly<Record<string, string>>)[language] ?? language;

/** Those that we name, and any other that the tenant has words in by the API. */
export const languagesFor = (messages: TenantShell['tenant']['settings']['messages']): readonly string[] => [
  ...new Set([...Object.keys(words.languages), ...Object.keys(messages ?? {})]),
];
