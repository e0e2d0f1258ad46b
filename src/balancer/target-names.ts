/** Keeps the addresses of some targets up to date with what their names stand for. Asks when somebody looks, never by a timer. */
import type { Resolution, Resolver } from '#core/resolution.ts'
import type { ResolvedTarget } from './resolved-target.ts'

export interface TargetNamesOptions {
  readonly resolver: Resolver
  readonly nowMs: () => number
}

/** How often a stale answer is looked at for the fresh one that replaces it. */
const STALE_RECHECK_MS = 100

export class TargetNames {
  readonly #resolver: Resolver
  readonly #nowMs: () => number
  readonly #targets = new Set<ResolvedTarget>()
  #nextAtMs = Infinity
  #pending = 0
  #waiting: (() => void)[] = []
  #isClosed = false

  constructor({ resolver, nowMs }: TargetNamesOptions) {
    this.#resolver = resolver
    this.#nowMs = nowMs
  }

  /** Whether some name is being asked for, so that waiting may help. */
  get isPending(): boolean {
    return this.#pending > 0 && !this.#isClosed
  }

  /** Takes a target in, and asks for its name. */
  add(target: ResolvedTarget): void {
    this.#targets.add(target)
    if (this.#isClosed) return
    this.#ask(target)
    if (!target.isPending) this.#expectAt(target.resolution!.expiresAtMs)
  }

  /** Its addresses stay as they are. */
  remove(target: ResolvedTarget): void {
    this.#targets.delete(target)
  }

  /** Asks for names whose answers have expired. Costs one comparison while there are none. */
  refresh(): void {
    if (this.#nextAtMs === Infinity) return
    const now = this.#nowMs()
    if (now < this.#nextAtMs || this.#isClosed) return
    let next = Infinity
    for (const target of this.#targets) {
      if (target.isPending) continue
      if (target.resolution === null || target.resolution.expiresAtMs <= now) this.#ask(target)
      if (!target.isPending) next = Math.min(next, Math.max(target.resolution!.expiresAtMs, now + STALE_RECHECK_MS))
    }
    this.#nextAtMs = next
  }

  #expectAt(expiresAtMs: number): void {
    this.#nextAtMs = Math.min(this.#nextAtMs, Math.max(expiresAtMs, this.#nowMs() + STALE_RECHECK_MS))
  }

  /** Resolves when the next of the names that are being asked for is known; the resolver's deadline bounds it. */
  async nextAnswer(): Promise<void> {
    if (this.isPending) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Asks no more. Addresses stay as they are for exchanges that are still under way. */
  close(): void {
    this.#isClosed = true
    this.#wake()
  }

  #ask(target: ResolvedTarget): void {
    const answer = this.#resolver.resolve(target.spec.name)
    if (!(answer instanceof Promise)) return this.#take(target, answer)
    target.isPending = true
    this.#pending++
    void answer.then(
      (resolution) => this.#settle(target, resolution),
      (error: unknown) =>
        this.#settle(target, { ok: false, code: 'resolve_failed', message: String(error), expiresAtMs: 0 }),
    )
  }

  #settle(target: ResolvedTarget, resolution: Resolution): void {
    target.isPending = false
    this.#pending--
    if (!this.#isClosed && this.#targets.has(target)) {
      this.#take(target, resolution)
      this.#expectAt(resolution.expiresAtMs)
    }
    this.#wake()
  }

  #take(target: ResolvedTarget, resolution: Resolution): void {
    if (target.resolution !== resolution) target.apply(resolution)
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}
