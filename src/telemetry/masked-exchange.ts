/** An exchange as access logs may show it. Made only where a setting hides something: the lines of others are written from the exchange itself. */
import type { LoggedExchange } from './logged-exchange.ts'
import type { Masking } from './masking.ts'

export function maskedExchange(exchange: LoggedExchange, masking: Masking): LoggedExchange {
  const { request, response } = exchange
  return {
    id: exchange.id,
    startedAtMs: exchange.startedAtMs,
    request: {
      method: request.method,
      rawPath: masking.text(request.rawPath),
      query: maskedQuery(request.query, masking),
      httpVersion: request.httpVersion,
      scheme: request.scheme,
      host: request.host,
      port: request.port,
      clientIp: request.clientIp,
      clientPort: request.clientPort,
      serverIp: request.serverIp,
      serverPort: request.serverPort,
      headers: maskedHeaders(request.headers, masking),
      bytesReceived: request.bytesReceived,
      tls: request.tls,
    },
    response: {
      status: response.status,
      headers: maskedHeaders(response.headers, masking),
      source: response.source,
      bytesSent: response.bytesSent,
      headBytes: response.headBytes,
    },
    upstream: exchange.upstream,
    upstreamStatus: exchange.upstreamStatus,
    tries: exchange.tries,
    proxyLatencyMs: exchange.proxyLatencyMs,
    upstreamLatencyMs: exchange.upstreamLatencyMs,
    totalLatencyMs: exchange.totalLatencyMs,
    route: exchange.route,
    service: exchange.service,
    workspace: exchange.workspace,
    consumer: exchange.consumer,
    credential: exchange.credential,
    error: exchange.error,
    logFields: exchange.logFields,
  }
}

function maskedQuery(query: string | null, masking: Masking): string | null {
  const masked = masking.query(query)
  return masked === null ? null : masking.text(masked)
}

function maskedHeaders(headers: LoggedExchange['request']['headers'], masking: Masking): typeof headers {
  return {
    get(name) {
      const value = headers.get(name)
      return value === null ? null : masking.header(name.toLowerCase(), value)
    },
    toObject: () => masking.headers(headers.toObject()),
  }
}
