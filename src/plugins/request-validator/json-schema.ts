/** JSON Schemas as functions: every draft, no way to the network, and nothing in a schema or a value that takes more than linear time. */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Ajv, AnySchema, ErrorObject, Options, ValidateFunction } from 'ajv'
import { compileEcmaPattern } from '#core/ecma-pattern.ts'
import { isUnique } from './unique-items.ts'

export type Draft = 'draft4' | 'draft6' | 'draft7' | 'draft201909' | 'draft202012'

/** Says what is wrong with a value, as a text; null when it conforms. */
export type Judge = (value: unknown) => string | null

export type Compiled = { readonly ok: true; readonly judge: Judge } | { readonly ok: false; readonly reason: string }

type Library = typeof import('./schema-library.ts')

let library: Library | null = null

/**
 * Loads what the first configuration needs, at once: whoever prepares a configuration can't wait, and no request may pass before it is
 * prepared.
 */
export function schemaLibrary(): Library {
  const file = fileURLToPath(new URL('./schema-library.ts', import.meta.url))
  return (library ??= createRequire(import.meta.url)(file) as Library)
}

/** A text that is longer is of no format: the expressions of some formats take the square of the length. */
const FORMAT_CHARACTERS = 2048
/** Formats of long texts, which are checked in one pass. */
const LONG_FORMATS = new Set(['byte', 'binary', 'password', 'json-pointer'])

/** Compiles schemas of one draft that may point to each other. */
export class SchemaCompiler {
  readonly #ajv: Ajv
  readonly #draft: Draft
  readonly #isTrusted: boolean

  /** @param isTrusted that the schemas were compiled before, so that they need not be held against the draft's own again */
  constructor(draft: Draft, isTrusted: boolean) {
    this.#draft = draft
    this.#isTrusted = isTrusted
    this.#ajv = createAjv(draft)
    addFormats(this.#ajv)
    this.#ajv.removeKeyword('uniqueItems')
    this.#ajv.addKeyword({
      keyword: 'uniqueItems',
      type: 'array',
      schemaType: 'boolean',
      error: { message: 'must NOT have duplicate items' },
      validate: (wanted: boolean, items: readonly unknown[]) => !wanted || isUnique(items),
    })
  }

  /** Makes a schema known by a name, for others to point into; it is not compiled. Answers what is wrong with it, or null. */
  add(name: string, schema: object): string | null {
    const problem = this.#isTrusted ? null : checkSchema(this.#draft, schema)
    if (problem === null) this.#ajv.addSchema(schema, name)
    return problem
  }

  /** What is wrong with a schema by the draft's own rules, without compiling it, which takes several times as long; null for nothing. */
  check(schema: unknown): string | null {
    return checkSchema(this.#draft, schema)
  }

  compile(schema: unknown): Compiled {
    if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema)))
      return { ok: false, reason: 'expected a JSON Schema, an object or a boolean' }
    const problem = this.#isTrusted ? null : checkSchema(this.#draft, schema)
    if (problem !== null) return { ok: false, reason: problem }
    try {
      const validate = this.#ajv.compile(schema as AnySchema)
      // Such a schema answers a promise, which is as good as a yes.
      if ('$async' in validate) return { ok: false, reason: 'expected a schema without $async' }
      return { ok: true, judge: judgeBy(validate) }
    } catch (error) {
      return { ok: false, reason: error instanceof Error ? error.message : String(error) }
    }
  }
}

/** One for each draft, which keeps nothing of what it looks at: making one takes ten times as long as looking at a schema. */
const checkers = new Map<Draft, Ajv>()

function checkSchema(draft: Draft, schema: unknown): string | null {
  let checker = checkers.get(draft)
  if (checker === undefined) checkers.set(draft, (checker = createAjv(draft)))
  try {
    if (checker.validateSchema(schema as AnySchema) === true) return null
    return `schema is invalid: ${checker.errorsText()}`
  } catch (error) {
    // A schema of another draft than the configuration says.
    return error instanceof Error ? error.message : String(error)
  }
}

function createAjv(draft: Draft): Ajv {
  const { Ajv, Ajv2019, Ajv2020, AjvDraft04, draft6 } = schemaLibrary()
  const options: Options = {
    strict: false,
    logger: false,
    // A member that the value has only from its prototype is not there.
    ownProperties: true,
    // Done by `checkSchema`.
    validateSchema: false,
    // Compiled schemas are kept by their text otherwise, for as long as the compiler lives.
    addUsedSchema: false,
    code: { regExp: Object.assign(patternOf, { code: 'patternOf' }) },
  }
  switch (draft) {
    case 'draft4':
      return new (AjvDraft04 as unknown as typeof Ajv)(options)
    case 'draft6': {
      const ajv = new Ajv(options)
      ajv.addMetaSchema(draft6)
      return ajv
    }
    case 'draft7':
      return new Ajv(options)
    case 'draft201909':
      return new Ajv2019(options)
    case 'draft202012':
      return new Ajv2020(options)
  }
}

/** By the source as its text, which is how the library tells patterns apart. */
function patternOf(source: string) {
  const compiled = compileEcmaPattern(source)
  if (!compiled.ok) throw new Error(`pattern ${JSON.stringify(source)}: ${compiled.reason}`)
  const { pattern } = compiled
  return { test: (subject: string) => pattern.test(subject), toString: () => source }
}

function addFormats(ajv: Ajv): void {
  for (const [name, format] of Object.entries(schemaLibrary().fullFormats)) {
    if (LONG_FORMATS.has(name) || typeof format === 'boolean') ajv.addFormat(name, format)
    else if (format instanceof RegExp)
      ajv.addFormat(
        name,
        bounded((text) => format.test(text)),
      )
    else if (typeof format === 'function') ajv.addFormat(name, bounded(format))
    else if (typeof format === 'string' || format.type === 'number') ajv.addFormat(name, format)
    else ajv.addFormat(name, bounded(format.validate as (text: string) => boolean))
  }
}

function bounded(isOfFormat: (text: string) => boolean): (text: string) => boolean {
  return (text) => text.length <= FORMAT_CHARACTERS && isOfFormat(text)
}

function judgeBy(validate: ValidateFunction): Judge {
  return (value) => (validate(value) ? null : textOf(tellingError(validate.errors ?? [])))
}

/** Of alternatives that all failed, the first says little: that there were some says more. */
function tellingError(errors: readonly ErrorObject[]): ErrorObject | undefined {
  const last = errors.at(-1)
  return last?.keyword === 'anyOf' || last?.keyword === 'oneOf' ? last : errors[0]
}

/** Where and what; never the value itself, which may be a secret, nor a name that the client made up. */
function textOf(error: ErrorObject | undefined): string {
  if (error === undefined) return 'does not conform'
  const at = error.instancePath === '' ? '' : `${error.instancePath} `
  const { params, keyword, message = 'does not conform' } = error
  if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties')
    return `${at}must NOT have the property ${JSON.stringify(shortened(nameIn(params)))}`
  if (keyword === 'enum' && Array.isArray(params['allowedValues']))
    return `${at}must be one of ${shortened(JSON.stringify(params['allowedValues']))}`
  if (keyword === 'const') return `${at}must be ${shortened(JSON.stringify(params['allowedValue']))}`
  return `${at}${message}`
}

function nameIn(params: Readonly<Record<string, unknown>>): string {
  return (params['additionalProperty'] ?? params['unevaluatedProperty'] ?? '') as string
}

function shortened(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
