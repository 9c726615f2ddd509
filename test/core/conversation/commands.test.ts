import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandOf } from '../../../core/conversation/command.ts';
import { parseSettings } from '../../../core/conversation/settings-command.ts';
import type { CommandName, InboundEvent, Standing } from '../../../core/domain.ts';
import { AppError } from '../../../core/errors.ts';
import type { Platform } from '../../../core/ports/platform.ts';
import { hashCode } from '../../../core/tenancy/codes.ts';
import { anEvent, aSource } from '../../contracts/rows.ts';
import { createWorld, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

const manager = { id: 'U1', isBot: false, isSelf: false, name: 'Ada', mayManage: true } as const;
const command = (name: CommandName, text = '', over: Partial<InboundEvent> = {}) =>
  world.hear({ kind: 'command', addressed: 'command', command: { name }, text, author: manager, ...over });
const lastWhisper = (): string => world.platform.whispers.at(-1)?.markdown ?? '';
const codeIn = (text: string): string => /[A-Z0-9]{5}-[A-Z0-9]{5}/.exec(text)?.[0] ?? '';

describe('what is a command', () => {
  it.each([
    ['help', 'help'],
    [' Settings ', 'settings'],
    ['settings question', 'settings'],
    ['connect', 'connect'],
    ['link', 'link'],
    ['link ABCDE-FGHJK', 'link'],
    ['link abcde fghjk', 'link'],
    ['forget-me yes', 'forget-me'],
    ['check-up', 'check-up'],
    ['settings humans @anna', 'settings'],
    ['settings language de', 'settings'],
    ['settings reset all', 'settings'],
  ] as const)('%j is %s', (text, name) => {
    expect(commandOf(anEvent({ text }))?.name).toBe(name);
  });
  it.each([
    'help me with my tax form',
    'settings of the printer?',
    'settings who may change them?',
    'settings on the wall',
    'settings language',
    'switch',
    'link to the handbook',
    'connect to the VPN how?',
    'forget-me not: what flower is it',
    '',
  ])('%j is a question', (text) => {
    expect(commandOf(anEvent({ text }))).toBeNull();
  });
  it('nothing that is not said to us, and nothing from a bot', () => {
    expect(commandOf(anEvent({ text: 'help', addressed: 'none' }))).toBeNull();
    expect(commandOf(anEvent({ text: 'help', addressed: 'subscribed' }))).toBeNull();
    expect(commandOf(anEvent({ text: 'help', author: { id: 'B', isBot: true, isSelf: false } }))).toBeNull();
  });
});

describe('settings in words', () => {
  const sources = [
    aSource('t', { id: 's_hr', name: 'Human Resources' }),
    aSource('t', { id: 's_x', name: 'Board', audience: 'named' }),
  ];
  const mentions = [{ kind: 'person', id: 'U7', name: 'anna' }] as const;
  it.each([
    ['question', { answerWhen: 'question' }],
    ['off', { enabled: false }],
    ['private', { replies: 'private' }],
    ['sources human resources, s_hr', { sources: ['s_hr'] }],
    ['language de', { language: 'de' }],
    ['instructions Be brief.\nBe kind.', { instructions: 'Be brief.\nBe kind.' }],
    ['audience everybody', { audience: 'everybody' }],
    ['guests refuse', { guests: 'refuse' }],
    ['humans @anna', { humans: ['U7'] }],
    ['who @anna', { whoMayAsk: ['U7'] }],
    ['bots @anna', { bots: ['U7'] }],
    ['reset when', { answerWhen: null }],
  ] as const)('%j', (text, change) => {
    expect(parseSettings({ mentions }, text, sources)).toEqual({ wish: 'change', change });
  });
  it('a channel may be named for those who help', () => {
    const named = [{ kind: 'channel', id: 'C9' }] as const;
    expect(parseSettings({ mentions: named }, 'humans #help', sources)).toEqual({
      wish: 'change',
      change: { humans: ['#C9'] },
    });
  });
  it.each([
    'sources Board',
    'sources nothing',
    'sources',
    'loud',
    'guests maybe',
    'humans @anna',
    'reset',
    'constructor',
    'when __proto__',
  ])('%j is not understood', (text) => {
    expect(parseSettings({}, text, sources).wish).toBe('unclear');
  });
});

describe('settings in a channel', () => {
  it('are shown to anybody with where each comes from, and told to them alone', async () => {
    world.rules.tenant = { language: 'de' };
    expect((await command('settings', '', { author: { ...manager, mayManage: false } })).reason).toBe('command-done');
    expect(lastWhisper()).toContain('**language**: de (from your organisation)');
    expect(lastWhisper()).toContain('**when**: mention (default)');
    expect(world.platform.shown).toEqual([]);
  });

  const saying = (standing: Standing | null) => async (): Promise<Standing | null> => standing;
  it.each<readonly [string, { readonly standing?: Standing }, Platform['standing']]>([
    ['a guest', { standing: 'guest' }, undefined],
    ['somebody of another organisation', { standing: 'outsider' }, undefined],
    ['somebody who is a guest by what the platform says', {}, saying('guest')],
    ['somebody of whom the platform says nothing', {}, saying(null)],
    [
      'somebody of whom the platform cannot be asked',
      {},
      () => Promise.reject(new AppError('platform-failed', 'It is down.')),
    ],
  ])('are not shown to %s: they name sources', async (_, known, standing) => {
    if (standing !== undefined) world.platform.standing = standing;
    await command('settings', '', { author: { id: 'U1', isBot: false, isSelf: false, ...known } });
    expect(lastWhisper()).toBe('Only members of this organisation can see how I am set up.');
  });

  it('are changed by those who may, and written down', async () => {
    await command('settings', 'question');
    await command('settings', 'instructions Be brief.');
    expect(await world.state.channels.get(world.tenant.id, 'slack', 'C1')).toEqual({
      answerWhen: 'question',
      instructions: 'Be brief.',
    });
    expect(lastWhisper()).toContain('**when**: question (set here)');
    const { items } = await world.state.audit.list(world.tenant.id, {}, { limit: 10 });
    expect(items.map(({ actor, action, subject }) => [actor, action, subject])).toEqual([
      ['slack:U1', 'channel.rules instructions', 'slack:C1'],
      ['slack:U1', 'channel.rules answerWhen', 'slack:C1'],
    ]);
    await command('settings', 'reset when');
    expect(await world.state.channels.get(world.tenant.id, 'slack', 'C1')).toEqual({ instructions: 'Be brief.' });
  });

  it.each([
    ['somebody else', { ...manager, mayManage: false }],
    ['a guest, whatever the platform says', { ...manager, standing: 'guest' }],
    ['somebody of whom nothing is known', { id: 'U1', isBot: false, isSelf: false }],
  ] as const)('are not changed by %s', async (_, author) => {
    await command('settings', 'off', { author });
    expect(await world.state.channels.get(world.tenant.id, 'slack', 'C1')).toBeNull();
    expect(lastWhisper()).toContain('Only somebody who manages');
  });

  it('are not a direct message’s', async () => {
    await command('settings', 'sources all', { scope: 'dm' });
    await command('settings', 'off', { scope: 'dm' });
    expect(await world.state.channels.get(world.tenant.id, 'slack', 'C1')).toBeNull();
  });

  it('work as the only words of a mention', async () => {
    expect((await world.hear({ text: 'settings off', author: manager })).reason).toBe('command-done');
    expect((await world.hear({ text: 'How many days?' })).reason).toBe('channel-off');
  });
});

describe('connecting', () => {
  beforeEach(() => {
    world.known = false;
  });

  it('gives a code to somebody who manages the workspace, once used it is gone', async () => {
    expect((await command('connect')).reason).toBe('command-done');
    const code = codeIn(lastWhisper());
    expect(lastWhisper()).toContain('15 minutes');
    const now = Date.now();
    expect(await world.state.connections.takeCode(hashCode(code), now)).toEqual({
      platform: 'slack',
      workspaceId: 'W1',
    });
    expect(await world.state.connections.takeCode(hashCode(code), now)).toBeNull();
    expect(world.platform.shown).toEqual([]);
  });

  it('gives none to others', async () => {
    await command('connect', '', { author: { ...manager, mayManage: false } });
    await world.hear({ text: 'connect', author: { ...manager, standing: 'outsider' } });
    expect(world.platform.whispers.map(({ markdown }) => codeIn(markdown))).toEqual(['', '']);
  });

  it('gives none to whoever manages a channel only, however they ask, and tells by what id the operator can connect it', async () => {
    await world.hear({ text: 'connect', author: manager });
    expect(codeIn(lastWhisper())).toBe('');
    expect(lastWhisper()).toContain('as `slack` workspace `W1`');
  });

  it('others who call hear once an hour that it is not connected', async () => {
    expect((await world.hear()).reason).toBe('unknown-workspace');
    expect((await world.hear({ addressed: 'dm', scope: 'dm' })).reason).toBe('unknown-workspace');
    expect((await world.hear({ addressed: 'none' })).reason).toBe('unknown-workspace');
    expect((await world.hear({ author: { id: 'B', isBot: true, isSelf: false } })).reason).toBe('bot-author');
    expect(world.platform.whispers).toHaveLength(1);
    expect(lastWhisper()).toContain('not connected');
    await world.hear({ workspaceId: 'W2' });
    expect(world.platform.whispers).toHaveLength(2);
  });

  it('an installation is remembered, and its end', async () => {
    const whole = { channelId: 'workspace', threadId: 'workspace', addressed: 'none', scope: 'channel' } as const;
    expect((await world.hear({ ...whole, kind: 'install' })).reason).toBe('installed');
    expect(await world.state.connections.getInstallation('slack', 'W1')).not.toBeNull();
    expect((await world.hear({ kind: 'uninstall', addressed: 'none' })).reason).toBe('uninstalled');
    // One place was left, not the workspace.
    expect(await world.state.connections.getInstallation('slack', 'W1')).not.toBeNull();
    expect((await world.hear({ ...whole, kind: 'uninstall' })).reason).toBe('uninstalled');
    expect(await world.state.connections.getInstallation('slack', 'W1')).toBeNull();
  });

  it('installing and removing are in the audit log, whoever adds the bot for themselves is not', async () => {
    const at = { addressed: 'none', scope: 'channel', author: manager } as const;
    await world.hear({ ...at, channelId: 'workspace', kind: 'install' });
    world.known = true;
    await world.hear({ ...at, channelId: 'C1', kind: 'uninstall' });
    await world.hear({ ...at, channelId: 'C1', scope: 'dm', kind: 'install' });
    const trail = async (tenantId: string | null) =>
      (await world.state.audit.list(tenantId, {}, { limit: 10 })).items.map(({ actor, action, subject }) =>
        [actor, action, subject].join(' '),
      );
    expect(await trail(null)).toEqual(['slack:U1 workspace.install slack:W1']);
    expect(await trail(world.tenant.id)).toEqual(['slack:U1 workspace.uninstall slack:W1:C1']);
  });
});

describe('the other commands', () => {
  it('help and an empty settings wish are whispers', async () => {
    await world.hear({ text: 'help' });
    expect(lastWhisper()).toContain('Ask me a question');
    await command('connect');
    expect(lastWhisper()).toContain('connected already');
  });

  it('check-up tells those who manage what is granted and missing, and when something was heard', async () => {
    await world.state.connections.create({
      id: 'x_1',
      tenantId: world.tenant.id,
      platform: 'slack',
      workspaceId: 'W1',
      createdAt: 0,
      lastEventAt: Date.UTC(2020, 10, 22, 9, 30),
      lastError: 'The token was revoked.',
      lastErrorAt: Date.UTC(2026, 10, 21, 8, 0),
    });
    await command('check-up');
    expect(lastWhisper()).toContain('✓ token');
    // Whoever asks was heard just now, though nobody may have written that down yet.
    expect(lastWhisper()).toMatch(/Last event heard: (?!2020)\d{4}-/);
    expect(lastWhisper()).toContain('The token was revoked. (2026-11-21 08:00 UTC)');
    await command('check-up', '', { author: { ...manager, mayManage: false } });
    expect(lastWhisper()).toContain('Only somebody who manages');
  });

  it('a command that cannot be done ends in a sentence', async () => {
    await world.close();
    world = await createWorld({
      platform: {
        checkUp: async () => {
          throw new Error('boom');
        },
      },
    });
    expect((await command('check-up')).reason).toBe('command-done');
    expect(lastWhisper()).toContain('could not do that');
  });

  it('link makes two accounts one person, until it is undone', async () => {
    await command('link');
    const code = codeIn(lastWhisper());
    await command('link', code);
    expect(lastWhisper()).toContain('code that you got here');
    await command('link');
    const other = { id: 'U2', isBot: false, isSelf: false };
    await command('link', codeIn(lastWhisper()).toLowerCase(), { author: other });
    expect(lastWhisper()).toContain('one person now');
    const person = await world.state.people.personOf(world.tenant.id, 'slack:U1');
    expect(await world.state.people.identitiesOf(world.tenant.id, person ?? '')).toEqual(['slack:U1', 'slack:U2']);
    await command('link', 'off', { author: other });
    expect(await world.state.people.identitiesOf(world.tenant.id, person ?? '')).toEqual(['slack:U1']);
  });

  describe('where the platforms vouch for an e-mail address', () => {
    const addresses = new Map([
      ['U1', 'Ada@Example.com'],
      ['U2', 'ada@example.com'],
      ['U3', 'bob@example.com'],
    ]);
    const as = (id: string, over: Partial<InboundEvent['author']> = {}) => ({
      author: { id, isBot: false, isSelf: false, ...over },
    });
    beforeEach(async () => {
      await world.close();
      world = await createWorld({ platform: { address: async ({ author }) => addresses.get(author.id) ?? null } });
    });
    const personOf = (id: string) => world.state.people.personOf(world.tenant.id, `slack:${id}`);

    it('“link” on both accounts is enough, and their direct messages are one history', async () => {
      await command('link', '', as('U1'));
      expect(lastWhisper()).toContain('`link` alone is enough');
      await command('link', '', as('U2'));
      expect(lastWhisper()).toContain('same verified e-mail address are one person');
      expect(await personOf('U1')).toBe(await personOf('U2'));
      expect(await personOf('U1')).not.toBeNull();
      const direct = { scope: 'dm', addressed: 'dm' } as const;
      await world.hear({ ...direct, ...as('U1'), channelId: 'D1', text: 'How much leave?' });
      await world.hear({ ...direct, ...as('U2'), channelId: 'D2', text: 'And then?' });
      const [first, second] = world.answering.asked;
      expect(second?.conversationId).toBe(first?.conversationId);
      expect(second?.turns).toHaveLength(2);
      expect(second?.person?.memberIds).toEqual(['slack:U1', 'slack:U2']);
      await command('link', 'off', as('U2'));
      expect(await personOf('U2')).toBeNull();
    });

    it('another address, no address and an outsider link nobody', async () => {
      for (const author of [as('U1'), as('U3'), as('U4'), as('U2', { standing: 'outsider' })])
        await command('link', '', author);
      expect(await Promise.all(['U1', 'U2', 'U3', 'U4'].map(personOf))).toEqual([null, null, null, null]);
    });

    it('the address itself is not kept, and goes with who is forgotten', async () => {
      await command('link', '', as('U1'));
      await command('forget-me', 'yes', as('U1'));
      await command('link', '', as('U2'));
      expect(await personOf('U2')).toBeNull();
    });
  });

  it('codes are not guessed: five tries in a quarter of an hour', async () => {
    for (let n = 0; n < 5; n += 1) await command('link', 'AAAAA-AAAAA');
    expect(lastWhisper()).toContain('not valid');
    await command('link', 'AAAAA-AAAAA');
    expect(lastWhisper()).toContain('too often');
  });

  it('forget-me asks first, then forgets every linked account', async () => {
    const mine = await world.hear({ text: 'What do I earn?' });
    const other = { id: 'U2', isBot: false, isSelf: false };
    const theirs = await world.hear({ text: 'And my bonus?', author: other });
    const stranger = await world.hear({ text: 'Where is the pool?', author: { ...other, id: 'U3' } });
    await command('link');
    await command('link', codeIn(lastWhisper()), { author: other });
    await command('forget-me');
    expect(lastWhisper()).toContain('forget-me yes');
    expect((await world.receipt(mine))?.question).toBe('What do I earn?');
    await command('forget-me', 'yes');
    expect((await world.receipt(mine))?.question).toBe('');
    expect((await world.receipt(theirs))?.question).toBe('');
    expect((await world.receipt(stranger))?.question).toBe('Where is the pool?');
    expect(await world.state.people.personOf(world.tenant.id, 'slack:U2')).toBeNull();
  });
});
