import { analyse } from '../text/analyse.ts';

/** From this share of common terms on, two questions are taken for one. */
const alikeFrom = 0.5;
/** A term that more groups have than this tells nothing; it is not looked at, which bounds the work. */
const groupsPerTerm = 200;
const termsPerText = 64;

type Terms = ReadonlySet<string>;

/** What a text is compared by. */
const termsOf = (text: string): Terms => {
  const found = new Set(analyse(text).slice(0, termsPerText));
  // Nothing but stop words: the text itself is all there is to compare.
  return found.size > 0 ? found : new Set([text.trim().toLowerCase()]);
};

/** The same for texts that come again and again, as the questions of a page do that is looked at. Holds up to `most` of them. */
export const rememberTerms = (most: number): ((text: string) => Terms) => {
  let fresh = new Map<string, Terms>();
  let old: ReadonlyMap<string, Terms> = new Map();
  return (text) => {
    const known = fresh.get(text);
    if (known !== undefined) return known;
    const terms = old.get(text) ?? termsOf(text);
    // Those that nobody asked for since half of the room was filled go.
    if (fresh.size >= most / 2) {
      old = fresh;
      fresh = new Map();
    }
    fresh.set(text, terms);
    return terms;
  };
};

/**
 * Groups of texts that say nearly the same, by the terms of our analyser: each text joins the group whose first text is
 * most like it, or begins one. The same texts in the same order make the same groups; the work grows with their number.
 */
export const groupAlike = <T>(
  items: readonly T[],
  textOf: (item: T) => string,
  comparedBy: (text: string) => Terms = termsOf,
): readonly (readonly T[])[] => {
  const groups: { readonly size: number; readonly items: T[] }[] = [];
  const groupsBy = new Map<string, number[]>();
  for (const item of items) {
    const terms = comparedBy(textOf(item));
    const common = new Map<number, number>();
    for (const term of terms)
      for (const group of groupsBy.get(term) ?? []) common.set(group, (common.get(group) ?? 0) + 1);
    let best: { readonly group: number; readonly likeness: number } | undefined;
    for (const [group, shared] of common) {
      const likeness = shared / (terms.size + (groups[group]?.size ?? 0) - shared);
      const isBetter =
        best === undefined || likeness > best.likeness || (likeness === best.likeness && group < best.group);
      if (likeness >= alikeFrom && isBetter) best = { group, likeness };
    }
    if (best !== undefined) {
      groups[best.group]?.items.push(item);
      continue;
    }
    const begun = groups.push({ size: terms.size, items: [item] }) - 1;
    for (const term of terms) {
      const known = groupsBy.get(term);
      if (known === undefined) groupsBy.set(term, [begun]);
      else if (known.length < groupsPerTerm) known.push(begun);
    }
  }
  return groups.map((group) => group.items);
};
