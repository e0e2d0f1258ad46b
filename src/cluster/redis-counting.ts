import type { LocalCountersTable } from './local-counters.ts'
import type { RedisLink } from './redis-link.ts'

/** What decisions over counters in Redis need, whatever they decide by. */
export interface RedisCountingOptions {
  readonly link: Pick<RedisLink, 'run' | 'answersFor' | 'onUp'>
  /** What this node counted. */
  readonly own: LocalCountersTable
  /** The totals of all nodes, as far as known. */
  readonly known: LocalCountersTable
  /** A word of the node: how often it decided without Redis. */
  readonly timesAlone: Int32Array
  /** Before the names in the tables. */
  readonly name: string
  /** This start of this node, as its rows are named. */
  readonly incarnation: string
  /** Before the names in Redis. */
  readonly keyPrefix: string
  /** Among how many nodes a limit is divided without Redis. */
  readonly nodes: () => number
  readonly now: () => number
  /** Told of each window that has changed in Redis. */
  readonly note: (key: string) => void
  readonly release: () => void
}

/** Of what was decided without Redis; what is above is told with the next decision about it. */
export const UNTOLD_MAX = 5000
