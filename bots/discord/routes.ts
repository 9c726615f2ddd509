import type { KeyObject } from 'node:crypto';
import { type Context, Hono } from 'hono';
import type { Runtime } from '../../core/ports/runtime.ts';
import { readBody } from '../read-body.ts';
import type { Heard } from './interaction.ts';
import { verifyDiscordSignature } from './verify.ts';

export type Ingress = {
  readonly runtime: Runtime;
  /** Absent: commands come over the gateway only. */
  readonly publicKey?: KeyObject;
  /** In our words and stored; null when it cannot be read. A throw means that it is not stored. */
  hear(payload: unknown): Promise<Heard | null>;
};

/** A command with its longest question and a form with its longest reason stay far below. */
const bodyLimit = 1_048_576;

/**
 * Commands, buttons and forms as Discord posts them when the application has an Interactions Endpoint URL. Verify over the
 * raw bytes, store, reply; 401 for every signature that is not right (Discord probes for it), 503 when it is not stored.
 */
export const discordRoutes = (ingress: Ingress): Hono => {
  const app = new Hono();
  app.post('/discord/interactions', async (c) => {
    if (ingress.publicKey === undefined) return c.text('Discord does not send commands here.', 404);
    return receive(ingress, c, ingress.publicKey);
  });
  return app;
};

const receive = async (ingress: Ingress, c: Context, publicKey: KeyObject): Promise<Response> => {
  const rawBody = await readBody(c, bodyLimit);
  if (rawBody === null) return c.text('', 413);
  const verdict = verifyDiscordSignature({
    publicKey,
    rawBody,
    signature: c.req.header('x-signature-ed25519'),
    timestamp: c.req.header('x-signature-timestamp'),
    now: ingress.runtime.clock.now(),
  });
  if (verdict !== 'ok') {
    ingress.runtime.log.warn('discord-signature-refused', { verdict });
    return c.text('', 401);
  }
  try {
    const heard = await ingress.hear(parseJson(rawBody.toString()));
    return heard === null ? c.text('', 400) : c.json(heard.reply);
  } catch {
    // Not stored, so not acknowledged: Discord tells the person that it failed.
    return c.text('', 503);
  }
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
