/** The `limit`th best of the scores above `floor`, or `floor` when there are fewer: what is at least that belongs to the result or ties with it. */
export const thresholdOf = (
  scores: Float32Array | Float64Array,
  count: number,
  limit: number,
  floor: number,
): number => {
  if (limit <= 0) return Number.POSITIVE_INFINITY;
  // A binary heap with the worst of the best on top.
  const heap = new Float64Array(limit);
  let size = 0;
  for (let at = 0; at < count; at++) {
    const score = scores[at] ?? floor;
    if (score <= floor) continue;
    if (size < limit) {
      let child = size++;
      while (child > 0) {
        const parent = (child - 1) >> 1;
        if ((heap[parent] ?? 0) <= score) break;
        heap[child] = heap[parent] ?? 0;
        child = parent;
      }
      heap[child] = score;
    } else if (score > (heap[0] ?? 0)) {
      let parent = 0;
      for (let child = 1; child < size; child = 2 * parent + 1) {
        if (child + 1 < size && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child += 1;
        if ((heap[child] ?? 0) >= score) break;
        heap[parent] = heap[child] ?? 0;
        parent = child;
      }
      heap[parent] = score;
    }
  }
  return size < limit ? floor : (heap[0] ?? floor);
};
