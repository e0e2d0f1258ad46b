/** What a client may ask of a worker's listeners, by the settings. */
import type { ClientLimits } from '#http/connection-facts.ts'
import type { Settings } from '#model/settings.ts'

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
