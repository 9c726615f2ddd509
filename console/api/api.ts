import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Doors, Env } from '../guard.ts';
import type { DeclaredRoute } from '../policy.ts';
import { addChannels } from './channels.ts';
import { addConnections } from './connections.ts';
import { addDocuments } from './documents.ts';
import { addQuotas, addUsage } from './metering.ts';
import { createOperations } from './operation.ts';
import { addAnswers, addQuestions } from './questions.ts';
import { addReindex } from './reindex.ts';
import { addJobs, addSources } from './sources.ts';
import { addTenants } from './tenants.ts';
import { addWebhooks } from './webhooks.ts';

/** Registers every operation of `/api/v1` on the app. */
export const addApi = (app: OpenAPIHono<Env>, parts: Doors, declared: DeclaredRoute[]): void => {
  const operations = createOperations(app, parts, declared);
  addTenants(operations, parts);
  addSources(operations, parts);
  addDocuments(operations, parts);
  addJobs(operations, parts);
  addReindex(operations, parts);
  addQuestions(operations, parts);
  addAnswers(operations, parts);
  addConnections(operations, parts);
  addChannels(operations, parts);
  addQuotas(operations, parts);
  addUsage(operations, parts);
  addWebhooks(operations, parts);
};

export const openApiDocument = (app: OpenAPIHono<Env>, publicUrl: string) => {
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Footnote',
      version: '1',
      description:
        'Answers from your documents, with footnotes. Problems are `application/problem+json`; times are ISO 8601 UTC; money is a decimal string with an ISO currency. What can be changed has a `rev`: hand it back with your change, and you are told (409) when somebody else changed it meanwhile.',
      license: { name: 'MIT' },
    },
    servers: [{ url: publicUrl }],
  });
  return {
    ...document,
    components: {
      ...document.components,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: "The operator's token or a tenant's key." },
      },
    },
  };
};
