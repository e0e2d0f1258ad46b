/** What the configuration store on Cassandra can do beyond the contract of all stores, and what it is opened with. */
import type { Logger } from '#telemetry/logger.ts'
import type { ConfigStore } from '../contract.ts'
import type { LocalCopy } from '../local-copy.ts'
import type { FillProgress } from './filler.ts'
import type { CassandraPort, ReadConsistency, WriteConsistency } from './port.ts'
import type { ProjectionScope } from './projection-tables.ts'

export interface CassandraStoreOptions {
  readonly port: CassandraPort
  readonly copy: LocalCopy
  readonly dataCenter: string
  /** All of the cluster that are known here. */
  readonly dataCenters?: readonly string[]
  readonly nodeId: string
  /** In how many partitions the rows of a kind are; the same on all nodes, for good. */
  readonly bucketsOf: (kind: string) => number
  /** Kinds that a node without a copy can do without at first: it is loaded when it has the others, and fills these in afterwards. */
  readonly isLater?: (kind: string) => boolean
  /** So many rows of those kinds are loaded with the others nevertheless. */
  readonly wholeRows?: number
  /** As soon as an entry of this node is decided. */
  readonly onAppended?: (revision: number) => void
  readonly nowMs: () => number
  readonly delay: (ms: number) => Promise<void>
  /** 0 to 1, for the jitter of repetitions. */
  readonly random: () => number
  readonly log: Pick<Logger, 'info' | 'warn'>
  /** Of reads of the log; LOCAL_QUORUM at least, which is the default. */
  readonly readConsistency?: ReadConsistency
  /** How many replicas have a transaction before it is told; QUORUM by default. */
  readonly commitConsistency?: WriteConsistency
  /** Why an entry with these kinds must not be written now: a node that follows could not read it. Null when all can. */
  readonly whoCannotRead?: (kinds: readonly string[]) => string | null
  /** How long an append repeats an insert without an answer before it says that its outcome is open. */
  readonly settleMs?: number
}

export interface CassandraStore extends ConfigStore {
  /** Whether the copy holds a state of this cluster: before the first load it does not, and nothing can be read. */
  readonly isLoaded: boolean
  /** How far the copy is filled; null when it is whole. */
  readonly filling: FillProgress | null
  /** Fills in the next part; false when the copy is whole. Rejects when the cluster can't be asked. */
  fillNext(): Promise<boolean>
  /** Whether the last look found an entry after one that is missing. */
  readonly hasHole: boolean
  /** The number of the epoch that counts as far as this node knows; 0 before it has asked. */
  readonly epoch: number
  /** The one that the copy follows, 0 for none: lower while it waits for the state of a later one. */
  readonly followedEpoch: number
  /** The last revision that the projection of this data center is known to hold. */
  readonly projected: number
  /**
   * Takes over what the log has after the copy's head; loads the whole state where the copy is empty or went another way than the
   * cluster. Rejects when the cluster can't be asked.
   */
  poll(): Promise<void>
  /**
   * Looks whether another epoch began, takes over what all data centers together have, and reads the next slot so that an entry is
   * found that was decided and never told.
   */
  settle(): Promise<void>
  /** Looks whether another epoch began. */
  lookForEpoch(): Promise<void>
  /**
   * Begins another epoch with the state of this node's copy: after the database was lost or put back to an earlier state. Nodes that
   * stand elsewhere load this state; what was written beyond it is no longer there. Answers the revision that goes on from; whoever
   * begins to write after that writes into the new epoch. Rejects with `STORE_UNAVAILABLE` when nothing was done, and when it is open
   * whether it began: until that is known this node stays where it is.
   */
  beginEpoch(): Promise<number>
  /** Whether the state that the epoch begins with is this node's, and not known to be written: then this node projects, whoever else may. */
  readonly owesState: boolean
  /**
   * Writes what the projection of this data center, or of all, lacks, as far as this node knows it. Any number of nodes may. Rejects
   * for all as soon as one of them can't be reached.
   */
  project(scope?: ProjectionScope): Promise<void>
  /** Reads how far the projection of this data center is: another node may have written it. */
  lookAtProjection(): Promise<void>
}
