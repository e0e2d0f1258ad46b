/** What a cluster refuses before it does anything: statements that do not fit their table. */
import { CassandraFailure, type Selection, type Table, type TableRow, type Value } from '#store/cassandra/port.ts'

export function checkRow(table: Table, row: TableRow, first: TableRow): void {
  for (const column of Object.keys(table.partition)) {
    checkKey(table, column, row[column])
    if (row[column] !== first[column]) invalid(`${table.name}: rows of one write are of one partition`)
  }
  for (const column of Object.keys(table.clustering)) checkKey(table, column, row[column])
  for (const column of Object.keys(row))
    if (!(column in table.partition) && !(column in table.clustering) && !(column in table.columns))
      invalid(`${table.name} has no column ${column}`)
}

export function checkSelection(table: Table, { partition, equals = {}, after }: Selection): void {
  for (const column of Object.keys(table.partition)) checkKey(table, column, partition[column])
  const clustering = Object.keys(table.clustering)
  const given = Object.keys(equals)
  if (given.some((column) => !clustering.slice(0, given.length).includes(column)))
    invalid(`${table.name}: rows are read by the first columns of ${clustering.join(', ')}`)
  if (after && after.column !== clustering[given.length])
    invalid(`${table.name}: rows are read after a value of ${clustering[given.length]} only`)
}

function checkKey(table: Table, column: string, value: Value | undefined): void {
  if (value === undefined || value === null) invalid(`${table.name}: ${column} has no value`)
}

function invalid(message: string): never {
  throw new CassandraFailure('invalid', message, true)
}
