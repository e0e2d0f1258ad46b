/** OpenAPI documents, 3.0 and 3.1: what they say about requests, with every reference inside of them followed. */

export type Node = Readonly<Record<string, unknown>>

/** Ends the reading of a document from the depth at which something is wrong. */
export class DocumentProblem extends Error {
  /** Where in the document, as a JSON pointer. */
  readonly at: string
  constructor(at: string, message: string) {
    super(message)
    this.at = at
  }
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** References that lead to references, at most. */
const HOPS_MAX = 20

export class OpenApiDocument {
  readonly root: Node
  readonly version: '3.0' | '3.1'

  constructor(root: unknown) {
    if (!isNode(root)) throw new DocumentProblem('', 'expected an object')
    const { openapi, swagger } = root
    if (swagger !== undefined) throw new DocumentProblem('/swagger', 'expected OpenAPI 3.0 or 3.1, got Swagger')
    // YAML reads `3.1` as a number.
    const found = /^3\.[01](?=\.|$)/.exec(String(openapi))
    if (found === null) throw new DocumentProblem('/openapi', 'expected 3.0 or 3.1')
    this.root = root
    this.version = found[0] as '3.0' | '3.1'
  }

  /** What stands at a pointer (RFC 6901) of the document; undefined where nothing is. */
  find(pointer: string): unknown {
    let value: unknown = this.root
    for (const part of pointer.split('/').slice(1)) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
      if (Array.isArray(value)) value = /^\d+$/.test(name) ? (value as unknown[])[Number(name)] : undefined
      else value = isNode(value) && Object.hasOwn(value, name) ? value[name] : undefined
    }
    return value
  }

  /** The object at a place, or to which a reference there leads, with the place where it really is. */
  follow(value: unknown, at: string): { readonly node: Node; readonly at: string } {
    let here = at
    let node = value
    for (let hops = 0; hops <= HOPS_MAX; hops++) {
      if (!isNode(node)) throw new DocumentProblem(here, 'expected an object')
      if (typeof node['$ref'] !== 'string') return { node, at: here }
      const pointer = pointerOf(node['$ref'], here)
      node = this.find(pointer)
      if (node === undefined) throw new DocumentProblem(here, `#${pointer} leads nowhere`)
      here = pointer
    }
    throw new DocumentProblem(at, 'the reference leads in a circle')
  }
}

/** The pointer in a reference. Documents elsewhere are not fetched: who answers there would decide what passes. */
export function pointerOf(reference: string, at: string): string {
  if (!reference.startsWith('#/'))
    throw new DocumentProblem(at, `expected a reference into this document (#/…), got ${JSON.stringify(reference)}`)
  try {
    return decodeURIComponent(reference.slice(1))
  } catch {
    throw new DocumentProblem(at, `expected a reference in percent-encoding, got ${JSON.stringify(reference)}`)
  }
}

/** A name as a part of a pointer. */
export function escapeName(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}
