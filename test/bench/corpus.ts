import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Chunk, EmbeddedChunk } from '../../core/domain.ts';
import { analyse } from '../../core/text/analyse.ts';

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));

function* markdownUnder(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* markdownUnder(path);
    else if (/\.(md|d\.ts)$/.test(entry.name) && statSync(path).size < 300_000) yield path;
  }
}

/** A small generator of chance, so that every run measures the same. */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

/** Paragraphs of the documentation of the installed packages, cut to about 1,100 characters. The same text gives the same chunks. */
export const chunksOfModules = (count: number, label = 'a'): Chunk[] => {
  const chunks: Chunk[] = [];
  for (const path of markdownUnder(modules)) {
    const title = path.slice(modules.length + 1);
    let text = '';
    let ordinal = 0;
    for (const paragraph of readFileSync(path, 'utf8').split(/\n\s*\n/)) {
      text += `${paragraph}\n\n`;
      if (text.length < 900) continue;
      chunks.push(chunkOf(`${label}${chunks.length}`, `${label}-${title}`, title, ordinal++, text.slice(0, 2_000)));
      text = '';
      if (chunks.length === count) return chunks;
    }
  }
  // Not enough installed: new chunks out of halves of those there are.
  const random = seeded(7);
  const real = chunks.length;
  while (chunks.length < count) {
    const one = chunks[Math.floor(random() * real)];
    const other = chunks[Math.floor(random() * real)];
    if (!one || !other) break;
    const text = one.text.slice(0, one.text.length / 2) + other.text.slice(other.text.length / 2);
    chunks.push(
      chunkOf(
        `${label}${chunks.length}`,
        `${label}-mixed-${Math.floor(chunks.length / 10)}`,
        one.title,
        chunks.length % 10,
        text,
      ),
    );
  }
  return chunks;
};

const chunkOf = (id: string, documentId: string, title: string, ordinal: number, text: string): Chunk => ({
  id: `c_${id}`,
  documentId,
  sourceId: `s_${ordinal % 4}`,
  externalId: documentId,
  ordinal,
  title,
  headingPath: [],
  text,
  start: 0,
  end: text.length,
  tokens: Math.ceil(text.length / 4),
});

/** Random projections of bags of words: neighbours share words, and the dimensions look like nothing in particular. */
export const createProjector = (dimensions: number): ((text: string) => Float32Array) => {
  const directions = new Map<string, Float32Array>();
  const directionOf = (term: string): Float32Array => {
    const known = directions.get(term);
    if (known) return known;
    let seed = 2_166_136_261;
    for (let at = 0; at < term.length; at++) seed = Math.imul(seed ^ term.charCodeAt(at), 16_777_619);
    const random = seeded(seed);
    const made = Float32Array.from({ length: dimensions }, () => random() + random() + random() - 1.5);
    if (directions.size < 20_000) directions.set(term, made);
    return made;
  };
  return (text) => {
    const vector = new Float32Array(dimensions);
    for (const term of new Set(analyse(text, 'en'))) {
      const direction = directionOf(term);
      for (let at = 0; at < dimensions; at++) vector[at] = (vector[at] ?? 0) + (direction[at] ?? 0);
    }
    const length = Math.hypot(...vector) || 1;
    return vector.map((value) => value / length);
  };
};

/** Questions: four to eight of the words of a chunk, none of them twice. */
export const questionsFrom = (chunks: readonly Chunk[], count: number): string[] => {
  const random = seeded(11);
  return Array.from({ length: count }, () => {
    const words = [
      ...new Set(chunks[Math.floor(random() * chunks.length)]?.text.match(/\p{L}{3,14}/gu) ?? ['package']),
    ];
    return Array.from({ length: 4 + Math.floor(random() * 5) }, () => words[Math.floor(random() * words.length)]).join(
      ' ',
    );
  });
};

export const embedded = (chunks: readonly Chunk[], project: (text: string) => Float32Array): EmbeddedChunk[] =>
  chunks.map((chunk) => ({ ...chunk, vector: project(chunk.text) }));
