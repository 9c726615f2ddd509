import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openReal, type Real } from '../real.ts';
import { postForm } from '../visitor.ts';

let real: Real;
let tenantId: string;
let admin: string;
let viewer: string;
let open: string;
let members: string;
let foreign: string;

beforeAll(async () => {
  real = await openReal();
  const acme = await real.furnish('acme');
  tenantId = acme.tenant.id;
  members = acme.push.id;
  open = acme.upload.id;
  await real.core.sources.update(tenantId, open, { audience: 'everybody' });
  foreign = (await real.furnish('globex')).push.id;
  admin = await real.signIn('admin', tenantId);
  viewer = await real.signIn('viewer', tenantId);
});
afterAll(() => real.close());

const base = '/console/acme/channels';
const get = (path: string, cookie = admin) => real.app.request(path, { headers: { cookie } });
const post = (path: string, fields: Record<string, string> | [string, string][], cookie = admin) =>
  postForm(real.app, path, fields, cookie);
const rules = (channelId: string) => real.core.channels.rules(tenantId, 'slack', channelId);
const markIn = (page: string): string => /name="seen" value="([^"]+)"/.exec(page)?.[1] ?? '';

describe('the list', () => {
  test('shows channels with own rules, and opens any other by its id', async () => {
    await real.core.channels.put(tenantId, 'slack', 'C<LIST>', { language: 'de' });
    const page = await (await get(base, viewer)).text();
    expect(page).toContain('Slack C&lt;LIST&gt;');
    expect(page).toContain('Language of the answers');
    const opened = await get(`${base}?platform=discord&channel=12%2F34`);
    expect(opened.headers.get('location')).toBe(`${base}/discord/12%2F34`);
    expect((await get(`${base}/irc/C1`)).status).toBe(404);
  });
});

describe('the rules of a channel', () => {
  test('are saved by field, and what is left empty is inherited with its origin shown', async () => {
    await real.core.tenants.update(tenantId, { settings: { language: 'fr' } });
    const response = await post(`${base}/slack/C1`, {
      enabled: 'off',
      answerWhen: 'question',
      whoMayAsk: 'U1\nU2',
      instructions: 'Be brief.',
    });
    expect(response.status).toBe(303);
    expect(await rules('C1')).toMatchObject({
      enabled: { value: false, origin: 'channel' },
      answerWhen: { value: 'question', origin: 'channel' },
      whoMayAsk: { value: ['U1', 'U2'], origin: 'channel' },
      instructions: { value: 'Be brief.', origin: 'channel' },
      language: { value: 'fr', origin: 'tenant' },
      replies: { value: 'public', origin: 'default' },
    });
    const page = await (await get(`${base}/slack/C1`)).text();
    for (const words of ['set here', 'from the organisation', 'built in', 'Inherit: when it is mentioned'])
      expect(page).toContain(words);
  });

  test('are read by a viewer and changed by an administrator only', async () => {
    const page = await (await get(`${base}/slack/C1`, viewer)).text();
    expect(page).toContain('Be brief.');
    expect(page).not.toContain('name="enabled"');
    expect((await post(`${base}/slack/C1`, { enabled: 'on' }, viewer)).status).toBe(403);
    expect((await post('/console/acme/channel-rules', { enabled: 'on' }, viewer)).status).toBe(403);
  });

  test('changed by two at once: the later one is told and keeps what was typed', async () => {
    const seen = markIn(await (await get(`${base}/slack/C2`)).text());
    expect((await post(`${base}/slack/C2`, { language: 'de', seen })).status).toBe(303);
    const late = await post(`${base}/slack/C2`, { language: 'nl', seen });
    const page = await late.text();
    expect(late.status).toBe(409);
    expect(page).toContain('Somebody else saved a change here meanwhile');
    expect(page).toContain('value="nl"');
    expect((await rules('C2')).language.value).toBe('de');
  });

  test('that do not fit are said beside their field', async () => {
    const page = await (await post(`${base}/slack/C3`, { language: 'German please', humans: 'U7' })).text();
    expect(page).toContain('id="language-error"');
    expect(page).toContain('U7');
    expect((await post(`${base}/slack/C3`, { sourcesFrom: 'chosen' })).status).toBe(422);
    expect((await post(`${base}/slack/C3`, { sourcesFrom: 'chosen', sources: foreign })).status).toBe(422);
    expect((await rules('C3')).sources.origin).toBe('default');
  });

  test('are taken away only after a page that says what follows', async () => {
    await real.core.channels.put(tenantId, 'slack', 'C4', { language: 'de' });
    expect(await (await post(`${base}/slack/C4/reset`, {})).text()).toContain('follows the rules of the organisation');
    expect((await rules('C4')).language.value).toBe('de');
    expect((await post(`${base}/slack/C4/reset`, { confirmed: 'yes' })).status).toBe(303);
    expect((await rules('C4')).language.origin).not.toBe('channel');
    expect(await (await get(base)).text()).not.toContain('Slack C4');
  });
});

describe('a source for fewer people than read the channel', () => {
  const fields: [string, string][] = [
    ['audience', 'everybody'],
    ['sourcesFrom', 'chosen'],
  ];

  test('is bound only when that was read and accepted', async () => {
    const bound: [string, string][] = [...fields, ['sources', members], ['sources', open]];
    const asked = await post(`${base}/slack/C5`, bound);
    const page = await asked.text();
    expect(asked.status).toBe(422);
    expect(page).toMatch(/Handbook: bound to a channel that more people can read/);
    expect(page).toContain('name="accepted"');
    expect(page).toContain('Everybody can read this channel');
    expect((await rules('C5')).sources.origin).toBe('default');
    expect((await post(`${base}/slack/C5`, [...bound, ['accepted', 'on']])).status).toBe(303);
    expect((await rules('C5')).sources.value).toEqual([members, open]);
  });

  test('is not asked about where it is meant for everybody, or where members alone read', async () => {
    expect((await post(`${base}/slack/C6`, [...fields, ['sources', open]])).status).toBe(303);
    const among: [string, string][] = [
      ['sourcesFrom', 'chosen'],
      ['sources', members],
    ];
    expect((await post(`${base}/slack/C7`, among)).status).toBe(303);
  });

  test('is looked at without being kept', async () => {
    const looked = await post(`${base}/slack/C8`, [...fields, ['sources', members], ['preview', 'on']]);
    expect(looked.status).toBe(200);
    expect(await looked.text()).toContain('only in answers for one person of the organisation');
    expect((await rules('C8')).audience.origin).toBe('default');
  });
});

describe('the rules of the organisation', () => {
  test('are what every channel inherits', async () => {
    const page = await (await get('/console/acme/channel-rules')).text();
    expect(page).toContain('Built in: answered from sources meant for everybody');
    const rev = /name="rev" value="(\d+)"/.exec(page)?.[1] ?? '';
    expect((await post('/console/acme/channel-rules', { guests: 'refuse', rev })).status).toBe(303);
    expect((await rules('C9')).guests).toEqual({ value: 'refuse', origin: 'tenant' });
    expect(await (await get(`${base}/slack/C9`)).text()).toContain('Inherit: not answered');
    expect((await post('/console/acme/channel-rules', { guests: 'limit', rev })).status).toBe(409);
    expect((await post('/console/acme/channel-rules', { sourcesFrom: 'chosen', sources: foreign })).status).toBe(422);
  });
});

describe('a question asked as in a channel', () => {
  const ask = (channel: string) => post('/console/acme/ask', { question: 'Which class for train journeys?', channel });
  const retrieved = async (response: Response): Promise<readonly string[]> => {
    const answerId = /(a_[0-9a-f]+)/.exec(response.headers.get('location') ?? '')?.[1] ?? '';
    const receipt = await real.core.answers.get(tenantId, answerId);
    return [...new Set(receipt?.retrieved.map(({ sourceId }) => sourceId))];
  };

  test('finds only what may be said there', async () => {
    await real.core.channels.put(tenantId, 'slack', 'C-OPEN', { audience: 'everybody' });
    await real.core.channels.put(tenantId, 'slack', 'C-IN', { sources: [members] });
    expect(await retrieved(await ask(''))).toEqual([members]);
    expect(await retrieved(await ask('slack:C-IN'))).toEqual([members]);
    expect(await retrieved(await ask('slack:C-OPEN'))).toEqual([]);
  });

  test('is said in words where no source is left', async () => {
    await real.core.channels.put(tenantId, 'slack', 'C-NONE', { sources: [] });
    expect((await ask('slack:C-NONE')).status).toBe(422);
  });

  test('is offered with the channels that are known, and with the one that the address names', async () => {
    const page = await (await get('/console/acme/ask?channel=slack:C-NAMED')).text();
    expect(page).toContain('value="slack:C-OPEN"');
    expect(page).toMatch(/value="slack:C-NAMED" selected/);
  });
});
