/** What the proxy asks of a balancer. Pure: no sockets; names are resolved by what it is given. */
export type { Resolution, ResolvedAddress, Resolver } from '#core/resolution.ts'

export interface PickedTarget {
  readonly ip: string
  readonly port: number
  /** The name of the target (for the Host header and TLS), or its address when it is one. */
  readonly hostname: string
  /** Identity within this balancer, stable while the target and its address exist. */
  readonly key: string
}

export type PickError = 'no_targets' | 'all_unhealthy' | 'name_error' | 'resolve_failed'
export type Pick =
  | { readonly ok: true; readonly target: PickedTarget }
  | { readonly ok: false; readonly code: PickError; readonly message: string }

/**
 * How one try ended, as Kong counts it: a try after which another follows is a `tcp_failure`, or a `timeout` where it ran into
 * one; the last try is the status that the client gets (502 for a refused connection), and a `timeout` when that is 504.
 */
export type Outcome =
  | { readonly type: 'status'; readonly status: number }
  | { readonly type: 'tcp_failure' }
  | { readonly type: 'timeout' }
  /** Of probes that have no status: it was as it should be, or the answer said that it is not. */
  | { readonly type: 'success' }
  | { readonly type: 'failure' }

export interface Balancer {
  /** Chooses a target; synchronous whenever every name is cached. `tried` are those that failed in this exchange, avoided while others are left. */
  pick(hashInput: string | null, tried: readonly PickedTarget[]): Pick | Promise<Pick>
  /** A request to the target begins / ends: what least-connections and health checks count. */
  started(target: PickedTarget): void
  ended(target: PickedTarget, outcome: Outcome, latencyMs: number): void
  close(): void
}
