import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Connection } from '../../../core/domain.ts';
import { AppError } from '../../../core/errors.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { createSlackSender } from '../../fakes/slack-api.ts';
import { createFakeWorkspaces } from '../../fakes/workspaces.ts';
import { until } from '../../until.ts';
import { createWorld, demoTenant, reasonsOf, signingSecret, type World } from './world.ts';

describe("Slack's doors", () => {
  let world: World;
  beforeEach(async () => {
    world = await createWorld();
  });
  afterEach(() => world.close());
  const mention = (ts: string) => world.payloads.appMention({ text: `<@${world.fake.botUserId}> leave?`, ts });

  it('Socket Mode: acknowledged after it is stored, answered, thumbs too', async () => {
    await world.instance({ slack: { appToken: 'xapp-fake' } });
    expect(world.fake.sockets()).toBe(1);
    const ts = world.fake.nextTs();
    expect(await world.fake.sendOverSocket({ type: 'events_api', payload: mention(ts) })).toBe(true);
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['answered']));
    const answerId = world.answering.asked[0]?.answerId ?? '';
    const click = world.payloads.click(answerId, 'up', { ts: world.fake.answers()[0]?.ts ?? '', thread: ts });
    expect(await world.fake.sendOverSocket({ type: 'interactive', payload: click })).toBe(true);
    await until(async () =>
      expect((await world.state.receipts.get(demoTenant.id, answerId))?.feedback).toHaveLength(1),
    );
  });

  it('Socket Mode: not acknowledged when it could not be stored', async () => {
    await world.instance({ slack: { appToken: 'xapp-fake' }, state: withBrokenInbox });
    expect(await world.fake.sendOverSocket({ type: 'events_api', payload: mention(world.fake.nextTs()) })).toBe(false);
  });

  it('HTTP: 503 when it could not be stored, so that Slack sends it again', async () => {
    const bot = await world.instance({ state: withBrokenInbox });
    expect((await bot.sender.send(mention(world.fake.nextTs()))).status).toBe(503);
  });

  it("a tenant's own app speaks for its own workspace with its own secret, and for no other", async () => {
    const connection: Connection = {
      id: 'k_1',
      tenantId: demoTenant.id,
      platform: 'slack',
      workspaceId: world.fake.teamId,
      createdAt: 0,
    };
    const workspaces = createFakeWorkspaces();
    workspaces.connect(connection, { signingSecret: 'own-secret', botToken: 'xoxb-fake' });
    const bot = await world.instance({
      slack: {
        connections: workspaces,
      },
    });
    const sender = (path: string, secret: string) =>
      createSlackSender({ url: `${bot.address}/slack/events/${path}`, signingSecret: secret, now: () => Date.now() });
    const ts = world.fake.nextTs();
    expect((await sender('k_1', signingSecret).send(mention(ts))).status).toBe(401);
    expect((await sender('k_2', 'own-secret').send(mention(ts))).status).toBe(401);
    const foreign = { ...mention(ts), team_id: 'TOTHER', context_team_id: 'TOTHER' };
    expect((await sender('k_1', 'own-secret').send(foreign)).status).toBe(401);
    expect((await bot.sender.send({ ...mention(ts), x: 1 }, { at: Date.now() - 400_000 })).status).toBe(401);
    expect(await reasonsOf(world, ts)).toEqual([]);
    expect((await sender('k_1', 'own-secret').send(mention(ts))).status).toBe(200);
    await until(async () => expect(await reasonsOf(world, ts)).toEqual(['answered']));
  });

  it("Slack's certificate probe is answered and does nothing", async () => {
    const bot = await world.instance();
    const probe = (body: string) =>
      fetch(`${bot.address}/slack/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body,
      });
    expect((await probe('ssl_check=1&token=x')).status).toBe(200);
    expect((await probe('ssl_check=0&token=x')).status).toBe(401);
    expect((await probe(`payload=${encodeURIComponent('{}')}`)).status).toBe(401);
  });

  it('an uninstalled app loses its credentials, and the connection says so', async () => {
    const bot = await world.instance();
    await world.state.connections.create({
      id: 'k_1',
      tenantId: demoTenant.id,
      platform: 'slack',
      workspaceId: world.fake.teamId,
      createdAt: 0,
      sealedCredentials: 'sealed',
    });
    await bot.sender.send(world.payloads.envelope({ type: 'app_uninstalled', event_ts: world.fake.nextTs() }));
    await until(async () => {
      const connection = await world.state.connections.byWorkspace('slack', world.fake.teamId);
      expect(connection?.lastError).toContain('removed');
      expect(connection?.sealedCredentials).toBeUndefined();
    });
  });

  it('check-up says in words what is missing', async () => {
    const bot = await world.instance();
    const connection: Connection = {
      id: 'k_1',
      tenantId: demoTenant.id,
      platform: 'slack',
      workspaceId: world.fake.teamId,
      createdAt: 0,
    };
    const lines = await bot.slack.checkUp(connection, AbortSignal.timeout(5000));
    expect(lines.find((line) => line.item === 'token')?.ok).toBe(true);
    expect(lines.find((line) => line.item === 'mpim:history')).toMatchObject({
      ok: false,
      advice: expect.stringContaining('group messages'),
    });
  });

  it('a worker that lost its lease stops without a word', async () => {
    let stolen = false;
    const bot = await world.instance({
      settings: { leaseForMs: 900 },
      state: (state) => ({
        ...state,
        inbox: {
          ...state.inbox,
          heartbeatThread: async (lease, now, forMs) => !stolen && state.inbox.heartbeatThread(lease, now, forMs),
          claimThread: async (options) => (stolen ? null : state.inbox.claimThread(options)),
        },
      }),
    });
    const aborted = Promise.withResolvers<unknown>();
    world.answering.next(
      (_request, hooks) =>
        new Promise((_, reject) => {
          stolen = true;
          hooks.signal.addEventListener('abort', () => {
            aborted.resolve(hooks.signal.reason);
            reject(hooks.signal.reason);
          });
        }),
    );
    const ts = world.fake.nextTs();
    await bot.sender.send(mention(ts));
    expect(await aborted.promise).toMatchObject({ code: 'lease-lost' });
    await bot.stop(500);
    expect(world.fake.answers()).toEqual([]);
    expect(await reasonsOf(world, ts)).toEqual(['ready']);
  });

  it('goes on by itself when the store is back', async () => {
    let down = false;
    const bot = await world.instance({
      settings: { leaseForMs: 600 },
      state: (state) => brokenWhile(state, () => down),
    });
    const [before, after] = [world.fake.nextTs(), world.fake.nextTs()];
    world.answering.next(async () => {
      down = true;
    });
    await bot.sender.send(mention(before));
    await until(() => expect(down).toBe(true));
    expect((await bot.sender.send(mention(after))).status).toBe(503);
    down = false;
    expect((await bot.sender.send(mention(after))).status).toBe(200);
    await until(async () => expect(await reasonsOf(world, before)).toEqual(['answered']));
    await until(async () => expect(await reasonsOf(world, after)).toEqual(['answered']));
    expect(world.fake.answers()).toHaveLength(2);
  });
});

const unavailable = (): AppError => new AppError('store-unavailable', 'The store is down.', { retryable: true });

const withBrokenInbox = (state: StateStore): StateStore => {
  const refuse = async () => {
    throw unavailable();
  };
  return { ...state, inbox: { ...state.inbox, receive: refuse, receiveAndClaim: refuse } };
};

/** Every verb of the message path fails while the store is down. */
const brokenWhile = (state: StateStore, isDown: () => boolean): StateStore => {
  const group = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (own, key) => {
        const verb = Reflect.get(own, key) as unknown;
        if (typeof verb !== 'function') return verb;
        return async (...args: unknown[]) => {
          if (isDown()) throw unavailable();
          return (verb as (...args: unknown[]) => unknown).apply(own, args);
        };
      },
    });
  return {
    ...state,
    inbox: group(state.inbox),
    outbox: group(state.outbox),
    conversations: group(state.conversations),
    receipts: group(state.receipts),
  };
};
