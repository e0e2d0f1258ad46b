/** Temporary keys, got when they are first needed and anew before they end; requests wait only while there are none. */
import type { AwsKeys } from './sigv4.ts'

export interface TimedKeys extends AwsKeys {
  /** Unix ms; Infinity for what never ends. */
  readonly expiresAtMs: number
}

/** Where keys come from; rejects with the reason. */
export type KeySource = () => Promise<TimedKeys>

/** Got anew so long before their end, or in the last quarter of a shorter life. */
const EARLY_MS = 300_000
const EARLY_PART = 1 / 4
/** After a failure nobody asks for so long. */
const REST_MS = 1000

export class KeyCache {
  readonly #source: KeySource
  readonly #nowMs: () => number
  #keys: TimedKeys | null = null
  #renewAtMs = -Infinity
  #asking: Promise<TimedKeys> | null = null
  #failure: unknown = null
  #restsUntilMs = -Infinity

  constructor(source: KeySource, nowMs: () => number) {
    this.#source = source
    this.#nowMs = nowMs
  }

  /** Rejects when there are none and none can be got. */
  get(): AwsKeys | Promise<AwsKeys> {
    const nowMs = this.#nowMs()
    const keys = this.#keys
    if (keys === null || keys.expiresAtMs <= nowMs) return this.#ask(nowMs)
    // A failure is found by who has to wait; until then the keys are good.
    if (nowMs >= this.#renewAtMs) this.#ask(nowMs).catch(() => undefined)
    return keys
  }

  #ask(nowMs: number): Promise<TimedKeys> {
    if (this.#asking !== null) return this.#asking
    if (nowMs < this.#restsUntilMs) return Promise.reject(this.#failure)
    this.#asking = this.#source().then(
      (keys) => {
        this.#asking = null
        this.#keys = keys
        const lifeMs = keys.expiresAtMs - nowMs
        this.#renewAtMs = keys.expiresAtMs - Math.min(EARLY_MS, lifeMs * EARLY_PART)
        return keys
      },
      (error: unknown) => {
        this.#asking = null
        this.#failure = error
        this.#restsUntilMs = this.#nowMs() + REST_MS
        throw error
      },
    )
    return this.#asking
  }
}
