/** What a document says about the requests of one operation. */
import { SchemaCompiler, type Judge } from '../json-schema.ts'
import { isJsonType, parseMediaType, type MediaType } from '../content-type.ts'
import { Parameter } from '../parameters.ts'
import { STYLES, type Place, type Style } from '../styles.ts'
import { hintsOf, type TypeHints } from '../type-hints.ts'
import { DocumentProblem, escapeName, isNode, type Node, type OpenApiDocument } from './document.ts'
import { DEFINITIONS, type DocumentSchemas } from './schemas.ts'

export interface OperationRules {
  readonly parameters: readonly Parameter[]
  /** Null where the operation takes none. */
  readonly body: BodyRules | null
}

export interface BodyRules {
  readonly isRequired: boolean
  /** By media range, those that say more first. */
  readonly content: readonly BodyContent[]
}

export interface BodyContent {
  /** `type/subtype`, `type/*` or any, in lower case. */
  readonly range: string
  readonly kind: 'json' | 'form' | 'other'
  /** Null where anything conforms. */
  readonly judge: Judge | null
  readonly hints: TypeHints
}

/** A parameter as the document has it, its schema converted. */
interface ParameterDraft {
  readonly name: string
  readonly place: Place
  readonly isRequired: boolean
  readonly style: Style
  readonly explode: boolean
  readonly schema: unknown
  readonly isJson: boolean
  readonly at: string
}

interface ContentDraft {
  readonly range: string
  readonly kind: BodyContent['kind']
  readonly schema: unknown
  readonly at: string
}

/** Headers that have a description of their own in a document, and are not parameters (OpenAPI 3.1, "Parameter Object"). */
const NOT_PARAMETERS = new Set(['accept', 'content-type', 'authorization'])

/** An operation whose schemas are compiled when the first request asks for them: documents have hundreds, and few are busy. */
export class Operation {
  readonly #parameters: readonly ParameterDraft[]
  readonly #body: { readonly isRequired: boolean; readonly content: readonly ContentDraft[] } | null
  readonly #schemas: DocumentSchemas
  #rules: OperationRules | null = null

  /** @throws {DocumentProblem} */
  constructor(document: OpenApiDocument, schemas: DocumentSchemas, path: Node, pathAt: string, method: string) {
    this.#schemas = schemas
    const at = `${pathAt}/${method}`
    const node = path[method]
    if (!isNode(node)) throw new DocumentProblem(at, 'expected an object')
    const own = new Map<string, ParameterDraft>()
    for (const [list, place] of [
      [path['parameters'], `${pathAt}/parameters`],
      [node['parameters'], `${at}/parameters`],
    ] as const) {
      for (const draft of readParameters(document, schemas, list, place)) own.set(`${draft.place} ${draft.name}`, draft)
    }
    this.#parameters = [...own.values()]
    this.#body =
      node['requestBody'] === undefined ? null : readBody(document, schemas, node['requestBody'], `${at}/requestBody`)
  }

  /** Holds the schemas against the rules for schemas. @throws {DocumentProblem} */
  check(compiler: SchemaCompiler): void {
    for (const { schema, at } of [...this.#parameters, ...(this.#body?.content ?? [])]) {
      const problem = schema === undefined ? null : compiler.check(schema)
      if (problem !== null) throw new DocumentProblem(at, problem)
    }
  }

  /** @throws {DocumentProblem} for a schema that can't be compiled */
  rules(compiler: SchemaCompiler): OperationRules {
    if (this.#rules !== null) return this.#rules
    const judgeOf = (schema: unknown, at: string): Judge | null => {
      if (schema === undefined || schema === true) return null
      const compiled = compiler.compile(schema)
      if (!compiled.ok) throw new DocumentProblem(at, compiled.reason)
      return compiled.judge
    }
    const hints = (schema: unknown) => hintsOf(schema, (reference) => this.#schemas.resolve(reference))
    const parameters = this.#parameters.map(
      ({ schema, at, ...rest }) => new Parameter({ ...rest, judge: judgeOf(schema, at), hints: hints(schema) }),
    )
    const body = this.#body && {
      isRequired: this.#body.isRequired,
      content: this.#body.content.map(({ range, kind, schema, at }) => ({
        range,
        kind,
        judge: judgeOf(schema, at),
        hints: hints(schema),
      })),
    }
    return (this.#rules = { parameters, body })
  }
}

/** A compiler that knows every schema that another one of the document points to. @throws {DocumentProblem} */
export function compilerFor(schemas: DocumentSchemas, isTrusted: boolean): SchemaCompiler {
  const compiler = new SchemaCompiler('draft202012', isTrusted)
  const problem = compiler.add(DEFINITIONS, schemas.definitions)
  if (problem !== null) throw new DocumentProblem('/components', problem)
  return compiler
}

function readParameters(
  document: OpenApiDocument,
  schemas: DocumentSchemas,
  list: unknown,
  at: string,
): ParameterDraft[] {
  if (list === undefined) return []
  if (!Array.isArray(list)) throw new DocumentProblem(at, 'expected a list')
  return (list as unknown[]).flatMap((entry, index) => {
    const { node, at: place } = document.follow(entry, `${at}/${index}`)
    const draft = readParameter(document, schemas, node, place)
    return draft.place === 'header' && NOT_PARAMETERS.has(draft.name.toLowerCase()) ? [] : [draft]
  })
}

function readParameter(document: OpenApiDocument, schemas: DocumentSchemas, node: Node, at: string): ParameterDraft {
  const { name, in: place, required, schema, content } = node
  if (typeof name !== 'string' || name === '') throw new DocumentProblem(`${at}/name`, 'expected a text')
  if (typeof place !== 'string' || !Object.hasOwn(STYLES, place))
    throw new DocumentProblem(`${at}/in`, `expected one of ${Object.keys(STYLES).join(', ')}`)
  const styles = STYLES[place as Place]
  const style = (node['style'] ?? styles[0]) as Style
  if (!styles.includes(style))
    throw new DocumentProblem(`${at}/style`, `expected one of ${styles.join(', ')} for a parameter in ${place}`)
  const shared = {
    name,
    place: place as Place,
    isRequired: required === true || place === 'path',
    style,
    explode: typeof node['explode'] === 'boolean' ? node['explode'] : style === 'form',
  }
  if (content !== undefined) return { ...shared, ...contentOf(document, schemas, content, `${at}/content`) }
  const here = `${at}/schema`
  return {
    ...shared,
    schema: schema === undefined ? undefined : schemas.convert(schema, here),
    isJson: false,
    at: here,
  }
}

/** The one media type in which a parameter is written. */
function contentOf(document: OpenApiDocument, schemas: DocumentSchemas, content: unknown, at: string) {
  const [entry, ...more] = isNode(content) ? Object.entries(content) : []
  if (entry === undefined || more.length > 0) throw new DocumentProblem(at, 'expected one media type')
  const [range, value] = entry
  const type = parseMediaType(range)
  if (type === null || !isJsonType(type)) throw new DocumentProblem(at, `expected a type of JSON, got ${range}`)
  const { node, at: place } = document.follow(value, `${at}/${escapeName(range)}`)
  const here = `${place}/schema`
  return {
    schema: node['schema'] === undefined ? undefined : schemas.convert(node['schema'], here),
    isJson: true,
    at: here,
  }
}

function readBody(document: OpenApiDocument, schemas: DocumentSchemas, value: unknown, at: string) {
  const { node, at: place } = document.follow(value, at)
  const content = node['content']
  if (!isNode(content)) throw new DocumentProblem(`${place}/content`, 'expected media types')
  const drafts = Object.entries(content).map(([range, media]): ContentDraft => {
    const { node: inner, at: here } = document.follow(media, `${place}/content/${escapeName(range)}`)
    const type = parseMediaType(range)
    if (type === null) throw new DocumentProblem(here, 'expected a media type')
    const schema = inner['schema'] === undefined ? undefined : schemas.convert(inner['schema'], `${here}/schema`)
    return { range: type.name, kind: kindOf(type), schema, at: `${here}/schema` }
  })
  return { isRequired: node['required'] === true, content: drafts.toSorted((a, b) => width(a.range) - width(b.range)) }
}

function kindOf(type: MediaType): BodyContent['kind'] {
  if (isJsonType(type)) return 'json'
  return type.name === 'application/x-www-form-urlencoded' ? 'form' : 'other'
}

function width(range: string): number {
  return range === '*/*' ? 2 : range.endsWith('/*') ? 1 : 0
}
