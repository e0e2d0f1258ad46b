/**
 * The schemas of a document as JSON Schema 2020-12, each with those that it points to. Only what stands where a schema may stand is
 * taken over: examples and extensions hold anything, also what looks like a name or a reference.
 */
import { compileEcmaPattern } from '#core/ecma-pattern.ts'
import { DocumentProblem, escapeName, isNode, pointerOf, type Node, type OpenApiDocument } from './document.ts'

/** Keywords whose value is a schema, a list of them, or schemas by name. */
const ONE = new Set([
  'additionalProperties',
  'contains',
  'contentSchema',
  'else',
  'if',
  'items',
  'not',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
])
const LISTS = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const NAMED = new Set(['$defs', 'dependentSchemas', 'patternProperties', 'properties'])
/** What says nothing of values, or would give a part of the document another name. */
const LEFT_OUT = new Set([
  '$anchor',
  '$comment',
  '$id',
  '$schema',
  'default',
  'deprecated',
  'description',
  'discriminator',
  'example',
  'examples',
  'externalDocs',
  'nullable',
  'readOnly',
  'title',
  'writeOnly',
  'xml',
])
const DEPTH_MAX = 100

/** The name by which a validator knows all schemas of one document. */
export const DEFINITIONS = 'openapi'

export class DocumentSchemas {
  readonly #document: OpenApiDocument
  /** By their place; those that are pointed to, converted on the way. */
  readonly #pointedTo = new Map<string, unknown>()

  constructor(document: OpenApiDocument) {
    this.#document = document
  }

  /** The schema at a place of the document. What it points to is in `definitions` afterwards. */
  convert(schema: unknown, at: string): unknown {
    return this.#convert(schema, at, 0)
  }

  /** @throws {DocumentProblem} for references that lead to each other and to no schema */
  get definitions(): object {
    for (const [pointer, schema] of this.#pointedTo) this.#checkEnds(pointer, schema)
    return { $id: DEFINITIONS, $defs: Object.fromEntries(this.#pointedTo) }
  }

  /** What a reference in a converted schema leads to. */
  resolve(reference: string): unknown {
    const prefix = `${DEFINITIONS}#/$defs/`
    if (!reference.startsWith(prefix)) return undefined
    return this.#pointedTo.get(unescapeName(decodeURIComponent(reference.slice(prefix.length))))
  }

  /** A schema that is nothing but a reference to itself, over others or not, would be followed without an end. */
  #checkEnds(pointer: string, schema: unknown): void {
    let here = schema
    for (let hops = 0; isNode(here) && typeof here['$ref'] === 'string'; hops++) {
      if (hops > this.#pointedTo.size) throw new DocumentProblem(pointer, 'the reference leads in a circle')
      here = this.resolve(here['$ref'])
    }
  }

  #convert(schema: unknown, at: string, depth: number): unknown {
    if (typeof schema === 'boolean') return schema
    if (!isNode(schema)) throw new DocumentProblem(at, 'expected a schema')
    if (depth > DEPTH_MAX) throw new DocumentProblem(at, `nested more than ${DEPTH_MAX} deep`)
    const { $ref } = schema
    if (typeof $ref === 'string') {
      const reference = { $ref: this.#pointTo(pointerOf($ref, at), at) }
      // In 3.0 nothing counts beside a reference.
      if (this.#document.version === '3.0' || Object.keys(schema).length === 1) return reference
      return { allOf: [reference, this.#members(schema, at, depth)] }
    }
    return this.#members(schema, at, depth)
  }

  #pointTo(pointer: string, at: string): string {
    if (!this.#pointedTo.has(pointer)) {
      const target = this.#document.find(pointer)
      if (target === undefined) throw new DocumentProblem(at, `#${pointer} leads nowhere`)
      // Known before it is read, for it may point to itself.
      this.#pointedTo.set(pointer, true)
      this.#pointedTo.set(pointer, this.#convert(target, pointer, 0))
    }
    return `${DEFINITIONS}#/$defs/${encodeURIComponent(escapeName(pointer))}`
  }

  #members(schema: Node, at: string, depth: number): Node {
    const members: [string, unknown][] = []
    for (const [keyword, value] of Object.entries(schema)) {
      const here = `${at}/${escapeName(keyword)}`
      const inner = (part: unknown, name: string | number) =>
        this.#convert(part, `${here}/${escapeName(String(name))}`, depth + 1)
      if (keyword === '$ref' || LEFT_OUT.has(keyword) || keyword.startsWith('x-')) continue
      if (keyword === '$dynamicRef' || keyword === '$async') throw new DocumentProblem(here, 'is not supported')
      if (keyword === 'pattern') checkPattern(value, here)
      if (keyword === 'patternProperties' && isNode(value))
        for (const name of Object.keys(value)) checkPattern(name, here)
      if (ONE.has(keyword)) members.push([keyword, this.#convert(value, here, depth + 1)])
      else if (LISTS.has(keyword) && Array.isArray(value)) members.push([keyword, value.map(inner)])
      else if (NAMED.has(keyword) && isNode(value))
        members.push([
          keyword,
          Object.fromEntries(Object.entries(value).map(([name, part]) => [name, inner(part, name)])),
        ])
      else if (keyword === 'required') members.push([keyword, requiredOf(schema)])
      else members.push([keyword, value])
    }
    const converted = Object.fromEntries(members)
    return this.#document.version === '3.0' ? fromOldForm(converted, schema['nullable'] === true) : converted
  }
}

/** Patterns that can't be matched in linear time are found here, not by the first request. */
function checkPattern(source: unknown, at: string): void {
  const compiled = typeof source === 'string' ? compileEcmaPattern(source) : null
  if (compiled?.ok === false) throw new DocumentProblem(at, `pattern ${JSON.stringify(source)}: ${compiled.reason}`)
}

/** What only responses have is not asked of requests (OpenAPI 3.1, "readOnly"). */
function requiredOf({ required, properties }: Node): unknown {
  if (!Array.isArray(required) || !isNode(properties)) return required
  return (required as unknown[]).filter((name) => {
    const property = typeof name === 'string' && Object.hasOwn(properties, name) ? properties[name] : undefined
    return !isNode(property) || property['readOnly'] !== true
  })
}

/** 3.0 has `nullable`, and bounds that are excluded by a boolean. */
function fromOldForm(schema: Record<string, unknown>, isNullable: boolean): Node {
  for (const [bound, excluded] of [
    ['minimum', 'exclusiveMinimum'],
    ['maximum', 'exclusiveMaximum'],
  ] as const) {
    if (typeof schema[excluded] !== 'boolean') continue
    if (schema[excluded]) {
      schema[excluded] = schema[bound]
      delete schema[bound]
    } else delete schema[excluded]
  }
  if (!isNullable || schema['type'] === undefined) return schema
  const { type, enum: values } = schema
  return {
    ...schema,
    type: [type, 'null'],
    ...(Array.isArray(values) && !values.includes(null) && { enum: [...(values as unknown[]), null] }),
  }
}

function unescapeName(name: string): string {
  return name.replaceAll('~1', '/').replaceAll('~0', '~')
}
