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
  readonly #schedule: (run: () => void) => void
  #waiting: LaterTurn[] = []
  readonly #run = () => this.#goOn()

  /** @param most how many go on in one turn. */
  constructor(most: number, schedule: (run: () => void) => void = setImmediate) {
    this.#most = most
    this.#schedule = schedule
  }

  /** Whoever is in already must not ask again. */
  add(one: LaterTurn): void {
    if (this.#waiting.push(one) === 1) this.#schedule(this.#run)
  }

  #goOn(): void {
    const now = this.#waiting
    this.#waiting = now.splice(this.#most)
    // Scheduled before they go on: who asks again then finds it done, or is the first.
    if (this.#waiting.length > 0) this.#schedule(this.#run)
    for (const one of now) one.goOn()
  }
}

/** How many floods are read on in one turn: with the part that each gets, they cost the others less than a millisecond. */
const MOST_IN_A_TURN = 8

/** Of this thread. */
export const laterTurns = new LaterTurns(MOST_IN_A_TURN)
