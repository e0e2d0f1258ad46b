/** What the proxy asks of a balancer. Pure: no sockets; names are resolved by what it is given. */

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

export type Outcome =
  | { readonly type: 'status'; readonly status: number }
  | { readonly type: 'tcp_failure' }
  | { readonly type: 'timeout' }

export interface Balancer {
  /** Chooses a target; synchronous whenever every name is cached. `tried` are those that failed in this exchange, avoided while others are left. */
  pick(hashInput: string | null, tried: readonly PickedTarget[]): Pick | Promise<Pick>
  /** A request to the target begins / ends: what least-connections and health checks count. */
  started(target: PickedTarget): void
  ended(target: PickedTarget, outcome: Outcome, latencyMs: number): void
  close(): void
}

export interface ResolvedAddress {
  readonly ip: string
  /** From SRV; 0 means the port of the service or target. */
  readonly port: number
  readonly weight: number
  readonly priority: number
}
export type Resolution =
  | { readonly ok: true; readonly addresses: readonly ResolvedAddress[] }
  | { readonly ok: false; readonly code: 'name_error' | 'resolve_failed'; readonly message: string }

export interface Resolver {
  /** Answers at once for IP literals and cached names (fresh, or stale while a refresh runs), else by a promise with a deadline. */
  resolve(name: string): Resolution | Promise<Resolution>
  close(): void
}
