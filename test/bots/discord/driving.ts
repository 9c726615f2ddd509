import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import type { Hono } from 'hono';
import type { Lead } from '../../../core/ports/leader.ts';

/** For a bot that is alone. */
export const soleLeader: Lead = async (_name, run, signal) => {
  if (!signal.aborted) await run({ held: signal, note: null, keep: async () => true });
};

export type Keys = { readonly publicKey: string; readonly privateKey: KeyObject };

/** A key pair as the Developer Portal shows its public half. */
export const createKeys = (): Keys => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    publicKey: Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex'),
    privateKey,
  };
};

export const signatureHeaders = (key: KeyObject, body: string, seconds: number): Record<string, string> => ({
  'x-signature-timestamp': String(seconds),
  'x-signature-ed25519': sign(null, Buffer.from(`${seconds}${body}`), key).toString('hex'),
});

/** The bot's routes on a real socket. */
export const listen = async (routes: Hono | undefined): Promise<{ readonly url: string; close(): Promise<void> }> => {
  const server = serve({
    fetch: routes?.fetch ?? (() => new Response(null, { status: 404 })),
    port: 0,
    hostname: '127.0.0.1',
  }) as Server;
  await new Promise<void>((resolve) => (server.listening ? resolve() : server.once('listening', () => resolve())));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

let counter = 0n;
/** An id of now, for what only passes through. */
export const newId = (at = Date.now()): string => {
  counter += 1n;
  return (((BigInt(at) - 1_420_070_400_000n) << 22n) + 8000n + (counter & 0xfffn)).toString();
};
