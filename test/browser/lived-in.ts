import type { Core } from '../../core/core.ts';
import { isAppError } from '../../core/errors.ts';
import type { Real } from '../console/real.ts';
import { fill, idsOf } from '../console/routes.ts';
import type { Furnished } from '../fakes/core.ts';

/** What the tenant's people wrote: one text for every field that the console shows somewhere. */
export type Wording = (field: string) => string;

const { signal } = new AbortController();

/**
 * A furnished tenant that has been used: questions with and without an answer, votes, channels, limits, prices, sentences
 * of its own. Texts that a field does not take are left out; `refused` counts them.
 */
export const liveIn = async (
  core: Core,
  { tenant, push, upload, receipt, webhook }: Furnished,
  word: Wording,
): Promise<{ readonly refused: readonly string[] }> => {
  const refused: string[] = [];
  const put = async (field: string, write: (text: string) => Promise<unknown>): Promise<void> => {
    try {
      await write(word(field));
    } catch (error) {
      if (!isAppError(error)) throw error;
      refused.push(`${field}: ${error.message}`);
    }
  };
  const id = tenant.id;
  await put('tenant', (name) => core.tenants.update(id, { name }));
  await put('instructions', (instructions) => core.tenants.update(id, { settings: { instructions } }));
  await put('message', (text) =>
    core.tenants.update(id, { settings: { messages: { en: { notFound: text, greeting: text } } } }),
  );
  await put('price', (model) =>
    core.tenants.update(id, {
      settings: {
        prices: [
          { model, currency: 'USD', inputPerMillion: '1', outputPerMillion: '2', from: '2026-01-01', origin: 'tenant' },
        ],
      },
    }),
  );
  await put('source', (name) => core.sources.update(id, push.id, { name }));
  await put('document', (text) =>
    core.documents.put(
      id,
      upload.id,
      {
        externalId: `${text}.md`,
        title: text,
        content: `# ${text}\n\nThe canteen opens at noon. ${text}\n\n## ${text}\n\n${text}`,
        metadata: { note: text },
      },
      signal,
    ),
  );
  await put('document address', (url) =>
    core.documents.put(id, push.id, { externalId: 'address', title: 'Address', content: 'The canteen.', url }, signal),
  );
  await put('unreadable document', (externalId) =>
    core.documents.put(id, upload.id, { externalId, content: new Uint8Array([0, 1, 2, 3]) }, signal),
  );
  const ask = (question: string) =>
    core.ask(id, { question, platform: 'api', user: word('user'), traceId: 'trace' }, { signal });
  await put('question', ask);
  await put('answered question', (text) => ask(`When does the canteen open? ${text}`));
  await put('comment', (comment) =>
    core.answers.feedback(id, receipt.answerId, { rating: 'down', comment, user: word('voter') }),
  );
  await put('channel', (instructions) =>
    core.channels.put(id, 'slack', 'C1', { enabled: true, instructions, whoMayAsk: [word('asker')], humans: ['U9'] }),
  );
  await put('channel id', (channelId) => core.channels.put(id, 'discord', channelId, { enabled: false }));
  await put('workspace', (workspaceId) => core.connections.create(id, { platform: 'discord', workspaceId }));
  await put('limited member', (member) =>
    core.quotas.put(id, [
      { scope: 'tenant', unit: 'questions', per: 'month', limit: 1000 },
      { scope: 'member', id: `slack:${member}`, unit: 'tokens', per: 'day', limit: 50_000 },
    ]),
  );
  await put('key', (name) => core.keys.create(id, { name, scopes: ['ask'] }));
  await put('webhook', (name) => core.webhooks.update(id, webhook.id, { name }));
  await put('audit', (subject) => core.audit(id, 'user:u1', 'source.renamed', subject));
  await put('audit of the deployment', (subject) => core.audit(null, 'user:u1', 'tenant.created', subject));
  return { refused };
};

/** Addresses of every page that is looked at with GET, filled with what the tenant has, and who may open it. */
export const pagesOf = async (
  { app, auth, core }: Real,
  furnished: Furnished,
): Promise<readonly { readonly route: string; readonly path: string; readonly policy: string }[]> => {
  const id = furnished.tenant.id;
  const { groups } = await core.gaps.list(id, 0);
  const { userId } = await auth.issueSignInLink('grace@example.com');
  await core.members.put(userId, id, 'viewer');
  const ids = { ...idsOf(furnished), gap: groups[0]?.id ?? 'x', user: userId };
  return app.declaredRoutes
    .filter(({ method, path, policy }) => method === 'GET' && policy.startsWith('session:') && !notPages.has(path))
    .map(({ path, policy }) => ({ route: path, policy, path: fill(path, ids) }));
};

/** GET routes that give files, parts of a page, events, or an address to go on to. */
const notPages: ReadonlySet<string> = new Set([
  '/console',
  '/console/{tenant}/answers/export',
  '/console/{tenant}/audit/export',
  '/console/{tenant}/connections/package/{platform}',
  '/console/{tenant}/ledger/export',
  '/console/{tenant}/usage/export',
  '/console/{tenant}/sources/{source}/progress',
  '/console/operator/tenants/{tenant}/progress/{job}',
]);
