import { countTokens as wholeCount } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, it } from 'vitest';
import { countTokens } from '../../../core/text/tokens.ts';

describe('countTokens', () => {
  it('counts by the o200k vocabulary', () => {
    expect(countTokens('')).toBe(0);
    expect(countTokens('hello world')).toBe(2);
  });

  it('counts text that imitates a special token instead of throwing', () => {
    expect(countTokens('before <|endoftext|> after')).toBeGreaterThan(5);
  });

  it('counts what the vocabulary counts, for every mixture of scripts, marks and spaces', () => {
    const pieces =
      "a|B|the|don't|'s|’|é|\u0301|1|23|2024|٣| |  |\n|\r\n|\t|\u00a0|/|.|,|-|_|::|語|한국|😀|camelCase|HTTPServer|ß|Ж|привет|*|`|(|\u3000|<|endoftext|>".split(
        '|',
      );
    let seed = 7;
    const next = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
      return seed % below;
    };
    for (let round = 0; round < 3_000; round++) {
      const text = Array.from({ length: 1 + next(40) }, () => pieces[next(pieces.length)]).join('');
      expect([text, countTokens(text)]).toEqual([text, wholeCount(text, { disallowedSpecial: new Set() })]);
    }
  });

  it('takes time in proportion to the length, even without a single break', () => {
    countTokens('warm up');
    // Of this thread alone: other work on the machine does not count.
    const timeOf = (text: string): number => {
      const before = process.threadCpuUsage();
      countTokens(text);
      return process.threadCpuUsage(before).user;
    };
    timeOf('語'.repeat(5_000));
    const small = Math.max(timeOf('語'.repeat(20_000)), 1_000);
    const large = timeOf('語'.repeat(200_000));
    // Ten times the text: linear is 10, quadratic would be 100.
    expect(large / small).toBeLessThan(40);
  });

  it('never cuts a surrogate pair', () => {
    const emoji = '😀'.repeat(1_000);
    expect(countTokens(`x${emoji}`) - countTokens(emoji)).toBeLessThanOrEqual(3);
  });

  it('differs from an unwindowed count by less than 0.3 % on prose', () => {
    const prose = 'The kettle in the north kitchen is descaled on the first Monday of every month. '.repeat(100);
    expect(Math.abs(countTokens(prose) - wholeCount(prose)) / wholeCount(prose)).toBeLessThan(0.003);
  });
});
