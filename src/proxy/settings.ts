/** What the request path needs of the settings, decided once. */
import type { Settings } from '#model/settings.ts'

export interface ProxySettings {
  /** Headers that Kong's `headers` and `headers_upstream` name. */
  readonly headers: {
    readonly via: boolean
    readonly server: boolean
    readonly proxyLatency: boolean
    readonly upstreamLatency: boolean
    readonly responseLatency: boolean
    readonly upstreamStatus: boolean
    readonly requestId: boolean
    readonly requestIdUpstream: boolean
  }
  /** The port that clients see for a listener's port (`port_maps`). */
  readonly portMaps: ReadonlyMap<number, number>
  /** Bytes of a request's body at most; 0 is no limit. */
  readonly maxBodyBytes: number
  /** Bytes of a chunked body that are collected so that the upstream gets a Content-Length (`request_buffering`). */
  readonly bodyBufferBytes: number
  /** Bytes of a body that a plugin can have whole. */
  readonly pluginBodyBytes: number
  /** Requests in flight in one worker at most; above, 503 at once. 0 is no limit. */
  readonly maxInFlight: number
  readonly errorDefaultType: string
  readonly allowDebugHeader: boolean
  readonly problemDetails: boolean
  /** The product in Via and Server, `meridian/<version>`. */
  readonly product: string
  /** The Via line of a response by the upstream's HTTP/1.minor; the third is HTTP/2's. */
  readonly viaLines: readonly string[]
}

export function proxySettings(settings: Settings, version: string): ProxySettings {
  const headers = new Set<string>(settings.headers)
  const has = (name: string, group: string) => headers.has(name) || headers.has(group)
  return {
    headers: {
      via: has('Via', 'server_tokens'),
      server: has('Server', 'server_tokens'),
      proxyLatency: has('X-Kong-Proxy-Latency', 'latency_tokens'),
      upstreamLatency: has('X-Kong-Upstream-Latency', 'latency_tokens'),
      responseLatency: has('X-Kong-Response-Latency', 'latency_tokens'),
      upstreamStatus: headers.has('X-Kong-Upstream-Status'),
      requestId: headers.has('X-Kong-Request-Id'),
      requestIdUpstream: settings.headers_upstream.includes('X-Kong-Request-Id'),
    },
    portMaps: new Map(settings.port_maps.map(({ external, internal }) => [internal, external])),
    maxBodyBytes: settings.client_max_body_size,
    bodyBufferBytes: BODY_BUFFER_BYTES,
    pluginBodyBytes: settings.client_body_buffer_size,
    maxInFlight: settings.worker_max_requests,
    errorDefaultType: settings.error_default_type,
    allowDebugHeader: settings.allow_debug_header,
    problemDetails: settings.error_default_type === 'application/problem+json',
    product: `meridian/${version}`,
    viaLines: ['1.0', '1.1', '2'].map((http) => `Via: ${http} meridian/${version}\r\n`),
  }
}

/** Request bodies up to this size are read whole before they are sent (`request_buffering`); longer ones stream. */
const BODY_BUFFER_BYTES = 65536
