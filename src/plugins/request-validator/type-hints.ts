/** Which types a schema allows, as far as it says so: a parameter is text, and has to be read as something before it can be judged. */

export interface TypeHints {
  readonly types: ReadonlySet<string>
  readonly items: TypeHints | null
  readonly properties: ReadonlyMap<string, TypeHints>
  /** Of members that `properties` does not name. */
  readonly others: TypeHints | null
}

/** Finds what a `$ref` points to; undefined where it leads nowhere. */
export type Resolve = (reference: string) => unknown

/** Deeper is not looked: no parameter style has more than a list or an object of plain values. */
const DEPTH_MAX = 8

interface Draft {
  readonly types: Set<string>
  readonly items: unknown[]
  readonly properties: Map<string, unknown[]>
  readonly others: unknown[]
}

export function hintsOf(schema: unknown, resolve: Resolve, depth = 0): TypeHints {
  const draft: Draft = { types: new Set(), items: [], properties: new Map(), others: [] }
  collect(schema, draft, resolve, depth)
  return {
    types: draft.types,
    items: hintsOfAll(draft.items, resolve, depth),
    properties: new Map(
      [...draft.properties].map(([name, schemas]) => [name, hintsOfAll(schemas, resolve, depth) ?? NOTHING]),
    ),
    others: hintsOfAll(draft.others, resolve, depth),
  }
}

const NOTHING: TypeHints = { types: new Set(), items: null, properties: new Map(), others: null }

function hintsOfAll(schemas: readonly unknown[], resolve: Resolve, depth: number): TypeHints | null {
  if (schemas.length === 0 || depth >= DEPTH_MAX) return null
  return hintsOf(schemas.length === 1 ? schemas[0] : { anyOf: schemas }, resolve, depth + 1)
}

function collect(schema: unknown, draft: Draft, resolve: Resolve, depth: number): void {
  if (typeof schema !== 'object' || schema === null || depth > DEPTH_MAX) return
  const { type, $ref, items, properties, additionalProperties, nullable, ...rest } = schema as Record<string, unknown>
  for (const one of Array.isArray(type) ? (type as unknown[]) : [type]) {
    if (typeof one === 'string') draft.types.add(one)
  }
  if (nullable === true) draft.types.add('null')
  if (typeof $ref === 'string') collect(resolve($ref), draft, resolve, depth + 1)
  if (items !== undefined && !Array.isArray(items)) draft.items.push(items)
  if (typeof properties === 'object' && properties !== null) {
    for (const [name, property] of Object.entries(properties)) {
      const known = draft.properties.get(name)
      if (known === undefined) draft.properties.set(name, [property])
      else known.push(property)
    }
  }
  if (typeof additionalProperties === 'object' && additionalProperties !== null) draft.others.push(additionalProperties)
  for (const keyword of ['allOf', 'anyOf', 'oneOf'] as const) {
    const parts = rest[keyword]
    if (Array.isArray(parts)) for (const part of parts) collect(part, draft, resolve, depth + 1)
  }
  if (type !== undefined) return
  const values = Array.isArray(rest['enum']) ? (rest['enum'] as unknown[]) : 'const' in rest ? [rest['const']] : []
  for (const value of values) draft.types.add(value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** The text as the first of the types that it can be; texts are what remains. */
export function readAs(text: string, hints: TypeHints | null): unknown {
  if (hints === null) return text
  const { types } = hints
  if ((types.has('integer') || types.has('number')) && NUMBER.test(text)) return Number(text)
  if (types.has('boolean') && (text === 'true' || text === 'false')) return text === 'true'
  if (types.has('null') && !types.has('string') && (text === '' || text === 'null')) return null
  return text
}
