import type { WireFailure } from '#http/failure.ts'

/** Methods that nginx does not send twice once they were sent (its proxy_next_upstream without `non_idempotent`). */
const NOT_IDEMPOTENT = new Set(['POST', 'LOCK', 'PATCH'])

/**
 * Whether the request may go to the next target (Kong's rules: connection errors and time-outs before a response, never an HTTP status).
 * What an upstream says not to have looked at (RFC 9113 8.7) may go also where it is not idempotent.
 */
export function mayRetry(failure: WireFailure, method: string, wasSent: boolean): boolean {
  return failure.retryable && (!wasSent || failure.code === 'UPSTREAM_REFUSED' || !NOT_IDEMPOTENT.has(method))
}
