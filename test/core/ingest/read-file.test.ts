import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachedSourceId } from '../../../core/ids.ts';
import { type Bench, openBench } from './workbench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench({ sources: [] });
});
afterAll(() => bench.close());

const read = (name: string, content: string | Uint8Array, mediaType?: string) =>
  bench.ingest.readFile(
    {
      name,
      bytes: typeof content === 'string' ? new TextEncoder().encode(content) : content,
      ...(mediaType === undefined ? {} : { mediaType }),
    },
    AbortSignal.timeout(20_000),
  );

describe('a file that came with a question', () => {
  it('is cut into passages that carry its name and no link', async () => {
    const passages = await read('offer.md', '# Offer\n\nProbation ends after five months.', 'text/markdown');
    expect(passages).toMatchObject([
      { title: 'offer.md', externalId: 'offer.md', sourceId: attachedSourceId, headingPath: ['Offer'] },
    ]);
    expect(passages[0]?.text).toContain('five months');
    expect(passages[0]?.url).toBeUndefined();
  });

  it('is put into no index and leaves no row', async () => {
    await read('secret.txt', 'The zebra sleeps in the boiler room.');
    expect(await bench.find('zebra boiler')).toEqual([]);
    expect(await bench.state.documents.count(bench.tenant.id)).toBe(0);
  });

  it('that cannot be read is refused with a sentence', async () => {
    const picture = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]);
    await expect(read('scan.png', picture, 'image/png')).rejects.toMatchObject({
      code: 'unreadable-document',
      message: expect.stringMatching(/\.$/),
    });
  });
});
