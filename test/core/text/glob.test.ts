import { describe, expect, it } from 'vitest';
import { matchesGlob } from '../../../core/text/glob.ts';

describe('patterns over paths', () => {
  it.each<[pattern: string, matching: string[], other: string[]]>([
    ['*.md', ['a.md', '.hidden.md'], ['a/b.md', 'a.mdx', '']],
    ['**/*.md', ['a.md', 'a/b/c.md'], ['a/b.txt']],
    ['docs/**', ['docs', 'docs/', 'docs/a', 'docs/a/b'], ['doc', 'docsx', 'a/docs']],
    ['/docs/*/old', ['docs/a/old', 'docs/a/old/'], ['docs/old', 'docs/a/b/old']],
    ['**/drafts/**', ['drafts', 'a/drafts/b/c', '.a/drafts'], ['a/draft/b']],
    ['a/**/b/**/c', ['a/b/c', 'a/x/b/y/z/c', 'a/b/b/c'], ['a/c', 'a/b/c/d']],
    ['**', ['', 'a', 'a/b'], []],
    ['v?.[0-9]', ['v1.2', 'vä.0'], ['v.2', 'v1.x', 'v12.3']],
    ['[!a-c]x', ['dx', '-x'], ['ax', 'x']],
    ['[-a]', ['-', 'a'], ['b']],
    ['a[b', ['a[b'], ['ab']],
    ['{en,de/{alt,neu}}/*', ['en/a', 'de/alt/a', 'de/neu/a'], ['de/a', 'fr/a']],
    ['{only}', ['{only}'], ['only']],
    ['a*b*c', ['abc', 'aXbYbZc'], ['ab', 'acb']],
  ])('%s', (pattern, matching, other) => {
    expect(matching.filter((path) => !matchesGlob(path, pattern))).toEqual([]);
    expect(other.filter((path) => matchesGlob(path, pattern))).toEqual([]);
  });

  it.each([
    ['stars', '*a'.repeat(200), 'a'.repeat(800)],
    ['parts', '**/a/'.repeat(100), 'a/'.repeat(400)],
    ['choices', '{a,b}'.repeat(100), 'a'.repeat(100)],
  ])('are done in no time with many %s', (_, pattern, path) => {
    const began = performance.now();
    matchesGlob(`${path}x`, pattern);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});
