import { raw } from 'hono/html';
import type { Chunk, Document, Source, Tenant } from '../../core/domain.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { renderMarkdown, safeHref } from './markdown.ts';
import { mayPass } from './pages.tsx';
import { ActionButton } from './parts/form.tsx';
import { Facts } from './parts/table.tsx';
import { documentPath, sourcePath, sourcesPath } from './source-state.tsx';

/** As it reads: nothing in it leads anywhere, and no footnote of ours stands in it. */
const passageHtml = (text: string) => raw(renderMarkdown(text, { links: [], footnotes: [], prefix: 'passage' }));

/** One document as questions find it: its facts and its passages, word for word. */
export const DocumentPage = ({
  shell,
  document,
  source,
  chunks,
}: {
  shell: Shell & { readonly tenant: Tenant };
  document: Document;
  source: Source | null;
  chunks: readonly Chunk[];
}) => {
  const names = texts.sources.facts;
  const href = document.url === undefined ? null : safeHref(document.url);
  return (
    <Layout shell={shell} title={document.title}>
      <p class="crumb">
        <a href={source === null ? sourcesPath(shell.tenant) : sourcePath(shell.tenant, source)}>
          {source?.name ?? texts.sources.back}
        </a>
      </p>
      <h1>{document.title}</h1>
      {document.problem !== undefined && (
        <p class="notice error" role="alert">
          {texts.sources.problem}: {document.problem}
        </p>
      )}
      <section class="part">
        <Facts
          facts={[
            [names.id, <code>{document.externalId}</code>],
            ...(href === null
              ? []
              : [
                  [
                    names.address,
                    <a href={href} rel="noreferrer noopener" target="_blank">
                      {texts.sources.openOriginal}
                    </a>,
                  ] as const,
                ]),
            [names.type, texts.sources.types[document.mediaType] ?? document.mediaType],
            [names.size, `${new Intl.NumberFormat('en').format(Math.ceil(document.bytes / 1024))} kB`],
            [names.updated, <Time at={document.updatedAt} />],
            [names.passages, String(document.chunkCount)],
          ]}
        />
        {mayPass(shell.roles ?? [], 'admin') && (
          <p class="bar-row">
            <ActionButton
              action={`${documentPath(shell.tenant, document)}/forget`}
              label={texts.sources.forget}
              kind="danger"
            />
          </p>
        )}
      </section>
      <section class="part">
        <h2>{texts.sources.passages}</h2>
        {chunks.length === 0 ? (
          <p class="muted">{texts.sources.noPassages}</p>
        ) : (
          <ol class="passages-of">
            {chunks.map((chunk) => (
              <li id={chunk.id}>
                <p class="muted">
                  {[
                    chunk.headingPath.length === 0
                      ? texts.sources.passage(chunk.ordinal)
                      : chunk.headingPath.join(' › '),
                    ...(chunk.page === undefined ? [] : [texts.sources.page(chunk.page)]),
                    texts.sources.tokens(chunk.tokens),
                  ].join(' · ')}
                </p>
                <div class="passage-text prose">{passageHtml(chunk.text)}</div>
              </li>
            ))}
          </ol>
        )}
      </section>
    </Layout>
  );
};
