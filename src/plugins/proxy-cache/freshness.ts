/** Whether a stored response may answer a request now. */
import type { StoredResponse } from '#pdk'
import type { CacheControl } from './cache-control.ts'

/** `asked` is what the client's Cache-Control says; null for nothing that counts. */
export function isFresh({ facts }: StoredResponse, asked: CacheControl | null): boolean {
  const heldMs = Date.now() - facts.storedAtMs
  const leftMs = facts.freshForMs - heldMs
  if (asked === null) return leftMs > 0
  if (asked.noCache) return false
  if (asked.maxAge >= 0 && facts.ageS * 1000 + heldMs > asked.maxAge * 1000) return false
  if (asked.minFresh >= 0 && leftMs < asked.minFresh * 1000) return false
  return leftMs > 0
}

/** Whether it may be served while somebody asks the upstream again (RFC 5861 3). */
export function mayServeMeanwhile({ facts }: StoredResponse): boolean {
  return Date.now() - facts.storedAtMs < facts.freshForMs + facts.staleWhileRevalidateMs
}

/** Whether it may be served because the upstream can't be asked, or fails (RFC 5861 4). */
export function mayServeOnError({ facts }: StoredResponse): boolean {
  return Date.now() - facts.storedAtMs < facts.freshForMs + facts.staleIfErrorMs
}
