import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

/** Style sheet, scripts and mark: served by us, with a hash of the content in the path, so that they can be kept for ever. */
export type Assets = {
  /** The address of a file. */
  href(name: AssetName): string;
  respond(hash: string, name: string, acceptEncoding: string | undefined): Response | null;
};
export type AssetName = 'console.css' | 'console.js' | 'htmx.js' | 'mark.svg';

const types: Readonly<Record<AssetName, string>> = {
  'console.css': 'text/css; charset=utf-8',
  'console.js': 'text/javascript; charset=utf-8',
  'htmx.js': 'text/javascript; charset=utf-8',
  'mark.svg': 'image/svg+xml',
};

export const loadAssets = (): Assets => {
  const files = new Map(
    Object.entries(types).map(([name, type]) => {
      const body = name === 'console.css' ? styleSheet() : readFileSync(pathOf(name));
      const hash = createHash('sha256').update(body).digest('hex').slice(0, 16);
      return [name, { body, zipped: gzipSync(body, { level: 9 }), hash, type }] as const;
    }),
  );
  return {
    href: (name) => `/console/assets/${files.get(name)?.hash ?? ''}/${name}`,
    respond: (hash, name, acceptEncoding) => {
      const file = files.get(name);
      if (file === undefined || file.hash !== hash) return null;
      const zip = /\bgzip\b/.test(acceptEncoding ?? '');
      return new Response(new Uint8Array(zip ? file.zipped : file.body), {
        headers: {
          'content-type': file.type,
          'cache-control': 'public, max-age=31536000, immutable',
          vary: 'accept-encoding',
          ...(zip ? { 'content-encoding': 'gzip' } : {}),
        },
      });
    },
  };
};

/** In the order of the cascade; `narrow` last, because it overrides. */
const sheets = [
  'base',
  'shell',
  'buttons',
  'page',
  'forms',
  'tables',
  'ask',
  'prose',
  'receipt',
  'answers',
  'sources',
  'overview',
  'people',
  'chat',
  'operator',
  'settings',
  'narrow',
] as const;
const styleSheet = (): Buffer => Buffer.concat(sheets.map((name) => readFileSync(pathOf(`css/${name}.css`))));

/** Beside this file in the source tree; the compiled one in `dist/console` looks back into the source tree. */
const pathOf = (name: string): string => {
  if (name === 'htmx.js') return fileURLToPath(import.meta.resolve('htmx.org/dist/htmx.min.js'));
  const beside = fileURLToPath(new URL(`./assets/${name}`, import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL(`../../console/assets/${name}`, import.meta.url));
};
