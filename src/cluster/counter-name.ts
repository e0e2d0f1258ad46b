import { createHash } from 'node:crypto'

/** Longer names become a digest: some identifiers are header values, and names are kept by the thousands. */
const LONGEST = 96

const ROUNDING = 1e-6

/** Names a counter in memory: the name itself, or what stands for it. */
export function shortName(key: string, longest = LONGEST): string {
  return key.length <= longest ? key : createHash('sha256').update(key).digest('base64url')
}

/** Names a counter where others see it: 128 bits that say nothing of who is counted, the same on all nodes. */
export function sharedName(key: string): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, 22)
}

/** What a node may admit by itself, when all nodes have the same: together they admit the limit and at most one each. */
export function shareOf(limit: number, nodes: number): number {
  // Limits that were computed may be above a whole number by what rounding left.
  return Math.ceil(limit / nodes - ROUNDING)
}
