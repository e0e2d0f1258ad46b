/** The operations of a document, found by the method and path of a request. */
import { schemaLibrary, type SchemaCompiler } from '../json-schema.ts'
import type { PathValues } from '../parameters.ts'
import { DocumentProblem, escapeName, isNode, OpenApiDocument } from './document.ts'
import { compilerFor, Operation, type OperationRules } from './operation.ts'
import { PathTree, wirePath } from './paths.ts'
import { DocumentSchemas } from './schemas.ts'

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const

export type Found =
  | { readonly is: 'operation'; readonly rules: OperationRules; readonly pathValue: PathValues }
  | { readonly is: 'no path' }
  /** `allowed`: the methods that there are at the path, as the field `Allow` names them. */
  | { readonly is: 'no method'; readonly allowed: string }

interface PathRules {
  readonly operations: ReadonlyMap<string, Operation>
  readonly allowed: string
}

export class Operations {
  readonly #paths = new PathTree<PathRules>()
  readonly #all: Operation[] = []
  readonly #bases: readonly string[]
  readonly #compiler: SchemaCompiler

  /**
   * @param text the document, in JSON or YAML
   * @param basePath what stands before its paths; null for what the document says
   * @param isTrusted that it was read before without a mistake
   * @throws {DocumentProblem} naming the place that is wrong
   */
  constructor(text: string, basePath: string | null, isTrusted: boolean) {
    const document = new OpenApiDocument(parseDocument(text))
    const schemas = new DocumentSchemas(document)
    this.#bases = basePath === null ? basesOf(document) : [withoutSlash(basePath)]
    const { paths } = document.root
    if (!isNode(paths)) throw new DocumentProblem('/paths', 'expected an object')
    for (const [path, item] of Object.entries(paths)) {
      if (path.startsWith('x-')) continue
      this.#addPath(document, schemas, path, item)
    }
    this.#compiler = compilerFor(schemas, isTrusted)
  }

  /** Looks for mistakes in schemas that only requests would find. @throws {DocumentProblem} */
  checkAll(): void {
    for (const operation of this.#all) operation.check(this.#compiler)
  }

  /** @param path normalised, as the client sent it */
  find(method: string, path: string): Found {
    for (const base of this.#bases) {
      if (!path.startsWith(base)) continue
      const match = this.#paths.find(base === '' ? path : path.slice(base.length))
      if (match === null) continue
      const { operations, allowed } = match.value
      // What GET says of a request is true of HEAD, too (RFC 9110 9.3.2).
      const operation = operations.get(method) ?? (method === 'HEAD' ? operations.get('GET') : undefined)
      if (operation === undefined) return { is: 'no method', allowed }
      return { is: 'operation', rules: operation.rules(this.#compiler), pathValue: match.pathValue }
    }
    return { is: 'no path' }
  }

  #addPath(document: OpenApiDocument, schemas: DocumentSchemas, path: string, item: unknown): void {
    const { node, at } = document.follow(item, `/paths/${escapeName(path)}`)
    const operations = new Map<string, Operation>()
    for (const method of METHODS) {
      if (node[method] === undefined) continue
      const operation = new Operation(document, schemas, node, at, method)
      operations.set(method.toUpperCase(), operation)
      this.#all.push(operation)
    }
    const methods = [...operations.keys()]
    if (operations.has('GET') && !operations.has('HEAD')) methods.push('HEAD')
    this.#paths.add(path, { operations, allowed: methods.toSorted().join(', ') }, `/paths/${escapeName(path)}`)
  }
}

function parseDocument(text: string): unknown {
  try {
    // YAML's own references are bounded by the library; a document in JSON is YAML, too, and is read faster as JSON.
    return /^\s*\{/.test(text) ? (JSON.parse(text) as unknown) : (schemaLibrary().parseYaml(text) as unknown)
  } catch (error) {
    throw new DocumentProblem('', error instanceof Error ? error.message.split('\n')[0]! : String(error))
  }
}

/** The paths of the servers, each once; variables have their default. */
function basesOf(document: OpenApiDocument): string[] {
  const { servers } = document.root
  if (!Array.isArray(servers) || servers.length === 0) return ['']
  const bases = (servers as unknown[]).map((server, index) => {
    const url = isNode(server) ? server['url'] : undefined
    if (typeof url !== 'string') throw new DocumentProblem(`/servers/${index}/url`, 'expected a URL')
    const variables = isNode(server) && isNode(server['variables']) ? server['variables'] : {}
    const filled = url.replace(/\{([^{}]+)\}/g, (whole, name: string) => {
      const variable = Object.hasOwn(variables, name) ? variables[name] : undefined
      return isNode(variable) && typeof variable['default'] === 'string' ? variable['default'] : whole
    })
    if (!URL.canParse(filled, 'http://localhost/')) throw new DocumentProblem(`/servers/${index}/url`, 'expected a URL')
    return withoutSlash(new URL(filled, 'http://localhost/').pathname)
  })
  return [...new Set(bases)].toSorted((a, b) => b.length - a.length)
}

function withoutSlash(path: string): string {
  const wire = wirePath(path)
  return wire.endsWith('/') ? wire.slice(0, -1) : wire
}
