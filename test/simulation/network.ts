/** Who reaches whom, how long a message takes, and what becomes of it: late, twice, lost; hints for those that were away. */
import type { Mutation } from './cells.ts'
import type { Random } from './random.ts'
import type { Replica } from './replica.ts'
import type { VirtualTime } from './virtual-time.ts'

/** How often what goes wrong; 0 to 1. */
export interface Faults {
  /** A message is lost. */
  lost: number
  /** Of a write that did not arrive no hint is kept: only reads or later writes can heal it. */
  hintLost: number
  /** A message takes up to some seconds. */
  late: number
  /** A write arrives a second time, later. */
  twice: number
  /** A request of a client stays away, and runs when the client has given up. */
  requestLate: number
  /** A coordinator dies between the decision of a lightweight transaction and its first word of it. */
  diesDecided: number
  /** A proposal reaches too few replicas: whether it is decided is up to the next transaction. */
  stuck: number
  /** A coordinator does not know yet that replicas are away: it tries instead of saying so. */
  unaware: number
}

export const NO_FAULTS: Faults = {
  lost: 0,
  hintLost: 0,
  late: 0,
  twice: 0,
  requestLate: 0,
  diesDecided: 0,
  stuck: 0,
  unaware: 0,
}

const LATE_MS = 3_000
const HINT_MS = 1_500
const LOCAL_MS = 0.4

export class Network {
  readonly time: VirtualTime
  readonly random: Random
  /** One way between data centers. */
  readonly #wanMs: number
  readonly #cuts = new Set<string>()
  faults: Faults = NO_FAULTS

  constructor(time: VirtualTime, random: Random, wanMs: number) {
    this.time = time
    this.random = random
    this.#wanMs = wanMs
  }

  cut(one: string, other: string): void {
    this.#cuts.add(linkOf(one, other))
  }

  heal(one: string, other: string): void {
    this.#cuts.delete(linkOf(one, other))
  }

  healAll(): void {
    this.#cuts.clear()
  }

  isCut(one: string, other: string): boolean {
    return this.#cuts.has(linkOf(one, other))
  }

  reaches(dataCenter: string, replica: Replica): boolean {
    return replica.isUp && (dataCenter === replica.dataCenter || !this.isCut(dataCenter, replica.dataCenter))
  }

  /** How long a message takes that arrives. */
  latencyMs(from: string, to: string): number {
    const { random, faults } = this
    const late = random.chance(faults.late) ? random.next() * LATE_MS : 0
    return (from === to ? LOCAL_MS : this.#wanMs) * (0.8 + random.next() ** 4 * 4) + late
  }

  send(from: string, to: Replica, deliver: () => void, onLost: () => void = nothing): void {
    if (!this.reaches(from, to) || this.random.chance(this.faults.lost)) return onLost()
    this.time.after(this.latencyMs(from, to.dataCenter), () => (this.reaches(from, to) ? deliver() : onLost()))
  }

  /** Brings a write to a replica, by a hint where it can't be brought now. `onApplied` may be called twice. */
  write(from: string, to: Replica, mutation: Mutation, onApplied: () => void): void {
    const deliver = () => {
      to.apply(mutation)
      onApplied()
    }
    this.send(from, to, deliver, () => this.#hint(from, to, deliver))
    if (this.random.chance(this.faults.twice))
      this.time.after(this.random.next() * LATE_MS, () => this.send(from, to, deliver))
  }

  #hint(from: string, to: Replica, deliver: () => void): void {
    if (this.random.chance(this.faults.hintLost)) return
    const retry = () => this.time.after(HINT_MS * (0.5 + this.random.next()), () => this.send(from, to, deliver, retry))
    retry()
  }
}

function linkOf(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`
}

function nothing(): void {}
