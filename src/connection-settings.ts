/** What connections of clients and to upstreams may cost, as the settings say. */
import type { ClientLimits } from '#http/connection-facts.ts'
import type { Settings } from '#model/settings.ts'
import type { PoolSettings } from '#upstream/pool.ts'

export function clientLimits(settings: Settings): ClientLimits {
  const { lineBytes, totalBytes } = settings.large_client_header_buffers
  return {
    requestLineBytes: lineBytes,
    headBytes: totalBytes,
    fields: settings.client_max_headers,
    headTimeoutMs: settings.client_header_timeout,
    bodyTimeoutMs: settings.client_body_timeout,
    sendTimeoutMs: settings.send_timeout,
    idleTimeoutMs: settings.keepalive_timeout,
    concurrentStreams: settings.http2_max_concurrent_streams,
    requestsPerConnection: settings.keepalive_timeout === 0 ? 1 : settings.keepalive_requests,
  }
}

export function poolSettings(settings: Settings): PoolSettings {
  return {
    size: settings.upstream_keepalive_pool_size,
    idleTimeoutMs: settings.upstream_keepalive_idle_timeout,
    maxRequests: settings.upstream_keepalive_max_requests || Infinity,
    maxHeadBytes: settings.upstream_max_header_size,
  }
}
