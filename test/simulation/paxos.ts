/**
 * Lightweight transactions: for each partition and serial domain one register that decides one after the other. Each is decided in a
 * moment of its own, which may come after its client has given up; what it decided is told to the replicas later, to some of them only,
 * or to none when its coordinator dies. The next transaction or serial read then finishes it first.
 */
import {
  CassandraFailure,
  type ConditionalOptions,
  type SerialConsistency,
  type Table,
  type TableRow,
} from '#store/cassandra/port.ts'
import { placeOf, visibleRow, type CellRow, type Mutation } from './cells.ts'
import type { Coordinator } from './coordinator.ts'
import type { Network } from './network.ts'
import { mergeReads, type Replica } from './replica.ts'
import { majority, type Replication } from './replication.ts'
import type { Reply } from './requests.ts'

export interface Proposal {
  readonly table: Table
  /** Of the row, whole. */
  readonly key: TableRow
  readonly options: ConditionalOptions
  /** What to write, given the row that stands there; undefined when its condition does not hold. */
  readonly decide: (row: TableRow | undefined, timestamp: number) => Mutation | undefined
}

/** `row`: what stood there when the condition did not hold. */
export type Decision = { readonly isApplied: true } | { readonly isApplied: false; readonly row: TableRow | undefined }

interface Register {
  ballot: number
  /** The last decision: some replicas may not have heard of it, those before a majority has. */
  last: Mutation | null
  /** Accepted by too few: the next one finds it and finishes it, or does not and it is gone. */
  stuck: (() => void) | null
}

export class Paxos {
  readonly #network: Network
  readonly #replication: Replication
  readonly #coordinator: Coordinator
  readonly #onDecided: (mutation: Mutation) => void
  readonly #registers = new Map<string, Register>()

  constructor(
    network: Network,
    replication: Replication,
    coordinator: Coordinator,
    onDecided: (mutation: Mutation) => void,
  ) {
    this.#network = network
    this.#replication = replication
    this.#coordinator = coordinator
    this.#onDecided = onDecided
  }

  propose(coordinator: Replica, proposal: Proposal, reply: Reply<Decision>): void {
    const from = coordinator.dataCenter
    const { serial, commit } = proposal.options
    const { time, random, faults } = this.#network
    this.#rounds(from, serial, reply, (participants) => {
      const place = placeOf(proposal.table, proposal.key)
      const register = this.#register(place, from, serial)
      this.#finish(register, participants, from, serial)
      if (random.chance(faults.stuck)) {
        register.stuck = () => this.#decide(register, coordinator, proposal, place)
        return
      }
      const decided = this.#decide(register, coordinator, proposal, place)
      if ('isApplied' in decided) {
        time.after(this.#roundTripMs(from, serial), () => reply.answer(decided))
        return
      }
      if (random.chance(faults.diesDecided)) return
      time.after(this.#roundTripMs(from, serial), () => {
        if (!coordinator.isUp) return
        const done: Reply<void> = {
          answer: () => reply.answer({ isApplied: true }),
          fail: (failure) => reply.fail(failure),
        }
        this.#coordinator.commit(from, decided, commit, done)
      })
    })
  }

  /** Finishes what is decided, and gives the partition as a majority then has it. */
  read(from: string, place: string, serial: SerialConsistency, reply: Reply<ReadonlyMap<string, CellRow>>): void {
    this.#rounds(from, serial, reply, (participants) => {
      this.#finish(this.#register(place, from, serial), participants, from, serial)
      const rows = this.#readMajority(place, from, serial)
      this.#network.time.after(this.#roundTripMs(from, serial), () => reply.answer(rows))
    })
  }

  /** The rounds until the deciding moment, for which a majority of the domain has to answer. */
  #rounds(
    from: string,
    serial: SerialConsistency,
    reply: Reply<never>,
    then: (participants: readonly Replica[]) => void,
  ): void {
    const { time, random, faults } = this.#network
    const isMet = () => this.#reachable(from, serial).length >= majority(this.#domain(from, serial).length)
    if (!isMet() && !random.chance(faults.unaware))
      return reply.fail(new CassandraFailure('unavailable', `too few replicas for ${serial}`, true))
    if (random.chance(faults.lost)) return
    time.after(this.#roundTripMs(from, serial), () => {
      // The rest of them has gone meanwhile: nothing is decided, and the client hears nothing.
      if (isMet()) then(this.#reachable(from, serial))
    })
  }

  #decide(
    register: Register,
    coordinator: Replica,
    { table, key, options, decide }: Proposal,
    place: string,
  ): Mutation | Extract<Decision, { isApplied: false }> {
    const { nowMs } = this.#network.time
    const rows = this.#readMajority(place, coordinator.dataCenter, options.serial)
    const row = rows.get(JSON.stringify(Object.keys(table.clustering).map((column) => key[column])))
    const standing = row && visibleRow(table, row, nowMs)
    register.ballot = Math.max(register.ballot + 1, Math.round((clockMs(nowMs) + coordinator.skewMs) * 1000))
    const mutation = decide(standing, register.ballot)
    if (!mutation) return { isApplied: false, row: standing }
    register.last = mutation
    this.#onDecided(mutation)
    return mutation
  }

  /** Brings the last decision to a majority, so that a later one may take its place in the register. */
  #finish(register: Register, participants: readonly Replica[], from: string, serial: SerialConsistency): void {
    const { random } = this.#network
    const { stuck } = register
    register.stuck = null
    if (register.last) this.#bring(register.last, participants, from, serial)
    if (!stuck || random.chance(0.5)) return
    stuck()
    if (register.last) this.#bring(register.last, participants, from, serial)
  }

  #bring(mutation: Mutation, participants: readonly Replica[], from: string, serial: SerialConsistency): void {
    const { random } = this.#network
    const count = majority(this.#domain(from, serial).length) + random.integer(2)
    for (const replica of random.shuffled(participants).slice(0, count)) replica.apply(mutation)
  }

  #readMajority(place: string, from: string, serial: SerialConsistency): ReadonlyMap<string, CellRow> {
    const count = majority(this.#domain(from, serial).length)
    const asked = this.#network.random.shuffled(this.#reachable(from, serial)).slice(0, count)
    return mergeReads(asked.map((replica) => replica.read(place, {}))).rows
  }

  #register(place: string, from: string, serial: SerialConsistency): Register {
    const name = serial === 'SERIAL' ? place : `${from} ${place}`
    let register = this.#registers.get(name)
    if (!register) this.#registers.set(name, (register = { ballot: 0, last: null, stuck: null }))
    return register
  }

  #domain(from: string, serial: SerialConsistency): readonly Replica[] {
    return serial === 'SERIAL' ? this.#replication.replicas : this.#replication.in(from)
  }

  #reachable(from: string, serial: SerialConsistency): readonly Replica[] {
    return this.#domain(from, serial).filter((replica) => this.#network.reaches(from, replica))
  }

  #roundTripMs(from: string, serial: SerialConsistency): number {
    const farthest = serial === 'SERIAL' ? (this.#replication.dataCenters.find((name) => name !== from) ?? from) : from
    return this.#network.latencyMs(from, farthest) + this.#network.latencyMs(farthest, from)
  }
}

/** Clocks of computers are far beyond every revision. */
export function clockMs(nowMs: number): number {
  return 1_700_000_000_000 + nowMs
}
