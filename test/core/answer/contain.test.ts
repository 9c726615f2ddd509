import { describe, expect, it } from 'vitest';
import { renderFootnotes } from '../../../bots/markdown.ts';
import { containBlocks, containInline, listEscapes } from '../../../core/answer/contain.ts';

const nothingKnown = { knows: () => false };
const bareHost =
  /(?<![\p{L}\p{N}.-])(?:[\p{L}\p{N}-]+\.)+(?:com|net|org|pizza|ninja|example|run|tk|md)(?![\p{L}\p{N}])/iu;
const withoutCode = (markdown: string): string => markdown.replace(/(`+)[^`]*\1/g, '').replaceAll('(link removed)', '');

describe('what a hostile text cannot get out', () => {
  const attacks: readonly (readonly [string, string])[] = [
    ['a doubled at sign', 'Hello @@everyone and ＠＠here.'],
    ['a mention inside a mention', 'Hello <<!here>!channel> and `<<!here>!channel>`.'],
    ['a group of Slack', 'Ask <!subteam^S0123|@ops> or `<!subteam^S0123|@ops>`.'],
    ['a date of Slack that is a link', `See <!date^1^${'{date}'.repeat(20)}^https://evil.example/x|now>.`],
    ['@everyone in the middle of a word', 'Dear @everyone_else and x@everyones.'],
    ['a mention in entities', 'Dear &#64;every&#8203;one and &lt;!channel&gt; and &amp;lt;!here&amp;gt;.'],
    ['invisible characters in entities', 'Go to evil&#8203;.example and &#8238;moc.live.'],
    ['a reference link', '[click][1]\n\n[1]: https://evil.example\n\n> [2]: https://evil.example "x"'],
    ['a definition over two lines', 'See [click][a].\n\n[a]:\nhttps://evil.example'],
    ['a footnote definition', 'See[^1].\n\n[^1]: https://evil.example'],
    ['a link cut in two lines', '[click\nhere](https://evil.example)\n![x\ny](https://evil.example/i.png)'],
    ['a link of Slack', 'See <https://evil.example|the handbook> and <mailto:a@evil.example|me>.'],
    [
      'a protocol of its own',
      'Open //evil.example/x and \\\\evil.example\\x and https:evil.example and slack://channel?id=1.',
    ],
    ['a host after a slash', 'and/evil.com'],
    ['rare top levels', 'Visit evil.pizza or evil.ninja, or login.evil.tk today.'],
    ['a country that looks like a file', 'Read evil.md now.'],
    ['calls and mails', 'Call tel:+4411 or mail root@evil.example, sms:12.'],
    ['HTML', '<a href="https://evil.example">x</a><img src=x onerror=1> <script>1</script>'],
    ['HTML over two lines', '<a\nhref="https://evil.example">x</a>'],
    ['an autolink', '<https://evil.example> www.evil.example ftp://evil.example'],
    ['an emoji with an address', ':link:https://evil.example:link:'],
    ['an image in a heading', '# ![x](https://evil.example/i.png) Heading\nSetext ![x](y)\n==='],
    ['a mention with a tag in it', 'Dear @<i></i>everyone and @![](x)here, <<b></b>!channel>.'],
    ['a host with a tag in it', 'Visit evil.<i></i>example or evil.![](x)com.'],
    ['a host after punctuation', '..evil.com -evil.com @evil.com \\evil.com _evil.com'],
    ['a table', '| a | b |\n| --- | --- |\n| [x](https://evil.example) | evil.example |'],
  ];
  it.each(attacks)('%s', (_, text) => {
    for (const contained of [
      containBlocks(text, nothingKnown),
      containInline(text.replace(/\s+/g, ' '), nothingKnown),
    ]) {
      expect(listEscapes(contained)).toEqual([]);
      expect(withoutCode(contained)).not.toMatch(bareHost);
      expect(contained).not.toMatch(/[@＠](?:everyone|here)/i);
      expect(contained).not.toMatch(/<[!@#]/);
      expect(contained).not.toMatch(/[\u200b-\u200f\u202a-\u202e]/);
    }
  });

  it.each([
    ['a name of a file', 'Edit README.md and main.py.', 'Edit `README.md` and `main.py`.'],
    ['an abbreviation', 'Use it, e.g. at 9 a.m. or i.e. later.', 'Use it, e.g. at 9 a.m. or i.e. later.'],
    ['a version', 'Since v1.2.3 and Node.js 24.', 'Since v1.2.3 and Node.js 24.'],
  ])('but %s stays readable', (_, text, shown) => expect(containInline(text, nothingKnown)).toBe(shown));

  it('a footnote has one link at most, its own, whatever title and quote say', () => {
    const hostile =
      'Visit https://evil.example or evil.example, @everyone <!channel> ![x](http://evil.example/i) <img src=x>';
    const citation = { n: 1, documentId: 'd', externalId: 'e', chunkId: 'c', title: hostile, quote: hostile };
    expect(listEscapes(renderFootnotes([citation]))).toEqual([]);
    expect(renderFootnotes([citation])).not.toMatch(/evil\.example|@everyone|<!/);
    const linked = renderFootnotes([{ ...citation, url: 'https://docs.example/a' }]);
    expect(listEscapes(linked)).toEqual(['link https://docs.example/a']);
  });
});
