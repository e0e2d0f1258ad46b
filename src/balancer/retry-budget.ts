/**
 * How many requests may be tried again: a share of those that come, so that retries never multiply the load on an upstream that
 * fails. Some are allowed at once, for upstreams with few requests.
 */
const AT_ONCE = 10
/** What is saved up: a burst of failures after a quiet time may not become a flood. */
const MOST = 100

export class RetryBudget {
  readonly #share: number
  #left = AT_ONCE

  constructor(percent: number) {
    this.#share = percent / 100
  }

  /** A request was sent for the first time. */
  deposit(): void {
    if (this.#left < MOST) this.#left += this.#share
  }

  /** Takes one retry; false when none is left. */
  take(): boolean {
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
