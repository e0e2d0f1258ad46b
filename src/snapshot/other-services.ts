/** Finds services and upstreams that plugins name, by name or id within a workspace, without looking through all of them again and again. */
import type { BucketMap } from '#core/bucket-map.ts'
import type { Document } from '#model/document.ts'
import type { Service } from '#model/entities/service.ts'
import type { Upstream } from '#model/entities/upstream.ts'
import type { ChosenKind } from '#pdk/exchange.ts'
import type { CompiledRoute, CompiledService } from './snapshot.ts'
import { workspaceOf } from './workspace-of.ts'

/** Names come from configurations; more than this is a plugin that takes them from requests. */
const MOST_KEPT = 10_000

export class NamedEntities {
  /** Where a name was found last, by kind, workspace and name: looked at first, and believed only if it is still so. */
  readonly #ids = new Map<string, string>()

  find(
    table: BucketMap<Document> | undefined,
    kind: string,
    workspace: string,
    nameOrId: string,
  ): Document | undefined {
    if (table === undefined) return undefined
    const isIn = (document: Document | undefined): document is Document =>
      document !== undefined && workspaceOf(document) === workspace
    const byId = table.get(nameOrId)
    if (isIn(byId)) return byId
    const key = `${kind} ${workspace} ${nameOrId}`
    const known = this.#ids.get(key)
    const before = known === undefined ? undefined : table.get(known)
    if (isIn(before) && before['name'] === nameOrId) return before
    for (const document of table.values()) {
      if (document['name'] !== nameOrId || !isIn(document)) continue
      if (this.#ids.size >= MOST_KEPT) this.#ids.clear()
      this.#ids.set(key, document.id)
      return document
    }
    return undefined
  }
}

/** Services of one snapshot that plugins chose in place of the route's own, compiled when they are first asked for. */
export class OtherServices {
  readonly #named: NamedEntities
  readonly #tables: ReadonlyMap<string, BucketMap<Document>>
  readonly #compile: (service: Service, host?: string) => CompiledService
  /** By workspace, kind, name or id, and the route's service. */
  readonly #known = new Map<string, CompiledService | null>()

  /** @param compile makes the compiled form of a service, with another host than its own where one is given */
  constructor(
    named: NamedEntities,
    tables: ReadonlyMap<string, BucketMap<Document>>,
    compile: (service: Service, host?: string) => CompiledService,
  ) {
    this.#named = named
    this.#tables = tables
    this.#compile = compile
  }

  /** See `Snapshot.otherService`. */
  find({ workspace, service }: CompiledRoute, kind: ChosenKind, nameOrId: string): CompiledService | null {
    const key = `${workspace.id} ${kind} ${nameOrId} ${service === null ? '' : service.service.id}`
    let other = this.#known.get(key)
    if (other === undefined) {
      if (this.#known.size >= MOST_KEPT) this.#known.clear()
      this.#known.set(key, (other = this.#make(workspace.id, service, kind, nameOrId)))
    }
    return other
  }

  /** Hosts with ports that plugins named themselves: their balancers are in use though no service names them. */
  *hosts(): Iterable<string> {
    for (const [key, compiled] of this.#known)
      if (compiled !== null && key.split(' ')[1] === 'origin') yield `${compiled.host}:${compiled.service.port}`
  }

  #make(workspace: string, own: CompiledService | null, kind: ChosenKind, nameOrId: string) {
    if (kind === 'origin') return own === null ? null : this.#compile(serviceAt(own.service, nameOrId))
    const table = `${kind}s`
    const found: unknown = this.#named.find(this.#tables.get(table), table, workspace, nameOrId)
    if (found === undefined) return null
    if (kind === 'service') return (found as Service).enabled ? this.#compile(found as Service) : null
    return own === null ? null : this.#compile(own.service, (found as Upstream).name)
  }
}

/** The route's own service at another server: all but where it is, and what its connections begin with, stays. */
function serviceAt(own: Service, origin: string): Service {
  const { protocol, hostname, port } = new URL(origin)
  const isTls = protocol === 'https:'
  return {
    ...own,
    protocol: isTls ? 'https' : 'http',
    host: hostname,
    port: port === '' ? (isTls ? 443 : 80) : Number(port),
    path: null,
    proxy_protocol: null,
  }
}
