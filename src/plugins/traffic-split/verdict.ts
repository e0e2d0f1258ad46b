/** Whether a target does worse than the route's own service. */
import type { Config } from './schema.ts'
import { percentileOf, type WindowFigures } from './window.ts'

export type AbortConfig = NonNullable<Config['abort']>

/** In the order of their numbers, which are kept in counters. */
export const REASONS = ['error_rate', 'max_error_rate', 'latency'] as const
export type Reason = (typeof REASONS)[number]

/** Null while there is nothing to say against it, or too little to say anything. */
export function judge(target: WindowFigures, stable: WindowFigures, config: AbortConfig): Reason | null {
  if (target.requests < config.min_requests) return null
  const rate = errorRate(target)
  if (config.max_error_rate !== null && rate > config.max_error_rate) return 'max_error_rate'
  // Against a side that nearly nobody asks there is nothing to compare with.
  if (stable.requests < config.min_requests) return null
  if (rate > errorRate(stable) + config.error_margin) return 'error_rate'
  if (config.latency_factor === 0) return null
  const slow = percentileOf(target, config.latency_percentile)
  const usual = percentileOf(stable, config.latency_percentile)
  if (slow === null || usual === null) return null
  return slow > usual * config.latency_factor + config.latency_slack ? 'latency' : null
}

/** In percent; 0 without requests. */
export function errorRate({ requests, errors }: WindowFigures): number {
  return requests === 0 ? 0 : (errors / requests) * 100
}
