/**
 * How long revisions take from their commit until this node serves them: noted when they are published, told when the last worker
 * has said that it serves them.
 */
import type { LogEntry } from '#store/contract.ts'

export interface PropagationOptions {
  /** Unix ms. */
  readonly nowMs: () => number
  /** Told the seconds, for each revision once. */
  readonly observe: (seconds: number) => void
}

/** Revisions under way: where workers are behind by more, the newest of them say it. */
const PENDING_MAX = 10_000

export class Propagation {
  readonly #options: PropagationOptions
  readonly #sinceMs: number
  #pending: { readonly revision: number; readonly atMs: number }[] = []

  constructor(options: PropagationOptions) {
    this.#options = options
    this.#sinceMs = options.nowMs()
  }

  /** Before the workers are told of them. What was committed when this node did not run yet is left out. */
  published(entries: readonly Pick<LogEntry, 'revision' | 'atMs'>[]): void {
    for (const { revision, atMs } of entries) if (atMs >= this.#sinceMs) this.#pending.push({ revision, atMs })
    if (this.#pending.length > PENDING_MAX) this.#pending = this.#pending.slice(-PENDING_MAX)
  }

  /** Every worker serves the revision. */
  served(revision: number): void {
    const nowMs = this.#options.nowMs()
    const left = this.#pending.findIndex((pending) => pending.revision > revision)
    const done = this.#pending.splice(0, left < 0 ? this.#pending.length : left)
    // The commit's time is the writer's clock, which may be ahead of ours.
    for (const { atMs } of done) this.#options.observe(Math.max(0, nowMs - atMs) / 1000)
  }
}
