import { z } from 'zod';

/** One setting of a source as a form shows it; drawn from the driver's schema, so that a new driver brings its form. */
export type SettingsField = {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  /** `lines`: a list, one entry a line. */
  readonly kind: 'text' | 'address' | 'number' | 'flag' | 'lines';
  readonly required: boolean;
  /** What holds when the field is left empty. */
  readonly fallback?: string;
};

type Property = {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly format?: string;
  readonly default?: unknown;
};

/** The fields of a settings schema, in its order. Label and hint come from `.meta({title, description})`. */
export const settingsFields = (schema: z.ZodType): readonly SettingsField[] => {
  const drawn = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as {
    readonly properties?: Readonly<Record<string, Property>>;
    readonly required?: readonly string[];
  };
  const required = new Set(drawn.required ?? []);
  return Object.entries(drawn.properties ?? {}).map(([name, property]) => ({
    name,
    label: property.title ?? inWords(name),
    kind: kindOf(property),
    required: required.has(name),
    ...(property.description === undefined ? {} : { hint: property.description }),
    ...(property.default === undefined ? {} : { fallback: String(property.default) }),
  }));
};

const kindOf = ({ type, format }: Property): SettingsField['kind'] => {
  if (type === 'array') return 'lines';
  if (type === 'boolean') return 'flag';
  if (type === 'integer' || type === 'number') return 'number';
  return format === 'uri' ? 'address' : 'text';
};

/** `maxPages` is "Max pages". */
const inWords = (name: string): string => {
  const words = name.replaceAll(/([A-Z])/g, ' $1').toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
};
