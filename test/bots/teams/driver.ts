import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { createTeams, type TeamsOptions } from '../../../bots/teams/teams.ts';
import type { InboundEvent } from '../../../core/domain.ts';
import { systemClock } from '../../../core/observe/system.ts';
import type { AnswerSink, Delivery, Manner, Platform } from '../../../core/ports/platform.ts';
import type { Clock } from '../../../core/ports/runtime.ts';
import { createGuardedFetch } from '../../../core/security/guarded-fetch.ts';
import { createTestRuntime, type TestRuntime } from '../../fakes/clock.ts';
import {
  createTeamsSender,
  type FakeTeams,
  type PostedMessage,
  startFakeTeams,
  teamsActivities,
  teamsIds,
} from '../../fakes/teams-service.ts';

/** The driver behind a real socket, before a fake of Teams on another. */
export type Driver = {
  readonly fake: FakeTeams;
  readonly platform: Platform;
  readonly runtime: TestRuntime;
  readonly url: string;
  readonly heard: readonly InboundEvent[];
  readonly activities: ReturnType<typeof teamsActivities>;
  /** Null: without a token. */
  send(body: unknown, authorization?: string | null): Promise<Response>;
  /** What was heard of a message. */
  ask(message?: Partial<PostedMessage>): Promise<InboundEvent>;
  open(event: InboundEvent, delivery?: Partial<Delivery>, manner?: Manner): Promise<AnswerSink>;
  /** From now on the store is down. */
  refuse(): void;
  close(): Promise<void>;
};

/** Without a wait in it; a test that is about one sets it. */
export const atOnce = { paceMs: 0, signAfterMs: 0, firstAfterMs: 0, streamMs: 1, editMs: 1, typingMs: 50 };

export const startDriver = async (more: Partial<TeamsOptions> = {}, time: Partial<Clock> = {}): Promise<Driver> => {
  const fake = await startFakeTeams();
  const heard: InboundEvent[] = [];
  let refusing = false;
  const clock = { ...systemClock, ...time } as TestRuntime['clock'];
  const runtime: TestRuntime = { ...createTestRuntime(), clock };
  const platform = createTeams({
    app: { id: teamsIds.appId, password: 'the-password' },
    metadataUrl: fake.metadataUrl,
    cloud: { loginUrl: fake.url, serviceUrl: fake.serviceUrl, graphUrl: fake.url },
    guardedFetch: createGuardedFetch({ allow: [] }),
    runtime,
    ...more,
    settings: { ...atOnce, ...more.settings },
  });
  await platform.start(async (event) => {
    if (refusing) throw new Error('the store is down');
    const known = heard.some(({ dedupeKeys }) => dedupeKeys.some((key) => event.dedupeKeys.includes(key)));
    heard.push(event);
    return { outcome: known ? 'duplicate' : 'stored' };
  });
  const app = platform.routes;
  if (app === undefined) throw new Error('Teams is heard by routes');
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server;
  await new Promise<void>((resolve) => (server.listening ? resolve() : server.once('listening', () => resolve())));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/teams/messages`;
  const send = createTeamsSender(fake, () => url);
  const activities = teamsActivities(fake.serviceUrl);
  return {
    fake,
    platform,
    runtime,
    url,
    heard,
    activities,
    send,
    ask: async (message = {}) => {
      const response = await send(
        activities.message({ id: fake.nextId(), text: 'how many days of leave?', ...message }),
      );
      const event = heard.at(-1);
      if (response.status !== 200 || event === undefined) throw new Error(`not heard: ${response.status}`);
      return event;
    },
    open: (event, delivery = {}, manner = {}) =>
      platform.openAnswer(
        event,
        { id: 'm_one', postedIds: [], uncertain: false, posted: async () => undefined, ...delivery },
        AbortSignal.timeout(20_000),
        manner,
      ),
    refuse: () => {
      refusing = true;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await platform.stop();
      const { offences } = fake;
      await fake.close();
      if (offences.length > 0) throw new Error(`Teams would not have liked: ${offences.join('; ')}`);
    },
  };
};
