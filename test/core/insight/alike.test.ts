import { expect, test } from 'vitest';
import { groupAlike } from '../../../core/insight/alike.ts';

const group = (texts: readonly string[]) => groupAlike(texts, (text) => text);

test('questions that say nearly the same are one group, others are not', () => {
  expect(
    group([
      'Where do I park my bicycle?',
      'How do I reset my VPN password?',
      'Where can I park a bicycle?',
      'Reset VPN password?',
      'Who is the president?',
      'parking bicycles where',
    ]),
  ).toEqual([
    ['Where do I park my bicycle?', 'Where can I park a bicycle?', 'parking bicycles where'],
    ['How do I reset my VPN password?', 'Reset VPN password?'],
    ['Who is the president?'],
  ]);
});

test('the same texts make the same groups, and texts of stop words alone are compared as they stand', () => {
  expect(group(['What is it?', 'And who are you?', 'what is it?'])).toEqual(
    group(['What is it?', 'And who are you?', 'what is it?']),
  );
  expect(group(['', ''])).toEqual([['', '']]);
});

test('two thousand questions with a word in common are grouped within a second', () => {
  const texts = Array.from({ length: 2000 }, (_, n) => `vacation topic${n} detail${n * 7} matter${n * 13}`);
  const begun = performance.now();
  expect(group(texts)).toHaveLength(2000);
  expect(performance.now() - begun).toBeLessThan(1000);
});
