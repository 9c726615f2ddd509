import type { Embedder } from '../../core/ports/model.ts';
import { analyse } from '../../core/text/analyse.ts';

/** A deterministic embedder: every term points one way, and a text points where its terms do. Similar words, similar vectors. */
export const createHashingEmbedder = (dimensions = 64): Embedder => ({
  name: `hashing-${dimensions}`,
  embed: async (texts) => ({
    vectors: texts.map((text) => vectorOf(text, dimensions)),
    tokens: texts.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0),
    model: `hashing-${dimensions}`,
  }),
});

const vectorOf = (text: string, dimensions: number): Float32Array => {
  const vector = new Float32Array(dimensions);
  for (const term of analyse(text, 'en')) {
    let state = 2_166_136_261;
    for (let at = 0; at < term.length; at++) state = Math.imul(state ^ term.charCodeAt(at), 16_777_619);
    for (let at = 0; at < dimensions; at++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      vector[at] = (vector[at] ?? 0) + state / 2 ** 31;
    }
  }
  const length = Math.hypot(...vector);
  // A text without terms still needs a direction of length one.
  return length === 0 ? vector.fill(1 / Math.sqrt(dimensions)) : vector.map((value) => value / length);
};
