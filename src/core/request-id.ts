import { randomFillSync } from 'node:crypto'

/** Makes request ids: 32 lower-case hex characters from the system's random source, drawn 256 at a time. */
export function createRequestIds(): () => string {
  const pool = Buffer.allocUnsafeSlow(16 * 256)
  let at = pool.length
  return () => {
    if (at === pool.length) {
      randomFillSync(pool)
      at = 0
    }
    at += 16
    return pool.toString('hex', at - 16, at)
  }
}
