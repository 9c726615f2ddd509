import type { DeclaredRoute } from '../../console/policy.ts';
import type { Furnished } from '../fakes/core.ts';

/** What the suites need to know to call each declared route: one place, so that a new route is covered by all of them. */

/** The ids of one tenant, by the name of the path parameter. */
export const idsOf = (tenant: Furnished): Readonly<Record<string, string>> => ({
  slug: tenant.tenant.slug,
  tenant: tenant.tenant.slug,
  source: tenant.push.id,
  id: tenant.document.externalId,
  document: tenant.document.id,
  job: tenant.job.id,
  answer: tenant.receipt.answerId,
  gap: tenant.receipt.answerId,
  connection: tenant.connection.id,
  key: tenant.keyId,
  webhook: tenant.webhook.id,
  user: tenant.userId,
  platform: 'slack',
  channel: 'C1',
  member: 'slack:U1',
  generation: '1',
});

/** Parameters that name something of a tenant, which another tenant may know by name. */
export const ownedIds = ['source', 'document', 'job', 'answer', 'gap', 'connection', 'key', 'webhook', 'user'];

export const fill = (path: string, ids: Readonly<Record<string, string>>): string =>
  path.replaceAll(/\{(.+?)\}/g, (_, name: string) => encodeURIComponent(ids[name] ?? 'x'));

export const nameOf = ({ method, path }: DeclaredRoute): string => `${method} ${path}`;

export type Sample = { readonly body?: unknown; readonly headers?: Record<string, string> };

const multipart = (): FormData => {
  const form = new FormData();
  form.append('file', new File(['# Lunch\nThe canteen opens at noon.'], 'lunch.md', { type: 'text/markdown' }));
  return form;
};

/** A good request for each route that takes a body. */
export const sampleFor = (route: DeclaredRoute): Sample => {
  const body = samples[nameOf(route)];
  if (body === undefined) return {};
  if (typeof body === 'function') return { body: (body as () => FormData)() };
  return typeof body === 'string' ? { body, headers: { 'content-type': 'application/x-ndjson' } } : { body };
};

const base = '/api/v1/tenants/{slug}';
const samples: Readonly<Record<string, unknown>> = {
  'POST /api/v1/tenants': { slug: 'new-tenant', name: 'New' },
  [`PATCH ${base}`]: { name: 'Renamed' },
  [`POST ${base}/keys`]: { name: 'ci', scopes: ['ask'] },
  [`POST ${base}/sources`]: { kind: 'push', name: 'More' },
  [`PATCH ${base}/sources/{source}`]: { name: 'Renamed' },
  [`PUT ${base}/sources/{source}/documents/{id}`]: { title: 'Lunch', text: '# Lunch\nAt noon.' },
  [`POST ${base}/sources/{source}/documents:batch`]: `${JSON.stringify({ id: 'a.md', text: 'A' })}\n`,
  [`POST ${base}/sources/{source}/files`]: multipart,
  [`POST ${base}/search`]: { query: 'train journeys' },
  [`POST ${base}/ask`]: { question: 'Which class do we book for train journeys?' },
  [`POST ${base}/summarize`]: { texts: ['Long text'] },
  [`POST ${base}/answers/{answer}/feedback`]: { rating: 'up' },
  [`POST ${base}/connections`]: { platform: 'slack', workspaceId: 'T-NEW' },
  [`PUT ${base}/channels/{platform}/{channel}`]: { enabled: true },
  [`PUT ${base}/quotas`]: { limits: [] },
  [`POST ${base}/webhooks`]: { name: 'More', url: 'https://hooks.example/more', events: ['sync.failed'] },
  [`PATCH ${base}/webhooks/{webhook}`]: { name: 'Renamed' },
};

/** What the pages' forms post, all in one: a page takes its own fields and leaves the others. */
export const goodForm: Readonly<Record<string, string>> = {
  question: 'train journeys',
  rating: 'up',
  kind: 'push',
  name: 'Handbook',
};

/** Bodies in which ids of a tenant can stand. */
export const bodiesWithIds = (
  tenant: Furnished,
): readonly { readonly name: string; readonly method: string; readonly path: string; readonly body: unknown }[] => [
  { name: 'sources of a search', method: 'POST', path: '/search', body: { query: 'train', sources: [tenant.push.id] } },
  {
    name: 'sources of a question',
    method: 'POST',
    path: '/ask',
    body: { question: 'train?', sources: [tenant.push.id] },
  },
  {
    name: 'conversation of a question',
    method: 'POST',
    path: '/ask',
    body: { question: 'train?', conversationId: tenant.receipt.conversationId },
  },
  { name: 'sources of a summary', method: 'POST', path: '/summarize', body: { sources: [tenant.push.id] } },
  { name: 'documents of a summary', method: 'POST', path: '/summarize', body: { documents: [tenant.document.id] } },
  {
    name: 'sources that a tenant’s channels inherit',
    method: 'PATCH',
    path: '',
    body: { settings: { channels: { sources: [tenant.push.id] } } },
  },
  { name: 'sources of a channel', method: 'PUT', path: '/channels/slack/C1', body: { sources: [tenant.push.id] } },
];
