/**
 * Deadlines for many connections with one timer (a lazy hashed wheel). Moving a deadline later is one assignment: the holder
 * is looked at when its bucket comes round and put again. Moving it nearer puts it at once. Deadlines fire less than three ticks
 * late, never early.
 */
export interface DeadlineHolder {
  /** On the wheel's clock, ms; 0 means none. Written by `Deadlines.set`. */
  deadlineMs: number
  /** The tick at which the wheel looks at this holder; 0 while it is not on the wheel. Written by the wheel. */
  deadlineTick: number
  onDeadline(): void
}

export class Deadlines {
  readonly tickMs: number
  #buckets: Set<DeadlineHolder>[]
  #current: number
  #size = 0
  #now: () => number
  #nowMs: number
  #timer: NodeJS.Timeout

  constructor(now: () => number = () => performance.now(), tickMs = 250, buckets = 64) {
    this.tickMs = tickMs
    this.#now = now
    this.#nowMs = now()
    this.#buckets = Array.from({ length: buckets }, () => new Set())
    this.#current = Math.floor(this.#nowMs / tickMs)
    this.#timer = setInterval(() => this.advance(), tickMs)
    this.#timer.unref()
  }

  /**
   * Sets the holder's deadline, `afterMs` from now; 0 takes it away. The holder stays watched until `remove`. Now is the last
   * tick plus one: reading the clock at each of ten moves a request costs more than being a tick late.
   */
  set(holder: DeadlineHolder, afterMs: number): void {
    if (afterMs === 0) {
      holder.deadlineMs = 0
      return
    }
    holder.deadlineMs = this.#nowMs + this.tickMs + afterMs
    const tick = Math.ceil(holder.deadlineMs / this.tickMs)
    if (holder.deadlineTick === 0) {
      this.#size++
      this.#put(holder, tick)
    } else if (tick < holder.deadlineTick) {
      this.#take(holder)
      this.#put(holder, tick)
    }
  }

  remove(holder: DeadlineHolder): void {
    if (holder.deadlineTick === 0) return
    this.#take(holder)
    holder.deadlineTick = 0
    holder.deadlineMs = 0
    this.#size--
  }

  /** Number of holders that are watched. */
  get size(): number {
    return this.#size
  }

  /** Fires what is due; called by the timer, and by tests with their own clock. */
  advance(): void {
    const now = (this.#nowMs = this.#now())
    const until = Math.floor(now / this.tickMs)
    // After a long stall each bucket is visited once, not once per missed tick.
    if (until - this.#current > this.#buckets.length) this.#current = until - this.#buckets.length
    while (this.#current < until) {
      const index = ++this.#current % this.#buckets.length
      const bucket = this.#buckets[index]!
      if (bucket.size === 0) continue
      this.#buckets[index] = new Set()
      for (const holder of bucket) {
        // One that fired before in this bucket may have taken it away, or moved it.
        if (holder.deadlineTick === 0 || holder.deadlineTick % this.#buckets.length !== index) continue
        const { deadlineMs } = holder
        const isDue = deadlineMs !== 0 && deadlineMs <= now
        if (isDue) holder.deadlineMs = 0
        this.#put(
          holder,
          isDue || deadlineMs === 0 ? this.#current + this.#buckets.length : Math.ceil(deadlineMs / this.tickMs),
        )
        if (isDue) holder.onDeadline()
      }
    }
  }

  close(): void {
    clearInterval(this.#timer)
    for (const bucket of this.#buckets) bucket.clear()
    this.#size = 0
  }

  #put(holder: DeadlineHolder, tick: number): void {
    const at = Math.max(this.#current + 1, Math.min(tick, this.#current + this.#buckets.length - 1))
    holder.deadlineTick = at
    this.#buckets[at % this.#buckets.length]!.add(holder)
  }

  #take(holder: DeadlineHolder): void {
    this.#buckets[holder.deadlineTick % this.#buckets.length]!.delete(holder)
  }
}
