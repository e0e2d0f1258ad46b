/**
 * What all workers of a node, and its Admin API, know of a split: the windows of its sides, and which targets were aborted. It is kept in
 * the node's counters, under names that a changed configuration does not have: with it everything begins anew.
 */
import { hash } from 'node:crypto'
import { FOREVER_MS, type LocalCounters } from '#pdk'
import { progressOf, type Ramp } from './shares.ts'
import type { Config } from './schema.ts'
import { errorRate, REASONS, type AbortConfig, type Reason } from './verdict.ts'
import { percentileOf, SlidingWindow, type WindowFigures } from './window.ts'

/** The side of the route's own service; no target has this name. */
export const STABLE = 'stable'

export interface Aborted {
  readonly atMs: number
  readonly reason: Reason
  /** Infinity: until the configuration changes, or somebody says so. */
  readonly untilMs: number
}

export class SplitState {
  readonly #counters: LocalCounters
  readonly #prefix: string
  readonly #abort: AbortConfig | null
  readonly #windows = new Map<string, SlidingWindow>()

  constructor(counters: LocalCounters, pluginId: string, config: Config) {
    this.#counters = counters
    this.#prefix = `split|${pluginId}|${hash('sha1', JSON.stringify(sorted(config)), 'base64')}`
    this.#abort = config.abort
    if (config.abort === null) return
    for (const name of [STABLE, ...config.targets.map((target) => target.name)])
      this.#windows.set(name, new SlidingWindow(counters, `${this.#prefix}|${name}`, config.abort.window * 1000))
  }

  /** Undefined where nothing can be aborted. */
  window(side: string): SlidingWindow | undefined {
    return this.#windows.get(side)
  }

  /** True for the first of all workers that says so. */
  abort(target: string, reason: Reason, nowMs: number): boolean {
    const hold = this.#abort?.hold ?? 0
    const value = nowMs * REASONS.length + REASONS.indexOf(reason)
    const expiresAtMs = hold === 0 ? nowMs + FOREVER_MS : nowMs + hold * 1000
    return this.#counters.addUpTo(this.#abortKey(target), value, value, expiresAtMs) === value
  }

  aborted(target: string): Aborted | null {
    const value = this.#counters.read(this.#abortKey(target))
    if (value === 0) return null
    const atMs = Math.floor(value / REASONS.length)
    const hold = this.#abort?.hold ?? 0
    return { atMs, reason: REASONS[value % REASONS.length]!, untilMs: hold === 0 ? Infinity : atMs + hold * 1000 }
  }

  /** Lets a target have its share again, and judges it by what comes from now on. */
  resume(target: string, nowMs: number): void {
    const key = this.#abortKey(target)
    this.#counters.add(key, -this.#counters.read(key), nowMs + 1)
    this.window(target)?.clear(nowMs)
  }

  #abortKey(target: string): string {
    return `${this.#prefix}|${target}|aborted`
  }
}

export function rampOf({ ramp }: Config): Ramp | null {
  return ramp === null ? null : { startMs: ramp.start * 1000, durationMs: ramp.duration * 1000 }
}

/** For the Admin API: what each side is given, and what it did. */
export function describeSplit(counters: LocalCounters, pluginId: string, config: Config, nowMs: number): object {
  const state = new SplitState(counters, pluginId, config)
  const progress = progressOf(rampOf(config), nowMs)
  const targets = config.targets.map(({ name, weight }) => {
    const aborted = state.aborted(name)
    return {
      name,
      weight,
      share: aborted === null ? weight * progress : 0,
      aborted: aborted && {
        at: new Date(aborted.atMs).toISOString(),
        reason: aborted.reason,
        until: aborted.untilMs === Infinity ? null : new Date(aborted.untilMs).toISOString(),
      },
      ...figuresOf(state.window(name)?.read(nowMs), config),
    }
  })
  const share = 100 - targets.reduce((sum, target) => sum + target.share, 0)
  return { targets, stable: { share, ...figuresOf(state.window(STABLE)?.read(nowMs), config) } }
}

function figuresOf(figures: WindowFigures | undefined, { abort }: Config): object {
  if (figures === undefined || abort === null) return {}
  const latency = percentileOf(figures, abort.latency_percentile)
  return {
    requests: figures.requests,
    errors: figures.errors,
    error_rate: rounded(errorRate(figures)),
    latency: latency === null ? null : rounded(latency),
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}

/** Members in the order of their names: how a store writes them down says nothing. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  )
}
