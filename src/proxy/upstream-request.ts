import type { Pick, PickedTarget } from '#balancer/contract.ts'
import { stickyCookieOf } from '#balancer/hash-input.ts'
import type { RequestHead } from '#http/request-head.ts'
import type { ResponseHead } from '#http/response-head.ts'
import type { Exchange, ServicePlace, UpstreamRequest } from '#pdk/exchange.ts'
import { escapeUpstreamPath, upstreamPath } from '#router/path.ts'
import type { UpstreamTimeouts } from '#upstream/connection.ts'
import type { CompiledRoute, CompiledService } from '#snapshot/snapshot.ts'
import { cleanResponseFields } from './client-head.ts'

/** Fills in what the upstream is to be asked, as route and service say; plugins may change it before it goes out. */
export function prepareUpstream(
  exchange: Exchange,
  head: RequestHead,
  compiled: CompiledRoute,
  service: CompiledService,
): void {
  const { upstream, matchedPath } = exchange
  const route = exchange.route!
  const entity = service.service
  upstream.scheme = entity.protocol as UpstreamRequest['scheme']
  upstream.host = service.host
  upstream.port = entity.port
  upstream.path = pathFor(exchange, head, compiled, service)
  upstream.strippedPrefix =
    route.strip_path && matchedPath !== null && matchedPath !== '/' && matchedPath !== '' ? matchedPath : null
  upstream.retries = service.retries
  upstream.connectTimeoutMs = service.timeouts.connectMs
  upstream.writeTimeoutMs = service.timeouts.writeMs
  upstream.readTimeoutMs = service.timeouts.readMs
  if (route.preserve_host) upstream.hostHeader = exchange.request.hostHeader
}

/** Another service than `from` is asked from now on. A path that a plugin made stays: it is no longer that of a service. */
export function changeService(
  exchange: Exchange,
  head: RequestHead,
  compiled: CompiledRoute,
  from: CompiledService | null,
  to: CompiledService,
): void {
  const { path } = exchange.upstream
  const isMade = from !== null && path !== pathFor(exchange, head, compiled, from)
  prepareUpstream(exchange, head, compiled, to)
  if (isMade) exchange.upstream.path = path
}

function pathFor(exchange: Exchange, head: RequestHead, compiled: CompiledRoute, { service }: CompiledService): string {
  const path = upstreamPath({
    servicePath: service.path,
    matchedPath: exchange.matchedPath,
    stripPath: exchange.route!.strip_path,
    requestPath: exchange.request.path,
    pathHandling: compiled.pathHandling,
  })
  // What the parser saw to be plain needs no second look; a service's path is checked when it is configured.
  return head.isPathPlain && head.isPathNormal ? path : escapeUpstreamPath(path)
}

const HTTP: ReadonlySet<string> = new Set(['http', 'https'])

/** See `ServiceChooser.locate`. */
export function placeOf(
  exchange: Exchange,
  head: RequestHead,
  compiled: CompiledRoute,
  service: CompiledService | null,
): ServicePlace | null | Promise<ServicePlace | null> {
  if (service === null || !HTTP.has(service.service.protocol)) return null
  const placed = (pick: Pick): ServicePlace | null => {
    if (!pick.ok) return null
    const { ip, port, hostname } = pick.target
    const scheme = service.tls === null ? 'http' : 'https'
    return {
      origin: `${scheme}://${ip.includes(':') ? `[${ip}]` : ip}:${port}`,
      hostHeader: withPort(service.fixedHost !== '' ? service.fixedHost : hostname, port, service.defaultPort),
      path: pathFor(exchange, head, compiled, service),
    }
  }
  const picked = service.balancer.pick(null, [])
  return picked instanceof Promise ? picked.then(placed, () => null) : placed(picked)
}

/** What the upstream answered, before plugins change it. */
export function takeResponse(exchange: Exchange, head: ResponseHead, service: CompiledService): void {
  const { response } = exchange
  exchange.upstreamStatus = response.status = head.status
  response.headers = head.headers
  response.source = 'service'
  cleanResponseFields(head)
  if (service.hashInput === null) return
  const cookie = stickyCookieOf(exchange)
  if (cookie !== null) response.headers.append('Set-Cookie', cookie)
}

/** How long the upstream may take for each step, as route, service and plugins left it. */
export function timeoutsOf({ upstream }: Exchange): UpstreamTimeouts {
  return { connectMs: upstream.connectTimeoutMs, readMs: upstream.readTimeoutMs, writeMs: upstream.writeTimeoutMs }
}

/** The Host that `target` is asked for: the client's or a plugin's, else the upstream's `host_header`, else the target's name. */
export function hostHeaderFor(exchange: Exchange, service: CompiledService, target: PickedTarget): string {
  const { hostHeader } = exchange.upstream
  if (exchange.route!.preserve_host || hostHeader !== '') return hostHeader
  return withPort(service.fixedHost !== '' ? service.fixedHost : target.hostname, target.port, service.defaultPort)
}

function withPort(hostname: string, port: number, defaultPort: number): string {
  return port === defaultPort ? hostname : hostname + ':' + port
}

/** The name in a Host header, for SNI. */
export function withoutPort(host: string): string {
  const colon = host.lastIndexOf(':')
  return colon > 0 && host.indexOf(']') < colon ? host.slice(0, colon) : host
}
