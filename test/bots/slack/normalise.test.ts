import { describe, expect, it } from 'vitest';
import { normaliseEvent } from '../../../bots/slack/events.ts';
import { normaliseInteraction } from '../../../bots/slack/interactions.ts';
import { parseSlackText } from '../../../bots/slack/mrkdwn.ts';
import { slackPayloads } from '../../fakes/slack-api.ts';

const payloads = slackPayloads('T1', 'UBOT');
const context = { receivedAt: 5, botUserId: () => null };
const heard = (payload: unknown) => {
  const result = normaliseEvent(payload, context);
  if (result.kind !== 'event') throw new Error(JSON.stringify(result));
  return result.event;
};

describe("Slack's events in our words", () => {
  it('both deliveries of a mention give one event, whichever comes first', () => {
    const shape = { text: '<@UBOT> leave?', ts: '1790000000.000100' };
    const { dedupeKeys: one, ...plain } = heard(payloads.message(shape));
    const { dedupeKeys: other, ...mention } = heard(payloads.appMention(shape));
    expect(plain).toEqual(mention);
    expect(one[0]).toBe(other[0]);
    expect(one[1]).not.toBe(other[1]);
  });

  it('a thread is the channel and the first message, a direct conversation its channel', () => {
    expect(heard(payloads.message({ text: 'x', ts: '2.000002', thread: '1.000001' })).threadId).toBe('1.000001');
    expect(heard(payloads.message({ text: 'x', ts: '2.000002' })).threadId).toBe('2.000002');
    expect(heard(payloads.message({ text: 'x', ts: '2.000002', channel: 'D1', channelType: 'im' })).threadId).toBe(
      'D1',
    );
  });

  it('the workspace is the one through which we hear, not the one of the author', () => {
    const shared = payloads.message({
      text: '<@UBOT> x',
      ts: '1.000001',
      more: { team: 'TOTHER', user_team: 'TOTHER' },
    });
    const event = heard({ ...shared, team_id: 'TOTHER', context_team_id: 'T1' });
    expect(event.workspaceId).toBe('T1');
    expect(event.handle.userTeam).toBe('TOTHER');
  });

  it('a group message needs a mention, and somebody else’s mention is none', () => {
    expect(heard(payloads.message({ text: 'x', ts: '1.000001', channelType: 'mpim' }))).toMatchObject({
      scope: 'group',
      addressed: 'none',
    });
    expect(heard(payloads.message({ text: '<@UOTHER> x', ts: '1.000001' }))).toMatchObject({
      addressed: 'none',
      text: '@UOTHER x',
    });
  });

  it('names the people and channels of a text once each, never us, and nobody in code', () => {
    const text = '<@UBOT> ask <@UANNA|anna>, <@UANNA> or <#C9|help-desk>, not `<@UCODE>`';
    expect(heard(payloads.message({ text, ts: '1.000001' })).mentions).toEqual([
      { kind: 'person', id: 'UANNA', name: 'anna' },
      { kind: 'channel', id: 'C9', name: 'help-desk' },
    ]);
    expect(heard(payloads.message({ text: '<@UBOT> hi', ts: '1.000001' }))).not.toHaveProperty('mentions');
  });

  it('knows a reply in a thread of somebody else from one in a thread of ours or of its author', () => {
    const reply = (parent: string) =>
      heard(payloads.message({ text: 'x', ts: '2.000002', thread: '1.000001', more: { parent_user_id: parent } }));
    expect(reply('USOMEBODY').repliesToPerson).toBe(true);
    expect(reply('UBOT')).not.toHaveProperty('repliesToPerson');
    const own = heard(payloads.message({ text: 'x', ts: '2.000002', thread: '1.000001' })).author.id;
    expect(reply(own)).not.toHaveProperty('repliesToPerson');
  });

  it('without the own user id a message with a mention waits for its twin', () => {
    const { authorizations: _, ...bare } = payloads.message({ text: '<@UBOT> x', ts: '1.000001' });
    expect(normaliseEvent(bare, context)).toEqual({ kind: 'ignored', why: 'mention-without-own-id' });
    const { authorizations: __, ...twin } = payloads.appMention({ text: '<@UBOT> x', ts: '1.000001' });
    expect(heard(twin).addressed).toBe('mention');
  });

  it.each(['channel_join', 'channel_topic', 'me_message', 'reminder_add', 'assistant_app_thread', 'something_new'])(
    'ignores the subtype %s',
    (subtype) => {
      expect(normaliseEvent(payloads.message({ text: 'x', ts: '1.000001', more: { subtype } }), context).kind).toBe(
        'ignored',
      );
    },
  );

  it.each(['file_share', 'thread_broadcast'])('hears the subtype %s', (subtype) => {
    expect(heard(payloads.message({ text: 'x', ts: '1.000001', more: { subtype } })).kind).toBe('message');
  });

  it("our own edits and another bot's are ignored", () => {
    expect(
      normaliseEvent(payloads.edit({ text: 'y', ts: '1.000001', user: 'UBOT' }, 'x', '2.000001'), context),
    ).toEqual({ kind: 'ignored', why: 'edit-by-bot' });
  });

  it.each(['app_uninstalled', 'tokens_revoked'])('%s is an uninstallation', (type) => {
    expect(heard(payloads.envelope({ type, event_ts: '1.000001', tokens: { bot: ['UBOT'] } }))).toMatchObject({
      kind: 'uninstall',
      workspaceId: 'T1',
    });
  });

  it('a revoked token of a person is not', () => {
    expect(normaliseEvent(payloads.envelope({ type: 'tokens_revoked', tokens: { oauth: ['U1'] } }), context).kind).toBe(
      'ignored',
    );
  });

  it.each([
    null,
    7,
    'x',
    [],
    {},
    { type: 'event_callback' },
    { type: 'event_callback', event_id: 'E', event: null },
    { type: 'event_callback', event_id: 'E', team_id: 'T', event: { type: 'message' } },
    {
      type: 'event_callback',
      event_id: 'E',
      team_id: 'T',
      event: { type: 'message', channel: 'C', ts: '../../x', text: {} },
    },
  ])('survives %j', (payload) => {
    expect(normaliseEvent(payload, context).kind).toBe('ignored');
    expect(normaliseInteraction(payload, context).kind).toBe('ignored');
  });

  it.each(['up:a_zz', 'sideways:a_0123456789', 'up:../../x', '', 'up:a_0123456789;drop'])(
    'a click with the value %j is not ours',
    (value) => {
      const click = payloads.click('a_0123456789', 'up', { ts: '2.000001', thread: '1.000001' });
      expect(normaliseInteraction({ ...click, actions: [{ ...click.actions[0], value }] }, context).kind).toBe(
        'ignored',
      );
    },
  );
});

describe('inbound text', () => {
  it.each([
    ['<@UBOT> hello', 'hello'],
    ['hi <@UBOT|bot>, and <@U2|ann>', 'hi , and @ann'],
    ['see <#C1|general> and <!here> and <!subteam^S1|@ops>', 'see #general and @here and @ops'],
    ['<https://a.example/x|docs> or <https://a.example>', '[docs](https://a.example/x) or https://a.example'],
    ['<mailto:a@b.example|a@b.example>', 'a@b.example'],
    ['*bold* _it_ ~no~ 2 * 3 * 4', '**bold** _it_ ~~no~~ 2 * 3 * 4'],
    ['a &lt;b&gt; &amp;amp; c', 'a <b> &amp; c'],
    ['`*x* &lt;y&gt;`', '`*x* <y>`'],
    ['```\n*x* <https://a.example|a.example>\n```', '```\n*x* a.example\n```'],
    ['<!date^1392734382^{date}|Feb 18>', 'Feb 18'],
    ['שלום *עולם*', 'שלום **עולם**'],
  ])('%j reads %j', (text, expected) => {
    expect(parseSlackText(text, 'UBOT')).toBe(expected);
  });
});
