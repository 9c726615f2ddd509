import type { AudiencePreview, EffectiveRules } from '../../core/core.ts';
import type { ChannelRules } from '../../core/domain.ts';
import { AppError, isAppError } from '../../core/errors.ts';
import { ownRules, revisionOfRules } from '../revision.ts';
import { texts } from '../texts.ts';
import { rulesForm, rulesIn, stateWith } from './channel-form.ts';
import {
  ChannelDefaultsPage,
  ChannelPage,
  ChannelsPage,
  channelPath,
  channelsPath,
  defaultsPath,
  type Place,
} from './channels.tsx';
import { chatPlatforms } from './connections.tsx';
import type { PageRequest, Pages } from './pages.tsx';
import { type FormState, readForm, stateOf } from './parts/form.tsx';

const words = texts.channels;

/** The rules of channels, and those that all of them inherit. */
export const addChannelPages = (pages: Pages): void => {
  const { core } = pages.doors;

  const placeOf = (request: PageRequest): Place => {
    const platform = chatPlatforms.find((one) => one === request.param('platform'));
    const channelId = request.param('channel');
    if (platform === undefined || channelId === '' || channelId.length > 200)
      throw new AppError('not-found', 'There is no such channel.');
    return { platform, channelId };
  };
  const rulesOf = (request: PageRequest, { platform, channelId }: Place): Promise<EffectiveRules> =>
    core.channels.rules(request.tenant.id, platform, channelId);

  const channelPage = async (request: PageRequest, place: Place, typed?: FormState) => {
    const [rules, inherited, sources] = await Promise.all([
      rulesOf(request, place),
      core.channels.inherited(request.tenant.id),
      core.sources.list(request.tenant.id),
    ]);
    const own = ownRules(rules);
    return (
      <ChannelPage
        shell={await request.shell('channels')}
        place={place}
        name={(await pages.names(request.tenant, [place.channelId])).channel(place)}
        rules={rules}
        inherited={inherited}
        sources={sources}
        preview={await previewOf(request, own, typed !== undefined)}
        state={typed ?? stateWith(own)}
        seen={revisionOfRules(own)}
      />
    );
  };
  /** Of what was typed as far as it can be read, else of what is kept. */
  const previewOf = async (request: PageRequest, own: ChannelRules, isTyped: boolean): Promise<AudiencePreview> => {
    const read = isTyped ? readForm(rulesForm, await request.form()) : null;
    if (read?.ok === true) {
      try {
        return await core.channels.preview(request.tenant.id, rulesIn(read.value));
      } catch (thrown) {
        if (!isAppError(thrown) || thrown.code !== 'not-found') throw thrown;
      }
    }
    // A source that was removed since is named by rules that are kept, too.
    const known = new Set((await core.sources.list(request.tenant.id)).map(({ id }) => id));
    const sources = own.sources?.filter((id) => known.has(id));
    return core.channels.preview(request.tenant.id, { ...own, ...(sources === undefined ? {} : { sources }) });
  };

  pages.get('/console/{tenant}/channels', 'session:viewer', async (request) => {
    const platform = chatPlatforms.find((one) => one === request.query('platform'));
    const channelId = request.query('channel');
    if (platform !== undefined && channelId !== undefined)
      return request.to(channelPath(request.tenant, { platform, channelId }));
    const channels = await core.channels.list(request.tenant.id);
    const names = await pages.names(
      request.tenant,
      channels.map((channel) => channel.channelId),
    );
    return request.show(<ChannelsPage shell={await request.shell('channels')} channels={channels} names={names} />);
  });

  pages.get('/console/{tenant}/channels/{platform}/{channel}', 'session:viewer', async (request) =>
    request.show(await channelPage(request, placeOf(request))),
  );

  pages.post('/console/{tenant}/channels/{platform}/{channel}', 'session:admin', async (request) => {
    const place = placeOf(request);
    return request.submit(rulesForm, {
      save: async (typed) => {
        const rules = rulesIn(typed);
        const preview = await core.channels.preview(request.tenant.id, rules);
        if (typed.preview === 'on') {
          const { values } = stateOf(await request.form(), undefined, '');
          return request.show(await channelPage(request, place, { values, errors: {} }));
        }
        if (preview.sources.some(({ beyond }) => beyond) && typed.accepted !== 'on')
          throw new AppError('invalid', words.notAccepted, { at: 'accepted' });
        const stands = typed.seen === undefined ? undefined : ownRules(await rulesOf(request, place));
        if (stands !== undefined && typed.seen !== revisionOfRules(stands))
          throw new AppError('conflict', words.changed);
        await core.channels.put(request.tenant.id, place.platform, place.channelId, rules, stands);
        await request.audit('channel.rules', `${place.platform}:${place.channelId}`);
        return request.to(channelPath(request.tenant, place), 'saved');
      },
      again: (state) => channelPage(request, place, state),
    });
  });

  pages.post('/console/{tenant}/channels/{platform}/{channel}/reset', 'session:admin', async (request) => {
    const place = placeOf(request);
    const asks = await request.unconfirmed('channels', {
      title: words.resetTitle((await pages.names(request.tenant, [place.channelId])).channel(place)),
      consequences: words.resetConsequences,
      button: words.resetButton,
      back: channelPath(request.tenant, place),
    });
    if (asks !== null) return asks;
    await core.channels.put(request.tenant.id, place.platform, place.channelId, {});
    await request.audit('channel.rules', `${place.platform}:${place.channelId}`);
    return request.to(channelsPath(request.tenant), 'saved');
  });

  const defaultsPage = async (request: PageRequest, state: FormState) => (
    <ChannelDefaultsPage
      shell={await request.shell('channels')}
      rules={await core.channels.inherited(request.tenant.id)}
      builtIn={await core.channels.inherited(null)}
      sources={await core.sources.list(request.tenant.id)}
      state={state}
    />
  );

  pages.get('/console/{tenant}/channel-rules', 'session:viewer', async (request) =>
    request.show(await defaultsPage(request, stateWith(request.tenant.settings.channels ?? {}))),
  );

  pages.post('/console/{tenant}/channel-rules', 'session:admin', async (request) =>
    request.submit(rulesForm, {
      save: async (typed) => {
        const { instructions, language } = request.tenant.settings.channels ?? {};
        const channels = {
          ...rulesIn(typed),
          // No fields of this form; what the API has set stays.
          ...(instructions === undefined ? {} : { instructions }),
          ...(language === undefined ? {} : { language }),
        };
        // Throws for a source that is not the tenant's.
        await core.channels.preview(request.tenant.id, channels);
        await core.tenants.update(request.tenant.id, { settings: { channels } }, typed.rev);
        await request.audit('tenant.update');
        return request.to(defaultsPath(request.tenant), 'saved');
      },
      again: (state) => defaultsPage(request, state),
    }),
  );
};
