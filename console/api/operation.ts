import { createRoute, type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { type Doors, type Env, guard, limitBody, limitDepth, limits } from '../guard.ts';
import type { DeclaredRoute, Policy } from '../policy.ts';

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** One operation of the API as data: from it come the route, its policy, its validation and its OpenAPI entry. */
export type Operation<P, Q, B> = {
  readonly method: Method;
  readonly path: string;
  readonly policy: Policy;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: z.ZodType<P>;
  readonly query?: z.ZodType<Q>;
  /** A JSON body. */
  readonly body?: z.ZodType<B>;
  /** A body that is not JSON, described by hand and read by the handler. */
  readonly rawBody?: { readonly mediaType: string; readonly schema: object };
  readonly maxBytes?: number;
  /** Statuses of success; null has no body. */
  readonly answers: Readonly<Record<number, z.ZodType | null>>;
  /** Further media types of the first success. */
  readonly also?: readonly string[];
  /** Written to the audit log after success. */
  readonly audit?: string;
};

export type Call<P, Q, B> = {
  readonly c: Context<Env>;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly signal: AbortSignal;
};
export type Operations = {
  add<P = unknown, Q = unknown, B = unknown>(
    operation: Operation<P, Q, B>,
    handle: (call: Call<P, Q, B>) => Promise<Response>,
  ): void;
};

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string(),
    errors: z.array(z.object({ at: z.string(), message: z.string() })).optional(),
  })
  .openapi('Problem');

/** Longer than any model call may take; a handler's own bounds are tighter. */
const requestLivesForMs = 180_000;

export const createOperations = (app: OpenAPIHono<Env>, parts: Doors, declared: DeclaredRoute[]): Operations => ({
  add(operation, handle) {
    const route: DeclaredRoute = {
      method: operation.method.toUpperCase(),
      path: operation.path,
      policy: operation.policy,
      answers: operation.answers,
    };
    declared.push(route);
    const takesBody = operation.body !== undefined || operation.rawBody !== undefined;
    const config = createRoute({
      method: operation.method,
      path: operation.path,
      operationId: operationIdOf(operation.method, operation.path),
      tags: [operation.tag],
      summary: operation.summary,
      ...(operation.description === undefined ? {} : { description: operation.description }),
      security: operation.policy === 'public' ? [] : [{ bearer: [] }],
      request: {
        ...(operation.params === undefined ? {} : { params: operation.params }),
        ...(operation.query === undefined ? {} : { query: operation.query }),
        ...(takesBody ? { body: { required: true, content: contentOf(operation) } } : {}),
      },
      responses: responsesOf(operation),
      middleware: [guard(parts, route), limitBody(operation.maxBytes ?? limits.json), limitDepth],
    } as unknown as RouteConfig & { path: string });

    const run = async (c: Context<Env>): Promise<Response> => {
      const valid = (target: string): never => c.req.valid(target as never);
      const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(requestLivesForMs)]);
      const response = await handle({
        c,
        params: operation.params === undefined ? (undefined as never) : valid('param'),
        query: operation.query === undefined ? (undefined as never) : valid('query'),
        body: operation.body === undefined ? (undefined as never) : valid('json'),
        signal,
      });
      if (operation.audit !== undefined && response.ok) {
        const tenant = c.get('tenant') as { readonly id: string } | undefined;
        await parts.core.audit(tenant?.id ?? null, c.get('actor').name, operation.audit, await subjectOf(c, response));
      }
      return response;
    };
    app.openapi(config, run as never);
  },
});

/** What was made, by its new id; else what was changed: the last id in the path, a channel's with its platform. */
const subjectOf = async (c: Context, response: Response): Promise<string> => {
  if (response.status === 201) {
    const made: unknown = await response
      .clone()
      .json()
      .catch(() => null);
    if (typeof made === 'object' && made !== null && 'id' in made && typeof made.id === 'string') return made.id;
  }
  const { platform, channel, ...ids } = c.req.param();
  return platform !== undefined && channel !== undefined ? `${platform}:${channel}` : (Object.values(ids).at(-1) ?? '');
};

const contentOf = <P, Q, B>({ body, rawBody }: Operation<P, Q, B>): object =>
  rawBody === undefined
    ? { 'application/json': { schema: body } }
    : { [rawBody.mediaType]: { schema: rawBody.schema } };

const responsesOf = <P, Q, B>(operation: Operation<P, Q, B>): object => {
  const answers = Object.entries(operation.answers).map(([status, schema], index) => {
    const further = index === 0 ? (operation.also ?? []).map((type) => [type, { schema: { type: 'string' } }]) : [];
    const content =
      schema === null ? {} : { content: { 'application/json': { schema }, ...Object.fromEntries(further) } };
    return [status, { description: schema === null ? 'Done; no body.' : 'Success.', ...content }];
  });
  return {
    ...Object.fromEntries(answers),
    default: { description: 'A problem.', content: { 'application/problem+json': { schema: problemSchema } } },
  };
};

const operationIdOf = (method: string, path: string): string =>
  [method, ...path.split(/[/:]/).filter((part) => part !== '' && part !== 'api' && part !== 'v1')]
    .map((part) => (part.startsWith('{') ? `by-${part.slice(1, -1)}` : part))
    .join('-')
    .replace(/[^a-z0-9]+(.)/gi, (_, letter: string) => letter.toUpperCase());
