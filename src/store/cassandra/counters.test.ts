import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MapPort } from '../../../test/support/map-port.ts'
import { CassandraCounterRows } from './counters.ts'
import type { Table, TableRow, WriteOptions } from './port.ts'

class WatchedPort extends MapPort {
  readonly writes: WriteOptions[] = []
  override async insert(table: Table, row: TableRow, options: WriteOptions): Promise<void> {
    this.writes.push(options)
    await super.insert(table, row, options)
  }
}

const MINUTE = { key: 'k', windowStartMs: Date.parse('2030-05-17T10:20:00Z') }
const END_MS = MINUTE.windowStartMs + 60_000

test('a row outlives its window by a minute, also that of a year', async () => {
  const port = new WatchedPort()
  const rows = new CassandraCounterRows({ port, nowMs: () => END_MS - 10_000 })
  await rows.write(MINUTE, { incarnation: 'a', count: 1 }, END_MS)
  await rows.write(MINUTE, { incarnation: 'a', count: 2 }, END_MS + 366 * 86_400_000)
  await rows.write(MINUTE, { incarnation: 'a', count: 3 }, END_MS + 9999 * 86_400_000)
  assert.deepEqual(
    port.writes.map(({ ttlSeconds }) => ttlSeconds),
    [70, 366 * 86_400 + 70, 367 * 86_400],
  )
})

test('the later of two writes stays, though the clock went back', async () => {
  const port = new WatchedPort()
  let nowMs = END_MS - 10_000
  const rows = new CassandraCounterRows({ port, nowMs: () => nowMs })
  await rows.write(MINUTE, { incarnation: 'a', count: 1 }, END_MS)
  nowMs -= 60_000
  await rows.write(MINUTE, { incarnation: 'a', count: 2 }, END_MS)
  assert.deepEqual(await rows.read(MINUTE), [{ incarnation: 'a', count: 2 }])
  assert.ok(port.writes[1]!.timestamp! > port.writes[0]!.timestamp!)
})

test('rows of several starts and nodes stand beside each other, those of other windows apart', async () => {
  const rows = new CassandraCounterRows({ port: new MapPort(), nowMs: () => MINUTE.windowStartMs })
  await rows.write(MINUTE, { incarnation: 'a', count: 1 }, END_MS)
  await rows.write(MINUTE, { incarnation: 'b', count: 5 }, END_MS)
  await rows.write({ ...MINUTE, windowStartMs: END_MS }, { incarnation: 'b', count: 9 }, END_MS)
  assert.deepEqual(await rows.read(MINUTE), [
    { incarnation: 'a', count: 1 },
    { incarnation: 'b', count: 5 },
  ])
})
