/** A response that plugins take whole: kept in memory until it has ended, then handed from one to the next, and only then begun for the client. */
import type { HeaderList } from '#http/header-list.ts'
import type { ResponseHead } from '#http/response-head.ts'
import type { Exchange, Exit } from '#pdk/exchange.ts'
import type { ResponseHold } from '#pdk/response-hold.ts'
import type { Plan, PluginInstance, Snapshot } from '#snapshot/snapshot.ts'
import type { ProxyEvents } from './worker-context.ts'

/** The exchange that the response belongs to. */
export interface HeldResponseHost {
  readonly exchange: Exchange
  /** Once: the response goes on with this body, or the client gets the other answer. A response may be refused while it is being held. */
  responseHeld(head: ResponseHead, result: Buffer | Exit): void
}

/** Node fires at once where it is longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

interface Holder {
  readonly instance: PluginInstance
  readonly hold: ResponseHold
}

/** What holds a response with a body as the plugins of a plan want it; null where none does. One that throws is told of, and refuses it. */
export function holdResponse(
  host: HeldResponseHost,
  plan: Plan,
  head: ResponseHead,
  snapshot: Snapshot,
  events: ProxyEvents,
): HeldResponse | null {
  if (head.framing === 'none') return null
  const { exchange } = host
  const holders: Holder[] = []
  for (const { instance, run } of plan.responseHold) {
    try {
      const hold = run(exchange, instance.state)
      if (hold !== null) holders.push({ instance, hold })
    } catch (error) {
      events.pluginFailed(exchange, instance, 'responseHold', error)
      holders.push({ instance, hold: refusing(exchange) })
      break
    }
  }
  return holders.length === 0 ? null : new HeldResponse(host, holders, head, snapshot, events)
}

export class HeldResponse {
  readonly #host: HeldResponseHost
  readonly #holders: readonly Holder[]
  readonly #head: ResponseHead
  readonly #snapshot: Snapshot
  readonly #events: ProxyEvents
  /** Who has the least room says what happens when that is not enough. */
  readonly #tightest: ResponseHold
  #parts: Buffer[] = []
  #size = 0
  #timer: NodeJS.Timeout | null = null
  #isOver = false

  constructor(
    host: HeldResponseHost,
    holders: readonly Holder[],
    head: ResponseHead,
    snapshot: Snapshot,
    events: ProxyEvents,
  ) {
    this.#host = host
    this.#holders = holders
    this.#head = head
    this.#snapshot = snapshot
    this.#events = events
    let tightest = holders[0]!.hold
    let soonest = tightest
    for (const { hold } of holders) {
      if (hold.limitBytes < tightest.limitBytes) tightest = hold
      if (hold.timeoutMs < soonest.timeoutMs) soonest = hold
    }
    this.#tightest = tightest
    this.#watch(soonest)
  }

  /** Always takes more: what it keeps has a bound. `areShared`: the bytes are overwritten after it has returned. */
  write(bytes: Buffer, areShared: boolean): boolean {
    if (this.#isOver || bytes.length === 0) return true
    this.#size += bytes.length
    if (this.#size > this.#tightest.limitBytes) this.#refuse(this.#tightest.refuse('too_large'))
    else this.#parts.push(areShared ? Buffer.from(bytes) : bytes)
    return true
  }

  /** False: the host hears what becomes of it, later. Trailers end here, as what they speak of is changed. */
  end(_trailers: HeaderList | null): false {
    if (!this.#isOver) void this.#hand(Buffer.concat(this.#parts, this.#size))
    return false
  }

  /** The client waits for a head: it can't have been too slow. */
  resume(): boolean {
    return false
  }

  /** The exchange is over, or another target is asked. */
  close(): void {
    this.#isOver = true
    this.#parts = []
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  async #hand(whole: Buffer): Promise<void> {
    let body = whole
    this.#parts = []
    // Plugins use their state also when the client has left.
    this.#snapshot.inFlight++
    try {
      for (const { instance, hold } of this.#holders) {
        if (this.#isOver) return
        this.#watch(hold)
        let result: Buffer | Exit
        try {
          result = await hold.take(body)
        } catch (error) {
          if (this.#isOver) return
          this.#events.pluginFailed(this.#host.exchange, instance, 'responseHold', error)
          return this.#refuse(failure(this.#host.exchange))
        }
        if (this.#isOver) return
        if (!Buffer.isBuffer(result)) return this.#refuse(result)
        body = result
      }
    } finally {
      this.#snapshot.inFlight--
    }
    this.close()
    this.#host.responseHeld(this.#head, body)
  }

  #watch(hold: ResponseHold): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    const timeoutMs = Math.min(hold.timeoutMs, LONGEST_TIMER_MS)
    this.#timer = setTimeout(() => this.#refuse(hold.refuse('timeout')), timeoutMs)
  }

  #refuse(exit: Exit): void {
    if (this.#isOver) return
    this.close()
    this.#host.responseHeld(this.#head, exit)
  }
}

/** In place of a plugin that failed: nothing of what it was to change gets through. */
function refusing(exchange: Exchange): ResponseHold {
  const refuse = () => failure(exchange)
  return { limitBytes: 0, timeoutMs: REFUSAL_MS, take: refuse, refuse }
}

/** Any time will do: nothing is waited for. */
const REFUSAL_MS = 1000

function failure(exchange: Exchange): Exit {
  return exchange.fail(500, 'An unexpected error occurred')
}
