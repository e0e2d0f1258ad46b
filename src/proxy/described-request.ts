/** A request that somebody describes, for explaining how it would be routed. */
import { HeaderList } from '#http/header-list.ts'
import { normalizePath } from '#router/path.ts'
import type { RoutableRequest } from '#router/contract.ts'

export interface Description {
  readonly method: string
  readonly scheme: string
  /** With or without port. */
  readonly host: string
  readonly path: string
  readonly query: string | null
  readonly sni: string | null
  readonly headers: readonly (readonly [string, string])[]
}

export function describedRequest(description: Description): RoutableRequest {
  const { host, scheme } = description
  const colon = host.lastIndexOf(':')
  const hasHostPort = colon > 0 && host.indexOf(']') < colon
  return {
    method: description.method,
    scheme: scheme === 'https' ? 'https' : 'http',
    host: hasHostPort ? host.slice(0, colon) : host,
    port: hasHostPort ? Number(host.slice(colon + 1)) : scheme === 'https' ? 443 : 80,
    hasHostPort,
    path: normalizePath(description.path),
    query: description.query,
    headers: HeaderList.from(description.headers),
    sni: description.sni,
    clientIp: '127.0.0.1',
    clientPort: 0,
    serverIp: '127.0.0.1',
    serverPort: 0,
  }
}
