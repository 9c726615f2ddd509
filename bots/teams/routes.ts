import { type Context, Hono } from 'hono';
import type { InboundEvent } from '../../core/domain.ts';
import type { Received } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { readBody } from '../read-body.ts';
import type { Normalised } from './activity.ts';
import { type Cloud, isLoopbackHost, isServiceUrl } from './clouds.ts';
import { replyToInvoke } from './invokes.ts';
import { normaliseActivity } from './normalise.ts';
import { type SigningKey, type TeamsVerdict, verifyTeamsToken } from './verify.ts';

export type Ingress = {
  readonly runtime: Runtime;
  readonly cloud: Cloud;
  /** Null: nobody signs in to this deployment; only unauthenticated posts from this machine are heard, if they are. */
  readonly appId: string | null;
  /** Answers may go to this machine. */
  readonly loopback: boolean;
  /** Posts from this machine without a token are heard: a deployment for trying out. */
  readonly unauthenticated: boolean;
  readonly keyOf: (keyId: string) => Promise<SigningKey | null>;
  /** Stores the event; a throw means that it is not stored. */
  take(normalised: Normalised): Promise<Received | null>;
};

export type Payload = Record<string, unknown>;

/** Teams' activities stay below 256 KB; a message extension brings a whole message along. */
const bodyLimit = 1_048_576;

/**
 * What Teams posts. Verify, put into our words, store, 200, and nothing slower in between; only invokes have more of an
 * answer. 401 for everything that is not proven to come from Teams, 503 when the store did not take it.
 */
export const teamsRoutes = (ingress: Ingress): Hono => {
  const app = new Hono();
  app.post('/teams/messages', async (c) => hear(ingress, c));
  return app;
};

const hear = async (ingress: Ingress, c: Context): Promise<Response> => {
  // A form or plain text is what a web page can post without asking: never from Teams.
  if (!/^application\/json\b/i.test(c.req.header('content-type') ?? '')) return c.text('', 415);
  const body = await readJson(c);
  if (body === 'too-large') return c.text('', 413);
  if (body === null) return c.text('', 400);
  const authorization = c.req.header('authorization');
  const verdict = await judge(ingress, c, authorization, body);
  if (verdict !== 'ok' && verdict !== 'local') {
    ingress.runtime.log.warn('teams-post-refused', { verdict });
    return verdict === 'keys-unreachable' ? c.text('', 503, { 'Retry-After': '5' }) : c.text('', 401);
  }
  const normalised = normaliseActivity(body, { receivedAt: ingress.runtime.clock.now() });
  try {
    await ingress.take(normalised);
  } catch {
    // Not stored, so not acknowledged.
    return c.text('', 503, { 'Retry-After': '1' });
  }
  if (body.type !== 'invoke') return c.body(null, 200);
  const name = typeof body.name === 'string' ? body.name : undefined;
  const reply = replyToInvoke(name, body.value, normalised.kind === 'event');
  return c.json(reply.body, reply.status as 200);
};

const judge = async (
  ingress: Ingress,
  c: Context,
  authorization: string | undefined,
  body: Payload,
): Promise<TeamsVerdict | 'local' | 'not-loopback' | 'keys-unreachable'> => {
  if (authorization === undefined && ingress.unauthenticated)
    return isFromHere(c) && isServiceUrl(body.serviceUrl, ingress.cloud, true) ? 'local' : 'not-loopback';
  if (ingress.appId === null) return 'missing';
  try {
    return await verifyTeamsToken({
      authorization,
      activity: body,
      appId: ingress.appId,
      cloud: ingress.cloud,
      loopback: ingress.loopback,
      keyOf: ingress.keyOf,
      now: ingress.runtime.clock.now(),
    });
  } catch {
    return 'keys-unreachable';
  }
};

const forwarded = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'via',
  'cf-connecting-ip',
];

/** From this machine, to this machine's own name, and not passed on by a proxy or sent by a web page. */
const isFromHere = (c: Context): boolean => {
  const peer = (c.env as { readonly incoming?: { readonly socket?: { readonly remoteAddress?: string } } } | undefined)
    ?.incoming?.socket?.remoteAddress;
  if (peer === undefined || !isLoopbackHost(peer.replace(/^::ffff:/, ''))) return false;
  if (forwarded.some((name) => c.req.header(name) !== undefined) || c.req.header('origin') !== undefined) return false;
  return isLoopbackHost(URL.parse(`http://${c.req.header('host') ?? ''}`)?.hostname ?? '');
};

/** A JSON object within the limit; null for anything else. */
const readJson = async (c: Context): Promise<Payload | null | 'too-large'> => {
  const bytes = await readBody(c, bodyLimit);
  if (bytes === null) return 'too-large';
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Payload) : null;
  } catch {
    return null;
  }
};

/** Log and number of what was heard and set aside; events that are stored leave theirs when they are settled. */
export const takeWith =
  (runtime: Runtime, receive: (event: InboundEvent) => Promise<Received>): Ingress['take'] =>
  async (normalised) => {
    if (normalised.kind === 'event') return receive(normalised.event);
    runtime.metrics.count('events_total', { platform: 'teams', reason: 'unsupported' });
    runtime.log.debug('teams-ignored', { why: normalised.why });
    return null;
  };
