import type { Core } from '../../core/core.ts';
import type { Tenant } from '../../core/domain.ts';
import { texts } from '../texts.ts';
import { Empty, Layout, type Shell } from './layout.tsx';
import { mayPass } from './pages.tsx';
import type { Option } from './parts/form.tsx';
import { sourcesPath } from './source-state.tsx';

export const askPath = (tenant: Tenant): string => `/console/${encodeURIComponent(tenant.slug)}/ask`;

type AskPageProps = {
  shell: Shell & { tenant: Tenant };
  modes: Core['modes'];
  hasDocuments: boolean;
  /** Those whose settings a question can be asked with; `value` is `platform:channelId`. */
  channels?: readonly Option[];
  channel?: string | undefined;
};

export const AskPage = ({ shell, modes, hasDocuments, channels = [], channel }: AskPageProps) => {
  const { tenant } = shell;
  return (
    <Layout shell={shell} title={texts.ask.title}>
      {hasDocuments ? (
        <div
          class="ask-page"
          data-ask
          data-lost={texts.ask.lost}
          data-stopped={texts.ask.stopped}
          data-signed-out={texts.ask.signedOut}
          data-sign-in={texts.ask.signIn}
          data-working={texts.ask.working}
        >
          <div class="intro">
            <h1>{texts.ask.heading}</h1>
            <p>{texts.ask.lead(tenant.name)}</p>
          </div>
          <div class="turns" data-turns></div>
          <p class="visually-hidden" role="status" data-announce></p>
          {channels.length > 0 && (
            <div class="as-in">
              <label for="channel">{texts.ask.asIn}</label>
              <select id="channel" name="channel" form="ask">
                <option value="">{texts.ask.asInNone}</option>
                {channels.map(({ value, label }) => (
                  <option value={value} selected={value === channel}>
                    {label}
                  </option>
                ))}
              </select>
            </div>
          )}
          <form id="ask" class="question" method="post" action={askPath(tenant)} data-question>
            <input type="hidden" name="conversationId" value="" />
            <label class="visually-hidden" for="question">
              {texts.ask.label}
            </label>
            <textarea
              id="question"
              name="question"
              rows={1}
              required
              maxlength={200_000}
              placeholder={texts.ask.placeholder}
              data-follow-up={texts.ask.followUp}
              autofocus
              aria-describedby="hint"
            ></textarea>
            <button type="submit" class="primary" data-submit>
              {texts.ask.submit}
            </button>
            <button type="button" class="primary" data-stop hidden>
              {texts.ask.stop}
            </button>
          </form>
          <div class="below">
            <p class="hint" id="hint">
              {texts.ask.hint}
            </p>
            <a class="hint" href={askPath(tenant)} data-fresh hidden>
              {texts.ask.fresh}
            </a>
          </div>
          <Modes modes={modes} />
          <noscript>
            <p class="hint">{texts.ask.script}</p>
          </noscript>
        </div>
      ) : (
        <Empty
          title={texts.empty.documentsTitle}
          text={texts.empty.documentsText(tenant.name)}
          command={texts.empty.documentsCommand(tenant.slug)}
        >
          {mayPass(shell.roles ?? [], 'admin') && (
            <a class="button primary" href={`${sourcesPath(tenant)}/new`}>
              {texts.sources.add}
            </a>
          )}
        </Empty>
      )}
    </Layout>
  );
};

const Modes = ({ modes }: { modes: Core['modes'] }) => (
  <ul class="modes">
    {modes.chatModel === null && <li>{texts.modes.extractive}</li>}
    {modes.embeddingModel === null && <li>{texts.modes.keywords}</li>}
  </ul>
);
