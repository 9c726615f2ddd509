import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { CloudAdapter, ConfigurationBotFrameworkAuthentication } from 'botbuilder';
import { createTeams } from '../../bots/teams/teams.ts';
import { createGuardedFetch } from '../../core/security/guarded-fetch.ts';
import { teamsIds } from '../fakes/teams-service.ts';
import { type Bot, measureAcknowledgement, measureEventPath, startOurs } from './event-path.ts';
import { startLoad } from './load.ts';
import type { BenchResult } from './result.ts';
import type { TeamsHello } from './teams-load.ts';

/**
 * P1 and P9 on the Teams path: real sockets, signed posts, the embedded store with every insert on the disk, a model at
 * zero latency, pacing as it is delivered. Beside it a bare CloudAdapter whose handler answers from memory, before it
 * acknowledges.
 */

const startFootnote = (fake: TeamsHello): Promise<Bot> =>
  startOurs(
    (runtime) =>
      createTeams({
        app: { id: teamsIds.appId, password: 'the-password' },
        metadataUrl: fake.metadataUrl,
        cloud: { loginUrl: fake.url, serviceUrl: fake.serviceUrl },
        guardedFetch: createGuardedFetch({ allow: [] }),
        runtime,
      }),
    { path: '/teams/messages' },
  );

/** As the SDK's samples have it, but for the address of the keys and the token that nobody fetches. */
const startBare = async (fake: TeamsHello): Promise<Bot> => {
  type Parameters = ConstructorParameters<typeof ConfigurationBotFrameworkAuthentication>;
  const credentials = {
    isValidAppId: async (appId: string) => appId === teamsIds.appId,
    isAuthenticationDisabled: async () => false,
    createCredentials: async () => ({
      signRequest: async (call: { headers: { set(name: string, value: string): void } }) => {
        call.headers.set('authorization', 'Bearer token-for-teams');
        return call;
      },
    }),
  } as unknown as NonNullable<Parameters[1]>;
  const adapter = new CloudAdapter(
    new ConfigurationBotFrameworkAuthentication(
      {
        ToBotFromChannelOpenIdMetadataUrl: fake.metadataUrl,
        ToBotFromChannelTokenIssuer: 'https://api.botframework.com',
        ToBotFromEmulatorOpenIdMetadataUrl: fake.metadataUrl,
        ToChannelFromBotLoginUrl: fake.url,
        ToChannelFromBotOAuthScope: 'https://api.botframework.com',
        OAuthUrl: 'https://token.invalid',
        CallerId: 'urn:botframework:azure',
      },
      credentials,
    ),
  );
  const server = createServer(async (incoming, outgoing) => {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    const response = {
      socket: {},
      status: (code: number) => {
        outgoing.statusCode = code;
        return response;
      },
      header: () => response,
      send: () => response,
      end: () => outgoing.end(),
    };
    const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>;
    await adapter.process({ method: 'POST', headers: incoming.headers, body }, response as never, async (context) => {
      await context.sendActivity('Leave is 30 days. [1]');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return {
    name: 'bare CloudAdapter, in memory',
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

export const run = async (): Promise<BenchResult[]> => {
  const load = await startLoad<TeamsHello>(new URL('./teams-load.ts', import.meta.url));
  const [ours, bare] = [await startFootnote(load.hello), await startBare(load.hello)];
  try {
    const [own, peer] = [
      { bot: ours, run: load.run },
      { bot: bare, run: load.run },
    ];
    return [
      await measureAcknowledgement('signed Teams post', own, peer, { perSecond: 50 }),
      await measureEventPath('signed Teams mention in, reply call out', [own, { ...peer, needed: 0.7 }], {
        concurrency: 32,
      }),
    ];
  } finally {
    for (const bot of [ours, bare]) await bot.stop();
    await load.close();
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await run(), null, 2));
  process.exit(0);
}
