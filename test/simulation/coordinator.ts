/** Plain reads and writes over the replicas: what a coordinator does with a request. */
import { CassandraFailure, type TableRow, type WriteConsistency } from '#store/cassandra/port.ts'
import type { ReadConsistency, Selection, Table } from '#store/cassandra/port.ts'
import { compareValues, placeOf, visibleRow, type CellRow, type Mutation } from './cells.ts'
import type { Network } from './network.ts'
import { mergeReads, type Replica } from './replica.ts'
import { inOrder, type Replication } from './replication.ts'
import type { Reply } from './requests.ts'

type PlainRead = Exclude<ReadConsistency, 'SERIAL' | 'LOCAL_SERIAL'>

export interface CoordinatorOptions {
  readonly network: Network
  readonly replication: Replication
  /** How often a read that found replicas differing writes the newest back to them. */
  readonly readRepair: number
  /** Whether a reader always asks the same replicas. */
  readonly isSticky: boolean
}

export class Coordinator {
  readonly #network: Network
  readonly #replication: Replication
  readonly #readRepair: number
  readonly #isSticky: boolean

  constructor({ network, replication, readRepair, isSticky }: CoordinatorOptions) {
    this.#network = network
    this.#replication = replication
    this.#readRepair = readRepair
    this.#isSticky = isSticky
  }

  read(from: string, table: Table, selection: Selection, consistency: PlainRead, reply: Reply<TableRow[]>): void {
    const { random, time } = this.#network
    const reachable = this.#replication.replicas.filter((replica) => this.#network.reaches(from, replica))
    const asked = this.#replication.enough(consistency, from, inOrder(reachable, from, random, this.#isSticky))
    if (!asked) return this.#unavailable(reply, consistency, true)
    const place = placeOf(table, selection.partition)
    const reads: ReadonlyMap<string, CellRow>[] = []
    for (const replica of asked) {
      this.#network.send(from, replica, () => {
        const read = replica.read(place, selection)
        time.after(this.#network.latencyMs(replica.dataCenter, from), () => {
          reads.push(read)
          if (reads.length < asked.length) return
          const { rows, isTorn } = mergeReads(reads)
          if (isTorn && random.chance(this.#readRepair)) for (const one of asked) one.apply({ place, rows })
          reply.answer(selected(table, selection, rows, time.nowMs))
        })
      })
    }
  }

  write(from: string, mutation: Mutation, consistency: WriteConsistency, reply: Reply<void>): void {
    if (!this.#mayTry(from, consistency)) return this.#unavailable(reply, consistency, true)
    this.spread(from, mutation, consistency, () => reply.answer())
  }

  /** What a lightweight transaction has decided. That replicas are away does not undo it. */
  commit(from: string, mutation: Mutation, consistency: WriteConsistency, reply: Reply<void>): void {
    if (!this.#mayTry(from, consistency)) return this.#unavailable(reply, consistency, false)
    this.spread(from, mutation, consistency, () => reply.answer())
  }

  /** Sends a write to every replica, and says once when as many as wanted have it. */
  spread(from: string, mutation: Mutation, consistency: WriteConsistency, onEnough: () => void): void {
    const have: Replica[] = []
    let isEnough = false
    for (const replica of this.#replication.replicas) {
      this.#network.write(from, replica, mutation, () => {
        this.#network.time.after(this.#network.latencyMs(replica.dataCenter, from), () => {
          if (isEnough || have.includes(replica) || !this.#network.reaches(from, replica)) return
          have.push(replica)
          isEnough = this.#replication.isEnough(consistency, from, have)
          if (isEnough) onEnough()
        })
      })
    }
  }

  #mayTry(from: string, consistency: WriteConsistency): boolean {
    const reachable = this.#replication.replicas.filter((replica) => this.#network.reaches(from, replica))
    return (
      this.#replication.isEnough(consistency, from, reachable) ||
      this.#network.random.chance(this.#network.faults.unaware)
    )
  }

  #unavailable(reply: Reply<never>, consistency: string, isSettled: boolean): void {
    reply.fail(new CassandraFailure('unavailable', `too few replicas for ${consistency}`, isSettled))
  }
}

/** The rows of a selection that live, in order, as many as wanted. */
export function selected(
  table: Table,
  { limit }: Pick<Selection, 'limit'>,
  rows: ReadonlyMap<string, CellRow>,
  nowMs: number,
): TableRow[] {
  const columns = Object.keys(table.clustering)
  const live = [...rows.values()].map((row) => visibleRow(table, row, nowMs)).filter((row) => row !== undefined)
  live.sort((a, b) => {
    for (const column of columns) {
      const order = compareValues(a[column], b[column])
      if (order !== 0) return order
    }
    return 0
  })
  return live.slice(0, limit)
}
