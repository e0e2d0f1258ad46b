/** The log of a cluster in Cassandra: epochs, entries in order, and the one statement that appends. */
import { canonicalJson } from '../canonical.ts'
import { GENESIS_HASH } from '../chain.ts'
import type { Head, LogEntry } from '../contract.ts'
import { entryOfRow, isReadable, partsOfRow, rowOfEntry, segmentOf } from './entry-rows.ts'
import {
  CassandraFailure,
  type CassandraPort,
  type ReadConsistency,
  type SerialConsistency,
  type TableRow,
  type WriteConsistency,
} from './port.ts'
import { CLUSTER, CONFIG_LOG, CONFIG_PAYLOAD, EPOCHS } from './tables.ts'

export interface Epoch {
  readonly epoch: number
  readonly serial: SerialConsistency
  /** '' when every data center may append. */
  readonly writingDataCenter: string
  /** What its log starts after. */
  readonly base: Head
  /** The node whose state that is. */
  readonly madeBy: string
}

/** A slot of the log after an insert: ours, or what stood there. */
export interface Slot {
  readonly isOurs: boolean
  readonly entry: LogEntry
}

/** Entries that could be read in a row. `isHole`: a later one is there, one before it is not, or a part of one is missing. */
export interface Stretch {
  readonly entries: readonly LogEntry[]
  readonly isHole: boolean
}

export interface Followed extends Stretch {
  readonly isSame: boolean | null
}

/** What the log of a new cluster starts with. */
export const FIRST_EPOCH: Epoch = {
  epoch: 1,
  serial: 'SERIAL',
  writingDataCenter: '',
  base: { revision: 0, hash: GENESIS_HASH, digests: {} },
  madeBy: '',
}

/** Epochs are few; the greatest counts. */
const EPOCHS_READ = 1000
/** Parts of one entry read or written at once. */
const PARTS_AT_ONCE = 8

export class ClusterLog {
  readonly #port: CassandraPort
  readonly #commit: WriteConsistency

  constructor(port: CassandraPort, commit: WriteConsistency = 'QUORUM') {
    this.#port = port
    this.#commit = commit
  }

  /** The epoch that counts; undefined in a cluster that was never written to. */
  async epoch(consistency: ReadConsistency): Promise<Epoch | undefined> {
    const selection = { partition: { cluster: CLUSTER }, limit: EPOCHS_READ, consistency }
    const last = (await this.#port.select(EPOCHS, selection)).at(-1)
    return last && epochOf(last)
  }

  /** The epoch that counts, also when nobody here was told of it; the known one where no majority of all replicas can be asked. */
  async newestEpoch(known: Epoch): Promise<Epoch> {
    try {
      const latest = await this.epoch('SERIAL')
      return latest && latest.epoch > known.epoch ? latest : known
    } catch (error) {
      if (!(error instanceof CassandraFailure)) throw error
      return known
    }
  }

  /**
   * Begins the epoch with this number, unless the number is taken; answers the one that has it then. `EACH_QUORUM` as commit: when it
   * is answered as begun by this, reads of each data center show it.
   */
  async beginEpoch(
    { epoch, serial, writingDataCenter, base, madeBy }: Epoch,
    nowMs: number,
    commit: WriteConsistency = 'QUORUM',
  ): Promise<{ readonly isBegun: boolean; readonly epoch: Epoch }> {
    const row = {
      cluster: CLUSTER,
      epoch,
      serial_domain: serial,
      writing_data_center: writingDataCenter,
      base_revision: base.revision,
      base_hash: base.hash,
      base_digests: canonicalJson(base.digests),
      made_at_ms: nowMs,
      made_by: madeBy,
    }
    const result = await this.#port.insertIfAbsent(EPOCHS, row, { serial: 'SERIAL', commit })
    if (result.isApplied) return { isBegun: true, epoch: epochOf(row) }
    return { isBegun: false, epoch: epochOf({ ...row, ...result.row }) }
  }

  /**
   * Puts the entry into its slot, unless the slot is taken, and says what stands there. Rejects with a `CassandraFailure`; when that
   * is not settled the entry may be, or come to be, in its slot: only a repetition tells.
   */
  async insert({ epoch, serial }: Epoch, entry: LogEntry): Promise<Slot> {
    const { row, parts } = rowOfEntry(epoch, entry)
    for (let start = 0; start < parts.length; start += PARTS_AT_ONCE) {
      const some = parts.slice(start, start + PARTS_AT_ONCE)
      await before(
        some.map(({ hash, content }) =>
          this.#port.insert(CONFIG_PAYLOAD, { hash, content }, { consistency: 'QUORUM' }),
        ),
      )
    }
    const result = await this.#port.insertIfAbsent(CONFIG_LOG, row, { serial, commit: this.#commit })
    if (result.isApplied) return { isOurs: true, entry }
    // The winner of the slot may be this very entry: an earlier try whose answer was lost.
    const winner = result.row ?? (await this.#row(epoch, entry.revision, serial))
    if (!winner)
      throw new CassandraFailure('timeout', `revision ${entry.revision}: refused, and nothing stands there`, false)
    if (winner.txid === entry.txid && winner.entry === row.entry) return { isOurs: true, entry }
    const decided = await this.#read(winner, 'QUORUM')
    if (!decided)
      throw new CassandraFailure('timeout', `revision ${entry.revision}: parts of the entry are not there yet`, false)
    return { isOurs: winner.txid === entry.txid, entry: decided }
  }

  /** Entries after a revision as far as they follow each other, `limit` at most. */
  async entriesAfter(epoch: number, after: number, limit: number, consistency: ReadConsistency): Promise<Stretch> {
    const entries: LogEntry[] = []
    for await (const row of this.#rowsAfter(epoch, after, limit, consistency)) {
      if (row.revision !== after + entries.length + 1) return { entries, isHole: true }
      // What comes before it counts; it is told when it is the next.
      if (entries.length > 0 && !isReadable(row)) return { entries, isHole: false }
      const entry = await this.#read(row, consistency)
      if (!entry) return { entries, isHole: true }
      entries.push(entry)
    }
    return { entries, isHole: false }
  }

  /**
   * What follows a head, read together with the head's own row: `isSame` is false when another entry stands there (a restored
   * database), null when none can be seen yet.
   */
  async follow(epoch: Epoch, head: Head, limit: number, consistency: ReadConsistency): Promise<Followed> {
    if (head.revision <= epoch.base.revision)
      return { isSame: true, ...(await this.entriesAfter(epoch.epoch, head.revision, limit, consistency)) }
    const entries: LogEntry[] = []
    let isSame: boolean | null = null
    for await (const row of this.#rowsAfter(epoch.epoch, head.revision - 1, limit + 1, consistency)) {
      if (isSame === null) {
        if (row.revision !== head.revision) return { isSame, entries, isHole: true }
        isSame = hashOf(row) === head.hash
        if (!isSame) return { isSame, entries, isHole: false }
        continue
      }
      if (entries.length > 0 && !isReadable(row)) return { isSame, entries, isHole: false }
      const entry = row.revision === head.revision + entries.length + 1 && (await this.#read(row, consistency))
      if (!entry) return { isSame, entries, isHole: true }
      entries.push(entry)
    }
    return { isSame, entries, isHole: false }
  }

  /** Rows after a revision, over the borders of segments. */
  async *#rowsAfter(
    epoch: number,
    after: number,
    limit: number,
    consistency: ReadConsistency,
  ): AsyncIterable<TableRow> {
    let left = limit
    for (let next = after + 1; left > 0;) {
      const segment = segmentOf(next)
      const rows = await this.#port.select(CONFIG_LOG, {
        partition: { epoch, segment },
        after: { column: 'revision', value: next - 1 },
        limit: left,
        consistency,
      })
      for (const row of rows) {
        yield row
        next = (row.revision as number) + 1
        left--
      }
      // Only a segment that is read to its end has another after it.
      if (segmentOf(next) === segment) return
    }
  }

  /** Revision, hash and digests as an entry left them. */
  async headAt({ epoch, base }: Epoch, revision: number, consistency: ReadConsistency): Promise<Head | undefined> {
    if (revision === base.revision) return base
    const row = await this.#row(epoch, revision, consistency)
    if (!row) return undefined
    const { hash, digests } = JSON.parse(row.entry as string) as LogEntry
    return { revision, hash, digests }
  }

  /** The entry of a revision, read so that one is found that was decided and never told (SERIAL). */
  async decided({ epoch, serial }: Epoch, revision: number): Promise<LogEntry | undefined> {
    const row = await this.#row(epoch, revision, serial)
    return row && (await this.#read(row, 'QUORUM'))
  }

  async #row(epoch: number, revision: number, consistency: ReadConsistency): Promise<TableRow | undefined> {
    const [row] = await this.#port.select(CONFIG_LOG, {
      partition: { epoch, segment: segmentOf(revision) },
      equals: { revision },
      limit: 1,
      consistency,
    })
    return row
  }

  /** Undefined while a part of it is not there yet. */
  async #read(row: TableRow, consistency: ReadConsistency): Promise<LogEntry | undefined> {
    const parts: string[] = []
    for (const hash of partsOfRow(row)) {
      // Parts are written at QUORUM, of which this data center may have had too little: those of the others have the rest.
      const found = (await this.#part(hash, consistency)) ?? (await this.#part(hash, 'QUORUM'))
      if (!found) return undefined
      parts.push(found.content as string)
    }
    return entryOfRow(row, parts)
  }

  async #part(hash: string, consistency: ReadConsistency): Promise<TableRow | undefined> {
    const level = consistency === 'SERIAL' || consistency === 'LOCAL_SERIAL' ? 'QUORUM' : consistency
    const [found] = await this.#port.select(CONFIG_PAYLOAD, { partition: { hash }, limit: 1, consistency: level })
    return found
  }
}

/** The parts are written before the row that names them is tried: when one fails, nothing has happened. */
async function before(writes: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(writes)
  for (const result of results) {
    if (result.status === 'fulfilled') continue
    const { reason } = result
    throw reason instanceof CassandraFailure
      ? new CassandraFailure(reason.reason, reason.message, true, { cause: reason })
      : (reason as Error)
  }
}

function hashOf(row: TableRow): string {
  return (JSON.parse(row.entry as string) as { hash: string }).hash
}

function epochOf(row: TableRow): Epoch {
  return {
    epoch: row.epoch as number,
    serial: row.serial_domain as SerialConsistency,
    writingDataCenter: row.writing_data_center as string,
    base: {
      revision: row.base_revision as number,
      hash: row.base_hash as string,
      digests: JSON.parse(row.base_digests as string) as Record<string, string>,
    },
    madeBy: row.made_by as string,
  }
}
