/**
 * Plugin instances that the newest snapshot no longer holds: they are closed when the last exchange that serves from a snapshot with
 * them has ended. Requests only count themselves in `Snapshot.inFlight`; who is done is looked at after each change and now and then.
 */
import type { PluginInstance } from './plan.ts'
import type { Snapshot } from './snapshot.ts'

/** A stream that goes on for longer loses what its plugins opened; else one idle WebSocket would keep it for days. */
const LONGEST_MS = 600_000

/** Beyond it the oldest is closed early: changes by the thousand during one long stream must not fill the memory. */
const MOST = 1000

interface Retired {
  readonly instance: PluginInstance
  readonly atMs: number
}

/** A snapshot that was replaced, with the instances that only it and older ones hold. */
interface Generation {
  readonly snapshot: Pick<Snapshot, 'inFlight'>
  readonly retired: Retired[]
}

export class RetiredPlugins {
  readonly #close: (instance: PluginInstance) => void
  readonly #nowMs: () => number
  /** Oldest first. */
  #generations: Generation[] = []

  constructor(close: (instance: PluginInstance) => void, nowMs: () => number) {
    this.#close = close
    this.#nowMs = nowMs
  }

  /** `snapshot` is about to be replaced by one without these instances. */
  replaced(snapshot: Pick<Snapshot, 'inFlight'>, instances: readonly PluginInstance[]): void {
    if (snapshot.inFlight === 0 && instances.length === 0) return
    const atMs = this.#nowMs()
    this.#generations.push({ snapshot, retired: instances.map((instance) => ({ instance, atMs })) })
    this.sweep()
  }

  /** Closes what no exchange uses any more, and what was waited for long enough. */
  sweep(): void {
    if (this.#generations.length === 0) return
    const kept: Generation[] = []
    const done: Retired[] = []
    for (const generation of this.#generations) {
      if (generation.snapshot.inFlight > 0) kept.push(generation)
      else (kept.at(-1)?.retired ?? done).push(...generation.retired)
    }
    this.#generations = kept
    let excess = kept.reduce((sum, { retired }) => sum + retired.length, -MOST)
    const before = this.#nowMs() - LONGEST_MS
    for (const { retired } of kept) {
      // Within a generation, too, the oldest stand first.
      let count = 0
      while (count < retired.length && (excess > 0 || retired[count]!.atMs <= before)) {
        count++
        excess--
      }
      done.push(...retired.splice(0, count))
    }
    for (const { instance } of done) this.#close(instance)
  }
}
