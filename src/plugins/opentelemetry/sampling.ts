/** Which traces are exported. */

/** Hexadecimal digits of an id that decide: 52 bits, as many as a number keeps exactly. */
const DIGITS = 13
const RANGE = 16 ** DIGITS

/** By the trace's id, so that every gateway on the way decides alike. */
export function isWithinRate(traceId: string, rate: number): boolean {
  return parseInt(traceId.slice(-DIGITS), 16) / RANGE < rate
}

export type Strategy = 'parent_probability_fallback' | 'parent_drop_probability_fallback'

/** The sender's decision counts; without one, or with the other strategy also after a yes, the rate does. */
export function isSampled(parent: boolean | null, traceId: string, rate: number, strategy: Strategy): boolean {
  if (parent === false) return false
  if (parent === true && strategy === 'parent_probability_fallback') return true
  return isWithinRate(traceId, rate)
}
