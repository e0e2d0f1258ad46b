import type { Outcome, PickedTarget } from '#balancer/contract.ts'
import type { WireFailure } from '#http/failure.ts'
import type { Exchange } from '#pdk/exchange.ts'

/** Notes that `target` is asked now (`performance.now()`, ms), as Kong's `ngx.ctx.balancer_data.tries` does. */
export function startTry(exchange: Exchange, target: PickedTarget, now: number): void {
  exchange.tries.push({
    ip: target.ip,
    port: target.port,
    startedAtMs: Math.round(performance.timeOrigin + now),
    latencyMs: 0,
    state: '',
    code: 0,
  })
}

/**
 * Notes that the newest try failed, and says what the balancer is told: Kong counts a try after which another follows as a
 * failure of the connection, and the last one by the status that the client gets.
 */
export function failTry(exchange: Exchange, failure: WireFailure, isRetried: boolean): Outcome {
  const attempt = exchange.tries[exchange.tries.length - 1]!
  attempt.state = isRetried ? 'next' : 'failed'
  attempt.code = failure.status
  if (failure.status === 504) return { type: 'timeout' }
  return isRetried ? { type: 'tcp_failure' } : { type: 'status', status: failure.status }
}
