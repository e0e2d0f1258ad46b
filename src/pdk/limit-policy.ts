/** What plugins that limit have in common: whose requests are counted together, and which nodes can count together. */
import { createHash } from 'node:crypto'
import type { Exchange } from './exchange.ts'
import type { ClusterCounters, NodeAbilities } from './pdk.ts'
import { toWire } from './wire-text.ts'

/** Refuses the policy `cluster` where nodes share no store; null otherwise. */
export function refuseClusterPolicy(policy: string | null, { hasClusterCounters }: NodeAbilities) {
  if (policy !== 'cluster' || hasClusterCounters) return null
  return {
    field: 'policy',
    message:
      "policy 'cluster' is not available without a store that nodes share (database = cassandra); 'local' counts on each node for itself, 'redis' over all that have the same Redis",
  }
}

/** Throws for a configuration that only a node with another database can have written. */
export function requireClusterCounters(policy: string | null, counters: ClusterCounters | null): void {
  if (policy === 'cluster' && counters === null) throw new Error("policy 'cluster' needs database = cassandra")
}

export type Identifier = (exchange: Exchange) => string

/** By `config.limit_by`. Where there is nothing to go by, the client's address counts. */
export function identifierOf(
  limitBy: 'consumer' | 'credential' | 'ip' | 'service' | 'header' | 'path',
  headerName: string | null = null,
  path: string | null = null,
): Identifier {
  switch (limitBy) {
    case 'consumer':
      return ({ consumer, credential, request }) => consumer?.id ?? credential?.id ?? request.clientIp
    case 'credential':
      return ({ credential, request }) => credential?.id ?? request.clientIp
    case 'ip':
      return ({ request }) => request.clientIp
    case 'service':
      return ({ service, request }) => service?.id ?? request.clientIp
    case 'header': {
      const name = headerName ?? ''
      return ({ request }) => request.headers.get(name) ?? request.clientIp
    }
    case 'path': {
      const wirePath = toWire(path ?? '')
      return ({ request }) => (request.path === wirePath ? wirePath : request.clientIp)
    }
  }
}

/**
 * Begins the names of counters: the same in every worker and node for every instance of a plugin on this route and service, and
 * apart from other plugins by `kind`. Short, because it is hashed for every request; no two are alike within a gateway's life (72 bits).
 */
export function counterPrefix(
  kind: '' | 'response:' | 'traffic:',
  { route, service }: { readonly route: string | null; readonly service: string | null },
): string {
  return createHash('sha256')
    .update(`${kind}${route ?? ''}:${service ?? ''}`)
    .digest('base64url')
    .slice(0, 12)
}
