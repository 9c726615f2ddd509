import { type Context, Hono } from 'hono';
import type { Connection, InboundEvent } from '../../core/domain.ts';
import type { Received } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { readBody } from '../read-body.ts';
import type { Courtesy, NormaliseContext, Normalised, Opening } from './handle.ts';
import { normalise, workspaceOf } from './normalise.ts';
import { verifySlackSignature } from './verify.ts';

export type Ingress = {
  readonly runtime: Runtime;
  /** Signing secret of the deployment's own app; absent: only connections with their own app are served. */
  readonly signingSecret?: string;
  /** A tenant's own app, named in the address. Null for unknown ones and for those without a secret. */
  ownApp(connectionId: string): Promise<{ readonly connection: Connection; readonly signingSecret: string } | null>;
  readonly botUserId: NormaliseContext['botUserId'];
  /** Stores the event; a throw means that it is not stored. */
  take(normalised: Normalised): Promise<Received | null>;
};

/** Slack's envelopes stay far below; a message of 40,000 characters is about 160 kB. */
const bodyLimit = 1_048_576;

/**
 * What Slack posts: events and clicks. Verify over the raw bytes, put into our words, store, 200, and nothing slower in
 * between. 401 for every signature that is not right, 503 when the store did not take it, so that Slack sends it again.
 */
export const slackRoutes = (ingress: Ingress): Hono => {
  const app = new Hono();
  app.post('/slack/events', async (c) => {
    if (ingress.signingSecret === undefined) return c.text('Slack is not set up here.', 404);
    return hear(ingress, c, ingress.signingSecret, null);
  });
  app.post('/slack/events/:connection', async (c) => {
    const own = await ingress.ownApp(c.req.param('connection'));
    // An unknown connection is answered like a wrong signature: nothing tells which ids exist.
    return own === null ? c.text('', 401) : hear(ingress, c, own.signingSecret, own.connection);
  });
  return app;
};

const hear = async (
  ingress: Ingress,
  c: Context,
  signingSecret: string,
  connection: Connection | null,
): Promise<Response> => {
  const rawBody = await readBody(c, bodyLimit);
  if (rawBody === null) return c.text('', 413);
  const type = c.req.header('content-type') ?? '';
  const form = type.startsWith('application/x-www-form-urlencoded');
  // Slack's certificate probe is not signed. It is answered with nothing, and nothing is done.
  if (form && new URLSearchParams(rawBody.toString()).get('ssl_check') === '1') return c.body(null, 200);
  const verdict = verifySlackSignature({
    signingSecret,
    rawBody,
    signature: c.req.header('x-slack-signature'),
    timestamp: c.req.header('x-slack-request-timestamp'),
    now: ingress.runtime.clock.now(),
  });
  if (verdict !== 'ok') {
    ingress.runtime.log.warn('slack-signature-refused', { verdict });
    return c.text('', 401);
  }
  const payload = parsePayload(rawBody.toString(), form);
  if (payload === null) return c.text('', form ? 200 : 400);
  if (payload.type === 'url_verification')
    return typeof payload.challenge === 'string' ? c.text(payload.challenge.slice(0, 1000)) : c.text('', 400);
  // A tenant's own secret proves its own workspace and no other.
  if (connection !== null && workspaceOf(payload) !== connection.workspaceId) {
    ingress.runtime.log.warn('slack-foreign-workspace', { connectionId: connection.id });
    return c.text('', 401);
  }
  const context: NormaliseContext = { receivedAt: ingress.runtime.clock.now(), botUserId: ingress.botUserId };
  const heard = normalise(payload, context);
  try {
    await ingress.take(heard);
  } catch {
    // Not stored, so not acknowledged.
    return c.text('', 503, { 'Retry-After': '1' });
  }
  return heard.kind === 'event' && heard.reply !== undefined ? c.json(heard.reply) : c.body(null, 200);
};

type Payload = Readonly<Record<string, unknown>>;

/** JSON of an event, JSON inside the form field `payload` of a click, or the fields of a command; anything else is null. */
const parsePayload = (body: string, form: boolean): Payload | null => {
  const fields = form ? new URLSearchParams(body) : null;
  const json = fields === null ? body : fields.get('payload');
  if (json === null) return fields?.has('command') ? Object.fromEntries(fields) : null;
  try {
    const parsed: unknown = JSON.parse(json);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Payload) : null;
  } catch {
    return null;
  }
};

export type Taking = {
  receive(event: InboundEvent): Promise<Received>;
  /** Opens a modal beside the acknowledgement. */
  open(workspaceId: string, opening: Opening): void;
  greet(courtesy: Courtesy): void;
};

/** Log and number of what was heard and set aside; events that are stored leave theirs when they are settled. */
export const takeWith =
  (runtime: Runtime, taking: Taking): Ingress['take'] =>
  async (normalised) => {
    if (normalised.kind === 'event') {
      const { event, opens } = normalised;
      const received = await taking.receive(event);
      if (opens !== undefined && received.outcome === 'stored') taking.open(event.workspaceId, opens);
      return received;
    }
    if (normalised.kind === 'courtesy') {
      taking.greet(normalised.courtesy);
      return null;
    }
    runtime.metrics.count('events_total', { platform: 'slack', reason: 'unsupported' });
    runtime.log.debug('slack-ignored', { why: normalised.why });
    return null;
  };
