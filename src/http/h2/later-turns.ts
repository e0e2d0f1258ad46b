/**
 * Connections of a thread that have more to be read than the others should wait for in one turn of the event loop. Each turn some of
 * them go on, in the order in which they came, after whoever else has something to be read.
 */

export interface LaterTurn {
  /** Does a bounded part of what is left, and asks again for what is left then. */
  goOn(): void
}

export class LaterTurns {
  readonly #most: number
  readonly #mostMs: number
  readonly #schedule: (run: () => void) => void
  readonly #now: () => number
  readonly #waiting: LaterTurn[] = []
  #isScheduled = false
  readonly #run = () => this.#goOn()

  /**
   * @param most how many go on in one turn.
   * @param mostMs after so much time the rest of them waits, too.
   */
  constructor(
    most: number,
    mostMs: number,
    schedule: (run: () => void) => void = setImmediate,
    now: () => number = () => performance.now(),
  ) {
    this.#most = most
    this.#mostMs = mostMs
    this.#schedule = schedule
    this.#now = now
  }

  /** Whoever is in already must not ask again. */
  add(one: LaterTurn): void {
    this.#waiting.push(one)
    this.#scheduleRun()
  }

  #scheduleRun(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#schedule(this.#run)
  }

  #goOn(): void {
    this.#isScheduled = false
    const untilMs = this.#now() + this.#mostMs
    // Who asks again waits behind those of now, for a turn to come.
    let left = Math.min(this.#most, this.#waiting.length)
    if (this.#waiting.length > left) this.#scheduleRun()
    while (left-- > 0) {
      this.#waiting.shift()!.goOn()
      if (left > 0 && this.#now() >= untilMs) return this.#scheduleRun()
    }
  }
}

/** How many floods are read on in one turn, and how long: each is in work for some tenths of a millisecond. */
const MOST_IN_A_TURN = 8
const MOST_MS = 1

/** Of this thread. */
export const laterTurns = new LaterTurns(MOST_IN_A_TURN, MOST_MS)
