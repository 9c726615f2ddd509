/** A thread that runs a bare parser over its samples: says ready, and at each word that it is given, when it is done. */
import { parentPort, workerData } from 'node:worker_threads';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';
import { defaultParseLimits } from '../../core/ingest/parse/outline.ts';
import { parseDocument } from '../../core/ingest/parse/parse.ts';

const { variant, samples } = workerData as { variant: 'ours' | 'library'; samples: readonly { bytes: Uint8Array }[] };

const parse = async (bytes: Uint8Array): Promise<void> => {
  if (variant === 'library') fromMarkdown(bytes, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] });
  else await parseDocument(bytes, {}, defaultParseLimits);
};

for (const { bytes } of samples.slice(0, 10)) await parse(bytes);
parentPort?.on('message', async () => {
  for (const { bytes } of samples) await parse(bytes);
  parentPort?.postMessage('done');
});
parentPort?.postMessage('ready');
