import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredRow } from '../digest.ts'
import type { Filling } from '../filling.ts'
import { RowGatherer } from './row-gatherer.ts'

function rowOf(kind: string, id: number): StoredRow {
  return { kind, workspace: 'w', id: `${id}`, revision: 1, sealed: '{}' }
}

test('rows that come while others are written go together, by kind and not too many', async () => {
  const written: string[] = []
  const filling = {
    fill: async (kind: string, rows: readonly StoredRow[], whole: number | null) => {
      written.push(`${kind} ${rows.length} ${whole}`)
      await Promise.resolve()
    },
  } as unknown as Filling
  const gatherer = new RowGatherer(() => filling)
  const first = gatherer.add(rowOf('a', 0))
  const others = Array.from({ length: 1200 }, (_, n) => gatherer.add(rowOf(n % 3 === 0 ? 'b' : 'a', n)))
  await Promise.all([first, ...others])
  assert.deepEqual(written.toSorted(), [
    'a 1 null',
    'a 134 null',
    'a 333 null',
    'a 333 null',
    'b 167 null',
    'b 167 null',
    'b 66 null',
  ])
  await gatherer.add(rowOf('c', 1))
  assert.equal(written.at(-1), 'c 1 null')
})

test('a failure is told to those whose rows were in it, and the next are written', async () => {
  let isBroken = true
  const filling = {
    fill: async () => {
      if (isBroken) throw new Error('the disk is full')
    },
  } as unknown as Filling
  const gatherer = new RowGatherer(() => filling)
  await assert.rejects(gatherer.add(rowOf('a', 1)), /the disk is full/)
  isBroken = false
  await gatherer.add(rowOf('a', 2))
})

test('a copy that has become whole needs no row', async () => {
  await new RowGatherer(() => null).add(rowOf('a', 1))
})
