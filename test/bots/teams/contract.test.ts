import type { Offer } from '../../../core/ports/platform.ts';
import { type Gesture, type GestureOptions, type PlatformRig, platformContract } from '../../contracts/platform.ts';
import { type FakeTeamsMessage, foreignPair, type PostedMessage, teamsIds } from '../../fakes/teams-service.ts';
import { startDriver } from './driver.ts';

type Claim = {
  readonly appearance: { readonly name: string; readonly url?: string; readonly abstract?: string };
};
type Activity = {
  readonly text?: string;
  readonly channelData?: { readonly feedbackLoop?: unknown };
  readonly entities?: readonly {
    readonly type: string;
    readonly citation?: readonly Claim[];
    readonly mentioned?: { readonly id: string };
  }[];
  readonly attachments?: readonly {
    readonly content: {
      readonly actions?: readonly { readonly title: string; readonly data: { readonly footnote: string } }[];
    };
  }[];
};
const activityOf = (message: FakeTeamsMessage): Activity => message.activity as Activity;

/** The text, and what the chips in it open. */
const shownText = (message: FakeTeamsMessage): string => {
  const { text = '', entities = [] } = activityOf(message);
  const chips = entities
    .flatMap((entity) => entity.citation ?? [])
    .map(({ appearance }) => [appearance.name, appearance.url, appearance.abstract].filter(Boolean).join(' '));
  return [text, ...chips].join('\n');
};
const buttonsOf = (message: FakeTeamsMessage): readonly string[] =>
  (activityOf(message).attachments ?? []).flatMap(({ content }) =>
    (content.actions ?? []).map(({ data }) => data.footnote),
  );
const isPrivate = ({ conversation }: FakeTeamsMessage): boolean => conversation.startsWith('a:with-');

const startRig = async (scope: NonNullable<PostedMessage['scope']>): Promise<PlatformRig> => {
  const driver = await startDriver();
  const { fake, platform, heard, send, activities } = driver;
  const ids = new Map<string, string>();
  const idOf = (id: string | undefined): string => {
    const own = ids.get(id ?? '') ?? fake.nextId();
    if (id !== undefined) ids.set(id, own);
    return own;
  };
  const gesture =
    (make: (id: string, options: GestureOptions) => unknown) =>
    async (options: GestureOptions = {}): Promise<boolean> =>
      (await send(make(idOf(options.id), options))).ok;
  const button = (name: string) =>
    gesture((id, { answerId, deliveryId }) =>
      activities.invoke(
        id,
        'adaptiveCard/action',
        {
          action: { type: 'Action.Execute', verb: `footnote.${name}`, data: { footnote: name, answerId, deliveryId } },
        },
        { replyToId: '1700000000001' },
      ),
    );
  const gestures: Partial<Record<Gesture, (options?: GestureOptions) => Promise<boolean>>> = {
    'about-message': gesture((id, { text = '' }) =>
      activities.invoke(id, 'composeExtension/submitAction', {
        commandId: 'ask',
        commandContext: 'message',
        data: {},
        messagePayload: { id: '1', body: { contentType: 'html', content: `<div><p>${text}</p></div>` } },
      }),
    ),
    edit: gesture((id, { text = '' }) => ({
      ...activities.message({ id, text }),
      type: 'messageUpdate',
      channelData: { tenant: { id: teamsIds.tenant }, eventType: 'editMessage' },
    })),
    delete: gesture((id) => ({
      ...activities.base('messageDelete', id),
      channelData: { tenant: { id: teamsIds.tenant }, eventType: 'softDeleteMessage' },
    })),
    attachment: gesture((id) =>
      activities.message({
        id,
        text: '',
        scope: 'personal',
        more: {
          attachments: [
            {
              contentType: 'application/vnd.microsoft.teams.file.download.info',
              name: 'policy.pdf',
              content: { downloadUrl: 'https://contoso.sharepoint.com/policy.pdf', uniqueId: 'u', fileType: 'pdf' },
            },
          ],
        },
      }),
    ),
    stop: button('stop'),
    publish: button('publish'),
    solved: button('solved'),
    human: button('human'),
  };
  return {
    platform,
    heard,
    gestures,
    duplicates: 'one-a-crash',
    refuse: driver.refuse,
    deliver: async (what, options = {}) => {
      const id = idOf(options.id);
      const text = options.text ?? 'a question?';
      const activity = {
        mention: () => activities.message({ id, text, scope, mention: true }),
        direct: () => activities.message({ id, text, scope: 'personal' }),
        own: () => activities.message({ id, text, more: { from: { id: teamsIds.bot, name: 'Footnote' } } }),
        bot: () => activities.message({ id, text, more: { from: { id: '28:another', name: 'Other', role: 'bot' } } }),
        unknown: () => ({ ...activities.base('messageReaction', id), reactionsAdded: [{ type: 'like' }] }),
        mangled: () => ({ type: 'message', channelId: 'msteams', serviceUrl: fake.serviceUrl, id: 7, from: 'nobody' }),
      }[what]();
      return (await send(activity)).status === 200;
    },
    forge: async (how) => {
      const now = Math.floor(Date.now() / 1000);
      const authorization = {
        unsigned: null,
        wrong: `Bearer ${fake.token({ key: foreignPair.privateKey })}`,
        stale: `Bearer ${fake.token({ claims: { nbf: now - 4000, exp: now - 301 } })}`,
        future: `Bearer ${fake.token({ claims: { nbf: now + 302, exp: now + 4000 } })}`,
      }[how];
      return (await send(activities.message({ id: fake.nextId(), text: 'hello?' }), authorization)).ok;
    },
    shown: () =>
      fake
        .messages()
        .filter((message) => !isPrivate(message))
        .map(shownText),
    // A personal chat is private already: an answer for the asker alone is like any other there.
    ...(scope === 'personal' ? {} : { whispered: () => fake.messages().filter(isPrivate).map(shownText) }),
    offered: (): readonly Offer[] => {
      const newest = fake.messages().at(-1);
      if (newest === undefined) return [];
      const thumbs = activityOf(newest).channelData?.feedbackLoop === undefined ? [] : (['thumbs'] as const);
      return [...thumbs, ...(buttonsOf(newest) as readonly Offer[])];
    },
    setAside: () => driver.runtime.counted('events_total', { platform: 'teams', reason: 'unsupported' }),
    titles: () =>
      fake
        .messages()
        .flatMap((message) => activityOf(message).attachments ?? [])
        .flatMap(({ content }) => (content.actions ?? []).map(({ title }) => title)),
    // In a personal chat the button is Teams' own and stands beside every stream.
    ...(scope === 'personal'
      ? {}
      : { stopStands: () => fake.messages().some((message) => buttonsOf(message).includes('stop')) }),
    pinged: () =>
      fake
        .messages()
        .flatMap((message) => activityOf(message).entities ?? [])
        .filter(({ type }) => type === 'mention')
        .map(({ mentioned }) => (mentioned?.id === teamsIds.asker ? teamsIds.askerObject : (mentioned?.id ?? ''))),
    vanish: (what) => {
      const event = heard.at(-1);
      const conversation = String(event?.handle.conversation ?? '');
      fake.gone.add(what === 'thread' ? conversation : (conversation.split(';')[0] ?? ''));
    },
    close: driver.close,
  };
};

platformContract({ name: 'teams, in a channel', start: () => startRig('channel') });
platformContract({ name: 'teams, in a group chat', start: () => startRig('groupChat') });
platformContract({ name: 'teams, in a personal chat', start: () => startRig('personal') });
