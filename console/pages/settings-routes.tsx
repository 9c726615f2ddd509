import { z } from 'zod';
import { texts } from '../texts.ts';
import { mayPass, type PageRequest, type Pages } from './pages.tsx';
import { emptyForm, formWith } from './parts/form.tsx';
import { SettingsPage, settingsPath } from './settings.tsx';

const words = texts.settings;

const settingsForm = z.object({
  name: z.string().max(200),
  instructions: z.string().max(4000).optional(),
  language: z
    .string()
    .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, words.notLanguage)
    .optional(),
  keepText: z.literal('on').optional(),
  retentionDays: z
    .string()
    .regex(/^\d{1,5}$/, words.notDays)
    .transform(Number)
    .refine((days) => days >= 1 && days <= 36_500, words.notDays)
    .optional(),
  rev: z.coerce.number().int(),
});

/** What holds for a whole tenant, and how to forget: a person, or everything. */
export const addSettingsPages = (pages: Pages): void => {
  const { core } = pages.doors;

  const isOwner = ({ roles }: PageRequest): boolean => mayPass(roles, 'owner');
  const current = ({ tenant }: PageRequest) =>
    formWith({
      ...tenant.settings,
      keepText: tenant.settings.keepText !== false,
      name: tenant.name,
      prices: null,
      channels: null,
    });

  pages.get('/console/{tenant}/settings', 'session:admin', async (request) =>
    request.show(
      <SettingsPage
        shell={await request.shell('settings')}
        state={current(request)}
        forget={emptyForm}
        isOwner={isOwner(request)}
      />,
    ),
  );

  pages.post('/console/{tenant}/settings', 'session:admin', async (request) =>
    request.submit(settingsForm, {
      save: async ({ name, instructions, language, keepText, retentionDays, rev }) => {
        await core.tenants.update(
          request.tenant.id,
          {
            name,
            settings: {
              instructions: instructions ?? null,
              language: language ?? null,
              keepText: keepText === 'on',
              retentionDays: retentionDays ?? null,
            },
          },
          rev,
        );
        await request.audit('tenant.update');
        return request.to(settingsPath(request.tenant), 'saved');
      },
      again: async (state) => (
        <SettingsPage
          shell={await request.shell('settings')}
          state={state}
          forget={emptyForm}
          isOwner={isOwner(request)}
        />
      ),
    }),
  );

  pages.post('/console/{tenant}/settings/forget', 'session:admin', async (request) =>
    request.submit(z.object({ member: z.string().max(200) }), {
      save: async ({ member }) => {
        const asks = await request.unconfirmed('settings', {
          title: words.forgetTitle(member),
          consequences: words.forgetConsequences,
          button: words.forgetButton,
          back: settingsPath(request.tenant),
        });
        if (asks !== null) return asks;
        await core.members.forget(request.tenant.id, member);
        // Who was forgotten must not be readable from the log of it.
        await request.audit('member.forget');
        return request.to(settingsPath(request.tenant), 'forgotten');
      },
      again: async (state) => (
        <SettingsPage
          shell={await request.shell('settings')}
          state={current(request)}
          forget={state}
          isOwner={isOwner(request)}
        />
      ),
    }),
  );

  pages.post('/console/{tenant}/settings/delete', 'session:owner', async (request) => {
    const asks = await request.unconfirmed('settings', {
      title: words.deleteTitle(request.tenant.name),
      consequences: words.deleteConsequences,
      button: words.deleteButton,
      back: settingsPath(request.tenant),
      phrase: request.tenant.slug,
    });
    if (asks !== null) return asks;
    const { id, slug } = request.tenant;
    await core.tenants.remove(id);
    await core.audit(null, `user:${request.person.userId}`, 'tenant.delete', slug);
    return request.to('/console', 'removed');
  });
};
