import { describe, expect, it } from 'vitest';
import { verbs } from '../../cli/main.ts';
import { createFakeCore, footnote, generationOf } from './surroundings.ts';

describe('the command line', () => {
  it('lists every verb, and exits 2 when none was given', async () => {
    const shown = await footnote(['--help']);
    expect(shown.code).toBe(0);
    for (const { name } of verbs) expect(shown.out).toContain(`  ${name} `);
    expect((await footnote([])).code).toBe(2);
  });

  it.each(verbs.map(({ name }) => name))('%s explains itself, with --json among its options', async (name) => {
    const { code, out, err } = await footnote([...name.split(' '), '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain(`Usage: footnote ${name}`);
    expect(out).toContain('--json');
  });

  it.each([
    [['fly'], 'no verb “fly”'],
    [['tenant'], 'no verb “tenant”'],
    [['ask'], 'What is the question?'],
    [['ask', '--loud', 'why?'], "Unknown option '--loud'"],
    [['ask', '--tenant'], '--tenant'],
    [['ask', '--tenant', 'nobody', 'why?'], 'footnote tenant create nobody'],
    [['ingest'], 'Give a file'],
    [['ingest', '/nowhere/at/all'], 'cannot be found'],
    [['tenant', 'create'], 'Give one slug'],
    [['key', 'create'], 'Give the key a name'],
    [['key', 'create', 'bot', '--scope', 'everything'], 'There is no scope everything'],
    [['key', 'create', 'bot'], '--scope'],
    [['usage', '--group', 'colour'], '--group is one of'],
    [['usage', '--from', '2026-02-31'], '--from needs a day'],
    [['usage', '--from', '2026-03-02', '--to', '2026-03-01'], '--to lies before'],
    [['backup'], 'Give the folder'],
    [['sign-in', 'ada@example.com'], '--email'],
    [['sign-in', '--email', 'ada'], 'no e-mail address'],
    [['sign-in', '--tenant', 'demo'], '--email'],
    [['sign-in', '--email', 'ada@example.com', '--role', 'viewer'], '--tenant'],
    [['sign-in', '--email', 'ada@example.com', '--tenant', 'demo', '--role', 'operator'], 'no role operator'],
    [['restore', '/nowhere/at/all'], 'no complete backup'],
  ])('exits 2 with a sentence for: footnote %j', async (line, sentence) => {
    const { code, out, err } = await footnote(line);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(sentence);
  });

  it('exits 1 and repeats the sentence of a failure, as JSON when asked to', async () => {
    expect(await footnote(['ask', 'break'])).toEqual({ code: 1, out: '', err: 'The model did not answer.\n' });
    const { out } = await footnote(['ask', 'break', '--json']);
    expect(JSON.parse(out)).toEqual({ error: { code: 'model-failed', message: 'The model did not answer.' } });
    expect((await footnote(['tenant', 'create', 'demo'])).err).toBe('The slug demo is taken.\n');
  });

  it('closes the stores whatever happens', async () => {
    const fake = createFakeCore();
    await footnote(['ask', 'break'], { core: fake.core });
    expect(fake.isClosed()).toBe(true);
  });
});

describe('ask', () => {
  it('prints the answer with its footnotes', async () => {
    const { code, out } = await footnote(['ask', 'By', 'train?']);
    expect(code).toBe(0);
    expect(out).toBe('You asked “By train?” [1].\n\n[1] Travel policy — travel.md\n    “Trains first”\n');
  });

  it('prints the receipt as one line of JSON', async () => {
    const { out } = await footnote(['ask', '--json', 'By train?']);
    expect(out.trim()).not.toContain('\n');
    expect(JSON.parse(out)).toMatchObject({ kind: 'answered', citations: [{ n: 1, externalId: 'travel.md' }] });
  });

  it('fills the demo tenant when it is asked for before the first start', async () => {
    const { core } = createFakeCore();
    const filled = core.tenants.bySlug;
    let isFilled = false;
    core.tenants.bySlug = async (slug) => (isFilled ? filled(slug) : null);
    const fillDemo = async () => {
      isFilled = true;
    };
    expect((await footnote(['ask', 'By', 'train?'], { core, fillDemo })).code).toBe(0);
    isFilled = false;
    const { code, err } = await footnote(['ask', 'By', 'train?'], { core });
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('DEMO is off') });
  });

  it('shows the passages with their scores on request', async () => {
    expect((await footnote(['ask', '--passages', 'x'])).out).toContain('1. 1.500  Travel policy › Trains');
  });
});

describe('chat', () => {
  it('keeps the conversation until /new, and goes on after a failed question', async () => {
    const fake = createFakeCore();
    const { code, out, err } = await footnote(['chat'], {
      core: fake.core,
      input: 'one\n\ntwo\nbreak\n/new\nthree\n/quit\nfour\n',
    });
    expect(code).toBe(0);
    expect(fake.asked).toEqual([
      { question: 'one', conversationId: undefined },
      { question: 'two', conversationId: 'v_1' },
      { question: 'break', conversationId: 'v_1' },
      { question: 'three', conversationId: undefined },
    ]);
    expect(out).toContain('You asked “three”');
    expect(err).toContain('The model did not answer.');
    expect(err).not.toContain('> ');
  });
});

describe('tenants, keys, links and usage', () => {
  it('prints a new tenant, a new key once, and a new link', async () => {
    expect(JSON.parse((await footnote(['tenant', 'create', 'acme', '--name', 'Acme', '--json'])).out)).toMatchObject({
      slug: 'acme',
      name: 'Acme',
    });
    expect((await footnote(['key', 'create', 'bot', '--scope', 'ask,ingest'])).out).toBe('fn_secret\n');
    expect((await footnote(['sign-in'])).out).toMatch(/\/console\/sign-in\/token\n$/);
  });

  it('prints a link for anybody: an operator, or somebody with a role in one tenant', async () => {
    const { out } = await footnote(['sign-in', '--email', 'ada@example.com']);
    expect(out).toContain('{"email":"ada@example.com","tenantId":null,"role":"operator"}');
    const inside = await footnote(['sign-in', '--email', 'ada@example.com', '--tenant', 'demo', '--role', 'owner']);
    expect(inside.out).toContain('"tenantId":"t_0123456789abcdef01234567","role":"owner"');
  });

  it('shows money exactly, unknown prices as unknown, and disarms formulas in CSV', async () => {
    expect(JSON.parse((await footnote(['usage', '--json'])).out).rows).toMatchObject([
      { cost: { amount: '1.2345', currency: 'USD' }, costIncomplete: false },
      { cost: null, costIncomplete: true },
    ]);
    const { out } = await footnote(['usage', '--csv']);
    expect(out.split('\r\n')[1]).toBe("'=cmd(),3,10,5,0,1.2345");
    expect((await footnote(['usage'])).out).toContain('mystery');
  });
});

describe('reindex', () => {
  it('waits for the end and says which generation answers', async () => {
    const fake = createFakeCore();
    const { code, out } = await footnote(['reindex'], { core: fake.core });
    expect({ code, out }).toEqual({ code: 0, out: 'demo: generation 2 answers now, with 3 documents\n' });
    expect(fake.reindexed).toEqual(['start']);
  });

  it('prints JSON, for every tenant', async () => {
    const { code, out } = await footnote(['reindex', '--all', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      tenants: [{ tenant: 'demo', generation: 2, documents: 3, problem: null, errors: [] }],
    });
  });

  it('goes back to the generation before while there is one', async () => {
    const fake = createFakeCore();
    expect((await footnote(['reindex', '--rollback'], { core: fake.core })).code).toBe(0);
    expect(fake.reindexed).toEqual(['activate 1']);
    fake.generations.splice(0, 1);
    const { code, err } = await footnote(['reindex', '--rollback'], { core: fake.core });
    expect({ code, err }).toEqual({ code: 1, err: 'demo: There is no earlier generation to go back to any more.\n' });
  });

  it('exits 1 while another one is under way, and 2 for an unknown tenant', async () => {
    const fake = createFakeCore();
    fake.setReindexing(true);
    expect((await footnote(['reindex'], { core: fake.core })).code).toBe(1);
    const { code, out } = await footnote(['reindex', '--json'], { core: fake.core });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      tenants: [{ tenant: 'demo', problem: expect.stringContaining('under way') }],
    });
    expect((await footnote(['reindex', '--tenant', 'nobody'])).code).toBe(2);
  });
});

describe('doctor', () => {
  it('says when an index was filled with other settings, and what to do', async () => {
    const fake = createFakeCore();
    fake.generations.splice(0, 2, generationOf(1, 'live', { fits: false }));
    const { out } = await footnote(['doctor', '--json'], { core: fake.core });
    expect(JSON.parse(out).findings).toContainEqual({
      item: 'Index',
      ok: true,
      warns: true,
      says: expect.stringContaining('footnote reindex --tenant demo'),
    });
  });

  it('says what is configured and what is not, and exits 0 when nothing is wrong', async () => {
    const fake = createFakeCore();
    const { out } = await footnote(['doctor', '--json'], { core: fake.core, env: { DATA_DIR: '/tmp', PORT: '1' } });
    const { ok, findings } = JSON.parse(out) as { ok: boolean; findings: { item: string; says: string }[] };
    expect(ok).toBe(true);
    expect(findings.find(({ item }) => item === 'Answers')?.says).toContain('CHAT_MODEL');
    expect(findings.find(({ item }) => item === 'Service')?.says).toBe('not running on port 1');
  });

  it('names the default tenant that does not exist yet, and lets a fresh deployment pass', async () => {
    const { code, out } = await footnote(['doctor'], {
      env: {
        DATA_DIR: '/tmp',
        PORT: '1',
        SLACK_BOT_TOKEN: 'xoxb-1',
        SLACK_SIGNING_SECRET: 's',
        DEFAULT_TENANT: 'acme',
      },
    });
    expect(out).toMatch(/^! Default tenant +.*footnote tenant create acme$/m);
    expect(code).toBe(0);
  });

  it('exits 1 with the whole list when the configuration is wrong', async () => {
    const { code, out } = await footnote(['doctor'], { env: { PORT: 'high', HOST: '', CHAT_MODEL_SMALL: 'x' } });
    expect(code).toBe(1);
    expect(out).toMatch(/✗ Configuration[\s\S]*PORT[\s\S]*CHAT_MODEL_SMALL/);
  });
});
