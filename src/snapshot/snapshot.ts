/** What a worker serves from: immutable to the reader, and sharing with the next one all that a change did not touch. */
import type { Router } from '#router/contract.ts'
import type { Balancer } from '#balancer/contract.ts'
import type { Route } from '#model/entities/route.ts'
import type { Service } from '#model/entities/service.ts'
import type { ChosenKind, Exchange } from '#pdk/exchange.ts'
import type { Plan, PluginInstance, Step } from './plan.ts'
import type { Exit } from '#pdk/exchange.ts'
import type { TlsTarget } from '#upstream/pool.ts'

/** A service with everything that can be decided before a request comes. */
export interface CompiledService {
  readonly service: Service
  /** The service's, or the upstream that a plugin chose in its place. */
  readonly host: string
  readonly balancer: Balancer
  /** Computes what consistent hashing hashes, or null when the algorithm needs none. */
  readonly hashInput: ((exchange: Exchange) => string | null) | null
  /** Host header for the upstream that the upstream entity fixes; '' lets the target's name decide. */
  readonly fixedHost: string
  /** Whether it is asked over HTTP/2: grpc and grpcs. */
  readonly isHttp2: boolean
  /** Version of the PROXY protocol in which connections begin; null for none. */
  readonly proxyHeader: 1 | 2 | null
  /** Null for plain http; else how to reach a target with this server name. */
  readonly tls: ((servername: string) => TlsTarget) | null
  readonly timeouts: { readonly connectMs: number; readonly writeMs: number; readonly readMs: number }
  readonly retries: number
  /** Port that needs no mention in the Host header: 80 or 443. */
  readonly defaultPort: number
}

/** A route with its service and its plugins for a request without consumer. */
export interface CompiledRoute {
  readonly route: Route
  readonly service: CompiledService | null
  readonly plan: Plan
  /** Whether some plugin has a configuration for particular consumers or groups, so that the plan may change with them. */
  readonly hasConsumerPlans: boolean
  /** Whether some name a consumer group, so that the consumer's groups matter. */
  readonly hasGroupPlans: boolean
  /** `idHash` of the route. */
  readonly idHash: number
  readonly workspace: { readonly id: string; readonly name: string }
  /** `path_handling`, which only the traditional flavor heeds. */
  readonly pathHandling: 'v0' | 'v1'
  /** Record of this route's figures; opaque to the request path. */
  readonly figures: unknown
}

export interface Snapshot {
  readonly revision: number
  readonly hash: string
  readonly router: Router
  /** Instances without scope: they run for requests that match no route, too. */
  readonly globalPlan: Plan
  readonly rewrite: readonly Step<void | Exit | Promise<void | Exit>>[]
  /** Exchanges that serve from it and plugins that have yet to answer, counted by those: plugin instances live as long as they do. */
  inFlight: number
  /** The compiled form of a route that `router` matched. */
  compiled(route: Route): CompiledRoute
  /**
   * Another service for requests of a route: one with this name or id in the route's workspace, or the route's own with the targets of
   * this upstream, or at this origin. Null where there is none.
   */
  otherService(compiled: CompiledRoute, kind: ChosenKind, nameOrId: string): CompiledService | null
  /** The plan with the consumer's configurations, derived on first use. */
  consumerPlan(compiled: CompiledRoute, exchange: Exchange): Plan
}

export type { Plan, PluginInstance, Step }
