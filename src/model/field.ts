/**
 * The vocabulary in which entities and plugin configs are defined: plain data, the same words as Kong's schemas use,
 * so that `/schemas/*` can show them and one validator can interpret them. Builders only add the static type.
 */

export type Check = { readonly rule: string; readonly [key: string]: unknown }

/** What a field may say besides its type. Every rule's message is in `rules.ts`. */
export interface Options {
  readonly required?: boolean
  /** Value of a field that is absent; `null` is the same as no default. */
  readonly default?: unknown
  /** Filled in by the gateway when absent: uuid, random string, or the time. */
  readonly auto?: boolean
  /** No two entities of a workspace may have the same value. */
  readonly unique?: boolean
  readonly unique_across_ws?: boolean
  readonly uuid?: boolean
  readonly timestamp?: boolean
  readonly eq?: unknown
  readonly ne?: unknown
  readonly gt?: number
  readonly one_of?: readonly (string | number)[]
  readonly not_one_of?: readonly (string | number)[]
  readonly between?: readonly number[]
  readonly len_eq?: number
  readonly len_min?: number
  readonly len_max?: number
  readonly starts_with?: string
  readonly match?: string
  readonly match_all?: readonly { readonly pattern: string; readonly error?: string }[]
  readonly match_none?: readonly { readonly pattern: string; readonly error?: string }[]
  readonly match_any?: { readonly patterns: readonly string[]; readonly error?: string }
  readonly not_match?: string
  readonly contains?: unknown
  readonly is_regex?: boolean
  readonly mutually_exclusive_subsets?: readonly (readonly string[])[]
  /** Name of a rule in `validators.ts`. */
  readonly validator?: string
  /** Replaces every message of this field. */
  readonly error?: string
  readonly checks?: readonly Check[]
  /** The string may be a `{vault://...}` reference. */
  readonly referenceable?: boolean
  /** Encrypted at rest and never shown by log, diff or audit (`design: secrets`). */
  readonly encrypted?: boolean
  readonly abstract?: boolean
  /** Name of the form in which the value is stored, see `formats.ts`. */
  readonly format?: string
  /** Ours, not Kong's: answers carry it only when it has a value. */
  readonly hidden_unless_set?: boolean
  readonly transient?: boolean
  readonly on_delete?: 'cascade' | 'null' | 'restrict'
  readonly deprecated?: unknown
  readonly maps?: unknown
  readonly typedef?: string
  readonly description?: string
  readonly json_schema?: unknown
  readonly shorthand_fields?: Fields
  readonly [key: string]: unknown
}

export type FieldType =
  | 'string'
  | 'number'
  | 'integer'
  | 'boolean'
  | 'array'
  | 'set'
  | 'map'
  | 'record'
  | 'foreign'
  | 'json'
  | 'function'

export interface Field extends Options {
  readonly type: FieldType
  /** Of `array` and `set`. */
  readonly elements?: Field
  /** Of `map`. */
  readonly keys?: Field
  readonly values?: Field
  /** Of `record`. */
  readonly fields?: Fields
  /** Of `foreign`: the kind pointed to. */
  readonly reference?: string
}
export interface Fields {
  readonly [name: string]: Field
}

type None = {}

export const primitives = {
  string: <const O extends Options = None>(options?: O) =>
    ({ type: 'string', ...options }) as { readonly type: 'string' } & O,
  number: <const O extends Options = None>(options?: O) =>
    ({ type: 'number', ...options }) as { readonly type: 'number' } & O,
  integer: <const O extends Options = None>(options?: O) =>
    ({ type: 'integer', ...options }) as { readonly type: 'integer' } & O,
  boolean: <const O extends Options = None>(options?: O) =>
    ({ type: 'boolean', ...options }) as { readonly type: 'boolean' } & O,
  json: <const O extends Options = None>(options?: O) =>
    ({ type: 'json', ...options }) as { readonly type: 'json' } & O,
  array: <E extends Field, const O extends Options = None>(elements: E, options?: O) =>
    ({ type: 'array', elements, ...options }) as { readonly type: 'array'; readonly elements: E } & O,
  set: <E extends Field, const O extends Options = None>(elements: E, options?: O) =>
    ({ type: 'set', elements, ...options }) as { readonly type: 'set'; readonly elements: E } & O,
  map: <K extends Field, V extends Field, const O extends Options = None>(keys: K, values: V, options?: O) =>
    ({ type: 'map', keys, values, ...options }) as { readonly type: 'map'; readonly keys: K; readonly values: V } & O,
  record: <F extends Fields, const O extends Options = None>(fields: F, options?: O) =>
    ({ type: 'record', fields, ...options }) as { readonly type: 'record'; readonly fields: F } & O,
  foreign: <const R extends string, const O extends Options = None>(reference: R, options?: O) =>
    ({ type: 'foreign', reference, ...options }) as { readonly type: 'foreign'; readonly reference: R } & O,
}

type Value<F> = F extends { type: 'string'; one_of: readonly (infer U)[] }
  ? U
  : F extends { type: 'string' }
    ? string
    : F extends { type: 'integer'; one_of: readonly (infer U)[] }
      ? U
      : F extends { type: 'number' | 'integer' }
        ? number
        : F extends { type: 'boolean' }
          ? boolean
          : F extends { type: 'array' | 'set'; elements: infer E }
            ? readonly Value<E>[]
            : F extends { type: 'map'; values: infer V }
              ? { readonly [key: string]: Value<V> }
              : F extends { type: 'record'; fields: infer R }
                ? Static<R>
                : F extends { type: 'foreign' }
                  ? { readonly id: string }
                  : unknown

/** The stored form of a record: every field present, `null` where it has no value. */
export type Static<F> = {
  readonly [K in keyof F]: F[K] extends
    | { required: true }
    | { auto: true; type: 'string'; uuid: true }
    | { auto: true; timestamp: true }
    ? Value<F[K]>
    : Value<F[K]> | null
}
