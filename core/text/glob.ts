const maxAlternatives = 256;

/**
 * Whether a path matches a pattern: `*` and `?` within a part, `**` for any number of parts, `[a-z]`, `{one,other}`.
 * Names that begin with a dot are names like others; slashes at the ends count for nothing, and `docs/**` includes
 * `docs` itself. Takes time in proportion to the two lengths at worst: patterns come from tenants, and those that are
 * made into regular expressions can be written so that one address holds the process for minutes.
 */
export const matchesGlob = (path: string, pattern: string): boolean => {
  const parts = partsOf(path);
  return alternativesOf(pattern).some((alternative) =>
    matchesAll(parts, partsOf(alternative), (part) => part === '**', matchesPart),
  );
};

const partsOf = (path: string): readonly string[] => path.split('/').filter((part) => part !== '');

const matchesPart = (part: string, pattern: string): boolean =>
  part === pattern ||
  matchesAll(
    [...part],
    tokensOf(pattern),
    (token) => token === '*',
    (letter, token) => (typeof token === 'string' ? token === letter : token(letter)),
  );

/**
 * A pattern in which `isStar` marks what stands for any number of items. Only the last star is ever tried with more:
 * whatever the earlier ones could take besides, it can take as well.
 */
const matchesAll = <Item, Token>(
  items: readonly Item[],
  pattern: readonly Token[],
  isStar: (token: Token) => boolean,
  matches: (item: Item, token: Token) => boolean,
): boolean => {
  let item = 0;
  let at = 0;
  let retry: { readonly at: number; item: number } | undefined;
  while (item < items.length) {
    const token = pattern[at];
    if (token !== undefined && isStar(token)) {
      at += 1;
      retry = { at, item };
    } else if (token !== undefined && matches(items[item] as Item, token)) {
      item += 1;
      at += 1;
    } else if (retry) {
      retry.item += 1;
      item = retry.item;
      at = retry.at;
    } else return false;
  }
  return pattern.slice(at).every(isStar);
};

type Token = string | ((letter: string) => boolean);

const tokensOf = (pattern: string): Token[] => {
  const tokens: Token[] = [];
  const letters = [...pattern];
  for (let at = 0; at < letters.length; at++) {
    const letter = letters[at] ?? '';
    const close = letter === '[' ? letters.indexOf(']', at + 2) : -1;
    if (close > 0) {
      tokens.push(oneOf(letters.slice(at + 1, close)));
      at = close;
    } else tokens.push(letter === '?' ? () => true : letter);
  }
  return tokens;
};

const oneOf = (written: readonly string[]): ((letter: string) => boolean) => {
  const negated = written[0] === '!' || written[0] === '^';
  const set = negated ? written.slice(1) : written;
  const holds = (letter: string): boolean =>
    set.some((first, at) => {
      if (first === '-' && at > 0 && at < set.length - 1) return false;
      const last = set[at + 1] === '-' ? set[at + 2] : undefined;
      return last === undefined ? first === letter : first <= letter && letter <= last;
    });
  return (letter) => holds(letter) !== negated;
};

const alternativesOf = (pattern: string): readonly string[] => {
  const whole: string[] = [];
  const open = [pattern];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const group = /\{([^{}]*,[^{}]*)\}/.exec(next);
    if (!group || whole.length + open.length >= maxAlternatives) {
      whole.push(next);
      continue;
    }
    const before = next.slice(0, group.index);
    const after = next.slice(group.index + group[0].length);
    open.push(...(group[1] ?? '').split(',').map((choice) => before + choice + after));
  }
  return whole;
};
