import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Connection, InboundEvent } from '../../../core/domain.ts';
import type { createGuardedFetch } from '../../../core/security/guarded-fetch.ts';
import { foreignPair, teamsActivities, teamsIds } from '../../fakes/teams-service.ts';
import { until } from '../../until.ts';
import { type Driver, startDriver } from './driver.ts';

/** What comes in by `/teams/messages`, what is answered on the line, and what the driver does unasked. */
let driver: Driver;
beforeEach(async () => {
  driver = await startDriver();
});
afterEach(() => driver.close());

const within = (): AbortSignal => AbortSignal.timeout(10_000);
const texts = (conversation?: string): readonly unknown[] =>
  driver.fake.messages(conversation).map(({ activity }) => activity.text);
const tenant = { tenant: { id: teamsIds.tenant } };

describe('the door', () => {
  it.each([
    ['a token for another app', { claims: { aud: '99999999-2222-3333-4444-555555555555' } }],
    ['a token of a stranger', { key: foreignPair.privateKey }],
    ['a token for another service address', { claims: { serviceurl: 'https://smba.trafficmanager.net/emea/' } }],
    ['alg none', { header: { alg: 'none' } }],
    ['an expired token', { claims: { exp: Math.floor(Date.now() / 1000) - 600 } }],
    ['a token from the future', { claims: { nbf: Math.floor(Date.now() / 1000) + 600 } }],
  ])('%s is refused over the socket too', async (_, change) => {
    const body = driver.activities.message({ id: driver.fake.nextId(), text: 'hi' });
    expect((await driver.send(body, `Bearer ${driver.fake.token(change)}`)).status).toBe(401);
    expect(driver.heard).toEqual([]);
  });

  it.each([
    ['without endorsements', undefined],
    ['with an empty list of endorsements', []],
  ])('a key %s is refused', async (_, endorsements) => {
    driver.fake.keys[0] = { ...driver.fake.keys[0], endorsements } as (typeof driver.fake.keys)[0];
    expect((await driver.send(driver.activities.message({ id: '1', text: 'hi' }))).status).toBe(401);
  });

  it('what is answered on the line says nothing about why', async () => {
    const response = await driver.send(driver.activities.message({ id: '1', text: 'hi' }), 'Bearer a.b.c');
    expect([response.status, await response.text()]).toEqual([401, '']);
  });

  it('the same activity again is one event to the core', async () => {
    const body = driver.activities.message({ id: driver.fake.nextId(), text: 'hi' });
    await driver.send(body);
    await driver.send(body);
    expect(driver.heard[1]?.dedupeKeys).toEqual(driver.heard[0]?.dedupeKeys);
  });

  it.each([
    ['no JSON', 'hello', 'application/json', 400],
    ['a list', '[]', 'application/json', 400],
    ['plain text, as a web page may post it', '{}', 'text/plain', 415],
    ['a form', 'a=b', 'application/x-www-form-urlencoded', 415],
    ['more than a megabyte', JSON.stringify({ text: 'x'.repeat(1_100_000) }), 'application/json', 413],
  ])('%s is refused', async (_, body, type, status) => {
    const response = await fetch(driver.url, {
      method: 'POST',
      headers: { 'content-type': type, authorization: `Bearer ${driver.fake.token()}` },
      body,
    });
    expect(response.status).toBe(status);
  });

  it.each([
    ['nothing', {}],
    ['numbers', { from: 7, conversation: 7, id: 7, text: 7, entities: 7 }],
    [
      'nulls',
      { from: null, conversation: null, recipient: null, channelData: null, entities: null, attachments: null },
    ],
    ['deep nesting', { value: JSON.parse('['.repeat(500) + ']'.repeat(500)) as unknown }],
    ['an unknown type', { type: 'somethingNew' }],
    ['no tenant', { channelData: {}, conversation: { id: 'c' } }],
  ])('an activity with %s where something should be does no harm', async (_, change) => {
    const body = { ...driver.activities.message({ id: driver.fake.nextId(), text: 'hi' }), ...change };
    expect((await driver.send(body)).status).toBeLessThan(500);
    await driver.ask();
    expect(driver.heard.at(-1)?.text).toBe('how many days of leave?');
  });

  it('nobody can say whether a token is right while the keys cannot be fetched', async () => {
    driver.fake.fault(({ path }) => path === '/keys', { status: 500 });
    expect((await driver.send(driver.activities.message({ id: '1', text: 'hi' }))).status).toBe(503);
  });
});

describe('trying out on one machine', () => {
  const post = (driver: Driver, headers: Readonly<Record<string, string>>, body?: unknown): Promise<number> =>
    new Promise((resolve, reject) => {
      const text = JSON.stringify(body ?? driver.activities.message({ id: driver.fake.nextId(), text: 'hi' }));
      const call = request(
        driver.url,
        { method: 'POST', headers: { 'content-type': 'application/json', ...headers } },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      call.once('error', reject);
      call.end(text);
    });

  it('without the variable nobody is heard who does not sign', async () => {
    expect(await post(driver, {})).toBe(401);
  });

  it('with it this machine is heard, and answered without a token', async () => {
    const open = await startDriver({ app: null, unauthenticated: true });
    try {
      expect(await post(open, {})).toBe(200);
      const [event] = open.heard;
      if (event === undefined) throw new Error('nothing was heard');
      await expect((await open.open(event)).finish({ markdown: 'Thirty.', citations: [] })).rejects.toThrow();
      expect(open.fake.calls.at(-1)?.authorization).toBeUndefined();
    } finally {
      await open.close();
    }
  });

  it.each([
    ['a forwarded header', { 'x-forwarded-for': '203.0.113.7' }],
    ['the standard forwarded header', { forwarded: 'for=203.0.113.7' }],
    ['a proxy on the way', { via: '1.1 proxy' }],
    ['the name of another host', { host: 'footnote.example.com' }],
    ['a web page as its origin', { origin: 'https://evil.example' }],
  ])('%s is refused even then', async (_, headers) => {
    const open = await startDriver({ app: null, unauthenticated: true });
    try {
      expect(await post(open, headers)).toBe(401);
      expect(open.heard).toEqual([]);
    } finally {
      await open.close();
    }
  });

  it('an address outside is refused even then', async () => {
    const open = await startDriver({ app: null, unauthenticated: true });
    try {
      const evil = teamsActivities('https://evil.example/').message({ id: '1', text: 'hi' });
      expect(await post(open, {}, evil)).toBe(401);
    } finally {
      await open.close();
    }
  });

  it('a deployment with an app sends its token to no address that nobody signed', async () => {
    const both = await startDriver({ unauthenticated: true });
    try {
      expect(await post(both, {})).toBe(200);
      const [event] = both.heard;
      if (event === undefined) throw new Error('nothing was heard');
      await (await both.open(event)).finish({ markdown: 'Thirty.', citations: [] }).catch(() => undefined);
      expect(both.fake.calls.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
    } finally {
      await both.close();
    }
  });
});

describe('hearing', () => {
  it('a thread of a channel is a thread of its own, replies belong to it', async () => {
    const root = await driver.ask();
    expect(root).toMatchObject({ scope: 'channel', channelId: teamsIds.channel, threadId: root.messageId });
    const reply = await driver.ask({ root: root.messageId, mention: false, text: 'and for part time?' });
    expect(reply).toMatchObject({ threadId: root.messageId, addressed: 'none', workspaceId: teamsIds.tenant });
    expect(reply.handle).toMatchObject({
      conversation: `${teamsIds.channel};messageid=${root.messageId}`,
      serviceUrl: driver.fake.serviceUrl,
    });
  });

  it('people are known by their directory object; guests, outsiders and shared channels by what Teams says', async () => {
    expect((await driver.ask()).author).toMatchObject({ id: teamsIds.askerObject, name: 'Ada Asker' });
    const from = { id: teamsIds.asker, aadObjectId: teamsIds.askerObject };
    expect((await driver.ask({ more: { from: { ...from, userRole: 'guest' } } })).author.standing).toBe('guest');
    expect((await driver.ask({ more: { from: { ...from, tenantId: 'elsewhere' } } })).author.standing).toBe('outsider');
    expect((await driver.ask({ more: { from: { ...from, tenantId: teamsIds.tenant } } })).author.standing).toBe(
      'member',
    );
    const shared = await driver.ask({
      more: { channelData: { ...tenant, channel: { id: teamsIds.channel, type: 'shared' } } },
    });
    expect(shared.shared).toBe(true);
  });

  it('a reply that quotes the bot counts as a mention', async () => {
    const quote = `<blockquote itemscope itemtype="http://schema.skype.com/Reply" itemid="1"><strong itemprop="mri" itemid="${teamsIds.bot}">Footnote</strong></blockquote><p>why?</p>`;
    const event = await driver.ask({
      scope: 'groupChat',
      mention: false,
      text: 'why?',
      more: { attachments: [{ contentType: 'text/html', content: quote }] },
    });
    expect(event.addressed).toBe('mention');
  });

  it('other people who are mentioned are words, entities are what they mean', async () => {
    const event = await driver.ask({
      mention: false,
      text: '<at>Footnote</at>&nbsp;does <at>Bob B</at> get a &lt; b &amp; c? <at>Footnote</at>',
      more: {
        entities: [
          { type: 'mention', mentioned: { id: teamsIds.bot, name: 'Footnote' }, text: '<at>Footnote</at>' },
          { type: 'mention', mentioned: { id: '29:bob', name: 'Bob B' }, text: '<at>Bob B</at>' },
        ],
      },
    });
    expect(event).toMatchObject({ addressed: 'mention', text: 'does @Bob B get a < b & c?' });
  });

  it('whom and what a message names is heard with the ids of the mentions, without ourselves', async () => {
    const named = (id: string, name: string) => ({
      type: 'mention',
      mentioned: { id, name },
      text: `<at>${name}</at>`,
    });
    const event = await driver.ask({
      text: 'settings humans <at>Bob Builder</at> <at>Help desk</at>',
      more: {
        entities: [
          named(teamsIds.bot, 'Footnote'),
          named(teamsIds.colleague, 'Bob Builder'),
          named('19:help@thread.tacv2', 'Help desk'),
        ],
      },
    });
    expect(event.text).toBe('settings humans @Bob Builder @Help desk');
    expect(event.mentions).toEqual([
      { kind: 'person', id: teamsIds.colleague, name: 'Bob Builder' },
      { kind: 'channel', id: '19:help@thread.tacv2', name: 'Help desk' },
    ]);
    expect(await driver.platform.mentioned?.(event, within())).toEqual([
      { kind: 'person', id: teamsIds.colleagueObject, name: 'Bob Builder' },
      { kind: 'channel', id: '19:help@thread.tacv2', name: 'Help desk' },
    ]);
  });

  const quoting = (who: string) => ({
    contentType: 'text/html',
    content: `<blockquote itemscope itemtype="http://schema.skype.com/Reply" itemid="1"><strong itemprop="mri" itemid="${who}">x</strong></blockquote>`,
  });
  const referring = (sender: unknown) => ({
    contentType: 'messageReference',
    content: JSON.stringify({ messageId: '1', messageSender: sender }),
  });
  it.each([
    ['a quote of a colleague', [quoting(teamsIds.colleague)], 'none', true],
    ['a quote of ours', [quoting(teamsIds.bot)], 'mention', undefined],
    ['a reference to a colleague', [referring({ user: { id: '1' }, application: null })], 'none', true],
    ['a reference to us', [referring({ application: { id: teamsIds.appId } })], 'mention', undefined],
    ['a reference that cannot be read', [{ contentType: 'messageReference', content: '{' }], 'none', true],
    ['no quote', [], 'none', undefined],
  ] as const)('in a group chat, %s', async (_, attachments, addressed, repliesToPerson) => {
    const event = await driver.ask({ scope: 'groupChat', mention: false, text: 'why?', more: { attachments } });
    expect(event.addressed).toBe(addressed);
    expect(event.repliesToPerson).toBe(repliesToPerson);
  });

  it('a message in a thread names the one from which it hangs, because Teams does not tell whose that is', async () => {
    expect((await driver.ask({ mention: false })).rootMessageId).toBeUndefined();
    expect((await driver.ask({ mention: false, root: '1600000000000' })).rootMessageId).toBe('1600000000000');
  });

  it('a deletion that was taken back is told from an edit', async () => {
    const update = (eventType: string) => ({
      ...driver.activities.message({ id: driver.fake.nextId(), text: 'leave?' }),
      type: 'messageUpdate',
      channelData: { tenant: { id: teamsIds.tenant }, eventType },
    });
    await driver.send(update('editMessage'));
    await driver.send(update('undeleteMessage'));
    expect(driver.heard.map(({ kind, restored }) => [kind, restored])).toEqual([
      ['edit', undefined],
      ['edit', true],
    ]);
  });

  it('thumbs carry the words that were typed, and the message they stand under', async () => {
    const value = {
      actionName: 'feedback',
      actionValue: { reaction: 'dislike', feedback: '{"reason":"It is wrong","feedbackText":"It is 28."}' },
    };
    const response = await driver.send(
      driver.activities.invoke('f:1', 'message/submitAction', value, { replyToId: '17' }),
    );
    expect([response.status, await response.json()]).toEqual([200, {}]);
    expect(driver.heard.at(-1)).toMatchObject({
      kind: 'feedback',
      targetMessageId: '17',
      feedback: { rating: 'down', comment: 'It is wrong: It is 28.' },
    });
  });

  it.each(['like', 'dislike'])('the form of a %s is served on the line', async (reaction) => {
    const response = await driver.send(
      driver.activities.invoke(
        'f:2',
        'message/fetchTask',
        { actionName: 'feedback', actionValue: { reaction } },
        { replyToId: '17' },
      ),
    );
    const form = JSON.stringify(await response.json());
    expect(response.status).toBe(200);
    expect(form).toContain('feedbackText');
    expect(form.includes('out of date')).toBe(reaction === 'dislike');
    expect(driver.heard).toEqual([]);
  });

  it('"Ask about this" says on the line where the answer will be', async () => {
    const value = {
      commandId: 'ask',
      data: { question: 'Is that right?' },
      messagePayload: { body: { contentType: 'html', content: '<p>Leave is <b>40</b> days.</p><script>x</script>' } },
    };
    const response = await driver.send(driver.activities.invoke('f:3', 'composeExtension/submitAction', value));
    expect(await response.json()).toMatchObject({ task: { type: 'message' } });
    expect(driver.heard.at(-1)).toMatchObject({
      text: 'Is that right?\n\n> Leave is 40 days.',
      command: { name: 'ask', private: true },
    });
  });

  it.each([
    ['a button of another app', 'adaptiveCard/action', { action: { verb: 'approve', data: {} } }, 200],
    [
      'a button of another app with a value like ours',
      'adaptiveCard/action',
      { action: { verb: 'approve', data: { footnote: 'solved', answerId: 'a_0123456789' } } },
      200,
    ],
    [
      'a button with a value that we did not write',
      'adaptiveCard/action',
      { action: { verb: 'footnote.solved', data: { footnote: 'solved', answerId: '../x' } } },
      200,
    ],
    [
      'feedback that is none',
      'message/submitAction',
      { actionName: 'feedback', actionValue: { reaction: 'meh' } },
      200,
    ],
    ['an invoke that nobody knows', 'something/new', {}, 501],
  ])('%s is answered and not heard', async (_, name, value, status) => {
    expect((await driver.send(driver.activities.invoke('f:4', name, value, { replyToId: '17' }))).status).toBe(status);
    expect(driver.heard).toEqual([]);
  });

  it.each([
    [
      'a button',
      'adaptiveCard/action',
      { action: { verb: 'footnote.solved', data: { footnote: 'solved', answerId: 'a_0123456789' } } },
    ],
    ['a thumb', 'message/submitAction', { actionName: 'feedback', actionValue: { reaction: 'like', feedback: '{}' } }],
    [
      '"Ask about this"',
      'composeExtension/submitAction',
      { commandId: 'ask', messagePayload: { body: { contentType: 'text', content: 'leave?' } } },
    ],
  ])('%s that Teams posts again is one event to the core, and another press a second one', async (_, name, value) => {
    const press = (id: string) =>
      driver.send({
        ...driver.activities.invoke(id, name, value, { replyToId: '17' }),
        timestamp: new Date().toISOString(),
      });
    expect((await press('f:6')).status).toBe(200);
    expect((await press('f:6')).status).toBe(200);
    expect((await press('f:7')).status).toBe(200);
    const keys = driver.heard.map(({ dedupeKeys }) => dedupeKeys);
    expect(keys[1]).toEqual(keys[0]);
    expect(keys[2]).not.toEqual(keys[0]);
  });

  it('a button that is pressed while the store is down is not acknowledged', async () => {
    driver.refuse();
    const value = { action: { verb: 'footnote.solved', data: { footnote: 'solved', answerId: 'a_0123456789' } } };
    expect(
      (await driver.send(driver.activities.invoke('f:5', 'adaptiveCard/action', value, { replyToId: '17' }))).status,
    ).toBe(503);
  });

  it('joining is reported twice by Teams, heard as one, and greeted once', async () => {
    const id = driver.fake.nextId();
    const installation = { ...driver.activities.base('installationUpdate', id, 'groupChat'), action: 'add' };
    const update = {
      ...driver.activities.base('conversationUpdate', driver.fake.nextId(), 'groupChat'),
      membersAdded: [{ id: teamsIds.bot }],
    };
    expect((await driver.send(installation)).status).toBe(200);
    expect((await driver.send(update)).status).toBe(200);
    await until(() => expect(texts(teamsIds.group)).toHaveLength(1));
    expect(String(texts(teamsIds.group)[0])).toMatch(/^Hello!/);
    expect(driver.heard.map(({ kind }) => kind)).toEqual(['install', 'install']);
  });

  it('the organisation’s own words greet where it has some', async () => {
    const greeting = await startDriver({
      connections: {
        byWorkspace: async () => null,
        failed: async () => undefined,
        greeting: async () => 'I am the owl of Acme.',
      },
    });
    try {
      const id = greeting.fake.nextId();
      await greeting.send({ ...greeting.activities.base('installationUpdate', id, 'groupChat'), action: 'add' });
      await vi.waitFor(() =>
        expect(JSON.stringify(greeting.fake.messages(teamsIds.group))).toContain('I am the owl of Acme.'),
      );
    } finally {
      await greeting.close();
    }
  });

  it('being taken out of one team does not end the connection of the whole organisation', async () => {
    const removed = { ...driver.activities.base('installationUpdate', driver.fake.nextId()), action: 'remove' };
    const left = {
      ...driver.activities.base('conversationUpdate', driver.fake.nextId()),
      membersRemoved: [{ id: teamsIds.bot }],
    };
    expect((await driver.send(removed)).status).toBe(200);
    expect((await driver.send(left)).status).toBe(200);
    // A place and not the workspace, which is what the core goes by.
    expect(driver.heard).toMatchObject([
      { kind: 'uninstall', channelId: teamsIds.channel },
      { kind: 'uninstall', channelId: teamsIds.channel },
    ]);
    const someoneElse = {
      ...driver.activities.base('conversationUpdate', driver.fake.nextId()),
      membersRemoved: [{ id: teamsIds.colleague }],
    };
    expect((await driver.send(someoneElse)).status).toBe(200);
    expect(driver.heard).toHaveLength(2);
  });
});

describe('beside answers', () => {
  it('whoever has not added the bot is told so in place of a private answer, and nobody reads it', async () => {
    driver.fake.noChats = true;
    const sink = await driver.open(await driver.ask(), {}, { private: true });
    await sink.update('Your salary is');
    await sink.finish({ markdown: 'Your salary is 1000.', citations: [] });
    expect(texts()).toHaveLength(1);
    expect(texts().join()).toContain('add me to your own apps');
    expect(texts().join()).not.toContain('1000');
  });

  it('a private answer can be taken back', async () => {
    const ids: string[] = [];
    const event = await driver.ask();
    const sink = await driver.open(event, { posted: async (id) => void ids.push(id) }, { private: true });
    await sink.finish({ markdown: 'Only for you.', citations: [] });
    await driver.platform.retract?.(event, ids, within());
    expect(texts()).toEqual([]);
  });

  it('a person who wrote to the bot is written to in that chat', async () => {
    const event = await driver.ask({ scope: 'personal' });
    await driver.platform.say?.(
      { workspaceId: event.workspaceId, userId: event.author.id },
      { id: 's', markdown: 'A word.' },
      within(),
    );
    expect(texts(teamsIds.personal)).toEqual(['A word.']);
  });

  describe('who may manage', () => {
    const members = `/teams/${teamsIds.team}/members`;
    const roles = '/roleManagement/directory/roleAssignments';
    const globalAdministrator = '62e90394-69f5-4237-9190-012177145e10';
    const may = async (
      what: 'channel' | 'workspace',
      scope: 'channel' | 'personal' = 'channel',
      more: Readonly<Record<string, unknown>> = {},
    ) => driver.platform.mayManage?.(await driver.ask({ scope, more }), within(), what);

    it.each([
      ['channel', 'owner', true],
      ['channel', 'user', false],
      ['channel', 'guest', false],
      ['personal', 'user', true],
      ['personal', 'guest', false],
    ] as const)('in a %s a person whom Teams calls %s may manage it: %s', async (scope, role, expected) => {
      driver.fake.roles.set(teamsIds[scope], role);
      expect(await may('channel', scope)).toBe(expected);
    });

    it('in a channel whom Graph calls an owner of its team, where one of them consented', async () => {
      expect(await may('channel')).toBe(false);
      driver.fake.lists.set(members, [{ userId: teamsIds.askerObject, roles: [] }]);
      expect(await may('channel')).toBe(false);
      driver.fake.lists.set(members, [
        { userId: teamsIds.colleagueObject, roles: ['owner'] },
        { userId: teamsIds.askerObject, roles: ['owner'] },
      ]);
      expect(await may('channel')).toBe(true);
      driver.fake.lists.set(members, [{ userId: teamsIds.colleagueObject, roles: ['owner'] }]);
      expect(await may('channel')).toBe(false);
    });

    it.each(['channel', 'personal'] as const)(
      'an organisation is its administrators’, not any member’s or team owner’s: asked in a %s',
      async (scope) => {
        driver.fake.roles.set(teamsIds.channel, 'owner').set(teamsIds.personal, 'owner');
        driver.fake.lists.set(members, [{ userId: teamsIds.askerObject, roles: ['owner'] }]);
        // Nobody has consented to that being read.
        expect(await may('workspace', scope)).toBe(false);
        const role = {
          principalId: teamsIds.askerObject,
          roleDefinitionId: globalAdministrator,
          directoryScopeId: '/',
        };
        const inUnit = { ...role, directoryScopeId: '/administrativeUnits/1' };
        const reader = { ...role, roleDefinitionId: '88d8e3e3-8f55-4a1e-953a-9b9898b8876b' };
        const somebody = { ...role, principalId: teamsIds.colleagueObject };
        driver.fake.lists.set(roles, [inUnit, reader, somebody]);
        expect(await may('workspace', scope)).toBe(false);
        driver.fake.lists.set(roles, [inUnit, role]);
        expect(await may('workspace', scope)).toBe(true);
        expect(await may('workspace', scope, { from: { id: teamsIds.asker, aadObjectId: "x' or '1" } })).toBe(false);
      },
    );

    it('nobody while Graph is down', async () => {
      driver.fake.fault(({ path }) => path.startsWith('/v1.0/'), { status: 503 }, { status: 503 });
      expect([await may('workspace'), await may('channel')]).toEqual([false, false]);
    });
  });

  it('a guest manages nothing, whatever the role', async () => {
    driver.fake.roles.set(teamsIds.channel, 'owner');
    const from = { id: teamsIds.asker, aadObjectId: teamsIds.askerObject, userRole: 'guest' };
    expect(await driver.platform.mayManage?.(await driver.ask({ more: { from } }), within())).toBe(false);
  });

  it('a link leads to the message in its channel, and in a chat', async () => {
    const inChannel = await driver.ask();
    expect(await driver.platform.permalink?.(inChannel, '42', within())).toBe(
      `https://teams.microsoft.com/l/message/19%3Ageneral%40thread.tacv2/42?tenantId=${teamsIds.tenant}&groupId=${teamsIds.team}&parentMessageId=${inChannel.threadId}`,
    );
    expect(await driver.platform.permalink?.(await driver.ask({ scope: 'groupChat' }), '42', within())).toContain(
      '/42?context=',
    );
  });
});

describe('what came before', () => {
  const written = (n: number, from: unknown, content: string, more = {}) => ({
    id: String(n),
    messageType: 'message',
    createdDateTime: new Date(1_700_000_000_000 + n).toISOString(),
    from,
    body: { contentType: 'html', content },
    ...more,
  });
  const ada = { user: { id: teamsIds.askerObject, displayName: 'Ada Asker' }, application: null };
  const us = { user: null, application: { id: teamsIds.appId, displayName: 'Footnote' } };
  const thread = `/teams/${teamsIds.team}/channels/${teamsIds.channel}/messages/1600000000000`;
  const graphCalls = () => driver.fake.calls.filter(({ path }) => path.startsWith('/v1.0/'));

  it('of a thread is read from Graph where the owner consented: oldest first, with its beginning, before the question', async () => {
    driver.fake.history.set(thread, [
      written(1, ada, '<p>Who knows the <b>leave</b> policy?</p>'),
      written(900_000_000, ada, '<p>after the question</p>'),
      written(3, us, '<p>Thirty days.</p>'),
      written(2, ada, '<p>Anybody?</p>'),
      written(4, ada, '<p>gone</p>', { deletedDateTime: '2023-11-14T22:13:20Z' }),
      written(5, null, 'x', { messageType: 'systemEventMessage' }),
    ]);
    const event = await driver.ask({ root: '1600000000000' });
    const earlier = await driver.platform.earlier?.(event, 30, within());
    expect(earlier?.map(({ text, author }) => [text, author.isSelf])).toEqual([
      ['Who knows the leave policy?', false],
      ['Anybody?', false],
      ['Thirty days.', true],
    ]);
    expect(graphCalls().every(({ authorization }) => authorization === 'Bearer token-for-graph')).toBe(true);
  });

  it('of a group chat is its newest messages', async () => {
    driver.fake.history.set(`/chats/${teamsIds.group}`, [written(1, ada, '<p>Lunch?</p>')]);
    const event = await driver.ask({ scope: 'groupChat' });
    expect((await driver.platform.earlier?.(event, 30, within()))?.map(({ text }) => text)).toEqual(['Lunch?']);
  });

  it('is done without where nobody consented, and not asked for again at once', async () => {
    const event = await driver.ask({ root: '1600000000000' });
    expect(await driver.platform.earlier?.(event, 30, within())).toEqual([]);
    const calls = graphCalls().length;
    expect(calls).toBeGreaterThan(0);
    expect(await driver.platform.earlier?.(event, 30, within())).toEqual([]);
    expect(graphCalls()).toHaveLength(calls);
  });

  it('is not asked for where a question opens its thread, nor in a personal chat', async () => {
    for (const event of [await driver.ask(), await driver.ask({ scope: 'personal' })])
      expect(await driver.platform.earlier?.(event, 30, within())).toEqual([]);
    expect(graphCalls()).toEqual([]);
  });

  it('is done without while Graph is down', async () => {
    driver.fake.history.set(thread, [written(1, ada, 'x')]);
    driver.fake.fault(({ path }) => path.startsWith('/v1.0/'), 'lost', { status: 503 });
    expect(await driver.platform.earlier?.(await driver.ask({ root: '1600000000000' }), 30, within())).toEqual([]);
  });
});

describe('the address of a person', () => {
  const addressOf = async (
    change: object,
    more: Readonly<Record<string, unknown>> = {},
  ): Promise<string | null | undefined> => {
    driver.fake.people.set('asker', { id: teamsIds.asker, objectId: teamsIds.askerObject, name: 'Ada', ...change });
    return driver.platform.address?.(await driver.ask({ more }), within());
  };

  it('is the one that their organisation vouches for', async () => {
    expect(await addressOf({ email: 'Ada@Contoso.example', userPrincipalName: 'a.asker@contoso.example' })).toBe(
      'ada@contoso.example',
    );
    expect(await addressOf({ userPrincipalName: 'a.asker@contoso.example' })).toBe('a.asker@contoso.example');
  });

  it('never one that an administrator could write about anybody: another domain than the one they sign in at', async () => {
    expect(await addressOf({ email: 'boss@victim.example', userPrincipalName: 'eve@evil.example' })).toBe(
      'eve@evil.example',
    );
    expect(await addressOf({ email: 'boss@victim.example' })).toBeNull();
    expect(
      await addressOf({ email: 'boss@victim.example', userPrincipalName: 'boss_victim.example#EXT#@evil.example' }),
    ).toBeNull();
  });

  it('is none for guests and outsiders', async () => {
    const own = { email: 'ada@contoso.example', userPrincipalName: 'ada@contoso.example' };
    driver.fake.roles.set(teamsIds.channel, 'guest');
    expect(await addressOf(own)).toBeNull();
    driver.fake.roles.clear();
    const from = { id: teamsIds.asker, aadObjectId: teamsIds.askerObject };
    expect(await addressOf(own, { from: { ...from, userRole: 'guest' } })).toBeNull();
    expect(await addressOf(own, { from: { ...from, tenantId: 'elsewhere' } })).toBeNull();
  });
});

describe('files', () => {
  const withFile = (url: string | undefined): Promise<InboundEvent> =>
    driver.ask({
      scope: 'personal',
      more: {
        attachments: [
          {
            contentType: 'application/vnd.microsoft.teams.file.download.info',
            name: 'a.md',
            content: { downloadUrl: url },
          },
        ],
      },
    });
  const download = async (event: InboundEvent, maxBytes = 1000): Promise<string> => {
    const [attachment] = event.attachments;
    if (attachment === undefined) throw new Error('no attachment');
    const bytes = await driver.platform.download?.(event, attachment, maxBytes, within());
    return Buffer.from(bytes ?? []).toString();
  };

  it.each([
    ['outside of Microsoft 365', 'https://evil.example/a.md'],
    ['on a host that only looks like it', 'https://sharepoint.com.evil.example/a.md'],
    ['without TLS', 'http://contoso.sharepoint.com/a.md'],
    ['on this machine', 'http://127.0.0.1:1/a.md'],
  ])('a file %s is not fetched', async (_, url) => {
    await expect(download(await withFile(url))).rejects.toMatchObject({ code: 'platform-failed' });
  });

  it('a file of which Teams gives only the name is said to be so', async () => {
    await expect(download(await withFile(undefined))).rejects.toThrow('personal chats only');
  });

  it("a file comes from its owner's OneDrive through the guarded fetch, without a token", async () => {
    const asked: { readonly url: string; readonly headers: unknown }[] = [];
    const guardedFetch: ReturnType<typeof createGuardedFetch> = async (url, { headers }) => {
      asked.push({ url, headers });
      return { url, status: 200, headers: {}, bytes: Buffer.from('# Leave') };
    };
    const own = await startDriver({ guardedFetch });
    try {
      const event = await own.ask({
        scope: 'personal',
        more: {
          attachments: [
            {
              contentType: 'application/vnd.microsoft.teams.file.download.info',
              name: 'a.md',
              content: { downloadUrl: 'https://contoso-my.sharepoint.com/a.md?tempauth=x' },
            },
          ],
        },
      });
      const [attachment] = event.attachments;
      if (attachment === undefined) throw new Error('no attachment');
      const bytes = await own.platform.download?.(event, attachment, 1000, within());
      expect(Buffer.from(bytes ?? []).toString()).toBe('# Leave');
      expect(asked).toEqual([{ url: 'https://contoso-my.sharepoint.com/a.md?tempauth=x', headers: undefined }]);
    } finally {
      await own.close();
    }
  });

  it('an image in the text comes from the connector with our token, within its size', async () => {
    const image = (): Promise<InboundEvent> =>
      driver.ask({
        more: {
          attachments: [{ contentType: 'image/*', contentUrl: `${driver.fake.url}/v3/attachments/1/views/original` }],
        },
      });
    expect(await download(await image())).toBe('the image');
    expect(driver.fake.calls.at(-1)?.authorization).toBe('Bearer token-for-teams');
    await expect(download(await image(), 3)).rejects.toMatchObject({ code: 'too-large' });
  });
});

describe('check-up', () => {
  const connection: Connection = {
    id: 'x_1',
    tenantId: 't_1',
    platform: 'teams',
    workspaceId: teamsIds.tenant,
    createdAt: 0,
    lastEventAt: Date.UTC(2026, 10, 22),
  };

  it('everything in order, with what the bot cannot hear in plain words', async () => {
    const lines = await driver.platform.checkUp(connection, within());
    expect(lines.filter(({ ok }) => !ok)).toEqual([]);
    expect(lines.find(({ item }) => item === 'messages without a mention')?.advice).toContain('--hear-all');
    await driver.ask({ mention: false });
    const later = await driver.platform.checkUp(connection, within());
    expect(later.find(({ item }) => item === 'messages without a mention')).toEqual({
      item: 'messages without a mention',
      ok: true,
    });
  });

  it('a secret that is wrong is said to be, in words that say what to do', async () => {
    driver.fake.fault(({ path }) => path.endsWith('/token'), { status: 401 });
    const lines = await driver.platform.checkUp(connection, within());
    expect(lines.find(({ item }) => item === 'credentials')).toMatchObject({ ok: false });
  });

  it('a tenant that was never heard, a workspace that is none', async () => {
    const { lastEventAt: _, ...silent } = connection;
    const lines = await driver.platform.checkUp({ ...silent, workspaceId: 'contoso' }, within());
    expect(lines.filter(({ ok }) => !ok).map(({ item }) => item)).toEqual(['tenant', 'messaging endpoint']);
  });

  it('what went wrong for good is kept with the connection', async () => {
    const kept: string[] = [];
    const noting = await startDriver({
      connections: { byWorkspace: async () => connection, failed: async (_, sentence) => void kept.push(sentence) },
    });
    try {
      const event = await noting.ask();
      noting.fake.gone.add(teamsIds.channel);
      await expect((await noting.open(event)).finish({ markdown: 'x', citations: [] })).rejects.toThrow();
      expect(kept).toEqual(['The bot is no longer in this chat or team.']);
    } finally {
      await noting.close();
    }
  });
});
