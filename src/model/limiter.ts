/** What decides over limits, wherever the counters are. */
import type { LimitDecision, LimitWindow } from './limit-window.ts'
import type { RedisBlock } from './redis-block.ts'

/** How data centers with a Redis each limit together. */
export type Consistency = 'local' | 'counted' | 'leased'

export interface LimiterOptions {
  readonly policy: 'local' | 'redis'
  /** With `redis`; without a host it is the Redis of this data center. */
  readonly redis: RedisBlock
  /** Seconds between exchanges with Redis; 0 and less asks it for each decision. */
  readonly syncRate: number
  /** Null is `counted` in the Redis of this data center, and `local` in any other. */
  readonly consistency: Consistency | null
  /** Goes on with what the node knows while Redis does not answer, else refuses to decide. */
  readonly isFaultTolerant: boolean
}

/** Decides over several limits in one step; what is refused counts nowhere. */
export interface Limiter {
  /** Null, at once or later: nobody may decide now. Never rejects. */
  take(
    key: string,
    cost: number,
    windows: readonly LimitWindow[],
    nowMs: number,
  ): LimitDecision | null | Promise<LimitDecision | null>
  /** Counts, whatever the limits. */
  add(key: string, amount: number, windows: readonly LimitWindow[], nowMs: number): void
  close(): void
}
