import { describe, expect, test } from 'vitest';
import { plainText, renderMarkdown, safeHref } from '../../../console/pages/markdown.ts';
import { payloads } from '../../browser/payloads.ts';

const render = (markdown: string, links: readonly string[] = [], footnotes: readonly number[] = [1, 2]): string =>
  renderMarkdown(markdown, { links, footnotes, prefix: 'fn-a' });

describe('an answer as HTML', () => {
  test('links each marker to its footnote, and only markers that have one', () => {
    expect(render('By train [1], not by car [7].')).toBe(
      '<p>By train<sup class="ref"><a href="#fn-a-1" id="fn-a-ref-1" aria-label="Footnote 1">1</a></sup>, not by car [7].</p>',
    );
  });

  test('gives the first mention of a footnote the anchor to come back to', () => {
    expect(render('A [1] B [1]').match(/id="fn-a-ref-1"/g)).toHaveLength(1);
  });

  test('keeps a marker a footnote although the text defines a link of that name', () => {
    const html = render('See [1].\n\n[1]: https://evil.example');
    expect(html).toContain('href="#fn-a-1"');
    expect(html).not.toContain('evil.example');
  });

  test('leaves markers in code alone', () => {
    expect(render('`list[1]`')).toBe('<p><code>list[1]</code></p>');
  });

  test('links an address only when a cited source has it', () => {
    expect(render('[a](https://good.example/x)', ['https://good.example/x'])).toContain(
      'href="https://good.example/x" rel="noopener noreferrer" target="_blank"',
    );
    for (const text of [
      '[a](https://evil.example)',
      '<https://evil.example>',
      'https://evil.example',
      'www.evil.example',
      '[a][b]\n\n[b]: https://evil.example',
      '![a](https://evil.example/x.png)',
      '![a][b]\n\n[b]: https://evil.example/x.png',
    ]) {
      expect(render(text, ['https://good.example/x']), text).not.toMatch(/href=|src=|<img/);
    }
  });

  test('keeps lists, tables, code and emphasis', () => {
    expect(render('- **a**\n- *b*')).toBe('<ul>\n<li><strong>a</strong></li>\n<li><em>b</em></li>\n</ul>');
    expect(render('|a|b|\n|-|-:|\n|1|2|')).toContain('<td align="right">2</td>');
    expect(render('# Big')).toBe('<h3>Big</h3>');
  });

  test.each(payloads)('is harmless with %j', (payload) => {
    for (const text of [
      payload,
      `**${payload}**`,
      `[${payload}](${payload})`,
      `\`\`\`${payload}\n${payload}\n\`\`\``,
      `| ${payload} |\n|-|`,
      `[1]: ${payload}`,
    ]) {
      const html = render(text, [payload]);
      const tags = [...html.matchAll(/<\/?([a-z0-9]+)((?:\s+[a-z-]+="[^"]*")*)\s*>/g)];
      // Whatever opens with "<" is a tag of ours with quoted attributes of ours.
      expect(html.split('<').length - 1, html).toBe(tags.length);
      for (const [, tag, attributes] of tags) {
        expect(
          'p br strong em del code pre blockquote ul ol li h3 h4 h5 h6 hr a table thead tbody tr th td sup'.split(' '),
          html,
        ).toContain(tag);
        for (const [, name, value] of (attributes ?? '').matchAll(/([a-z-]+)="([^"]*)"/g)) {
          expect(['href', 'id', 'class', 'align', 'start', 'rel', 'target', 'aria-label'], html).toContain(name);
          if (name === 'href') expect(value).toMatch(/^(https?:|#fn-a-)/);
        }
      }
    }
  });
});

test('only web addresses become links', () => {
  expect(safeHref('https://a.example/x')).toBe('https://a.example/x');
  for (const url of [
    'javascript:alert(1)',
    ' javascript:alert(1)',
    'JaVaScRiPt:x',
    'java\nscript:x',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    '//evil',
    '',
    undefined,
  ]) {
    expect(safeHref(url), String(url)).toBeUndefined();
  }
});

test('a quote reads as its words', () => {
  expect(plainText('Rail *under* **four** hours\n\n- see `x`\n- or **y**\n\n| a | b |\n| - | - |\n| 1 | 2 |')).toBe(
    'Rail under four hours see x or y a b 1 2',
  );
});
