import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Table } from '#store/cassandra/port.ts'
import { deletion, insertion, mergeRows, purgedRow, visibleRow, type CellRow, type Mutation } from './cells.ts'

const table: Table = {
  name: 'things',
  partition: { place: 'text' },
  clustering: { id: 'text' },
  columns: { text: 'text', count: 'int' },
}
const key = { place: 'here', id: 'a' }

function written(text: string | null, count: number, timestamp: number, expiresAtMs?: number): CellRow {
  return only(insertion(table, [{ ...key, text, count }], timestamp, expiresAtMs))
}

function only({ rows }: Mutation): CellRow {
  return [...rows.values()][0] as CellRow
}

/** Merged in both orders, which must not matter. */
function merged(a: CellRow, b: CellRow, nowMs = 0) {
  const one = visibleRow(table, mergeRows(a, b), nowMs)
  assert.deepEqual(visibleRow(table, mergeRows(b, a), nowMs), one)
  return one
}

test('of two writes the later wins, whatever came first', () => {
  assert.deepEqual(merged(written('old', 9, 1), written('new', 1, 2)), { ...key, text: 'new', count: 1 })
})

test('of two writes of one moment each cell takes its greater value, so that two rows can mix', () => {
  assert.deepEqual(merged(written('b', 1, 5), written('a', 2, 5)), { ...key, text: 'b', count: 2 })
})

test('a deletion wins over a write of the same moment, not over a later one', () => {
  assert.equal(merged(written('a', 1, 5), only(deletion(table, [key], 5))), undefined)
  assert.deepEqual(merged(written('a', 1, 6), only(deletion(table, [key], 5))), { ...key, text: 'a', count: 1 })
  assert.deepEqual(merged(written('a', 1, 5), written(null, 1, 5)), { ...key, text: null, count: 1 })
})

test('a purge forgets deletions: an older row that comes later is there again', () => {
  const deleted = mergeRows(written('a', 1, 5), only(deletion(table, [key], 6)))
  assert.equal(purgedRow(deleted, 0), undefined)
  const back = mergeRows(undefined, written('a', 1, 5))
  assert.deepEqual(visibleRow(table, back, 0), { ...key, text: 'a', count: 1 })
})

test('what has a time to live ends', () => {
  const row = written('a', 1, 5, 100)
  assert.deepEqual(visibleRow(table, row, 99), { ...key, text: 'a', count: 1 })
  assert.equal(visibleRow(table, row, 100), undefined)
})
