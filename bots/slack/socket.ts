import { SocketModeReceiver } from '@slack/bolt';
import type { Runtime } from '../../core/ports/runtime.ts';
import { silentLogger } from './api.ts';
import type { NormaliseContext } from './handle.ts';
import { normalise } from './normalise.ts';
import type { Ingress } from './routes.ts';

/** Hearing without a public address. */
export type SlackSocket = { start(): Promise<void>; stop(): Promise<void>; isConnected(): boolean };

type Envelope = { readonly type: string; readonly body: unknown; readonly ack: (response?: unknown) => Promise<void> };

/**
 * Socket Mode by Slack's own client: it reconnects, answers pings and moves on when Slack recycles a connection. Only
 * the acknowledgement is ours: after the event is stored. One that could not be stored is not acknowledged, and Slack
 * sends it again.
 */
export const createSlackSocket = (options: {
  readonly appToken: string;
  readonly apiUrl?: string;
  readonly runtime: Runtime;
  readonly botUserId: NormaliseContext['botUserId'];
  readonly take: Ingress['take'];
}): SlackSocket => {
  const { log, clock } = options.runtime;
  const receiver = new SocketModeReceiver({
    appToken: options.appToken,
    logger: silentLogger,
    installerOptions: {
      clientOptions: {
        ...(options.apiUrl === undefined ? {} : { slackApiUrl: options.apiUrl }),
        timeout: 10_000,
        retryConfig: { retries: 3 },
      },
    },
  });
  // The receiver's own handler wants a Bolt app; ours listens beside it instead.
  receiver.client.removeAllListeners('slack_event');
  receiver.client.on('slack_event', (envelope: Envelope) => {
    void hear(envelope).catch(() => undefined);
  });
  const hear = async (envelope: Envelope): Promise<void> => {
    const context: NormaliseContext = { receivedAt: clock.now(), botUserId: options.botUserId };
    const heard = normalise(envelope.body, context);
    try {
      await options.take(heard);
    } catch {
      log.error('slack-socket-not-stored', { kind: envelope.type });
      return;
    }
    await envelope.ack(heard.kind === 'event' ? heard.reply : undefined);
  };
  let connected = false;
  return {
    start: async () => {
      receiver.client.on('connected', () => {
        connected = true;
        log.info('slack-socket-connected');
      });
      for (const lost of ['reconnecting', 'disconnected', 'close'] as const)
        receiver.client.on(lost, () => {
          connected = false;
        });
      receiver.client.on('reconnecting', () => log.warn('slack-socket-reconnecting'));
      await receiver.client.start();
    },
    isConnected: () => connected,
    stop: async () => {
      await Promise.race([receiver.client.disconnect(), clock.sleep(3000).catch(() => undefined)]);
    },
  };
};
