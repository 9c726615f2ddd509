import { createHmac } from 'node:crypto';

/** Secrets of webhooks: `whsec_` and 32 random bytes in base64, as the Standard Webhooks libraries expect them. */

const prefix = 'whsec_';

/** `hex`: 64 digits of entropy. */
export const webhookSecretOf = (hex: string): string => `${prefix}${Buffer.from(hex, 'hex').toString('base64')}`;

/**
 * Headers of one message by the Standard Webhooks specification (standardwebhooks.com): HMAC-SHA256 over
 * `id.timestamp.body`, so that neither the body nor the time nor the id can be another one. The id stays the same over
 * all tries of a message; receivers take one they know as a repetition.
 */
export const signWebhook = (
  secret: string,
  message: { readonly id: string; readonly at: number; readonly body: string },
): Readonly<Record<string, string>> => {
  const timestamp = String(Math.floor(message.at / 1000));
  const key = Buffer.from(secret.startsWith(prefix) ? secret.slice(prefix.length) : secret, 'base64');
  const digest = createHmac('sha256', key).update(`${message.id}.${timestamp}.${message.body}`).digest('base64');
  return { 'webhook-id': message.id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${digest}` };
};
