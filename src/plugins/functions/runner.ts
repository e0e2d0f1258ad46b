import type { FunctionCall, FunctionPhase } from './host.ts'

/** Runs the functions of one plugin instance. */
export interface FunctionRunner {
  /** Resolves when functions can run; null when they can already. */
  readonly ready: Promise<void> | null
  /**
   * Runs the functions of the call's phase in order, until one answers. Throws what a function throws. Only trusted functions that wait
   * for something answer a promise.
   */
  run(call: FunctionCall): void | Promise<void>
  close(): void
}

export type FunctionSources = Readonly<Record<FunctionPhase, readonly string[]>>
