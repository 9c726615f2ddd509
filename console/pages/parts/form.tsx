import type { Child } from 'hono/jsx';
import type { z } from 'zod';
import { texts } from '../../texts.ts';

/** The fields of a posted form. */
export type Form = FormData;

/** A form as it is shown: what stands in its fields, and what is wrong with them. */
export type FormState = {
  /** By field; several for a field that may stand several times. */
  readonly values: Readonly<Record<string, readonly string[]>>;
  /** A sentence by field. */
  readonly errors: Readonly<Record<string, string>>;
  /** What is wrong with no single field. */
  readonly problem?: string;
  /** Somebody else saved meanwhile. The form holds what was typed, and goes by what stands now when it is sent again. */
  readonly stale?: true;
};

export const emptyForm: FormState = { values: {}, errors: {} };

/** A form filled with what is kept. Undefined leaves a field empty; false leaves a box unchecked. */
export const formWith = (
  values: Readonly<Record<string, string | number | boolean | readonly string[] | null | undefined>>,
): FormState => ({
  values: Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      value === undefined || value === null || value === false
        ? []
        : typeof value === 'object'
          ? value
          : [value === true ? 'on' : String(value)],
    ]),
  ),
  errors: {},
});

/**
 * Reads the text fields by a schema: a field is its text, trimmed; fields whose schema is an array get all of their
 * values, fields that were left empty are absent. Unknown fields are dropped by the schema.
 */
export const readForm = <S extends z.ZodType>(
  schema: S,
  form: Form,
): { readonly ok: true; readonly value: z.output<S> } | { readonly ok: false; readonly state: FormState } => {
  const values = valuesOf(form);
  const many = arraysIn(schema);
  const given = Object.fromEntries(
    Object.entries(values).flatMap(([name, texts]): [string, unknown][] => {
      const filled = texts.map((text) => text.trim()).filter((text) => text !== '');
      if (many.has(name)) return [[name, filled]];
      return filled[0] === undefined ? [] : [[name, filled[0]]];
    }),
  );
  for (const name of many) given[name] ??= [];
  const read = schema.safeParse(given);
  if (read.success) return { ok: true, value: read.data };
  const errors: Record<string, string> = {};
  let problem: string | undefined;
  for (const issue of read.error.issues) {
    const field = issue.path[0];
    if (typeof field !== 'string') problem ??= issue.message;
    else errors[field] ??= given[field] === undefined ? texts.forms.needed : issue.message;
  }
  return { ok: false, state: { values, errors, ...(problem === undefined ? {} : { problem }) } };
};

/** What was typed, with the sentence that refuses it beside the field that it names. */
export const stateOf = (form: Form, at: string | undefined, sentence: string): FormState => {
  const values = valuesOf(form);
  return at !== undefined && Object.hasOwn(values, at)
    ? { values, errors: { [at]: sentence } }
    : { values, errors: {}, problem: sentence };
};

/** What was typed, after somebody else saved first: told so once, the person decides. */
export const staleOf = (form: Form, sentence: string): FormState => {
  const { rev, seen, ...values } = valuesOf(form);
  const isStale = rev !== undefined || seen !== undefined;
  return { values, errors: {}, problem: sentence, ...(isStale ? { stale: true as const } : {}) };
};

const valuesOf = (form: Form): Record<string, string[]> => {
  const values: Record<string, string[]> = {};
  for (const [name, value] of form) {
    if (typeof value !== 'string') continue;
    values[name] ??= [];
    values[name].push(value);
  }
  return values;
};

const arraysIn = (schema: z.ZodType): ReadonlySet<string> => {
  const shape = (schema as { readonly shape?: Readonly<Record<string, z.ZodType>> }).shape ?? {};
  return new Set(Object.entries(shape).flatMap(([name, field]) => (isArray(field) ? [name] : [])));
};
const isArray = (schema: z.ZodType): boolean => {
  const {
    type,
    innerType,
    in: input,
  } = schema.def as {
    readonly type: string;
    readonly innerType?: z.ZodType;
    readonly in?: z.ZodType;
  };
  return type === 'array' || (innerType !== undefined && isArray(innerType)) || (input !== undefined && isArray(input));
};

const valueIn = (state: FormState, name: string): string => state.values[name]?.[0] ?? '';

type FieldProps = {
  readonly state: FormState;
  readonly name: string;
  readonly label: string;
  readonly hint?: string | undefined;
};

/** Label, control, hint and error as one, tied together for people who do not see them. */
const Field = ({ state, name, label, hint, children }: FieldProps & { children: Child }) => (
  <div class={`field${state.errors[name] === undefined ? '' : ' wrong'}`}>
    <label for={name}>{label}</label>
    {children}
    <Notes state={state} name={name} hint={hint} />
  </div>
);

/** What `described` refers to. */
const Notes = ({ state, name, hint }: Omit<FieldProps, 'label'>) => (
  <>
    {hint !== undefined && (
      <p class="hint" id={`${name}-hint`}>
        {hint}
      </p>
    )}
    {state.errors[name] !== undefined && (
      <p class="error" id={`${name}-error`}>
        {state.errors[name]}
      </p>
    )}
  </>
);

const described = ({ state, name, hint }: Omit<FieldProps, 'label'>) => {
  const ids = [
    ...(hint === undefined ? [] : [`${name}-hint`]),
    ...(state.errors[name] === undefined ? [] : [`${name}-error`]),
  ];
  return {
    ...(ids.length === 0 ? {} : { 'aria-describedby': ids.join(' ') }),
    ...(state.errors[name] === undefined ? {} : { 'aria-invalid': 'true' as const }),
  };
};

export const TextField = (
  props: FieldProps & {
    type?: 'text' | 'email' | 'password' | 'url' | 'search' | 'date' | 'number';
    required?: boolean;
    placeholder?: string;
    maxlength?: number;
    autocomplete?: string;
    inputmode?: 'numeric' | 'decimal';
    autofocus?: boolean;
    /** Offered while typing, by name; anything else may be typed as well. */
    known?: readonly Option[];
  },
) => {
  const { state, name, type = 'text', label: _label, hint: _hint, known, ...rest } = props;
  const list = known === undefined || known.length === 0 ? undefined : `${name}-known`;
  return (
    <Field {...props}>
      <input
        id={name}
        name={name}
        type={type}
        // A password is never sent back.
        value={type === 'password' ? '' : valueIn(state, name)}
        list={list}
        {...rest}
        {...described(props)}
      />
      {list !== undefined && (
        <datalist id={list}>
          {known?.map(({ value, label }) => (
            <option value={value}>{label}</option>
          ))}
        </datalist>
      )}
    </Field>
  );
};

export const TextArea = (
  props: FieldProps & { rows?: number; required?: boolean; placeholder?: string; maxlength?: number },
) => {
  const { state, name, label: _label, hint: _hint, rows = 4, ...rest } = props;
  return (
    <Field {...props}>
      <textarea id={name} name={name} rows={rows} {...rest} {...described(props)}>
        {valueIn(state, name)}
      </textarea>
    </Field>
  );
};

export type Option = { readonly value: string; readonly label: string };

export const SelectField = (props: FieldProps & { options: readonly Option[]; none?: string }) => {
  const { state, name, options, none } = props;
  const value = valueIn(state, name);
  return (
    <Field {...props}>
      <select id={name} name={name} {...described(props)}>
        {none !== undefined && <option value="">{none}</option>}
        {options.map((option) => (
          <option value={option.value} selected={option.value === value}>
            {option.label}
          </option>
        ))}
      </select>
    </Field>
  );
};

export const CheckField = ({ state, name, label, hint }: FieldProps) => (
  <div class="field check">
    <input
      id={name}
      name={name}
      type="checkbox"
      checked={valueIn(state, name) !== ''}
      {...described({ state, name, hint })}
    />
    <label for={name}>{label}</label>
    <Notes state={state} name={name} hint={hint} />
  </div>
);

/** Several of a list, as boxes; the schema's field is an array. */
export const ChooseField = ({ state, name, label, hint, options }: FieldProps & { options: readonly Option[] }) => {
  const chosen = new Set(state.values[name] ?? []);
  const { 'aria-invalid': _, ...notes } = described({ state, name, hint });
  return (
    <fieldset class={`field${state.errors[name] === undefined ? '' : ' wrong'}`} {...notes}>
      <legend>{label}</legend>
      <div class="choices">
        {options.map((option) => (
          <label class="choice">
            <input type="checkbox" name={name} value={option.value} checked={chosen.has(option.value)} />
            {option.label}
          </label>
        ))}
      </div>
      <Notes state={state} name={name} hint={hint} />
    </fieldset>
  );
};

/** The form itself: posts to its own path, says what is wrong on top, and keeps the revision that it was shown with. */
export const FormBox = ({
  state,
  action,
  submit,
  rev,
  stands = action,
  cancel,
  other,
  enctype,
  children,
}: {
  state: FormState;
  action: string;
  submit: string;
  /** Optimistic lock of the record; the later of two editors is told. */
  rev?: number | undefined;
  /** Where what stands is seen, if not at the form's own path. */
  stands?: string;
  cancel?: string | undefined;
  /** A second button; the form is posted with its name. */
  other?: { readonly name: string; readonly label: string };
  enctype?: 'multipart/form-data';
  children?: Child;
}) => (
  <form class="form" method="post" action={action} {...(enctype === undefined ? {} : { enctype })}>
    {state.stale && (
      <p class="notice error" role="alert" tabindex={-1} autofocus>
        {texts.forms.stale}{' '}
        <a href={stands} target="_blank" rel="noopener">
          {texts.forms.stands}
        </a>
      </p>
    )}
    {!state.stale && (state.problem !== undefined || Object.keys(state.errors).length > 0) && (
      <p class="notice error" role="alert" tabindex={-1} autofocus>
        {state.problem ?? texts.forms.look}
      </p>
    )}
    {rev !== undefined && <input type="hidden" name="rev" value={valueIn(state, 'rev') || String(rev)} />}
    {children}
    <p class="actions">
      <button type="submit" class="primary">
        {submit}
      </button>
      {other !== undefined && (
        <button type="submit" name={other.name} value="on">
          {other.label}
        </button>
      )}
      {cancel !== undefined && (
        <a class="button quiet" href={cancel}>
          {texts.forms.cancel}
        </a>
      )}
    </p>
  </form>
);

/** One button that does one thing. */
export const ActionButton = ({
  action,
  label,
  fields = {},
  kind,
}: {
  action: string;
  label: string;
  fields?: Readonly<Record<string, string>>;
  kind?: 'primary' | 'danger' | 'quiet';
}) => (
  <form method="post" action={action} class="inline">
    {Object.entries(fields).map(([name, value]) => (
      <input type="hidden" name={name} value={value} />
    ))}
    <button type="submit" {...(kind === undefined ? {} : { class: kind })}>
      {label}
    </button>
  </form>
);
