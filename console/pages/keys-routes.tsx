import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { texts } from '../texts.ts';
import { KeysPage, keysPath } from './keys.tsx';
import type { Pages } from './pages.tsx';
import { emptyForm } from './parts/form.tsx';

const words = texts.settings;

const keyForm = z.object({
  name: z.string().max(200),
  scopes: z.array(z.enum(['ask', 'ingest', 'billing', 'admin'])).min(1, words.noScope),
});

/** Keys of programs: made, seen once, revoked. */
export const addKeyPages = (pages: Pages): void => {
  const { core } = pages.doors;

  pages.get('/console/{tenant}/keys', 'session:admin', async (request) =>
    request.show(
      <KeysPage shell={await request.shell('keys')} keys={await core.keys.list(request.tenant.id)} state={emptyForm} />,
    ),
  );

  pages.post('/console/{tenant}/keys', 'session:admin', async (request) =>
    request.submit(keyForm, {
      // Shown in the answer to the form itself: a key must never stand in an address.
      save: async (input) => {
        const { id, key } = await core.keys.create(request.tenant.id, input);
        await request.audit('key.create', id);
        return request.show(
          <KeysPage
            shell={await request.shell('keys')}
            keys={await core.keys.list(request.tenant.id)}
            state={emptyForm}
            made={key}
          />,
        );
      },
      again: async (state) => (
        <KeysPage shell={await request.shell('keys')} keys={await core.keys.list(request.tenant.id)} state={state} />
      ),
    }),
  );

  pages.post('/console/{tenant}/keys/{key}/revoke', 'session:admin', async (request) => {
    const key = (await core.keys.list(request.tenant.id)).find(({ id }) => id === request.param('key'));
    if (key === undefined) throw new AppError('not-found', 'There is no such key.');
    const asks = await request.unconfirmed('keys', {
      title: words.revokeTitle(key.name),
      consequences: words.revokeConsequences,
      button: words.revokeButton,
      back: keysPath(request.tenant),
    });
    if (asks !== null) return asks;
    await core.keys.revoke(request.tenant.id, key.id);
    await request.audit('key.revoke', key.id);
    return request.to(keysPath(request.tenant), 'key-revoked');
  });
};
