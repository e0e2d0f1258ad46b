/** What the router promises to the proxy: immutable, shares what a change did not touch, cost independent of the number of routes. */
import type { Route } from '#model/entities/route.ts'
import type { HeaderList } from '#http/header-list.ts'

export type RouterFlavor = 'traditional_compatible' | 'traditional'

export interface RoutableRequest {
  readonly method: string
  readonly scheme: 'http' | 'https'
  /** The Host header as received, without its port; '' when there is none. Not lower-cased (Kong compares exactly). */
  readonly host: string
  /** Port of the Host header, or the listener's when it has none. */
  readonly port: number
  /** Whether the Host header named a port. */
  readonly hasHostPort: boolean
  /** Normalised path without query, see `path.ts`. */
  readonly path: string
  /** Query without '?', or null when the target had none. */
  readonly query: string | null
  readonly headers: HeaderList
  /** TLS server name without trailing dot, or null. */
  readonly sni: string | null
  readonly clientIp: string
  readonly clientPort: number
  readonly serverIp: string
  readonly serverPort: number
}

export interface RouteMatch {
  readonly route: Route
  /** The matched part of the path (plain prefix or regex text), or null when the route has no paths. */
  readonly matchedPath: string | null
  /** Groups of the path's regex: `named` and numbered from 1; null when there are none. */
  readonly captures: { readonly named: Readonly<Record<string, string>>; readonly unnamed: readonly string[] } | null
}

export interface Router {
  match(request: RoutableRequest): RouteMatch | null
  /** A new router with these routes put or removed; tables that they don't touch are shared. */
  with(changes: { readonly put: readonly Route[]; readonly remove: readonly string[] }): Router
  readonly size: number
}
