import { type Block, plainHeading } from './outline.ts';

/**
 * An outline read off the lines alone: blank lines part blocks, fences are kept whole, `#` lines are headings when the
 * text is Markdown. One pass whatever the text, so it also serves for Markdown that would hold the real parser for
 * minutes (nesting a hundred thousand deep, a line of ten megabytes).
 */
export const outlineByLines = (text: string, markdown: boolean): readonly Block[] => {
  const blocks: Block[] = [];
  let start = -1;
  let end = 0;
  let fence: string | null = null;
  const flush = (kind: Block['kind']): void => {
    if (start >= 0) blocks.push({ start, end, kind });
    start = -1;
  };
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at);
    const lineEnd = newline < 0 ? text.length : newline;
    const head = text.slice(at, Math.min(lineEnd, at + 400));
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(head)?.[1];
    if (fence !== null) {
      end = lineEnd;
      if (mark !== undefined && mark[0] === fence[0] && mark.length >= fence.length) {
        flush('code');
        fence = null;
      }
    } else if (mark !== undefined) {
      flush('text');
      fence = mark;
      start = at;
      end = lineEnd;
    } else if (markdown && /^#{1,6}[ \t]/.test(head)) {
      flush('text');
      const depth = /^#+/.exec(head)?.[0].length ?? 1;
      blocks.push({ start: at, end: lineEnd, kind: 'heading', depth, heading: plainHeading(head.slice(depth)) });
    } else if (head.trim() === '' && lineEnd - at <= 400) {
      flush('text');
    } else {
      if (start < 0) start = at;
      end = lineEnd;
    }
    at = lineEnd + 1;
  }
  flush(fence === null ? 'text' : 'code');
  return blocks;
};
