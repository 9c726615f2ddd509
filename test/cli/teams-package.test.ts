import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, inflateSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { footnote } from './surroundings.ts';

const appId = '11111111-2222-3333-4444-555555555555';
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'footnote-package-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const verb = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  footnote(['teams-package', ...args], {
    storeless: true,
    env: { PUBLIC_URL: 'https://footnote.example.com', ...env },
  });

/** The files of a zip that compresses none of them, read by its directory as any program does. */
const unzip = (zip: Buffer): ReadonlyMap<string, Buffer> => {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  const files = new Map<string, Buffer>();
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    expect(zip.toString('latin1', at, at + 4)).toBe('PK\x01\x02');
    const [method, sum, size, label] = [
      zip.readUInt16LE(at + 10),
      zip.readUInt32LE(at + 16),
      zip.readUInt32LE(at + 24),
      zip.readUInt16LE(at + 28),
    ];
    const begins = zip.readUInt32LE(at + 42);
    const name = zip.toString('ascii', at + 46, at + 46 + label);
    expect(zip.toString('latin1', begins, begins + 4)).toBe('PK\x03\x04');
    const body = begins + 30 + zip.readUInt16LE(begins + 26) + zip.readUInt16LE(begins + 28);
    const bytes = zip.subarray(body, body + size);
    expect(method).toBe(0);
    expect(crc32(bytes)).toBe(sum);
    files.set(name, bytes);
    at += 46 + label;
  }
  expect(at).toBe(end);
  return files;
};

/** Width, height and pixels of a PNG of ours. */
const pixelsOf = (png: Buffer): { readonly size: number; readonly at: (x: number, y: number) => readonly number[] } => {
  expect(png.toString('latin1', 0, 8)).toBe('\x89PNG\r\n\x1a\n');
  const size = png.readUInt32BE(16);
  expect(png.readUInt32BE(20)).toBe(size);
  const chunk = png.indexOf('IDAT');
  const rows = inflateSync(png.subarray(chunk + 4, chunk + 4 + png.readUInt32BE(chunk - 4)));
  return { size, at: (x, y) => [...rows.subarray(y * (size * 4 + 1) + 1 + x * 4, y * (size * 4 + 1) + 5 + x * 4)] };
};

const made = async (...args: readonly string[]): Promise<ReadonlyMap<string, Buffer>> => {
  const file = join(folder, 'app.zip');
  expect(await verb([file, ...args], { TEAMS_APP_ID: appId, TEAMS_APP_PASSWORD: 'x' })).toMatchObject({
    code: 0,
    err: '',
  });
  return unzip(await readFile(file));
};
const manifestIn = (files: ReadonlyMap<string, Buffer>): Record<string, unknown> =>
  JSON.parse(files.get('manifest.json')?.toString() ?? '') as Record<string, unknown>;

describe('footnote teams-package', () => {
  it('writes a zip with a manifest and two icons, the same bytes each time', async () => {
    const files = await made();
    expect([...files.keys()]).toEqual(['manifest.json', 'color.png', 'outline.png']);
    expect(await made('--force')).toEqual(files);
  });

  it('the manifest names the bot in all three scopes, files, commands, and "Ask about this" on a message', async () => {
    expect(manifestIn(await made())).toMatchObject({
      manifestVersion: '1.29',
      id: appId,
      icons: { color: 'color.png', outline: 'outline.png' },
      bots: [
        {
          botId: appId,
          scopes: ['personal', 'team', 'groupChat'],
          supportsFiles: true,
          commandLists: [{ commands: expect.arrayContaining([expect.objectContaining({ title: 'connect' })]) }],
        },
      ],
      composeExtensions: [{ botId: appId, commands: [{ id: 'ask', type: 'action', context: ['message'] }] }],
      validDomains: ['footnote.example.com'],
      supportsChannelFeatures: 'tier1',
    });
  });

  it('keeps within what Teams takes of every text', async () => {
    const { name, description, developer, bots } = manifestIn(
      await made('--name', 'N'.repeat(30), '--developer', 'D'.repeat(32)),
    ) as {
      name: Record<string, string>;
      description: Record<string, string>;
      developer: Record<string, string>;
      bots: { commandLists: { commands: { title: string; description: string }[] }[] }[];
    };
    expect(name.short?.length).toBeLessThanOrEqual(30);
    expect(name.full?.length).toBeLessThanOrEqual(100);
    expect(description.short?.length).toBeLessThanOrEqual(80);
    expect(developer.name?.length).toBeLessThanOrEqual(32);
    for (const address of [developer.websiteUrl, developer.privacyUrl, developer.termsOfUseUrl])
      expect(address).toMatch(/^https:\/\//);
    const commands = bots[0]?.commandLists[0]?.commands ?? [];
    expect(commands.length).toBeLessThanOrEqual(10);
    for (const command of commands) {
      expect(command.title.length).toBeLessThanOrEqual(32);
      expect(command.description.length).toBeLessThanOrEqual(128);
    }
  });

  it('asks for consent to hear everything only when told to', async () => {
    expect(manifestIn(await made()).authorization).toBeUndefined();
    expect(manifestIn(await made('--force', '--hear-all'))).toMatchObject({
      webApplicationInfo: { id: appId },
      authorization: {
        permissions: {
          resourceSpecific: [
            { name: 'ChannelMessage.Read.Group', type: 'Application' },
            { name: 'ChatMessage.Read.Chat', type: 'Application' },
            { name: 'TeamMember.Read.Group', type: 'Application' },
          ],
        },
      },
    });
  });

  it('the coloured icon is 192 pixels, filled, with our mark on our blue', async () => {
    const { size, at } = pixelsOf((await made()).get('color.png') ?? Buffer.alloc(0));
    expect(size).toBe(192);
    for (const corner of [at(0, 0), at(191, 0), at(0, 191), at(191, 191)])
      expect(corner).toEqual([0x23, 0x40, 0x7a, 255]);
    const colours = new Set(
      Array.from({ length: 192 * 192 }, (_, index) => at(index % 192, Math.floor(index / 192)).join()),
    );
    expect(colours).toContain('255,255,255,255');
    expect(colours).toContain('255,196,107,255');
  });

  it('the outline is 32 pixels, white on nothing', async () => {
    const { size, at } = pixelsOf((await made()).get('outline.png') ?? Buffer.alloc(0));
    expect(size).toBe(32);
    const pixels = Array.from({ length: 32 * 32 }, (_, index) => at(index % 32, Math.floor(index / 32)));
    expect(pixels.filter(([, , , alpha]) => alpha === 255).length).toBeGreaterThan(60);
    expect(
      pixels.every(([red, green, blue, alpha]) => alpha === 0 || (red === 255 && green === 255 && blue === 255)),
    ).toBe(true);
    expect(at(0, 0)[3]).toBe(0);
  });

  it('does not replace a file without being told to', async () => {
    await made();
    expect((await verb([join(folder, 'app.zip'), '--app-id', appId])).code).toBe(2);
  });

  it.each([
    ['no application id', [], {}],
    ['an application id that is none', ['--app-id', 'footnote'], {}],
    ['a version that is none', ['--app-id', appId, '--app-version', '1'], {}],
    ['a name that is too long', ['--app-id', appId, '--name', 'N'.repeat(31)], {}],
    ['two files', ['--app-id', appId, 'a', 'b'], {}],
  ])('%s is used wrongly', async (_, args, env) => {
    expect((await verb(args, env)).code).toBe(2);
  });

  it('an address that Teams refuses is said to be one', async () => {
    const { code, err } = await verb([join(folder, 'b.zip'), '--app-id', appId], {
      PUBLIC_URL: 'http://localhost:3000',
    });
    expect(code).toBe(1);
    expect(err).toContain('Set PUBLIC_URL');
  });
});
