/** The claims that say from when until when a token counts (RFC 7519 4.1.4, 4.1.5). */
import type { JsonObject } from './token.ts'

export type TimeClaim = 'exp' | 'nbf'

/** What is wrong, by claim; null when nothing is. */
export function timeProblems(
  claims: JsonObject,
  toVerify: readonly TimeClaim[],
  nowSeconds: number,
): Readonly<Record<string, string>> | null {
  const problems: Record<string, string> = {}
  for (const name of toVerify) {
    const problem = problemOf(name, claims[name], nowSeconds)
    if (problem !== null) problems[name] = problem
  }
  return Object.keys(problems).length === 0 ? null : problems
}

function problemOf(name: TimeClaim, value: unknown, nowSeconds: number): string | null {
  if (typeof value !== 'number') return 'must be a number'
  if (name === 'exp') return value <= nowSeconds ? 'token expired' : null
  return value > nowSeconds ? 'token not valid yet' : null
}

/** Whether a token may still be used longer than an operator wants any token to be. */
export function livesTooLong({ exp }: JsonObject, maximumSeconds: number, nowSeconds: number): boolean {
  return maximumSeconds > 0 && (typeof exp !== 'number' || exp - nowSeconds > maximumSeconds)
}
