import { expect, test } from 'vitest';
import { groupAlike, rememberTerms } from '../../../core/insight/alike.ts';

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

test('what is remembered of texts makes the same groups, however little room there is for it', () => {
  const texts = Array.from(
    { length: 60 },
    (_, n) => `Where is the ${['garage', 'canteen', 'library'][n % 3]} of house ${n % 7}?`,
  );
  for (const room of [2, 10, 1000]) {
    const termsOf = rememberTerms(room);
    for (const _ of [1, 2]) expect(groupAlike(texts, (text) => text, termsOf)).toEqual(group(texts));
  }
});

test('two thousand questions with a word in common take less than a second of the processor', () => {
  const texts = Array.from({ length: 2000 }, (_, n) => `vacation topic${n} detail${n * 7} matter${n * 13}`);
  // Not the clock on the wall, which goes on while others have the processor.
  const begun = process.cpuUsage();
  expect(group(texts)).toHaveLength(2000);
  expect(process.cpuUsage(begun).user / 1000).toBeLessThan(1000);
});
