export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A field of an answer that must be text, or null. */
export const textOf = (value: unknown, field: string): string | null => {
  const text = isRecord(value) ? value[field] : undefined;
  return typeof text === 'string' && text !== '' ? text : null;
};
