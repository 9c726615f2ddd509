import { z } from 'zod';
import type { MessageTexts, TenantSettings } from '../../core/domain.ts';
import { messageNames, problemOfMessage } from '../../core/text/messages.ts';
import { texts } from '../texts.ts';
import type { PageRequest, Pages } from './pages.tsx';
import { type FormState, formWith } from './parts/form.tsx';
import { settingsPath } from './settings.tsx';
import { languageName, languagesFor, MessagesPage } from './settings-messages.tsx';

const words = texts.settingsMore;
const rev = z.coerce.number().int();

const messagesForm = z.object({
  ...Object.fromEntries(
    messageNames.map((name) => [
      name,
      z
        .string()
        .superRefine((text, context) => {
          const problem = problemOfMessage(name, text);
          if (problem !== null) context.addIssue({ code: 'custom', message: problem });
        })
        .optional(),
    ]),
  ),
  language: z.string().regex(/^[a-z]{2,3}$/),
  preview: z.literal('on').optional(),
  rev,
});

/** The bot's own sentences, language by language. */
export const addMessageSettings = (pages: Pages): void => {
  const { core } = pages.doors;
  const path = '/console/{tenant}/settings/messages';

  const page = async (request: PageRequest, language: string, state: FormState, previews = false) => (
    <MessagesPage shell={await request.shell('settings')} language={language} state={state} previews={previews} />
  );
  const languageOf = ({ tenant }: PageRequest, given: string | undefined): string => {
    const usual = tenant.settings.language?.toLowerCase().slice(0, 2) ?? 'en';
    const known = languagesFor(tenant.settings.messages);
    return [given, usual, 'en'].find((language) => language !== undefined && known.includes(language)) ?? 'en';
  };

  pages.get(path, 'session:admin', async (request) => {
    const language = languageOf(request, request.query('language'));
    return request.show(await page(request, language, formWith({ ...request.tenant.settings.messages?.[language] })));
  });

  pages.post(path, 'session:admin', async (request) => {
    const { tenant } = request;
    const language = languageOf(request, String((await request.form()).get('language') ?? ''));
    return request.submit(messagesForm, {
      save: async ({ preview, rev: seen, language: given, ...typed }) => {
        if (preview === 'on')
          return request.show(await page(request, language, formWith({ ...typed, rev: seen }), true));
        const messages = withTexts(tenant.settings.messages, given, typed as MessageTexts);
        await core.tenants.update(tenant.id, { settings: { messages } }, seen);
        await request.audit('tenant.update', `messages ${given}`);
        return request.to(`${settingsPath(tenant, 'messages')}?language=${given}`, 'saved');
      },
      again: (state) => page(request, language, state),
    });
  });

  pages.post(`${path}/reset`, 'session:admin', async (request) => {
    const { tenant } = request;
    return request.submit(z.object({ language: z.string().regex(/^[a-z]{2,3}$/), rev }), {
      save: async ({ language, rev: seen }) => {
        const back = `${settingsPath(tenant, 'messages')}?language=${language}`;
        const asks = await request.unconfirmed('settings', {
          title: words.messagesResetTitle(languageName(language)),
          consequences: words.messagesResetConsequences,
          button: words.messagesResetButton,
          back,
        });
        if (asks !== null) return asks;
        const messages = withTexts(tenant.settings.messages, language, {});
        await core.tenants.update(tenant.id, { settings: { messages } }, seen);
        await request.audit('tenant.update', `messages ${language}`);
        return request.to(back, 'messages-reset');
      },
      again: (state) => page(request, 'en', { ...formWith({ ...tenant.settings.messages?.en }), ...problemOf(state) }),
    });
  });
};

const problemOf = ({ problem }: FormState) => (problem === undefined ? {} : { problem });

/** Null: nothing is left that is worded here. */
const withTexts = (
  messages: TenantSettings['messages'],
  language: string,
  given: MessageTexts,
): NonNullable<TenantSettings['messages']> | null => {
  const own = Object.fromEntries(Object.entries(given).filter(([, text]) => text !== undefined && text !== ''));
  const { [language]: _before, ...others } = messages ?? {};
  const all = Object.keys(own).length === 0 ? others : { ...others, [language]: own };
  return Object.keys(all).length === 0 ? null : all;
};
