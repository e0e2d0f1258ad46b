/** One replica: the rows that have reached it. */
import type { Selection } from '#store/cassandra/port.ts'
import { compareValues, mergeRows, purgedRow, type CellRow, type Mutation } from './cells.ts'

export class Replica {
  readonly name: string
  readonly dataCenter: string
  /** Of its clock, for writes that carry no timestamp of their own. */
  readonly skewMs: number
  isUp = true
  readonly #partitions = new Map<string, Map<string, CellRow>>()

  constructor(name: string, dataCenter: string, skewMs: number) {
    this.name = name
    this.dataCenter = dataCenter
    this.skewMs = skewMs
  }

  apply({ place, rows }: Pick<Mutation, 'place' | 'rows'>): void {
    let partition = this.#partitions.get(place)
    if (!partition) this.#partitions.set(place, (partition = new Map()))
    for (const [key, row] of rows) partition.set(key, mergeRows(partition.get(key), row))
  }

  /** The rows of a partition that a selection asks for, by clustering key; also deleted ones. */
  read(place: string, { equals = {}, after }: Pick<Selection, 'equals' | 'after'>): Map<string, CellRow> {
    const found = new Map<string, CellRow>()
    const wanted = Object.entries(equals)
    for (const [key, row] of this.#partitions.get(place) ?? []) {
      if (!wanted.every(([column, value]) => row.key[column] === value)) continue
      if (after && compareValues(row.key[after.column], after.value) <= 0) continue
      found.set(key, row)
    }
    return found
  }

  /** Forgets what is deleted, as a compaction after gc_grace does. */
  purge(nowMs: number): void {
    for (const partition of this.#partitions.values()) {
      for (const [key, row] of partition) {
        const left = purgedRow(row, nowMs)
        if (left) partition.set(key, left)
        else partition.delete(key)
      }
    }
  }
}

/** What a reader of several replicas gets; and whether they differ. */
export function mergeReads(reads: readonly ReadonlyMap<string, CellRow>[]): {
  readonly rows: Map<string, CellRow>
  readonly isTorn: boolean
} {
  const rows = new Map<string, CellRow>()
  for (const read of reads) for (const [key, row] of read) rows.set(key, mergeRows(rows.get(key), row))
  const isTorn = reads.some((read) => [...rows].some(([key, row]) => read.get(key) !== row))
  return { rows, isTorn }
}
