/** Moments as configurations say them (RFC 3339, or a date for its first moment in UTC). */

/** Unix ms; null for a day or an hour that there is not. */
export function parseMoment(text: string): number | null {
  const isDate = !text.includes('T')
  const day = text.slice(0, 10)
  // Dates that run over, such as the 30th of February, become others: they are compared with what was written.
  const midnight = Date.parse(`${day}T00:00:00Z`)
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return null
  if (isDate) return midnight
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : at
}

export interface Brownout {
  readonly startsAtMs: number
  readonly durationMs: number
  /** How long after its beginning it begins again; 0: it is once. */
  readonly everyMs: number
  /** Of all requests, from 0 to 1. */
  readonly part: number
}

/** When the brown-out that is on at a moment ends, Unix ms; 0 while none is. */
export function brownoutEnd({ startsAtMs, durationMs, everyMs }: Brownout, nowMs: number): number {
  if (nowMs < startsAtMs) return 0
  const beganMs = everyMs === 0 ? startsAtMs : nowMs - ((nowMs - startsAtMs) % everyMs)
  return nowMs < beganMs + durationMs ? beganMs + durationMs : 0
}
