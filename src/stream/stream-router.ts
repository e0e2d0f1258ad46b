/**
 * Matches TCP, TLS and UDP sessions to routes by source, destination and server name, with the order of Kong 3.9
 * (`kong-compat/routing.json`, priority of streams): names, or source and destination together, first; then exact addresses before
 * ports before networks, the source's before the destination's; then the greater id. Such routes are few: they are tried in order.
 */
import { isIP, type BlockList } from 'node:net'
import { addressSet } from '#core/address-set.ts'
import type { Route } from '#model/entities/route.ts'
import { STREAM_PROTOCOLS, type StreamProtocol } from '#model/stream-protocols.ts'

export interface StreamFacts {
  readonly protocol: StreamProtocol
  /** Lower case, without the dot at its end; null without TLS or without a name. */
  readonly serverName: string | null
  readonly sourceIp: string
  readonly sourcePort: number
  readonly destinationIp: string
  readonly destinationPort: number
}

const WEIGHT_IP = 8
const WEIGHT_PORT = 4
const WEIGHT_NETWORK = 1

interface Matcher {
  readonly route: Route
  readonly protocols: ReadonlySet<string>
  readonly sources: readonly Place[] | null
  readonly destinations: readonly Place[] | null
  readonly serverNames: readonly ((name: string) => boolean)[] | null
  readonly rank: readonly [number, number, number]
}

interface Place {
  readonly network: BlockList | null
  readonly port: number | null
}

export interface StreamRouter {
  readonly size: number
  /** Whether some route takes TLS as it comes, so that the hello has to be looked at before TLS is ended here. */
  readonly hasPassthrough: boolean
  match(facts: StreamFacts): Route | null
}

/** Of all routes those for streams; the others are left out. */
export function createStreamRouter(routes: Iterable<Route>): StreamRouter {
  const matchers: Matcher[] = []
  for (const route of routes)
    if (route.protocols.some((protocol) => STREAM_PROTOCOLS.has(protocol))) matchers.push(compileMatcher(route))
  matchers.sort(
    (a, b) =>
      b.rank[0] - a.rank[0] ||
      b.rank[1] - a.rank[1] ||
      b.rank[2] - a.rank[2] ||
      (a.route.id < b.route.id ? 1 : a.route.id > b.route.id ? -1 : 0),
  )
  return {
    size: matchers.length,
    hasPassthrough: matchers.some(({ protocols }) => protocols.has('tls_passthrough')),
    match: (facts) => matchers.find((matcher) => matches(matcher, facts))?.route ?? null,
  }
}

function compileMatcher(route: Route): Matcher {
  const sources = placesOf(route.sources)
  const destinations = placesOf(route.destinations)
  const names = route.snis ?? []
  const isSpecific = names.length > 0 || (sources !== null && destinations !== null)
  return {
    route,
    protocols: new Set(route.protocols),
    sources,
    destinations,
    serverNames: names.length === 0 ? null : names.map(compileName),
    rank: [isSpecific ? 1 : 0, weightOf(route.sources), weightOf(route.destinations)],
  }
}

type WrittenPlace = { readonly ip?: string | null; readonly port?: number | null }

function placesOf(written: readonly WrittenPlace[] | null): readonly Place[] | null {
  if (written === null || written.length === 0) return null
  return written.map(({ ip, port }) => ({ network: ip == null ? null : addressSet([ip]), port: port ?? null }))
}

function weightOf(written: readonly WrittenPlace[] | null): number {
  let weight = 0
  for (const { ip, port } of written ?? []) {
    if (ip != null) weight |= ip.includes('/') ? WEIGHT_NETWORK : WEIGHT_IP
    if (port != null) weight |= WEIGHT_PORT
  }
  return weight
}

/** A wildcard stands for whole labels at one end, as in hosts. */
function compileName(written: string): (name: string) => boolean {
  const wanted = written.toLowerCase().replace(/\.$/, '')
  if (wanted.startsWith('*')) return (name) => name.endsWith(wanted.slice(1))
  if (wanted.endsWith('*')) return (name) => name.startsWith(wanted.slice(0, -1))
  return (name) => name === wanted
}

function matches({ protocols, sources, destinations, serverNames }: Matcher, facts: StreamFacts): boolean {
  if (!protocols.has(facts.protocol)) return false
  // As over HTTP, a name is asked for only where there can be one.
  const canHaveName = facts.protocol === 'tls' || facts.protocol === 'tls_passthrough'
  if (serverNames !== null && canHaveName) {
    const { serverName } = facts
    if (serverName === null || !serverNames.some((isName) => isName(serverName))) return false
  }
  return (
    isAt(sources, facts.sourceIp, facts.sourcePort) && isAt(destinations, facts.destinationIp, facts.destinationPort)
  )
}

function isAt(places: readonly Place[] | null, ip: string, port: number): boolean {
  if (places === null) return true
  const family = isIP(ip) === 6 ? 'ipv6' : 'ipv4'
  return places.some(
    (place) =>
      (place.port === null || place.port === port) && (place.network === null || place.network.check(ip, family)),
  )
}
