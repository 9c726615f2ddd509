import { describe, expect, test } from 'vitest';
import type { MaskedKind } from '../../../core/domain.ts';
import { maskedKinds, maskFor } from '../../../core/text/mask.ts';

const mask = (text: string, kinds: readonly MaskedKind[] = maskedKinds): string => maskFor({ kinds })?.(text) ?? text;

describe('masking', () => {
  test.each([
    ['write to anna.lee+work@mail.example.co.uk, please', 'write to [e-mail], please'],
    ['<ops@example.com>', '<[e-mail]>'],
    ['mailto:ops@example.com.', 'mailto:[e-mail].'],
    ['jürgen@müller.de or 李雷@例子.中国', '[e-mail] or [e-mail]'],
    ['call +49 (0)30 901820 today', 'call [phone] today'],
    ['call +1-202-555-0173!', 'call [phone]!'],
    ['0049 30 901820', '[phone]'],
    ['030 901820-15', '[phone]'],
    ['(030) 901820', '[phone]'],
    ['(212) 555-0123 or 212-555-0123', '[phone] or [phone]'],
    ['06 12 34 56 78', '[phone]'],
    ['card 4111 1111 1111 1111, exp. 12/27', 'card [card], exp. 12/27'],
    ['5555-5555-5555-4444', '[card]'],
    ['378282246310005', '[card]'],
    ['DE89 3704 0044 0532 0130 00 is ours', '[IBAN] is ours'],
    ['GB82WEST12345698765432.', '[IBAN].'],
    ['pay to NL91 ABNA 0417 1643 00 by Friday', 'pay to [IBAN] by Friday'],
  ])('%s', (text, masked) => {
    expect(mask(text)).toBe(masked);
  });

  test.each([
    'Error 0x80070005 at 2026-11-22 09:00:00',
    'released on 01.12.2026 and 2026-12-01',
    'version 10.12.0.4, build 20261122',
    'order 1234567890123456',
    'paragraph 12.3.4 of ISO 27001:2022',
    'a budget of 1,250,000 EUR or 1.250.000,00',
    'DE00370400440532013000',
    '4111 1111 1111 1112',
    '192.168.10.20:8080',
    'the user @anna in #ops',
    'https://example.com/2026/11/22/1234567',
    'id=0123456789',
    'SELECT 1 + 2 FROM t',
    'Article 1111 1111',
    'answers within 24 hours, 7 days',
  ])('leaves alone: %s', (text) => {
    expect(mask(text)).toBe(text);
  });

  test('only what is chosen is masked', () => {
    const text = 'a@b.example, +49 30 901820, 4111 1111 1111 1111, DE89370400440532013000';
    expect(mask(text, ['email'])).toBe('[e-mail], +49 30 901820, 4111 1111 1111 1111, DE89370400440532013000');
    expect(mask(text, ['iban'])).toContain('[IBAN]');
    expect(mask(text, ['iban'])).toContain('4111');
    expect(mask(text)).toBe('[e-mail], [phone], [card], [IBAN]');
    expect(maskFor(undefined)).toBeNull();
    expect(maskFor({ kinds: [] })).toBeNull();
  });

  test('masking what is masked changes nothing', () => {
    const once = mask('a@b.example and +49 30 901820 and DE89370400440532013000');
    expect(mask(once)).toBe(once);
  });

  test('a hostile text takes no longer than its length', () => {
    const began = performance.now();
    for (const text of [
      'a'.repeat(200_000),
      `${'a.'.repeat(100_000)}@`,
      '1 '.repeat(100_000),
      `+${'1-'.repeat(100_000)}`,
      'DE89 '.repeat(40_000),
      `${'x@'.repeat(100_000)}`,
      `(0${'1'.repeat(100_000)}`,
    ])
      mask(text);
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
