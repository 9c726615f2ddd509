import { z } from 'zod';
import { texts } from '../texts.ts';
import { mayPass, type PageRequest, type Pages } from './pages.tsx';
import { type FormState, formWith } from './parts/form.tsx';
import { SettingsPage, settingsPath } from './settings.tsx';

const words = texts.settings;

const settingsForm = z.object({
  name: z.string().max(200),
  instructions: z.string().max(4000).optional(),
  language: z
    .string()
    .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, words.notLanguage)
    .optional(),
  rev: z.coerce.number().int(),
});

/** What holds for a whole tenant, and its end. */
export const addSettingsPages = (pages: Pages): void => {
  const { core } = pages.doors;

  const page = async (request: PageRequest, state: FormState) => (
    <SettingsPage shell={await request.shell('settings')} state={state} isOwner={mayPass(request.roles, 'owner')} />
  );

  pages.get('/console/{tenant}/settings', 'session:admin', async (request) => {
    const { name, settings } = request.tenant;
    const { instructions, language } = settings;
    return request.show(await page(request, formWith({ name, instructions, language })));
  });

  pages.post('/console/{tenant}/settings', 'session:admin', async (request) =>
    request.submit(settingsForm, {
      save: async ({ name, instructions, language, rev }) => {
        const settings = { instructions: instructions ?? null, language: language ?? null };
        await core.tenants.update(request.tenant.id, { name, settings }, rev);
        await request.audit('tenant.update');
        return request.to(settingsPath(request.tenant), 'saved');
      },
      again: (state) => page(request, state),
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
