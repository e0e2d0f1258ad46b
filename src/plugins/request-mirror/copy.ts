/** The head of a copy: what the upstream is asked, without what is of this hop, and without what the shadow is not to have. */
import { connectionNames, HOP_BY_HOP } from '#core/hop-by-hop.ts'
import type { Exchange, ServicePlace } from '#pdk'
import { toWire } from '#pdk/wire-text.ts'
import type { Config } from './schema.ts'

export interface CopyHead {
  readonly origin: string
  readonly path: string
  readonly method: string
  /** Names and values by turns. */
  readonly headers: readonly string[]
}

/** Of this hop, or told anew. */
const OURS = [
  ...HOP_BY_HOP,
  'expect',
  'host',
  'http2-settings',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
]

export class CopyHeads {
  readonly #config: Config
  readonly #url: URL | null
  readonly #dropped: ReadonlySet<string>
  readonly #set: readonly (readonly [string, string])[]

  constructor(config: Config) {
    this.#config = config
    this.#url = config.url === null ? null : new URL(config.url)
    this.#set = Object.entries(config.set_headers).map(([name, value]) => [name, toWire(value)])
    this.#dropped = new Set(
      [...OURS, config.mark_header, ...config.remove_headers, ...Object.keys(config.set_headers)].map((name) =>
        name.toLowerCase(),
      ),
    )
  }

  /** @param place where the service is; null for the configured URL */
  of(exchange: Exchange, place: ServicePlace | null): CopyHead {
    const { request, upstream } = exchange
    const url = this.#url
    const path = place === null ? url!.pathname.replace(/\/$/, '') + upstream.path : place.path
    const host = this.#config.preserve_host ? request.hostHeader : place === null ? url!.host : place.hostHeader
    const headers = ['host', host]
    const hop = connectionNames(request.headers.getAll('connection'))
    for (const [name, value] of request.headers) {
      const lower = name.toLowerCase()
      if (!this.#dropped.has(lower) && !hop.includes(lower)) headers.push(name, value)
    }
    headers.push('X-Forwarded-For', request.clientIp, 'X-Forwarded-Proto', request.scheme)
    headers.push('X-Forwarded-Host', request.hostHeader, this.#config.mark_header, exchange.id)
    for (const [name, value] of this.#set) headers.push(name, value)
    return {
      origin: place === null ? url!.origin : place.origin,
      path: request.query === null ? path : `${path}?${request.query}`,
      method: upstream.method === '' ? request.method : upstream.method,
      headers,
    }
  }
}
