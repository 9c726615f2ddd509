import { z } from 'zod';
import { maskedKinds } from '../../core/text/mask.ts';
import { texts } from '../texts.ts';
import type { PageRequest, Pages } from './pages.tsx';
import { emptyForm, type FormState, formWith } from './parts/form.tsx';
import { settingsPath } from './settings.tsx';
import { PrivacyPage } from './settings-privacy.tsx';

const words = texts.settings;

const privacyForm = z.object({
  keepText: z.literal('on').optional(),
  retentionDays: z
    .string()
    .regex(/^\d{1,5}$/, words.notDays)
    .transform(Number)
    .refine((days) => days >= 1 && days <= 36_500, words.notDays)
    .optional(),
  masked: z.array(z.enum(maskedKinds)),
  beforeModel: z.literal('on').optional(),
  rev: z.coerce.number().int(),
});

/** What is kept, for how long, and how to forget. */
export const addPrivacySettings = (pages: Pages): void => {
  const { core } = pages.doors;
  const path = '/console/{tenant}/settings/privacy';

  const page = async (request: PageRequest, state: FormState, forget: FormState = emptyForm) => (
    <PrivacyPage
      shell={await request.shell('settings')}
      state={state}
      forget={forget}
      runs={await core.retentionRuns(request.tenant.id)}
    />
  );
  const current = ({ tenant: { settings } }: PageRequest): FormState =>
    formWith({
      keepText: settings.keepText !== false,
      retentionDays: settings.retentionDays,
      masked: settings.masking?.kinds ?? [],
      beforeModel: settings.masking?.beforeModel === true,
    });

  pages.get(path, 'session:admin', async (request) => request.show(await page(request, current(request))));

  pages.post(path, 'session:admin', async (request) =>
    request.submit(privacyForm, {
      save: async ({ keepText, retentionDays, masked, beforeModel, rev }) => {
        await core.tenants.update(
          request.tenant.id,
          {
            settings: {
              keepText: keepText === 'on',
              retentionDays: retentionDays ?? null,
              masking:
                masked.length === 0 ? null : { kinds: masked, ...(beforeModel === 'on' ? { beforeModel: true } : {}) },
            },
          },
          rev,
        );
        await request.audit('tenant.update', 'privacy');
        return request.to(settingsPath(request.tenant, 'privacy'), 'saved');
      },
      again: (state) => page(request, state),
    }),
  );

  pages.post('/console/{tenant}/settings/forget', 'session:admin', async (request) =>
    request.submit(z.object({ member: z.string().max(200) }), {
      save: async ({ member }) => {
        const back = settingsPath(request.tenant, 'privacy');
        const asks = await request.unconfirmed('settings', {
          title: words.forgetTitle(member),
          consequences: words.forgetConsequences,
          button: words.forgetButton,
          back,
        });
        if (asks !== null) return asks;
        await core.members.forget(request.tenant.id, member);
        // Who was forgotten must not be readable from the log of it.
        await request.audit('member.forget');
        return request.to(back, 'forgotten');
      },
      again: (state) => page(request, current(request), state),
    }),
  );
};
