/** A Cassandra cluster in memory, with everything that one does to those who write to it; see `network.ts` for what goes wrong. */
import type {
  CassandraPort,
  Conditional,
  ConditionalOptions,
  Selection,
  Table,
  TableRow,
  WriteOptions,
} from '#store/cassandra/port.ts'
import { compareValues, deletion, insertion, placeOf, type Mutation } from './cells.ts'
import { Coordinator, selected } from './coordinator.ts'
import { Network } from './network.ts'
import { clockMs, Paxos, type Decision, type Proposal } from './paxos.ts'
import type { Random } from './random.ts'
import { mergeReads, Replica } from './replica.ts'
import { Replication } from './replication.ts'
import { Requests, type Client } from './requests.ts'
import { checkKey, checkRows, checkSelection } from './statement.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface ClusterOptions {
  readonly time: VirtualTime
  readonly random: Random
  /** Replicas per data center. */
  readonly topology: Readonly<Record<string, number>>
  readonly wanMs?: number
  readonly timeoutMs?: number
  readonly skewMs?: number
  readonly readRepair?: number
  readonly isSticky?: boolean
}

type Ttl = { readonly ttlSeconds?: number }

export class SimulatedCassandra {
  readonly network: Network
  readonly replication: Replication
  readonly #requests: Requests
  readonly #coordinator: Coordinator
  readonly #paxos: Paxos
  /** Told each decision of a lightweight transaction, in the moment in which it is made. */
  onDecided: (mutation: Mutation) => void = () => {}
  /** Told each plain write before any replica has it. */
  onWrite: (mutation: Mutation) => void = () => {}

  constructor({ time, random, topology, ...options }: ClusterOptions) {
    const { wanMs = 20, timeoutMs = 1000, skewMs = 0, readRepair = 0.5, isSticky = false } = options
    const replicas = Object.entries(topology).flatMap(([dataCenter, count]) =>
      Array.from({ length: count }, (_, index) => {
        return new Replica(`${dataCenter}-${index}`, dataCenter, random.between(-skewMs, skewMs))
      }),
    )
    this.network = new Network(time, random, wanMs)
    this.replication = new Replication(replicas)
    this.#requests = new Requests(this.network, this.replication, timeoutMs)
    this.#coordinator = new Coordinator({ network: this.network, replication: this.replication, readRepair, isSticky })
    this.#paxos = new Paxos(this.network, this.replication, this.#coordinator, (mutation) => this.onDecided(mutation))
  }

  port(client: Client): CassandraPort {
    return {
      select: (table, selection) => this.#select(client, table, selection),
      insert: (table, row, options) => this.#write(client, table, [row], options),
      insertAll: (table, rows, options) => this.#write(client, table, rows, options),
      insertIfAbsent: async (table, row, options) => {
        checkRows(table, [row])
        const decision = await this.#conditional(client, table, row, options, (standing, timestamp) =>
          standing ? undefined : this.#insertion(table, [row], timestamp, options),
        )
        return conditional(decision)
      },
      replaceIf: async (table, row, expected, options) => {
        checkRows(table, [row])
        const decision = await this.#conditional(client, table, row, options, (standing, timestamp) => {
          const isExpected = Object.entries(expected).every(([column, value]) => standing?.[column] === value)
          return standing && isExpected ? this.#insertion(table, [row], timestamp, options) : undefined
        })
        return conditional(decision)
      },
      deleteIfPresent: async (table, key, options) => {
        checkKey(table, key)
        const { isApplied } = await this.#conditional(client, table, key, options, (standing, timestamp) =>
          standing ? deletion(table, [key], timestamp) : undefined,
        )
        return isApplied
      },
    }
  }

  /** Deletes rows by tombstones, which the store's port can't: for a protocol that does it wrongly. */
  delete(client: Client, table: Table, keys: readonly TableRow[], options: WriteOptions): Promise<void> {
    const { timestamp = this.#clock(client) } = options
    return this.#apply(client, deletion(table, keys, timestamp), options)
  }

  /** What the given replicas have together; of all of them, when none are given. */
  peek(table: Table, selection: Omit<Selection, 'consistency'>, replicas = this.replication.replicas): TableRow[] {
    const place = placeOf(table, selection.partition)
    const { rows } = mergeReads(replicas.map((replica) => replica.read(place, selection)))
    return selected(table, selection, rows, this.network.time.nowMs)
  }

  /** Puts rows on every replica: what was there before the simulation begins. */
  seed(table: Table, row: TableRow, timestamp: number): void {
    for (const replica of this.replication.replicas) replica.apply(insertion(table, [row], timestamp))
  }

  async #select(client: Client, table: Table, selection: Selection): Promise<readonly TableRow[]> {
    checkSelection(table, selection)
    const { consistency } = selection
    return this.#requests.make<TableRow[]>(client, 'read', ({ dataCenter }, reply) => {
      if (consistency !== 'SERIAL' && consistency !== 'LOCAL_SERIAL')
        return this.#coordinator.read(dataCenter, table, selection, consistency, reply)
      const place = placeOf(table, selection.partition)
      this.#paxos.read(dataCenter, place, consistency, {
        answer: (rows) => reply.answer(selected(table, selection, within(rows, selection), this.network.time.nowMs)),
        fail: (failure) => reply.fail(failure),
      })
    })
  }

  async #write(client: Client, table: Table, rows: readonly TableRow[], options: WriteOptions): Promise<void> {
    if (rows.length === 0) return
    checkRows(table, rows)
    await this.#apply(client, this.#insertion(table, rows, options.timestamp ?? this.#clock(client), options), options)
  }

  #apply(client: Client, mutation: Mutation, { consistency }: WriteOptions): Promise<void> {
    return this.#requests.make<void>(client, 'write', ({ dataCenter }, reply) => {
      this.onWrite(mutation)
      this.#coordinator.write(dataCenter, mutation, consistency, reply)
    })
  }

  #conditional(
    client: Client,
    table: Table,
    row: TableRow,
    options: ConditionalOptions,
    decide: Proposal['decide'],
  ): Promise<Decision> {
    return this.#requests.make<Decision>(client, 'write', (coordinator, reply) =>
      this.#paxos.propose(coordinator, { table, key: row, options, decide }, reply),
    )
  }

  #insertion(table: Table, rows: readonly TableRow[], timestamp: number | 'revision', { ttlSeconds }: Ttl): Mutation {
    const expiresAtMs = ttlSeconds === undefined ? Infinity : this.network.time.nowMs + ttlSeconds * 1000
    return insertion(table, rows, timestamp, expiresAtMs)
  }

  /** In microseconds, as the client's clock has it. */
  #clock({ skewMs }: Client): number {
    return Math.round((clockMs(this.network.time.nowMs) + skewMs) * 1000)
  }
}

function within<T extends { readonly key: TableRow }>(
  rows: ReadonlyMap<string, T>,
  { equals = {}, after }: Selection,
): ReadonlyMap<string, T> {
  const isWanted = ({ key }: T) =>
    Object.entries(equals).every(([column, value]) => key[column] === value) &&
    (!after || compareValues(key[after.column], after.value) > 0)
  return new Map([...rows].filter(([, row]) => isWanted(row)))
}

function conditional(decision: Decision): Conditional {
  return decision.isApplied ? decision : { isApplied: false, row: decision.row ?? null }
}
