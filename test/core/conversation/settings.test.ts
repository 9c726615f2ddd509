import { afterEach, describe, expect, it } from 'vitest';
import type { TenantSettings } from '../../../core/domain.ts';
import { AppError } from '../../../core/errors.ts';
import type { Happening } from '../../../core/ports/notices.ts';
import { aTenant } from '../../contracts/rows.ts';
import { createWorld, type World } from './world.ts';

let world: World;
afterEach(() => world.close());

const told: Happening[] = [];
/** A world whose tenant has these settings, and whatever is told elsewhere in `told`. */
const begin = async (settings: TenantSettings): Promise<void> => {
  told.length = 0;
  const tenant = aTenant({ settings });
  world = await createWorld({
    parts: {
      happened: async (happening) => void told.push(happening),
      resolveTenant: async () => ({ ...world.tenant, settings: tenant.settings }),
    },
  });
};
const lastShown = (): string => world.platform.shown.at(-1)?.text ?? '';
const mention = { addressed: 'mention' } as const;

describe('sentences that a tenant has worded', () => {
  const messages = {
    en: {
      empty: 'Say something, {organisation} person.',
      tooLong: 'Shorter than {characters}, please.',
      noSources: 'Nothing to read here.',
      failed: 'Oh no. {reason}',
      greeting: 'I am the owl of {organisation}.',
    },
  };

  it('are said in the place of ours', async () => {
    await begin({ messages });
    await world.hear({ ...mention, text: ':wave:' });
    expect(lastShown()).toBe('Say something, Acme person.');
    await world.hear({ ...mention, text: `What ${'is '.repeat(8_000)}it?` });
    expect(lastShown()).toBe('Shorter than 8,000, please.');
    await world.source({ audience: 'members' });
    const author = { id: 'U9', isBot: false, isSelf: false, standing: 'guest' } as const;
    await world.hear({ ...mention, author, text: 'How many days of leave are there?' });
    expect(lastShown()).toBe('Nothing to read here.');
  });

  it('stand for a failure, with the reason where they want it', async () => {
    await begin({ messages });
    world.answering.next(async () => {
      throw new AppError('model-failed', 'The model is away.');
    });
    await world.hear({ ...mention, text: 'How many days of leave are there?' });
    expect(lastShown()).toBe('Oh no. the model is away.');
  });

  it('greet above the list of commands', async () => {
    await begin({ messages });
    await world.hear({ ...mention, text: 'help' });
    expect(world.platform.whispers.at(-1)?.markdown).toMatch(/^I am the owl of Acme\.\n- `settings`/);
  });
});

describe('a tenant that masks', () => {
  it('keeps neither in the receipt nor in the conversation what was masked, and answers with it', async () => {
    await begin({ masking: { kinds: ['email'] } });
    const row = await world.hear({ ...mention, text: 'May ada@example.com take leave?' });
    expect(world.answering.asked.at(-1)?.question).toBe('May ada@example.com take leave?');
    const receipt = await world.receipt(row);
    expect(receipt?.question).toBe('May [e-mail] take leave?');
    const turns = await world.state.conversations.turns(world.tenant.id, receipt?.conversationId ?? '', 10);
    expect(turns.map(({ text }) => text).join()).toContain('[e-mail]');
    expect(JSON.stringify([receipt, turns, told, world.runtime.logged])).not.toContain('ada@example.com');
  });
});

describe('what happened', () => {
  it('is told once for each answer, with words apart from ids', async () => {
    await begin({});
    const row = await world.hear({ ...mention, text: 'How many days of leave are there?' });
    const receipt = await world.receipt(row);
    expect(told).toMatchObject([
      {
        id: row.answerId,
        event: 'question.answered',
        tenantId: world.tenant.id,
        memberId: receipt?.memberId,
        data: { answerId: row.answerId, platform: 'slack', reason: 'answered' },
        text: { question: 'How many days of leave are there?', answer: receipt?.answer },
      },
    ]);
    expect(JSON.stringify(told[0]?.data)).not.toContain('leave');
  });

  it('is a failure where it failed, and no words where none are kept', async () => {
    await begin({ keepText: false });
    world.answering.next(async () => {
      throw new AppError('model-failed', 'The model is away.');
    });
    await world.hear({ ...mention, text: 'xyzzy?' });
    expect(told).toMatchObject([{ event: 'question.failed', data: { reason: 'model-failed' } }]);
    expect(JSON.stringify(told)).not.toContain('xyzzy');
  });

  it('is a verdict, too, once however often the button is pressed', async () => {
    await begin({});
    const row = await world.hear({ ...mention, text: 'How many days of leave are there?' });
    const verdict = { kind: 'feedback', feedback: { rating: 'down', answerId: row.answerId ?? '' } } as const;
    await world.hear(verdict);
    await world.hear(verdict);
    const verdicts = told.filter(({ event }) => event === 'feedback.given');
    expect(verdicts[0]).toMatchObject({ data: { answerId: row.answerId, rating: 'down' } });
    expect(new Set(verdicts.map(({ id }) => id)).size).toBe(1);
  });
});
