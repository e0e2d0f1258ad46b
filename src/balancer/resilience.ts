/** What an upstream's `resilience` says, in the units that balancers count in. */
import type { Upstream } from '#model/entities/upstream.ts'
import type { BreakerRules } from './breaker.ts'

export interface Resilience {
  /** When too few targets are healthy, requests go to all. */
  readonly panics: boolean
  /** 0 gives new addresses their whole share at once. */
  readonly slowStartMs: number
  readonly breaker: BreakerRules | null
  /** Retries in percent of requests; null leaves it to the service's `retries`. */
  readonly retryPercent: number | null
}

export function compileResilience({ resilience }: Upstream): Resilience {
  const breaker = resilience?.circuit_breaker ?? null
  return {
    panics: resilience?.panic ?? false,
    slowStartMs: (resilience?.slow_start ?? 0) * 1000,
    breaker:
      breaker === null
        ? null
        : {
            errorPercent: breaker.error_percent ?? 50,
            slowPercent: breaker.slow_percent ?? 0,
            slowMs: breaker.slow_after ?? 1000,
            windowMs: (breaker.window ?? 10) * 1000,
            minRequests: breaker.min_requests ?? 20,
            openMs: (breaker.open_for ?? 5) * 1000,
            trials: breaker.trials ?? 3,
          },
    retryPercent: resilience?.retry_percent ?? null,
  }
}
