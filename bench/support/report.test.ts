import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits, verdict } from '../limits.ts'
import { figure } from './bench.ts'
import type { Provenance } from './machine.ts'
import { tableOf, withTable } from './report.ts'

const measured: Provenance = {
  at: '2030-01-02T03:04:05.000Z',
  commit: 'abc1234',
  cpu: 'A CPU',
  cores: 2,
  memoryMiB: 1024,
  kernel: '6.1',
  node: 'v26.0.0',
  nginx: 'nginx/1.22.1',
}

test('a figure is judged by its limit and its aim, in the direction that the row has', () => {
  assert.equal(figure('plain', 1.2).verdict, 'aimed')
  assert.equal(figure('plain', 1.3).verdict, 'held')
  assert.equal(figure('plain', 1.5).verdict, 'missed')
  assert.equal(figure('reuse', 99.6).verdict, 'held')
  assert.equal(figure('reuse', 99.4).verdict, 'missed')
  assert.equal(figure('latency', 100).verdict, 'held')
  assert.equal(verdict({ id: 'x', title: 'x', unit: 'ms', limit: 5, aim: null }, Number.NaN), 'missed')
})

test('rows are named once, and an aim is never looser than its limit', () => {
  assert.equal(new Set(limits.map(({ id }) => id)).size, limits.length)
  for (const { id, limit, aim } of limits) if (limit !== null && aim !== null) assert.ok(aim <= limit, id)
})

test('the table says what was measured, against what, and from what', () => {
  const row = tableOf([figure('post', 1.456, { 'us each': 14.2, 'nginx rounds': [9, 10] })]).split('\n')[2]
  assert.equal(row, '| POST with 1 KB | 1.46 x nginx | 1.5 | - | limit held | us each 14.2 |')
})

test('recording replaces what stands between the markers and nothing else', () => {
  const page = 'before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n'
  const once = withTable(page, [{ ...figure('plain', 1.2), measured }])
  assert.match(
    once,
    /^before\n<!-- bench -->\n\n\| work .*\n- 2030-01-02, commit abc1234: A CPU, .*\n\n<!-- \/bench -->\nafter\n$/s,
  )
  assert.doesNotMatch(once, /old/)
  assert.equal(withTable(once, [{ ...figure('plain', 1.2), measured }]), once)
  assert.throws(() => withTable('no markers', []), /has no <!-- bench -->/)
})
