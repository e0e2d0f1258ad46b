/** Finds the route of a request; see `route-index.ts` for how. */
import { BucketMap } from '#core/bucket-map.ts'
import type { Route } from '#model/entities/route.ts'
import { compileRoute } from './compile-route.ts'
import type { RoutableRequest, RouteMatch, Router, RouterFlavor } from './contract.ts'
import { methodBit, type CompiledRoute, type Entry } from './entry.ts'
import { searchLeaf, type Leaf } from './leaf.ts'
import { childAt, type TreeNode } from './prefix-tree.ts'
import {
  NO_TABLES,
  changeTables,
  type PathTree,
  type TableStats,
  type Tables,
  type WildcardTree,
} from './route-index.ts'

/** A part of a route that can never match, which the operator should hear of. */
export interface RouteProblem {
  readonly routeId: string
  readonly reason: string
}

export interface RouterStats extends TableStats {
  /** Problems of the routes that the change put. */
  readonly problems: readonly RouteProblem[]
}

/** A router without routes; `with` makes one that has some. */
export function createRouter({ flavor }: { readonly flavor: RouterFlavor }): CompiledRouter {
  const stats = { trees: 0, nodes: 0, leaves: 0, problems: [] }
  return new CompiledRouter(flavor, new BucketMap(), NO_TABLES, stats, [])
}

export class CompiledRouter implements Router {
  readonly flavor: RouterFlavor
  /** Every route by id, also those that can't match. */
  readonly routes: BucketMap<CompiledRoute>
  readonly tables: Tables
  /** What the change that made this router cost. */
  readonly stats: RouterStats
  /** Leaves on the way of the path that is being matched; one list for all routers that come from each other. */
  readonly #trail: Leaf[]

  constructor(
    flavor: RouterFlavor,
    routes: BucketMap<CompiledRoute>,
    tables: Tables,
    stats: RouterStats,
    trail: Leaf[],
  ) {
    this.flavor = flavor
    this.routes = routes
    this.tables = tables
    this.stats = stats
    this.#trail = trail
  }

  get size(): number {
    return this.routes.size
  }

  match(request: RoutableRequest): RouteMatch | null {
    const entry = this.#find(request)
    if (entry === null) return null
    return entry.answer ?? regexMatch(entry, request.path)
  }

  with(changes: { readonly put: readonly Route[]; readonly remove: readonly string[] }): CompiledRouter {
    const after = new Map<string, CompiledRoute | undefined>()
    for (const id of changes.remove) after.set(id, undefined)
    for (const route of changes.put) after.set(route.id, compileRoute(route, this.flavor))
    const removed: CompiledRoute[] = []
    const added: CompiledRoute[] = []
    const problems: RouteProblem[] = []
    for (const [id, compiled] of after) {
      const before = this.routes.get(id)
      if (before !== undefined) removed.push(before)
      if (compiled === undefined) continue
      added.push(compiled)
      for (const reason of compiled.problems) problems.push({ routeId: id, reason })
    }
    const { tables, stats } = changeTables(this.tables, removed, added)
    return new CompiledRouter(this.flavor, this.routes.with(after), tables, { ...stats, problems }, this.#trail)
  }

  /** The best entry of all tables in which the host stands; tables are looked at from the one that is most likely to have it. */
  #find(request: RoutableRequest): Entry | null {
    const { host } = request
    const { any, exact, suffix, prefix } = this.tables
    const bit = methodBit(request.method)
    const port = portOf(request, this.flavor)
    let best: Entry | null = null
    if (host !== '') {
      const table = exact.get(host)
      if (table !== undefined) best = this.#searchPaths(table, request, bit, port, best)
      if (suffix !== null) best = this.#searchSuffixes(suffix, request, bit, port, best)
      if (prefix !== null) best = this.#searchPrefixes(prefix, request, bit, port, best)
    }
    return any === null ? best : this.#searchPaths(any, request, bit, port, best)
  }

  /** Down the tree along the path, then back up: longer paths rank higher, so that the first hit makes most others unnecessary. */
  #searchPaths(tree: PathTree, request: RoutableRequest, bit: number, port: number, best: Entry | null): Entry | null {
    const trail = this.#trail
    const { path } = request
    let count = 0
    let node: TreeNode<Leaf> | null = tree
    let at = 0
    // A child was found by the first character of its label.
    for (let known = 0; node !== null; known = 1) {
      const { label } = node
      const { length } = label
      if (at + length > path.length) break
      let i = known
      while (i < length && label.charCodeAt(i) === path.charCodeAt(at + i)) i++
      if (i < length) break
      at += length
      if (node.value !== null) trail[count++] = node.value
      node = childAt(node, path, at)
    }
    let found = best
    while (count > 0) found = searchLeaf(trail[--count]!, request, bit, port, found)
    return found
  }

  #searchSuffixes(
    tree: WildcardTree,
    request: RoutableRequest,
    bit: number,
    port: number,
    best: Entry | null,
  ): Entry | null {
    const { host } = request
    let found = best
    let node: WildcardTree | null = tree
    let left = host.length
    while (node !== null) {
      const { label } = node
      let i = 0
      while (i < label.length && i < left && label.charCodeAt(i) === host.charCodeAt(left - 1 - i)) i++
      if (i < label.length) break
      left -= i
      if (node.value !== null) found = this.#searchPaths(node.value, request, bit, port, found)
      node = left === 0 ? null : childAt(node, host, left - 1)
    }
    return found
  }

  #searchPrefixes(
    tree: WildcardTree,
    request: RoutableRequest,
    bit: number,
    port: number,
    best: Entry | null,
  ): Entry | null {
    const { host } = request
    let found = best
    let node: WildcardTree | null = tree
    for (let at = 0; node !== null; node = childAt(node, host, at)) {
      if (!host.startsWith(node.label, at)) break
      at += node.label.length
      if (node.value !== null) found = this.#searchPaths(node.value, request, bit, port, found)
    }
    return found
  }
}

/** The port with which ports of a route's hosts are compared. */
export function portOf(request: RoutableRequest, flavor: RouterFlavor): number {
  if (flavor !== 'traditional' || request.hasHostPort) return request.port
  return request.scheme === 'https' ? 443 : 80
}

function regexMatch(entry: Entry, path: string): RouteMatch {
  const { route } = entry.owner
  const found = entry.regex?.exec(path) ?? null
  if (found === null || found.groups.length === 1) return { route, matchedPath: found?.text ?? null, captures: null }
  const named: Record<string, string> = {}
  const unnamed: string[] = []
  for (let i = 1; i < found.groups.length; i++) {
    const text = found.groups[i] ?? null
    const name = entry.regex!.groupNames[i] ?? null
    unnamed.push(text ?? '')
    if (name !== null && text !== null) named[name] = text
  }
  return { route, matchedPath: found.text, captures: { named, unnamed } }
}
