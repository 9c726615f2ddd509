import { z } from 'zod';
import type { RetrievalSettings } from '../../core/domain.ts';
import { texts } from '../texts.ts';
import type { PageRequest, Pages } from './pages.tsx';
import { type FormState, formWith } from './parts/form.tsx';
import { settingsPath } from './settings.tsx';
import { AnsweringPage } from './settings-answering.tsx';

const words = texts.settingsMore;

const answeringForm = z.object({
  chatModel: z.string().max(200).optional(),
  passages: z
    .string()
    .regex(/^\d{1,2}$/, words.notPassages)
    .transform(Number)
    .refine((count) => count >= 3 && count <= 20, words.notPassages)
    .optional(),
  floor: z.enum(['open', 'balanced', 'strict']),
  meaning: z.enum(Object.keys(words.meanings) as [string, ...string[]]).transform(Number),
  rev: z.coerce.number().int(),
});

/** The model, and what it gets to read. */
export const addAnsweringSettings = (pages: Pages): void => {
  const { core } = pages.doors;
  const path = '/console/{tenant}/settings/answering';

  const page = async (request: PageRequest, state: FormState) => (
    <AnsweringPage shell={await request.shell('settings')} state={state} modes={core.modes} />
  );

  pages.get(path, 'session:admin', async (request) => {
    const { chatModel, retrieval } = request.tenant.settings;
    return request.show(
      await page(
        request,
        formWith({
          chatModel,
          passages: retrieval?.passages,
          floor: retrieval?.floor ?? 'balanced',
          meaning: nearest(retrieval?.meaning ?? 0.5),
        }),
      ),
    );
  });

  pages.post(path, 'session:admin', async (request) =>
    request.submit(answeringForm, {
      save: async ({ chatModel, passages, floor, meaning, rev }) => {
        const retrieval: RetrievalSettings = {
          ...(passages === undefined ? {} : { passages }),
          ...(floor === 'balanced' ? {} : { floor }),
          ...(meaning === 0.5 ? {} : { meaning }),
        };
        await core.tenants.update(
          request.tenant.id,
          {
            settings: {
              chatModel: chatModel ?? null,
              retrieval: Object.keys(retrieval).length === 0 ? null : retrieval,
            },
          },
          rev,
        );
        await request.audit('tenant.update', 'answering');
        return request.to(settingsPath(request.tenant, 'answering'), 'saved');
      },
      again: (state) => page(request, state),
    }),
  );
};

/** A weight that was set by the API stands between two of ours. */
const nearest = (weight: number): string =>
  Object.keys(words.meanings).reduce((best, key) =>
    Math.abs(Number(key) - weight) < Math.abs(Number(best) - weight) ? key : best,
  );
