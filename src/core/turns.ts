import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * Lets the event loop go on now and then in work that would otherwise hold it up: `await turns.step()` in each round of a loop
 * gives other work its turn after every so many rounds.
 */
export class Turns {
  readonly #every: number
  #steps = 0

  constructor(every: number) {
    this.#every = every
  }

  /** A promise to await when it is time for others, else undefined, which costs nothing. */
  step(): Promise<void> | undefined {
    this.#steps++
    return this.#steps % this.#every === 0 ? nextTurn() : undefined
  }
}
