/** A map that forgets its oldest entries. */
export const bounded = <V>(limit: number) => {
  const map = new Map<string, V>();
  return {
    get: (key: string): V | undefined => map.get(key),
    set: (key: string, value: V): void => {
      map.delete(key);
      const oldest = map.keys().next();
      if (map.size >= limit && !oldest.done) map.delete(oldest.value);
      map.set(key, value);
    },
    delete: (key: string): void => void map.delete(key),
    clear: (): void => map.clear(),
  };
};
