/**
 * Turns what the main thread says into snapshots, one after the other, in a worker. A change costs as much as the change: the router
 * and the tables share what it does not touch, balancers and plugin instances live on, and the compiled form of a route is
 * made when the route is next asked for.
 */
import { BucketMap } from '#core/bucket-map.ts'
import type { Balancer } from '#balancer/contract.ts'
import { DEFAULT_WORKSPACE, type Change, type Document } from '#model/document.ts'
import type { Plugin as PluginDocument } from '#model/entities/plugin.ts'
import type { Route } from '#model/entities/route.ts'
import type { Service } from '#model/entities/service.ts'
import type { Target } from '#model/entities/target.ts'
import type { Upstream } from '#model/entities/upstream.ts'
import type { AnyPlugin, PluginTools } from '#pdk/pdk.ts'
import type { ChosenKind, Exchange } from '#pdk/exchange.ts'
import type { Router } from '#router/contract.ts'
import type { TlsTarget } from '#upstream/pool.ts'
import { NamedEntities, OtherServices } from './other-services.ts'
import { createPlan, rewriteSteps, type Plan, type PluginInstance } from './plan.ts'
import { RetiredPlugins } from './retired-plugins.ts'
import { ScopeIndex, type PlanScope } from './scopes.ts'
import type { CompiledRoute, CompiledService, Snapshot } from './snapshot.ts'
import { TargetIndex } from './target-index.ts'
import type { SnapshotUpdate } from './update.ts'
import { rememberWorkspace, workspaceOf } from './workspace-of.ts'

/** A balancer that lives while its upstream does. */
export interface LivingBalancer extends Balancer {
  update(upstream: Upstream, targets: readonly Target[]): void
  /** Takes targets that are new or changed, after those (`host:port`) that are gone. */
  changeTargets(put: readonly Target[], removed: readonly string[]): void
  /** Computes what is hashed, for algorithms that hash. */
  hashInput(exchange: Exchange): string | null
  readonly needsHash: boolean
  /** Asks for names whose answers have expired. */
  refresh(): void
}

export interface CompilerParts {
  readonly plugins: ReadonlyMap<string, AnyPlugin>
  readonly emptyRouter: Router
  readonly isTraditional: boolean
  readonly createUpstreamBalancer: (upstream: Upstream, targets: readonly Target[]) => LivingBalancer
  readonly createDirectBalancer: (host: string, port: number) => Balancer
  /** `workspace`: the id of the one that the instance is in. */
  readonly pluginTools: (document: PluginDocument, workspace: string) => PluginTools
  readonly orderPlugins: (instances: readonly PluginInstance[]) => readonly PluginInstance[]
  readonly tlsTargets: (
    service: Service,
    upstream: Upstream | null,
    entity: (kind: string, id: string) => Document | undefined,
  ) => (servername: string) => TlsTarget
  /** A number for an id, by which the main thread finds it again. */
  readonly idHash: (id: string) => number
  readonly figuresFor: (route: Route, service: Service | null, workspace: string) => unknown
  readonly pluginBroken: (document: PluginDocument, error: Error) => void
  readonly pluginNotClosed: (document: PluginDocument, error: Error) => void
  readonly nowMs: () => number
}

/** `host`: what stands in place of the service's own. */
type BalancerOf = (
  service: Service,
  host?: string,
) => {
  readonly balancer: Balancer
  readonly upstream: Upstream | null
  readonly living: LivingBalancer | null
}

/** Immutable tables by id. */
type Tables = ReadonlyMap<string, BucketMap<Document>>

/** Consumer plans kept per route; beyond it the oldest goes. */
const CONSUMER_PLANS = 1000

/** Balancers of plain hosts kept before those that are out of use are looked for. */
const DIRECT_BALANCERS = 10_000

interface UpstreamEntry {
  readonly upstream: Upstream
  readonly balancer: LivingBalancer
}

export class SnapshotCompiler {
  #parts: CompilerParts
  #current: CompiledSnapshot
  /** By workspace and name, which is what a service's host is compared with. */
  #upstreams = new Map<string, UpstreamEntry>()
  readonly #targets = new TargetIndex()
  #directs = new Map<string, Balancer>()
  #instances = new Map<string, PluginInstance>()
  readonly #retired: RetiredPlugins
  readonly #named = new NamedEntities()
  #epoch = 0

  constructor(parts: CompilerParts) {
    this.#parts = parts
    this.#retired = new RetiredPlugins((instance) => this.#close(instance), parts.nowMs)
    this.#current = new CompiledSnapshot(
      0,
      '',
      0,
      parts,
      parts.emptyRouter,
      new Map(),
      new ScopeIndex(),
      this.#balancerOf,
      this.#named,
    )
  }

  get current(): Snapshot {
    return this.#current
  }

  /** The document of an entity that every worker holds. */
  document(kind: string, id: string): Document | undefined {
    return this.#current.tables.get(kind)?.get(id)
  }

  documents(kind: string): Iterable<Document> {
    return this.#current.tables.get(kind)?.values() ?? []
  }

  apply(update: SnapshotUpdate): Snapshot {
    const before = this.#current
    const changes = update.isWhole ? [...removals(before.tables, update.changes), ...update.changes] : update.changes
    const byKind = Map.groupBy(changes, (change) => change.kind)
    changes.forEach(rememberWorkspace)
    const tables = new Map(before.tables)
    for (const [kind, list] of byKind) {
      const table = tables.get(kind) ?? new BucketMap<Document>()
      tables.set(kind, table.with(list.map((change) => [change.id, change.document ?? undefined] as const)))
    }
    // Routes alone don't change what any other route was compiled to.
    if ([...byKind.keys()].some((kind) => kind !== 'routes')) this.#epoch++
    const { scopes, removed } = this.#applyPlugins(before.scopes, byKind.get('plugins') ?? [])
    this.#applyUpstreams(before.tables, tables, byKind)
    const router = this.#applyRoutes(before, tables, byKind)
    this.#current = new CompiledSnapshot(
      update.revision,
      update.hash,
      this.#epoch,
      this.#parts,
      router,
      tables,
      scopes,
      this.#balancerOf,
      this.#named,
    )
    this.#retired.replaced(before, removed)
    return this.#current
  }

  #applyPlugins(
    scopes: ScopeIndex,
    changes: readonly Change[],
  ): { readonly scopes: ScopeIndex; readonly removed: readonly PluginInstance[] } {
    const removed: PluginInstance[] = []
    const added: PluginInstance[] = []
    for (const { id, document } of changes) {
      const before = this.#instances.get(id)
      if (before !== undefined) {
        this.#instances.delete(id)
        removed.push(before)
      }
      if (document === null) continue
      const instance = this.#prepare(document as unknown as PluginDocument)
      if (instance === null) continue
      this.#instances.set(id, instance)
      added.push(instance)
    }
    return { scopes: removed.length + added.length === 0 ? scopes : scopes.with(removed, added), removed }
  }

  #close({ plugin, document, state, broken }: PluginInstance): void {
    if (broken !== null) return
    try {
      plugin.close?.(state)
    } catch (error) {
      // What a plugin leaves open is its own; the change is served all the same.
      this.#parts.pluginNotClosed(document, error instanceof Error ? error : new Error(String(error)))
    }
  }

  #prepare(document: PluginDocument): PluginInstance | null {
    if (!document.enabled) return null
    const plugin = this.#parts.plugins.get(document.name)
    if (plugin === undefined) return null
    const workspace = workspaceOf(document)
    try {
      const state = plugin.prepare(document.config as never, this.#parts.pluginTools(document, workspace)) as unknown
      return {
        id: document.id,
        name: document.name,
        idHash: this.#parts.idHash(document.id),
        plugin,
        document,
        workspace,
        state,
        broken: null,
      }
    } catch (error) {
      const broken = error instanceof Error ? error : new Error(String(error))
      this.#parts.pluginBroken(document, broken)
      return {
        id: document.id,
        name: document.name,
        idHash: this.#parts.idHash(document.id),
        plugin,
        document,
        workspace,
        state: null,
        broken,
      }
    }
  }

  #applyUpstreams(before: Tables, after: Tables, byKind: ReadonlyMap<string, readonly Change[]>): void {
    const changedTargets = this.#targets.apply(byKind.get('targets') ?? [])
    const changed = new Set((byKind.get('upstreams') ?? []).map(({ id }) => id))
    for (const [id, { put, removed }] of changedTargets) {
      if (changed.has(id)) continue
      const upstream = after.get('upstreams')?.get(id) as unknown as Upstream | undefined
      const entry = upstream && this.#upstreams.get(upstreamKey(workspaceOf(upstream), upstream.name))
      entry?.balancer.changeTargets([...put.values()], [...removed])
    }
    // By id first: within one change names can be swapped, or pass to another upstream.
    const entries = new Map<string, UpstreamEntry>()
    for (const id of changed) {
      const old = before.get('upstreams')?.get(id) as unknown as Upstream | undefined
      const entry = old && this.#upstreams.get(upstreamKey(workspaceOf(old), old.name))
      if (entry === undefined || entry.upstream.id !== id) continue
      entries.set(id, entry)
      this.#upstreams.delete(upstreamKey(workspaceOf(entry.upstream), entry.upstream.name))
    }
    for (const id of changed) {
      const upstream = after.get('upstreams')?.get(id) as unknown as Upstream | undefined
      const entry = entries.get(id)
      if (upstream === undefined) {
        entry?.balancer.close()
        continue
      }
      const list = this.#targets.of(id)
      entry?.balancer.update(upstream, list)
      const balancer = entry?.balancer ?? this.#parts.createUpstreamBalancer(upstream, list)
      this.#upstreams.set(upstreamKey(workspaceOf(upstream), upstream.name), { upstream, balancer })
    }
  }

  /** Routes of a disabled service are not there (Kong's router leaves them out). */
  #applyRoutes(before: CompiledSnapshot, tables: Tables, byKind: ReadonlyMap<string, readonly Change[]>): Router {
    const put = new Map<string, Route>()
    const remove = new Set<string>()
    const place = (route: Route) => {
      const service = route.service
        ? (tables.get('services')?.get(route.service.id) as unknown as Service | undefined)
        : undefined
      if (route.service && !service?.enabled) remove.add(route.id)
      else put.set(route.id, route)
    }
    for (const { id, document } of byKind.get('routes') ?? []) {
      if (document === null) remove.add(id)
      else place(document as unknown as Route)
    }
    const toggled = (byKind.get('services') ?? []).filter(
      ({ id, document }) =>
        (before.tables.get('services')?.get(id)?.['enabled'] ?? null) !== (document?.['enabled'] ?? null),
    )
    if (toggled.length > 0) {
      const ids = new Set(toggled.map((change) => change.id))
      for (const route of (tables.get('routes')?.values() ?? []) as Iterable<unknown> as Iterable<Route>)
        if (route.service && ids.has(route.service.id) && !put.has(route.id)) place(route)
    }
    return put.size + remove.size === 0
      ? before.router
      : before.router.with({ put: [...put.values()], remove: [...remove] })
  }

  readonly #balancerOf: BalancerOf = (service, host = service.host) => {
    const entry = this.#upstreams.get(upstreamKey(workspaceOf(service), host))
    if (entry !== undefined) return { balancer: entry.balancer, upstream: entry.upstream, living: entry.balancer }
    const key = `${host}:${service.port}`
    let balancer = this.#directs.get(key)
    if (balancer === undefined) {
      if (this.#directs.size >= DIRECT_BALANCERS) this.#forgetDirects()
      this.#directs.set(key, (balancer = this.#parts.createDirectBalancer(host, service.port)))
    }
    return { balancer, upstream: null, living: null }
  }

  /** Closes the balancers of hosts that no service names any more, and no plugin. */
  #forgetDirects(): void {
    const used = new Set(this.#current.others.hosts())
    for (const service of this.#current.tables.get('services')?.values() ?? [])
      used.add(`${String(service['host'])}:${String(service['port'])}`)
    for (const [key, balancer] of this.#directs) {
      if (used.has(key)) continue
      balancer.close()
      this.#directs.delete(key)
    }
  }

  /** To be called now and then: closes the plugin instances whose last exchange has ended. */
  closeRetired(): void {
    this.#retired.sweep()
  }

  /** To be called now and then, so that upstreams without traffic stay up to date. */
  refreshBalancers(): void {
    for (const { balancer } of this.#upstreams.values()) balancer.refresh()
  }

  *upstreamBalancers(): Generator<LivingBalancer> {
    for (const { balancer } of this.#upstreams.values()) yield balancer
  }

  /** Live balancers by the upstream's name, for the health end-points. */
  upstreamBalancer(name: string, workspace = DEFAULT_WORKSPACE): LivingBalancer | undefined {
    return this.#upstreams.get(upstreamKey(workspace, name))?.balancer
  }
}

class CompiledSnapshot implements Snapshot {
  readonly revision: number
  readonly hash: string
  readonly router: Router
  readonly globalPlan: Plan
  readonly rewrite: Snapshot['rewrite']
  readonly tables: Tables
  readonly scopes: ScopeIndex
  inFlight = 0
  readonly #epoch: number
  readonly #parts: CompilerParts
  readonly #balancerOf: BalancerOf
  readonly others: OtherServices

  constructor(
    revision: number,
    hash: string,
    epoch: number,
    parts: CompilerParts,
    router: Router,
    tables: Tables,
    scopes: ScopeIndex,
    balancerOf: BalancerOf,
    named: NamedEntities,
  ) {
    this.revision = revision
    this.hash = hash
    this.#epoch = epoch
    this.#parts = parts
    this.router = router
    this.tables = tables
    this.scopes = scopes
    this.#balancerOf = balancerOf
    this.others = new OtherServices(named, tables, (service, host) => this.#compileService(service, host))
    this.globalPlan = createPlan(parts.orderPlugins(scopes.resolve(NO_ROUTE)))
    this.rewrite = rewriteSteps(this.globalPlan)
  }

  compiled(route: Route): CompiledRoute {
    const known = COMPILED.get(route)
    if (known !== undefined && known.epoch === this.#epoch) return known.compiled
    const compiled = this.#compile(route)
    COMPILED.set(route, { epoch: this.#epoch, compiled, consumerPlans: new Map() })
    return compiled
  }

  consumerPlan(compiled: CompiledRoute, exchange: Exchange): Plan {
    if (!compiled.hasConsumerPlans) return compiled.plan
    const groupIds = exchange.consumerGroups.map((group) => group.id)
    const key = [exchange.consumer?.id ?? '', ...groupIds].join(' ')
    const cached = COMPILED.get(compiled.route)
    const plans = cached !== undefined && cached.epoch === this.#epoch ? cached.consumerPlans : null
    let plan = plans?.get(key)
    if (plan !== undefined) return plan
    plan = this.#plan({
      workspace: compiled.workspace.id,
      routeId: compiled.route.id,
      serviceId: compiled.route.service?.id ?? null,
      consumerId: exchange.consumer?.id ?? null,
      groupIds,
    })
    if (plans !== null) {
      if (plans.size >= CONSUMER_PLANS) plans.delete(plans.keys().next().value!)
      plans.set(key, plan)
    }
    return plan
  }

  otherService(compiled: CompiledRoute, kind: ChosenKind, nameOrId: string): CompiledService | null {
    return this.others.find(compiled, kind, nameOrId)
  }

  #compile(route: Route): CompiledRoute {
    const service = route.service
      ? (this.tables.get('services')?.get(route.service.id) as unknown as Service | undefined)
      : undefined
    const workspace = this.#workspace(route)
    return {
      route,
      service: service === undefined ? null : this.#compileService(service),
      plan: this.#plan({
        workspace: workspace.id,
        routeId: route.id,
        serviceId: service?.id ?? null,
        consumerId: null,
        groupIds: [],
      }),
      hasConsumerPlans: this.scopes.consumerScoped > 0,
      workspace,
      hasGroupPlans: this.scopes.groupScoped > 0,
      idHash: this.#parts.idHash(route.id),
      pathHandling: this.#parts.isTraditional ? (route.path_handling ?? 'v0') : 'v0',
      figures: this.#parts.figuresFor(route, service ?? null, workspace.name),
    }
  }

  #workspace(route: Route): { readonly id: string; readonly name: string } {
    const id = workspaceOf(route)
    return { id, name: (this.tables.get('workspaces')?.get(id)?.['name'] as string | undefined) ?? 'default' }
  }

  #compileService(service: Service, host?: string): CompiledService {
    const { balancer, upstream, living } = this.#balancerOf(service, host)
    const isTls = TLS_PROTOCOLS.has(service.protocol)
    return {
      service,
      host: host ?? service.host,
      balancer,
      hashInput: living !== null && living.needsHash ? (exchange) => living.hashInput(exchange) : null,
      fixedHost: upstream?.host_header ?? '',
      isHttp2: service.protocol === 'grpc' || service.protocol === 'grpcs',
      proxyHeader: proxyHeaderOf(service),
      tls: isTls ? this.#parts.tlsTargets(service, upstream, (kind, id) => this.tables.get(kind)?.get(id)) : null,
      timeouts: {
        connectMs: service.connect_timeout ?? 60000,
        writeMs: service.write_timeout ?? 60000,
        readMs: service.read_timeout ?? 60000,
      },
      retries: service.retries ?? 5,
      defaultPort: isTls ? 443 : 80,
    }
  }

  #plan(scope: Parameters<ScopeIndex['resolve']>[0]): Plan {
    return createPlan(this.#parts.orderPlugins(this.scopes.resolve(scope)))
  }
}

/** Where no route matches, what has no scope in the default workspace runs. */
const NO_ROUTE: PlanScope = {
  workspace: DEFAULT_WORKSPACE,
  routeId: null,
  serviceId: null,
  consumerId: null,
  groupIds: [],
}

/** Protocols of HTTP; as in Kong, a plugin that lists one of them runs for all of them. */
/** Services that are reached over TLS. */
const TLS_PROTOCOLS: ReadonlySet<string> = new Set(['https', 'grpcs', 'tls'])

const upstreamKey = (workspace: string, name: string) => `${workspace} ${name}`

/** What a route was last compiled to. By the route's document, which is another object after each change of it. */
const COMPILED = new WeakMap<
  Route,
  { readonly epoch: number; readonly compiled: CompiledRoute; readonly consumerPlans: Map<string, Plan> }
>()

/** A whole load takes away what it does not name. */
function removals(tables: Tables, changes: readonly Change[]): Change[] {
  if (tables.size === 0) return []
  const named = new Set(changes.map((change) => `${change.kind} ${change.id}`))
  const gone: Change[] = []
  for (const [kind, table] of tables)
    for (const [id] of table.entries())
      if (!named.has(`${kind} ${id}`)) gone.push({ kind, workspace: '', id, document: null })
  return gone
}

function proxyHeaderOf({ proxy_protocol: version }: Service): 1 | 2 | null {
  return version === 'v1' ? 1 : version === 'v2' ? 2 : null
}
