/** A slice of a text, by UTF-16 offsets. */
export type Span = { readonly start: number; readonly end: number };

const abbreviations =
  /(?:^|[\s(])(?:e\.g|i\.e|etc|cf|vs|approx|resp|incl|min|max|no|nr|fig|sec|ch|art|al|st|mr|mrs|ms|dr|prof|inc|ltd|co|corp|dept|est|z\.\s?b|d\.\s?h|bzw|usw|ca|vgl|ggf|u\.\s?a|p\.\s?ex|[a-z])\.$/iu;

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });

/**
 * Sentences of running text, without the white space around them. Line breaks are not boundaries: paragraphs in Markdown
 * are often wrapped. Abbreviations and a following lower-case word keep a sentence together.
 */
export const splitSentences = (text: string): readonly Span[] => {
  // Same length, so that offsets still fit.
  const flat = text.replace(/[\r\n\u2028\u2029]/g, ' ');
  const spans: { start: number; end: number }[] = [];
  for (const { index, segment } of segmenter.segment(flat)) {
    const start = index + segment.length - segment.trimStart().length;
    const end = index + segment.trimEnd().length;
    if (end <= start) continue;
    const last = spans.at(-1);
    const before = last === undefined ? '' : flat.slice(last.start, last.end);
    if (last !== undefined && (abbreviations.test(before) || /^\p{Ll}/u.test(flat.slice(start, start + 2))))
      last.end = end;
    else spans.push({ start, end });
  }
  return spans;
};

/** Whether running text that ends here, followed by more, has ended a sentence. For text that is still arriving. */
export const endsSentence = (before: string): boolean =>
  /[.!?…。！？][\p{Pe}\p{Pf}"'*_]*$/u.test(before) &&
  !abbreviations.test(before.replace(/[*_]+$/u, '')) &&
  !/(?:^|\s)\d+\.$/.test(before);

/** White space runs become one space: the form in which quotes are compared. */
export const collapse = (text: string): string => text.replace(/\s+/gu, ' ').trim();
