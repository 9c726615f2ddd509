import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Page = {
  readonly body?: string | Uint8Array;
  readonly status?: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Answers by itself; everything else is ignored. */
  readonly handle?: (request: IncomingMessage, response: ServerResponse) => void;
};

export type Visit = { readonly path: string; readonly headers: IncomingMessage['headers']; readonly status: number };

/** A website on loopback, changed while it runs. What is not set answers 404. */
export type WebSite = {
  readonly origin: string;
  /** As FETCH_ALLOW names it. */
  readonly host: string;
  /** Every request since the last `forget`, oldest first. */
  readonly visits: Visit[];
  /** The paths that were asked for, without robots.txt and sitemap.xml unless they exist. */
  paths(): readonly string[];
  set(path: string, page: Page | string): void;
  remove(path: string): void;
  /** Every path that is not set is answered by this. */
  otherwise(answer: (path: string) => Page | null): void;
  forget(): void;
  close(): Promise<void>;
};

/** HTML with enough words to be a page. */
export const pageOf = (title: string, words: string, links: readonly string[] = [], head = ''): string =>
  `<!doctype html><html><head><title>${title}</title>${head}</head><body><nav>${links
    .map((link) => `<a href="${link}">${link}</a>`)
    .join(' ')}</nav><main><h1>${title}</h1><p>${words}</p></main></body></html>`;

export const openWebSite = async (address = '127.0.0.1'): Promise<WebSite> => {
  const pages = new Map<string, Page>();
  const visits: Visit[] = [];
  let rest: (path: string) => Page | null = () => null;
  const server: Server = createServer((request, response) => {
    const path = request.url ?? '/';
    const page = pages.get(path) ?? rest(path);
    const headers = page?.headers ?? {};
    const isUnchanged =
      (headers.etag !== undefined && request.headers['if-none-match'] === headers.etag) ||
      (headers['last-modified'] !== undefined && request.headers['if-modified-since'] === headers['last-modified']);
    const status = page === null ? 404 : isUnchanged ? 304 : (page.status ?? 200);
    visits.push({ path, headers: request.headers, status });
    if (page?.handle !== undefined) return page.handle(request, response);
    response.writeHead(status, { 'content-type': page?.type ?? 'text/html; charset=utf-8', ...headers });
    response.end(status === 304 ? undefined : page === null ? 'There is no such page.' : page.body);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const host = `${address}:${(server.address() as AddressInfo).port}`;
  return {
    origin: `http://${host}`,
    host,
    visits,
    paths: () =>
      visits
        .filter(({ path, status }) => !(status === 404 && /^\/(?:robots\.txt|sitemap\.xml)$/.test(path)))
        .map(({ path }) => path),
    set: (path, page) => void pages.set(path, typeof page === 'string' ? { body: page } : page),
    remove: (path) => void pages.delete(path),
    otherwise: (answer) => {
      rest = answer;
    },
    forget: () => void visits.splice(0),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
