import type { HttpParts } from '../guard.ts';
import type { Operations } from './operation.ts';
import { renderGeneration } from './render.ts';
import { tenantPath } from './schemas/fields.ts';
import * as schemas from './schemas/sources.ts';

const base = '/api/v1/tenants/{slug}';

export const addReindex = ({ add }: Operations, { core }: HttpParts): void => {
  const tag = 'Index';
  add(
    {
      method: 'post',
      path: `${base}/reindex`,
      policy: 'key:admin',
      tag,
      summary: 'Build the index anew',
      audit: 'index.rebuild',
      description:
        'A new generation is built from the kept texts beside the one that answers, compared with it, and takes its place. 409 while another re-index is under way.',
      params: tenantPath,
      answers: { 202: schemas.jobStarted },
    },
    async ({ c }) => c.json({ job: { id: (await core.reindex.start(c.get('tenant').id)).id } }, 202),
  );
  add(
    {
      method: 'get',
      path: `${base}/generations`,
      policy: 'key:admin',
      tag,
      summary: 'List the generations of the index',
      params: tenantPath,
      answers: { 200: schemas.generations },
    },
    async ({ c }) =>
      c.json({
        generations: (await core.reindex.generations(c.get('tenant').id)).map(renderGeneration),
        nextCursor: null,
      }),
  );
  add(
    {
      method: 'post',
      path: `${base}/generations/{generation}/activate`,
      policy: 'key:admin',
      tag,
      summary: 'Go back to another generation of the index',
      audit: 'index.activate',
      description: 'It is brought up to date first. 404 once it is gone (`goneAt`), 409 while a re-index is under way.',
      params: schemas.generationPath,
      answers: { 202: schemas.jobStarted },
    },
    async ({ c, params }) =>
      c.json({ job: { id: (await core.reindex.activate(c.get('tenant').id, params.generation)).id } }, 202),
  );
};
