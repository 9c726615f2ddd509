import { describe, expect, it } from 'vitest';
import { renderFootnotes, renderMrkdwn, splitMarkdown } from '../../bots/markdown.ts';
import type { Citation } from '../../core/domain.ts';
import { createTestRandom } from '../fakes/clock.ts';

describe('splitting Markdown', () => {
  it('leaves what fits as it is', () => {
    expect(splitMarkdown('# Title\n\nText', 100)).toEqual(['# Title\n\nText']);
    expect(splitMarkdown('  \n ', 100)).toEqual([]);
  });

  it('cuts between paragraphs first', () => {
    const paragraph = 'word '.repeat(15).trim();
    expect(splitMarkdown(`${paragraph}\n\n${paragraph}\n\n${paragraph}`, 160)).toEqual([
      `${paragraph}\n\n${paragraph}`,
      paragraph,
    ]);
  });

  it('closes a fence that it must cut and opens it again with its language', () => {
    const code = Array.from({ length: 60 }, (_, index) => `const a${index} = ${index};`);
    const parts = splitMarkdown(`\`\`\`ts\n${code.join('\n')}\n\`\`\``, 300);
    expect(parts.length).toBeGreaterThan(3);
    for (const part of parts) {
      expect(part.startsWith('```ts\n')).toBe(true);
      expect(part.endsWith('\n```')).toBe(true);
    }
    expect(parts.flatMap((part) => part.split('\n').slice(1, -1))).toEqual(code);
  });

  it('keeps a fence together with empty lines and a shorter fence inside', () => {
    const block = '````md\n```\ninner\n\n```\n````';
    expect(splitMarkdown(`${'x'.repeat(90)}\n\n${block}`, 100)).toEqual(['x'.repeat(90), block]);
  });

  it("gives a table's further rows its head again", () => {
    const rows = Array.from({ length: 40 }, (_, index) => `| ${index} | value ${index} |`);
    const parts = splitMarkdown(`| n | value |\n|---|---|\n${rows.join('\n')}`, 200);
    for (const part of parts) expect(part.startsWith('| n | value |\n|---|---|\n')).toBe(true);
    expect(parts.flatMap((part) => part.split('\n').slice(2))).toEqual(rows);
  });

  it('cuts a line without spaces between characters, never inside one', () => {
    const parts = splitMarkdown('😀'.repeat(400), 101);
    expect(parts.join('')).toBe('😀'.repeat(400));
    for (const part of parts) expect(part.isWellFormed()).toBe(true);
  });

  it('never exceeds the limit and loses no word, whatever the text', () => {
    const random = createTestRandom(7);
    const pieces = [
      'para graph text',
      '```js\ncode();\n\nmore();\n```',
      '| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |',
      '- item\n- item',
      '~~~\ntilde\n~~~',
      `${'long'.repeat(60)}`,
      'עברית וערבית',
      '# Head',
      '> quote\n> quote',
    ];
    for (let round = 0; round < 300; round += 1) {
      const text = Array.from(
        { length: 1 + Math.floor(random.float() * 20) },
        () => pieces[Math.floor(random.float() * pieces.length)],
      ).join('\n\n');
      const limit = 100 + Math.floor(random.float() * 200);
      const parts = splitMarkdown(text, limit);
      for (const part of parts) {
        expect(part.length).toBeLessThanOrEqual(limit);
        expect((part.match(/^(```|~~~)/gm) ?? []).length % 2).toBe(0);
      }
      const words = (markdown: string) => markdown.replace(/[`~|\-\s]|js/g, '');
      if (parts.length === 1) expect(words(parts[0] ?? '')).toBe(words(text));
      for (const piece of ['code();', 'more();', 'tilde']) {
        expect(parts.join('\n').split(piece).length).toBe(text.split(piece).length);
      }
    }
  });
});

describe('mrkdwn', () => {
  it.each([
    ['# Title', '*Title*'],
    ['**bold** and *it* and ~~no~~', '*bold* and _it_ and ~no~'],
    ['[text](https://a.example/x?a=1&b=2)', '<https://a.example/x?a=1&amp;b=2|text>'],
    ['[bad](javascript:alert(1))', 'bad'],
    ['![alt](https://a.example/i.png)', 'alt'],
    ['- one\n- two\n  - deep', '• one\n• two\n    • deep'],
    ['2. b\n3. c', '2. b\n3. c'],
    ['`a<b`', '`a&lt;b`'],
    ['> said', '> said'],
    ['- [x] done\n- [ ] open', '• ☑ done\n• ☐ open'],
  ])('%j becomes %j', (markdown, expected) => {
    expect(renderMrkdwn(markdown)).toBe(expected);
  });

  it('a table becomes fixed width', () => {
    expect(renderMrkdwn('| a | bb |\n|---|---|\n| 111 | 2 |')).toBe('```\na    bb\n---  --\n111  2\n```');
  });

  it.each([
    '<!channel>',
    '<!here>',
    '<@U123>',
    '<#C1|general>',
    '`<!channel>`',
    '```\n<!channel>\n```',
    '<!subteam^S1>',
    '[<!channel>](https://a.example)',
  ])('takes the power from %s', (text) => {
    expect(renderMrkdwn(text)).not.toMatch(/<[!@#]/);
  });
});

describe('footnotes', () => {
  const citation: Citation = {
    n: 1,
    documentId: 'd',
    externalId: 'e',
    chunkId: 'c',
    title: 'Hand[book] *new*',
    quote: 'Thirty\n days.',
  };
  it('link where there is somewhere to go, with the page', () => {
    expect(renderFootnotes([{ ...citation, url: 'https://a.example/x_(y)?q=a b#f', page: 3 }])).toBe(
      '- [1] [Hand\\[book\\] \\*new\\*](https://a.example/x_%28y%29?q=a%20b#f), p. 3',
    );
  });
  it('quote where there is not', () => {
    expect(renderFootnotes([citation])).toBe('- [1] Hand\\[book\\] \\*new\\*: “Thirty days.”');
  });
  it.each(['javascript:alert(1)', 'data:text/html,x', 'not a url', 'file:///etc/passwd'])('no link to %s', (url) => {
    expect(renderFootnotes([{ ...citation, url }])).not.toContain('](');
  });
});
