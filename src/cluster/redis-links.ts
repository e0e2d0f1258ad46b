/** The links of a thread: one for each Redis, shared by whoever means the same one, and closed with the last of them. */
import type { Figures } from '#telemetry/figures.ts'
import type { OpenConnection } from './redis-port.ts'
import { endpointId, type RedisEndpoint } from './redis-endpoint.ts'
import { RedisLink } from './redis-link.ts'

export interface RedisLinksOptions {
  readonly open: OpenConnection
  readonly connectTimeoutMs: number
  readonly queueSize: number
  readonly keyPrefix: string
  readonly figures: Figures
  /** Called when one begins or stops to answer. `redis` is the endpoint's name. */
  readonly onState: (redis: string, isUp: boolean, reason: string) => void
}

export interface SharedLink {
  readonly link: RedisLink
  /** Equal where the endpoints are. */
  readonly id: string
  release(): void
}

export class RedisLinks {
  readonly #options: RedisLinksOptions
  readonly #links = new Map<string, { readonly link: RedisLink; users: number }>()

  constructor(options: RedisLinksOptions) {
    this.#options = options
  }

  /** Begins to connect, and returns at once. */
  take(endpoint: RedisEndpoint): SharedLink {
    const id = endpointId(endpoint)
    const known = this.#links.get(id) ?? { link: this.#open(endpoint), users: 0 }
    this.#links.set(id, known)
    known.users++
    let isReleased = false
    const release = (): void => {
      if (isReleased) return
      isReleased = true
      if (--known.users > 0) return
      this.#links.delete(id)
      known.link.close()
      // Nothing depends on it any more, so nothing is degraded by it.
      if (!known.link.isUp) this.#options.onState(endpoint.name, true, '')
    }
    return { link: known.link, id, release }
  }

  close(): void {
    for (const { link } of this.#links.values()) link.close()
  }

  #open(endpoint: RedisEndpoint): RedisLink {
    const { figures, onState, ...options } = this.#options
    const labels = { redis: endpoint.name }
    return new RedisLink({
      ...options,
      endpoint,
      commands: figures.counter('meridian_redis_commands_total', labels),
      failures: figures.counter('meridian_redis_failures_total', labels),
      monotonicMs: () => performance.now(),
      later: (run, ms) => {
        const timer = setTimeout(run, ms)
        return () => clearTimeout(timer)
      },
      afterReading: (run) => void setImmediate(run),
      onState: (isUp, reason) => onState(endpoint.name, isUp, reason),
    })
  }
}
