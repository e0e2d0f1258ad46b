/** The one place where failures on the request path become answers. */
import type { PickError } from '#balancer/contract.ts'
import { clientFailure, upstreamFailure, type WireFailure } from '#http/failure.ts'
import type { Route } from '#model/entities/route.ts'
import type { Exchange, Exit } from '#pdk/exchange.ts'
import { hasGrpcType } from './grpc-answer.ts'
import { MESSAGES } from './error-body.ts'

export const OVERLOADED: WireFailure = {
  code: 'OVERLOADED',
  source: 'gateway',
  status: 503,
  retryable: false,
  detail: 'too many requests in flight',
}
export const NO_TARGET_LEFT = upstreamFailure('CONNECT_FAILED', 503, false, 'no target is left to try')
export const TRANSFORM_FAILED: WireFailure = {
  code: 'PLUGIN_FAILED',
  source: 'gateway',
  status: 500,
  retryable: false,
  detail: 'a plugin failed while it changed the body of the response',
}
export const TOO_LARGE = clientFailure('BODY_TOO_LARGE', 413, 'request body over its limit')

export interface FailureExit {
  readonly status: number
  readonly message: string
  /** Whether what follows on the connection can't be trusted or is not wanted. */
  readonly closes: boolean
  readonly retryAfter: string | null
}

export function exitOfFailure(failure: WireFailure): FailureExit {
  return {
    status: failure.status,
    message: MESSAGES[failure.status] ?? 'An unexpected error occurred',
    closes: failure.source === 'client' || failure.code === 'OVERLOADED',
    retryAfter: failure.code === 'OVERLOADED' ? '1' : null,
  }
}

/** Kong's answers when no target can be had (`balancer_errors`). */
export function exitOfPickError(
  exchange: Exchange,
  host: string,
  error: { readonly code: PickError; readonly message: string },
): Exit {
  switch (error.code) {
    case 'no_targets':
    case 'all_unhealthy':
      return exchange.fail(503, 'failure to get a peer from the ring-balancer')
    case 'name_error':
      return exchange.fail(503, 'name resolution failed')
    case 'resolve_failed':
      return exchange.fail(500, `failed the initial dns/balancer resolve for '${host}' with: ${error.message}`)
  }
}

/** What Kong checks after the match: https-only routes over http, gRPC routes over HTTP/1 or by what is no gRPC (`protocol_checks_after_match`). */
export function exitOfProtocol(exchange: Exchange, route: Route): Exit | null {
  const { protocols } = route
  if (protocols.includes('http') && !protocols.includes('grpc')) return null
  const { request } = exchange
  const forwarded = (request.isTrusted ? request.headers.get('x-forwarded-proto') : null) ?? request.scheme
  if (protocols.includes('https') && !protocols.includes('http') && forwarded !== 'https') {
    const status = route.https_redirect_status_code
    if (status === 426)
      return exchange.exit(
        426,
        { message: 'Please use HTTPS protocol' },
        { headers: { Connection: 'Upgrade', Upgrade: 'TLS/1.2, HTTP/1.1' } },
      )
    const host = (request.isTrusted ? request.headers.get('x-forwarded-host') : null) ?? request.host
    return exchange.exit(status, null, {
      headers: { Location: `https://${host}${request.rawPath}${request.query === null ? '' : '?' + request.query}` },
    })
  }
  if (protocols.includes('grpc') || protocols.includes('grpcs')) {
    if (!hasGrpcType(request)) return exchange.exit(415, { message: 'Non-gRPC request matched gRPC route' })
    if (request.httpVersion !== '2')
      return exchange.exit(
        426,
        { message: 'Please use HTTP2 protocol' },
        { headers: { Connection: 'Upgrade', Upgrade: 'HTTP/2' } },
      )
    if (!protocols.includes('grpc') && forwarded !== 'https')
      return exchange.exit(200, null, {
        contentType: 'application/grpc',
        headers: { 'grpc-status': '1', 'grpc-message': 'gRPC request matched gRPCs route' },
      })
  }
  return null
}
