import type { Exchange, Exit } from './exchange.ts'

/** Seconds after which a client may ask again: about the time in which a store comes back or another one is found. */
const RETRY_AFTER_S = '5'

/**
 * The answer when an entity can't be looked up because the store can't be asked: 503, never 'unknown', because refusing a good
 * credential would be wrong and letting an unchecked one pass as well. Any other error is a bug and goes on.
 */
export function storeFailure(exchange: Exchange, error: unknown): Exit {
  if (error instanceof Error && 'code' in error && error.code === 'STORE_UNAVAILABLE') {
    return exchange.fail(503, 'Service unavailable', { headers: { 'Retry-After': RETRY_AFTER_S } })
  }
  throw error
}
