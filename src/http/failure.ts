/** A failure on the wire, as a value: an Error with its stack costs microseconds, this some nanoseconds. */
export interface WireFailure {
  readonly code: WireCode
  /** Who is to blame. */
  readonly source: 'client' | 'upstream' | 'gateway'
  /** Status that a client is told. */
  readonly status: number
  /** Whether another target may be asked for the same request. */
  readonly retryable: boolean
  /** What exactly was wrong, for logs; never echoed to a client. */
  readonly detail: string
}

export type WireCode =
  | 'BAD_REQUEST_LINE'
  | 'BAD_METHOD'
  | 'BAD_TARGET'
  | 'BAD_VERSION'
  | 'BAD_HEADER'
  | 'BAD_HOST'
  | 'BAD_FRAMING'
  | 'BAD_CHUNK'
  | 'BAD_STATUS_LINE'
  | 'METHOD_NOT_ALLOWED'
  | 'NOT_IMPLEMENTED'
  | 'EXPECTATION_FAILED'
  | 'URI_TOO_LONG'
  | 'HEADER_TOO_LARGE'
  | 'BODY_TOO_LARGE'
  | 'CLIENT_TIMEOUT'
  | 'CLIENT_ABORTED'
  | 'CONNECT_FAILED'
  | 'CONNECT_TIMEOUT'
  | 'TLS_FAILED'
  | 'UPSTREAM_CLOSED'
  | 'UPSTREAM_REFUSED'
  | 'UPSTREAM_TIMEOUT'
  | 'OVERLOADED'
  | 'PLUGIN_FAILED'

export function clientFailure(code: WireCode, status: number, detail: string): WireFailure {
  return { code, source: 'client', status, retryable: false, detail }
}

export function upstreamFailure(code: WireCode, status: number, retryable: boolean, detail: string): WireFailure {
  return { code, source: 'upstream', status, retryable, detail }
}
