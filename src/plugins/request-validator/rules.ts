/** What a configuration asks of requests, compiled. The main thread compiles it to find mistakes, workers to use it. */
import { parseMediaType, type MediaType } from './content-type.ts'
import { SchemaCompiler, type Draft, type Judge } from './json-schema.ts'
import { convertKongSchema } from './kong-schema.ts'
import { DocumentProblem } from './openapi/document.ts'
import { Operations } from './openapi/operations.ts'
import { Parameter } from './parameters.ts'
import type { Config } from './schema.ts'
import { STYLES, type Style } from './styles.ts'
import { hintsOf } from './type-hints.ts'

export interface Rules {
  /** Null without `body_schema`. */
  readonly body: Judge | null
  /** The types of bodies; null where they are not looked at. */
  readonly types: readonly MediaType[] | null
  readonly parameters: readonly Parameter[]
  readonly operations: Operations | null
}

/** A mistake in a configuration: its field below `config`, dotted. */
export class RuleProblem extends Error {
  readonly field: string
  constructor(field: string, message: string) {
    super(message)
    this.field = field
  }
}

/**
 * @param isTrusted that the configuration was compiled before without a mistake, in another thread
 * @throws {RuleProblem}
 */
export function compileRules(config: Config, isTrusted: boolean): Rules {
  return {
    body: config.body_schema === null ? null : compileBody(config.body_schema, config.version, isTrusted),
    types: config.body_schema === null ? null : compileTypes(config.allowed_content_types ?? []),
    parameters: compileParameters(config, isTrusted),
    operations: config.openapi === null ? null : compileOperations(config.openapi, config.openapi_base_path, isTrusted),
  }
}

function compileBody(text: string, version: Config['version'], isTrusted: boolean): Judge {
  if (version === 'kong') {
    const converted = convertKongSchema(text)
    if (!converted.ok)
      throw new RuleProblem(
        'body_schema',
        converted.field === '' ? converted.reason : `${converted.field}: ${converted.reason}`,
      )
    return judgeOf(new SchemaCompiler('draft7', true), converted.schema, 'body_schema')
  }
  return judgeOf(new SchemaCompiler(version, isTrusted), parseJson(text, 'body_schema'), 'body_schema')
}

function compileTypes(texts: readonly string[]): MediaType[] {
  return texts.map((text, index) => {
    const type = parseMediaType(text)
    if (type === null) throw new RuleProblem(`allowed_content_types.${index}`, `expected a media type, got ${text}`)
    return type
  })
}

function compileParameters({ parameter_schema: drafts, version }: Config, isTrusted: boolean): Parameter[] {
  if (drafts === null || drafts.length === 0) return []
  // As in Kong, whose own form of schemas is for bodies only.
  const draft: Draft = version === 'kong' ? 'draft4' : version
  const compiler = new SchemaCompiler(draft, isTrusted)
  return drafts.map(({ in: place, name, required, style, explode, schema }, index) => {
    const field = `parameter_schema.${index}`
    const styles = STYLES[place]
    const used = (style ?? styles[0]) as Style
    if (!styles.includes(used))
      throw new RuleProblem(`${field}.style`, `expected one of ${styles.join(', ')} for a parameter in ${place}`)
    const parsed = schema === null ? null : parseJson(schema, `${field}.schema`)
    const hints = hintsOf(parsed, (reference) => within(parsed, reference))
    if (parsed !== null && hints.types.size === 0)
      throw new RuleProblem(`${field}.schema`, 'expected a schema with a type, by which the text is read')
    return new Parameter({
      name,
      place,
      isRequired: required,
      style: used,
      explode: explode ?? false,
      judge: parsed === null ? null : judgeOf(compiler, parsed, `${field}.schema`),
      hints,
      isJson: false,
    })
  })
}

function compileOperations(text: string, basePath: string | null, isTrusted: boolean): Operations {
  try {
    const operations = new Operations(text, basePath, isTrusted)
    if (!isTrusted) operations.checkAll()
    return operations
  } catch (error) {
    if (!(error instanceof DocumentProblem)) throw error
    throw new RuleProblem('openapi', error.at === '' ? error.message : `${error.at}: ${error.message}`)
  }
}

function judgeOf(compiler: SchemaCompiler, schema: unknown, field: string): Judge {
  const compiled = compiler.compile(schema)
  if (!compiled.ok) throw new RuleProblem(field, compiled.reason)
  return compiled.judge
}

function parseJson(text: string, field: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new RuleProblem(field, `expected JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** What a reference into the schema itself leads to (`#/definitions/…`). */
function within(schema: unknown, reference: string): unknown {
  if (!reference.startsWith('#')) return undefined
  let value = schema
  for (const part of reference.slice(1).split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[name]
  }
  return value
}
