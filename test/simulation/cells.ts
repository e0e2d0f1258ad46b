/**
 * Rows as a replica keeps them: a cell per column with its timestamp, and the rule by which Cassandra merges two of one row. Greater
 * timestamp wins; at equal ones a deletion wins over a value, and of two values the greater one. Rows are never changed in place:
 * replicas that have the same write share it.
 */
import type { Table, TableRow, Value } from '#store/cassandra/port.ts'

interface Cell {
  /** Null: deleted. */
  readonly value: Value
  readonly timestamp: number
  readonly expiresAtMs: number
}

export interface CellRow {
  /** The columns of the whole key. */
  readonly key: TableRow
  /** Everything up to this timestamp is deleted. */
  readonly deletedAt: number
  /** First the mark that the row was inserted, then the columns in the table's order. */
  readonly cells: readonly Cell[]
}

/** What one write does to one partition. */
export interface Mutation {
  readonly table: Table
  /** Table and partition key. */
  readonly place: string
  /** By clustering key. */
  readonly rows: ReadonlyMap<string, CellRow>
}

const NEVER = -Infinity

export function insertion(
  table: Table,
  rows: readonly TableRow[],
  timestamp: number | 'revision',
  expiresAtMs = Infinity,
): Mutation {
  const made = rows.map((row): [string, CellRow] => {
    const own = timestamp === 'revision' ? (row.revision as number) : timestamp
    const cell = (value: Value): Cell => ({ value, timestamp: own, expiresAtMs })
    const cells = [cell(true), ...Object.keys(table.columns).map((column) => cell(row[column] ?? null))]
    return [clusteringKey(table, row), { key: keyOf(table, row), deletedAt: NEVER, cells }]
  })
  return { table, place: placeOf(table, rows[0] ?? {}), rows: new Map(made) }
}

export function deletion(table: Table, keys: readonly TableRow[], timestamp: number | 'revision'): Mutation {
  const made = keys.map((key): [string, CellRow] => {
    const deletedAt = timestamp === 'revision' ? (key.revision as number) : timestamp
    return [clusteringKey(table, key), { key: keyOf(table, key), deletedAt, cells: [] }]
  })
  return { table, place: placeOf(table, keys[0] ?? {}), rows: new Map(made) }
}

export function mergeRows(a: CellRow | undefined, b: CellRow): CellRow {
  if (!a || a === b) return b
  if (isOver(a, b)) return a
  if (isOver(b, a)) return b
  const length = Math.max(a.cells.length, b.cells.length)
  const cells = Array.from({ length }, (_, index) => mergeCells(a.cells[index], b.cells[index]))
  const merged = { key: a.key, deletedAt: Math.max(a.deletedAt, b.deletedAt), cells }
  // What is as one of the two was is the same row: readers compare by identity.
  return isSame(merged, a) ? a : isSame(merged, b) ? b : merged
}

/** The row as a reader sees it; undefined when nothing of it lives. */
export function visibleRow(table: Table, row: CellRow, nowMs: number): TableRow | undefined {
  const values = row.cells.map((cell) =>
    cell.timestamp > row.deletedAt && cell.expiresAtMs > nowMs ? cell.value : null,
  )
  if (values.every((value) => value === null)) return undefined
  const columns = Object.keys(table.columns).map((column, index) => [column, values[index + 1] ?? null])
  return { ...row.key, ...Object.fromEntries(columns) }
}

/** Without what is deleted or over, as a compaction after gc_grace leaves it; undefined when nothing is left. */
export function purgedRow(row: CellRow, nowMs: number): CellRow | undefined {
  const isLive = (cell: Cell) => cell.value !== null && cell.timestamp > row.deletedAt && cell.expiresAtMs > nowMs
  if (!row.cells.some(isLive)) return undefined
  if (row.deletedAt === NEVER && row.cells.every((cell) => cell.value === null || isLive(cell))) return row
  const gone = (cell: Cell): Cell => (isLive(cell) ? cell : { value: null, timestamp: NEVER, expiresAtMs: Infinity })
  return { key: row.key, deletedAt: NEVER, cells: row.cells.map(gone) }
}

export function placeOf(table: Table, row: TableRow): string {
  return `${table.name} ${JSON.stringify(Object.keys(table.partition).map((column) => row[column]))}`
}

export function clusteringKey(table: Table, row: TableRow): string {
  return JSON.stringify(Object.keys(table.clustering).map((column) => row[column]))
}

export function compareValues(a: Value | undefined, b: Value | undefined): number {
  return (a as string) < (b as string) ? -1 : (a as string) > (b as string) ? 1 : 0
}

function keyOf(table: Table, row: TableRow): TableRow {
  const columns = [...Object.keys(table.partition), ...Object.keys(table.clustering)]
  return Object.fromEntries(columns.map((column) => [column, row[column] as Value]))
}

/** Whether one write of the whole row is later than all there is of the other. */
function isOver(a: CellRow, b: CellRow): boolean {
  const first = a.cells[0]
  if (!first || a.deletedAt < b.deletedAt || a.cells.length < b.cells.length) return false
  return a.cells.every((cell, index) => cell.timestamp > (b.cells[index]?.timestamp ?? NEVER))
}

function isSame(a: CellRow, b: CellRow): boolean {
  return (
    a.deletedAt === b.deletedAt &&
    a.cells.length === b.cells.length &&
    a.cells.every((cell, index) => cell === b.cells[index])
  )
}

function mergeCells(a: Cell | undefined, b: Cell | undefined): Cell {
  if (!a || !b) return (a ?? b) as Cell
  if (a.timestamp !== b.timestamp) return a.timestamp > b.timestamp ? a : b
  if (a.value === null || b.value === null) return a.value === null ? a : b
  const order = compareValues(a.value, b.value)
  if (order !== 0) return order > 0 ? a : b
  return a.expiresAtMs >= b.expiresAtMs ? a : b
}
