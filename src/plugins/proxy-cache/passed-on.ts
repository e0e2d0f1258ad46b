/**
 * Requests whose last response could not be stored. For some seconds nobody waits for the next one: it would not be stored either, and
 * all who wait would ask one after the other.
 */
export const PASS_MS = 10_000
const MOST = 10_000

export class PassedOn {
  readonly #forMs: number
  readonly #untilMs = new Map<string, number>()

  constructor(forMs = PASS_MS) {
    this.#forMs = forMs
  }

  add(text: string, nowMs: number): void {
    this.#untilMs.delete(text)
    if (this.#untilMs.size >= MOST) this.#untilMs.delete(this.#untilMs.keys().next().value!)
    this.#untilMs.set(text, nowMs + this.#forMs)
  }

  has(text: string, nowMs: number): boolean {
    if (this.#untilMs.size === 0) return false
    return (this.#untilMs.get(text) ?? 0) > nowMs
  }
}
