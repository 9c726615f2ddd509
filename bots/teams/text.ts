/** Somebody who is named in a message, with the words that stand for them there. */
export type Mention = { readonly id: string; readonly text: string; readonly name: string };

/**
 * Teams' inbound text as Markdown: our own mention goes, wherever it stands and however often; those of others become
 * `@Name`, which the reply policy relies on; Teams' entities for white space and brackets become what they mean.
 */
export const parseTeamsText = (text: string, mentions: readonly Mention[], botId: string): string => {
  let rest = text;
  for (const mention of mentions) {
    if (mention.text === '') continue;
    rest = rest.split(mention.text).join(mention.id === botId ? '' : `@${mention.name}`);
  }
  return unescapeText(rest.replace(/<at(?:\s[^>]*)?>([^<]*)<\/at>/gi, '@$1'))
    .replace(/\u00a0/g, ' ')
    .replace(/\r\n?/g, '\n')
    .replace(/[ \t]+\n/g, '\n')
    .trim();
};

/** A message's HTML, as a message extension gets it, in words. */
export const textOfHtml = (html: string): string =>
  unescapeText(
    html
      .replace(/<(script|style)\b[\s\S]*?<\/\1\s*>/gi, '')
      .replace(/<br\s*\/?>|<\/(?:p|div|li|tr|h[1-6]|blockquote|pre)\s*>/gi, '\n')
      .replace(/<li\b[^>]*>/gi, '- ')
      .replace(/<[^>]*>/g, ''),
  )
    .replace(/\u00a0/g, ' ')
    .replace(/[ \t]+\n/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim();

const entities: Readonly<Record<string, string>> = {
  nbsp: ' ',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  '#39': "'",
  amp: '&',
};
const unescapeText = (text: string): string =>
  text.replace(/&(nbsp|lt|gt|quot|apos|#39|amp);/g, (_, name: string) => entities[name] ?? '');
