/** The nodes' rows of rate-limit counters on Cassandra. */
import type { CassandraPort } from './port.ts'
import { COUNTERS } from './tables.ts'

export interface CounterRowsOptions {
  readonly port: CassandraPort
  readonly nowMs: () => number
}

/** A row outlives its window by as much as clocks may differ. */
const MARGIN_MS = 60_000
/** The longest window is a year. */
const LONGEST_SECONDS = 367 * 86_400
/** Starts of nodes in one window that used one counter; those beyond are not counted. */
const ROWS_LIMIT = 10_000

interface Counter {
  readonly key: string
  readonly windowStartMs: number
}

interface Row {
  readonly incarnation: string
  readonly count: number
}

/**
 * Both ways by LOCAL_QUORUM: what a node has written the others of its data center read in their next round, also while a replica
 * is down or has missed writes. With LOCAL_ONE a replica that was away would hide counts until it is repaired. Other data centers
 * get the rows when they get them; no request waits for either.
 */
export class CassandraCounterRows {
  readonly #port: CassandraPort
  readonly #nowMs: () => number
  #lastWrite = 0

  constructor({ port, nowMs }: CounterRowsOptions) {
    this.#port = port
    this.#nowMs = nowMs
  }

  async exchange(
    counter: Counter,
    { incarnation, count }: Row,
    expiresAtMs: number,
  ): Promise<{ own: number; others: number }> {
    let own = 0
    let others = 0
    for (const row of await this.read(counter)) {
      if (row.incarnation === incarnation) own = row.count
      else others += row.count
    }
    if (count <= own) return { own, others }
    await this.write(counter, { incarnation, count }, expiresAtMs)
    return { own: count, others }
  }

  async read({ key, windowStartMs }: Counter): Promise<readonly Row[]> {
    const rows = await this.#port.select(COUNTERS, {
      partition: { key, window_start: windowStartMs },
      limit: ROWS_LIMIT,
      consistency: 'LOCAL_QUORUM',
    })
    return rows.map((row) => ({ incarnation: String(row['incarnation']), count: Number(row['count'] ?? 0) }))
  }

  /** Of two writes the later one stays, also when this node's clock is set back and when the earlier one arrives last. */
  async write({ key, windowStartMs }: Counter, { incarnation, count }: Row, expiresAtMs: number): Promise<void> {
    const nowMs = this.#nowMs()
    this.#lastWrite = Math.max(this.#lastWrite + 1, Math.floor(nowMs) * 1000)
    const seconds = Math.ceil((expiresAtMs - nowMs + MARGIN_MS) / 1000)
    await this.#port.insert(
      COUNTERS,
      { key, window_start: windowStartMs, incarnation, count },
      {
        consistency: 'LOCAL_QUORUM',
        timestamp: this.#lastWrite,
        ttlSeconds: Math.min(LONGEST_SECONDS, Math.max(1, seconds)),
      },
    )
  }
}
