/** Everything that one schedule is made of, and what it was drawn to be like. */
import type { Keyring } from '#store/keyring.ts'
import type { Flaw } from './flaws.ts'
import type { History } from './history.ts'
import { NO_FAULTS, type Faults } from './network.ts'
import { Random } from './random.ts'
import type { SimulatedCassandra } from './simulated-cassandra.ts'
import type { Truth } from './truth.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface World {
  readonly time: VirtualTime
  readonly random: Random
  readonly cluster: SimulatedCassandra
  readonly keyring: Keyring
  readonly history: History
  readonly truth: Truth
  readonly profile: Profile
  readonly flaw: Flaw | null
  /** Until the schedule comes to rest. */
  isBusy: boolean
}

export interface Profile {
  readonly topology: Readonly<Record<string, number>>
  readonly nodes: readonly string[]
  /** Where the log begins: at 0, or shortly before the border of a partition. */
  readonly base: number
  /** The data centers that have the state of that beginning. */
  readonly began: readonly string[]
  readonly busyMs: number
  readonly wanMs: number
  readonly timeoutMs: number
  readonly settleMs: number
  readonly skewMs: number
  readonly readRepair: number
  readonly isSticky: boolean
  readonly faults: Faults
  readonly pollMs: number
  readonly projectMs: number
  readonly settleEveryMs: number
  readonly writeMs: number
  readonly lookUpMs: number
  /** Kinds that a node without a copy fills in when it is loaded, and how often it takes a step. */
  readonly later: readonly string[]
  readonly fillMs: number
  /** How often, on average, something as large as a crash or a cut happens. */
  readonly disasterMs: number
  readonly compactMs: number
  /** How often, on average, another epoch begins. */
  readonly epochMs: number
}

const TOPOLOGIES: readonly Readonly<Record<string, number>>[] = [
  { dc1: 3, dc2: 3 },
  { dc1: 3, dc2: 3, dc3: 1 },
  { dc1: 3, dc2: 3, dc3: 3 },
  { dc1: 1, dc2: 1 },
]

/** Each schedule has some kinds of trouble much and others not at all: what needs peace to happen happens as well. */
export function drawProfile(random: Random): Omit<Profile, 'epochMs'> {
  const topology = random.pick(TOPOLOGIES)
  const often = (most: number) => (random.chance(0.5) ? 0 : random.next() * most)
  const faults: Faults = {
    ...NO_FAULTS,
    lost: often(0.06),
    hintLost: random.pick([0, 0.3, 1]),
    late: often(0.1),
    twice: often(0.1),
    requestLate: often(0.15),
    diesDecided: often(0.15),
    stuck: often(0.15),
    unaware: random.pick([0, 0.5, 1]),
  }
  return {
    topology,
    nodes: ['dc1', 'dc2', random.pick(['dc1', 'dc2'])],
    base: random.chance(0.25) ? 1020 + random.integer(4) : 0,
    began: random.chance(0.5) ? Object.keys(topology) : [random.pick(Object.keys(topology))],
    busyMs: random.between(2_000, 7_000),
    wanMs: random.pick([1, 20, 40]),
    timeoutMs: random.pick([300, 1000, 2000]),
    settleMs: random.pick([0, 1000, 8000]),
    skewMs: random.pick([0, 0, 5_000, 60_000]),
    readRepair: random.pick([0, 0.5, 1]),
    isSticky: random.chance(0.4),
    faults,
    pollMs: random.pick([200, 500]),
    projectMs: random.pick([400, 1000, 3000]),
    settleEveryMs: random.pick([1500, 4000]),
    writeMs: random.pick([300, 700, 1500]),
    lookUpMs: 700,
    disasterMs: random.pick([700, 2000, 1e9]),
    compactMs: random.pick([300, 1e9]),
    later: random.pick([[], ['groups', 'members', 'domains'], ['members'], ['groups', 'notes', 'links']]),
    fillMs: random.pick([100, 800]),
  }
}

/** Drawn apart, so that the schedules without epochs are those that their seeds always were. */
export function drawEpochMs(seed: number): number {
  return new Random(seed * 2 + 1).pick([1e9, 1e9, 1e9, 2_500])
}
