/** What a route matches by: its attributes, with empty ones taken for absent as Kong does. */
import { STREAM_PROTOCOLS } from '#model/stream-protocols.ts'
import type { Route } from '#model/entities/route.ts'
import type { RouterFlavor } from './contract.ts'

/** Values by header or query name. */
export type NamedValues = readonly (readonly [name: string, values: readonly string[]])[]
/** Pairs of address and port of which one suffices. */
export type Networks = readonly { readonly ip: string | null; readonly port: number | null }[]

export interface Attributes {
  readonly methods: readonly string[]
  readonly hosts: readonly string[]
  readonly paths: readonly string[]
  readonly headers: NamedValues
  readonly snis: readonly string[]
  readonly sources: Networks
  readonly destinations: Networks
  /** Ours: all names must be there, each with one of its values (with any when it lists none). */
  readonly query: NamedValues
}

export function attributesOf(route: Route): Attributes {
  return {
    methods: route.methods ?? [],
    hosts: route.hosts ?? [],
    paths: route.paths ?? [],
    headers: Object.entries(route.headers ?? {}).filter(([name]) => name.toLowerCase() !== 'host'),
    snis: route.snis ?? [],
    sources: route.sources ?? [],
    destinations: route.destinations ?? [],
    query: Object.entries(route.query ?? {}),
  }
}

/** Why requests can't match the route whatever they are like, or null. */
export function unmatchable(route: Route, attributes: Attributes, flavor: RouterFlavor): string | null {
  if (route.protocols.every((protocol) => STREAM_PROTOCOLS.has(protocol)))
    return `protocols: expected one of http, https, grpc, grpcs, got ${route.protocols.join(', ')}`
  if (Object.values(attributes).every((values: readonly unknown[]) => values.length === 0))
    return 'expected at least one of methods, hosts, paths, headers, snis or query, got none'
  // Kong's own matcher does not look at addresses of HTTP requests, so that such a route never matches.
  if (flavor === 'traditional' && attributes.sources.length + attributes.destinations.length > 0)
    return 'sources, destinations: not matched for HTTP by the traditional flavor'
  return null
}
